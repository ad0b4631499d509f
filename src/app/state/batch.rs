//! The predictions of all opened photos: asked for once for each way of running the
//! network, by what is free of the worker's time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::app::state::PhotoItem;
use crate::input::photo::Limits;
use crate::worker::{BatchJob, Plan, Prediction};

/// How far a survey is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Photos with an answer.
    pub done: usize,
    /// All photos.
    pub total: usize,
    /// How long the rest will take, as fast as it went so far.
    pub left: Option<Duration>,
}

/// What the network says of each photo.
#[derive(Debug, Default)]
pub struct Batch {
    id: u64,
    /// How the network ran, without a photo.
    plan: Option<Plan>,
    predictions: HashMap<u64, Result<Prediction, String>>,
    /// How many photos there were when the worker was last asked.
    asked: usize,
    stopped: bool,
    /// When it began, with how many answers.
    began: Option<(Instant, usize)>,
}

impl Batch {
    /// What the worker should be asked for now: the photos without an answer. `plan` is
    /// without a photo.
    pub fn next_job(
        &mut self,
        plan: Plan,
        photos: &[PhotoItem],
        limits: Limits,
    ) -> Option<BatchJob> {
        if self.plan.as_ref() != Some(&plan) {
            *self = Self {
                id: self.id + 1,
                plan: Some(plan.clone()),
                stopped: self.stopped,
                ..Self::default()
            };
        }
        // One photo is on screen and needs no survey.
        if self.stopped || photos.len() < 2 || self.asked == photos.len() {
            return None;
        }
        self.asked = photos.len();
        self.began = Some((Instant::now(), self.predictions.len()));
        let open = photos
            .iter()
            .filter(|item| !self.predictions.contains_key(&item.id));
        Some(BatchJob {
            id: self.id,
            plan,
            photos: open.map(|item| (item.id, item.source.clone())).collect(),
            limits,
        })
    }

    /// Takes an answer in; those to an older question change nothing.
    pub fn apply_event(&mut self, id: u64, photo: u64, answer: Result<Prediction, String>) {
        if id == self.id {
            self.predictions.insert(photo, answer);
        }
    }

    /// Asks no more until [`Batch::resume`].
    pub fn stop(&mut self) {
        self.stopped = true;
        self.asked = 0;
        self.began = None;
    }

    /// Asks once more for the photos that could not be read.
    pub fn forget_failures(&mut self) {
        self.predictions.retain(|_, answer| answer.is_ok());
        self.ask_again();
    }

    /// Asks once more for what has no answer.
    pub fn ask_again(&mut self) {
        self.asked = 0;
    }

    /// Goes on.
    pub fn resume(&mut self) {
        self.stopped = false;
    }

    /// Whether the user stopped it.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// What the network says of a photo, or why it says nothing.
    #[must_use]
    pub fn get(&self, photo: u64) -> Option<&Result<Prediction, String>> {
        self.predictions.get(&photo)
    }

    /// How many answers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.predictions.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.predictions.is_empty()
    }

    /// What distinguishes this survey from others.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// How far it is, while it goes on.
    #[must_use]
    pub fn progress(&self, photos: usize) -> Option<Progress> {
        let (began, with) = self.began?;
        let done = self.predictions.len();
        if done >= photos {
            return None;
        }
        let made = u32::try_from(done.saturating_sub(with)).ok()?;
        let rest = u32::try_from(photos - done).ok()?;
        Some(Progress {
            done,
            total: photos,
            left: (made > 0).then(|| began.elapsed() / made * rest),
        })
    }
}

/// A time that is left, in words.
#[must_use]
pub fn in_words(left: Duration) -> String {
    let seconds = left.as_secs() + 1;
    if seconds < 90 {
        format!("{seconds} s left")
    } else {
        format!("{} min left", (seconds + 30) / 60)
    }
}
