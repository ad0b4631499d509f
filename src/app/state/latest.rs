//! The latest answer of the worker.

use crate::worker::{Answer, Step};

/// The latest answer, which stays on screen until the next one is available.
#[derive(Debug, Default)]
pub enum Latest {
    /// Nothing was requested yet.
    #[default]
    Empty,
    /// A job is running.
    Working {
        /// Its ID.
        job: u64,
        /// Its current step.
        step: Option<Step>,
        /// What is on screen in the meantime.
        previous: Option<Box<Answer>>,
    },
    /// The answer to the last job.
    Ready(Box<Answer>),
}

impl Latest {
    /// What is on screen.
    #[must_use]
    pub fn shown(&self) -> Option<&Answer> {
        match self {
            Self::Empty => None,
            Self::Working { previous, .. } => previous.as_deref(),
            Self::Ready(shown) => Some(shown),
        }
    }

    pub(super) fn take_shown(&mut self) -> Option<Box<Answer>> {
        match std::mem::take(self) {
            Self::Empty => None,
            Self::Working { previous, .. } => previous,
            Self::Ready(shown) => Some(shown),
        }
    }
}
