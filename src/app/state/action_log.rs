//! Keeps the last actions for tests and debugging. If the environment variable `CAMLENS_RECORD`
//! names a file, all actions are also written to it as JSON lines.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;

use crate::app::state::action::Action;
use crate::app::state::command::Command;

/// Maximum number of actions kept.
const KEPT: usize = 256;

/// The last actions, in order.
#[derive(Debug, Default)]
pub struct ActionLog {
    last: VecDeque<Action>,
    actions: u64,
    last_commands: VecDeque<Command>,
    commands: u64,
    file: Option<File>,
}

/// The last of `all`, of which there were `count`: those after the first `seen`.
fn after<T>(all: &VecDeque<T>, count: u64, seen: u64) -> impl ExactSizeIterator<Item = &T> {
    let new = usize::try_from(count.saturating_sub(seen)).unwrap_or(usize::MAX);
    all.range(all.len().saturating_sub(new)..)
}

fn keep<T>(all: &mut VecDeque<T>, item: T) {
    if all.len() == KEPT {
        all.pop_front();
    }
    all.push_back(item);
}

impl ActionLog {
    /// A log that also writes to the file in `CAMLENS_RECORD`, if it is set.
    pub(in crate::app) fn from_env() -> Self {
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
    pub(in crate::app) fn record(&mut self, action: &Action) {
        if let Some(file) = &mut self.file {
            let line = serde_json::to_string(action).map_err(std::io::Error::other);
            if let Err(error) = line.and_then(|line| writeln!(file, "{line}")) {
                log::warn!("{action:?} is not recorded: {error}");
            }
        }
        self.actions += 1;
        keep(&mut self.last, action.clone());
    }

    /// Notes what reached outside the state: an [`Action::Run`], or what followed from another
    /// action.
    pub(in crate::app) fn record_command(&mut self, command: &Command) {
        self.commands += 1;
        keep(&mut self.last_commands, command.clone());
    }

    /// How many actions there were.
    #[must_use]
    pub fn actions(&self) -> u64 {
        self.actions
    }

    /// The actions after the first `seen`, as far as they are kept.
    #[must_use]
    pub fn actions_after(&self, seen: u64) -> impl ExactSizeIterator<Item = &Action> {
        after(&self.last, self.actions, seen)
    }

    /// How many commands there were.
    #[must_use]
    pub fn commands(&self) -> u64 {
        self.commands
    }

    /// The commands after the first `seen`, as far as they are kept.
    #[must_use]
    pub fn commands_after(&self, seen: u64) -> impl ExactSizeIterator<Item = &Command> {
        after(&self.last_commands, self.commands, seen)
    }

    /// The last actions, the oldest first.
    #[must_use]
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
        assert_eq!(log.actions(), 300);
        assert_eq!(log.actions_after(298).len(), 2);
        assert_eq!(log.actions_after(0).len(), KEPT);
    }
}
