//! Keeps the last actions for tests and debugging. If the environment variable `CAMLENS_RECORD`
//! names a file, all actions are also written to it as JSON lines.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;

use crate::app::state::action::Action;

/// Maximum number of actions kept.
const KEPT: usize = 256;

/// The last actions, in order.
#[derive(Debug, Default)]
pub struct ActionLog {
    last: VecDeque<Action>,
    file: Option<File>,
}

impl ActionLog {
    /// A log that also writes to the file in `CAMLENS_RECORD`, if it is set.
    pub fn from_env() -> Self {
        let file = std::env::var_os("CAMLENS_RECORD").and_then(|path| {
            let made = File::options().create(true).append(true).open(&path);
            made.inspect_err(|error| log::error!("{} can't be written: {error}", path.display()))
                .ok()
        });
        Self {
            file,
            ..Self::default()
        }
    }

    /// Records an action.
    pub fn record(&mut self, action: &Action) {
        if let Some(file) = &mut self.file {
            let line = serde_json::to_string(action).map_err(std::io::Error::other);
            if let Err(error) = line.and_then(|line| writeln!(file, "{line}")) {
                log::warn!("{action:?} is not recorded: {error}");
            }
        }
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(action.clone());
    }

    /// The last actions, the oldest first.
    pub fn last(&self) -> impl ExactSizeIterator<Item = &Action> {
        self.last.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_actions_are_kept() {
        let mut log = ActionLog::default();
        for by in 0..300 {
            log.record(&Action::StepPhoto(by));
        }
        assert_eq!(log.last().len(), KEPT);
        assert!(matches!(log.last().next(), Some(Action::StepPhoto(44))));
        assert!(matches!(log.last().last(), Some(Action::StepPhoto(299))));
    }
}
