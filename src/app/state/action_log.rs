//! Keeps the last actions for tests and debugging. If the environment variable `CAMLENS_RECORD`
//! names a file, all actions are also written to it as JSON lines.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;

use crate::app::state::action::Action;
use crate::app::state::command::Command;

/// Maximum number of actions kept.
const KEPT: usize = 256;

/// What happened since the window opened.
#[derive(Debug, Default)]
pub struct ActionLog {
    /// The actions.
    pub actions: Kept<Action>,
    /// What reached outside the state: an [`Action::Run`], or what followed from another action.
    pub commands: Kept<Command>,
    file: Option<File>,
}

/// The last items of a sequence, and how many there were.
#[derive(Debug)]
pub struct Kept<T> {
    last: VecDeque<T>,
    count: u64,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self {
            last: VecDeque::new(),
            count: 0,
        }
    }
}

impl<T> Kept<T> {
    /// Adds an item, and drops the oldest if there are too many.
    pub(in crate::app) fn push(&mut self, item: T) {
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(item);
        self.count += 1;
    }

    /// How many items there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The items after the first `seen`, the oldest first, as far as they are kept.
    pub fn after(&self, seen: u64) -> impl ExactSizeIterator<Item = &T> {
        let new = usize::try_from(self.count.saturating_sub(seen)).unwrap_or(usize::MAX);
        self.last.range(self.last.len().saturating_sub(new)..)
    }
}

impl ActionLog {
    /// A log that also writes to the file in `CAMLENS_RECORD`, if it is set.
    pub(in crate::app) fn from_env() -> Self {
        let file = std::env::var_os("CAMLENS_RECORD").and_then(|path| {
            let made = File::create(&path);
            made.inspect_err(|error| log::error!("{} can't be written: {error}", path.display()))
                .ok()
        });
        Self {
            file,
            ..Self::default()
        }
    }

    /// Records an action.
    pub(in crate::app) fn record(&mut self, action: &Action) {
        if let Some(file) = &mut self.file {
            let line = serde_json::to_string(action).map_err(std::io::Error::other);
            if let Err(error) = line.and_then(|line| writeln!(file, "{line}")) {
                log::warn!("{action:?} is not recorded: {error}");
            }
        }
        self.actions.push(action.clone());
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
        assert_eq!(log.actions.after(0).len(), KEPT);
        assert!(matches!(
            log.actions.after(0).next(),
            Some(Action::StepPhoto(44))
        ));
        assert!(matches!(
            log.actions.after(0).last(),
            Some(Action::StepPhoto(299))
        ));
        assert_eq!(log.actions.count(), 300);
        assert_eq!(log.actions.after(298).len(), 2);
        assert_eq!(log.actions.after(0).len(), KEPT);
    }
}
