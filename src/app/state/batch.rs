//! The predictions for all opened photos: requested once for each plan, and computed when the
//! worker is idle.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::app::state::photo_item::PhotoItem;
use crate::input::photo::Limits;
use crate::worker::{BatchJob, Plan, Prediction};

/// The progress of the predictions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Number of photos with an answer.
    pub done: usize,
    /// Number of all photos.
    pub total: usize,
    /// The estimated remaining time.
    pub left: Option<Duration>,
}

/// The predictions for each photo.
#[derive(Debug, Default)]
pub struct Batch {
    id: u64,
    /// The plan of the network, without a photo.
    plan: Option<Plan>,
    predictions: HashMap<u64, Result<Prediction, String>>,
    /// Number of photos in the last request.
    asked: usize,
    stopped: bool,
    /// When it started, and with how many answers.
    began: Option<(Instant, usize)>,
}

impl Batch {
    /// The request that is needed now: the photos without an answer. `plan` is without a photo.
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
        // A single photo is on screen and needs no other prediction.
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
            photos: open
                .map(|item| (item.id, item.source.clone(), item.window))
                .collect(),
            limits,
        })
    }

    /// Handles an answer; answers to older requests change nothing.
    pub fn apply_event(&mut self, id: u64, photo: u64, answer: Result<Prediction, String>) {
        if id == self.id {
            self.predictions.insert(photo, answer);
        }
    }

    /// Stops requesting until [`Batch::resume`].
    pub fn stop(&mut self) {
        self.stopped = true;
        self.asked = 0;
        self.began = None;
    }

    /// Requests again the photos that could not be read.
    pub fn forget_failures(&mut self) {
        self.predictions.retain(|_, answer| answer.is_ok());
        self.ask_again();
    }

    /// Requests a photo again, because it has changed.
    pub fn forget(&mut self, photo: u64) {
        self.predictions.remove(&photo);
        // Answers that are still to come are about the photo as it was.
        self.id += 1;
        self.ask_again();
    }

    /// Requests again the photos without an answer.
    pub fn ask_again(&mut self) {
        self.asked = 0;
    }

    /// Continues.
    pub fn resume(&mut self) {
        self.stopped = false;
    }

    /// Whether the user stopped it.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// The prediction for a photo, or the reason why there is none.
    #[must_use]
    pub fn get(&self, photo: u64) -> Option<&Result<Prediction, String>> {
        self.predictions.get(&photo)
    }

    /// Number of answers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.predictions.len()
    }

    /// Whether there are no answers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.predictions.is_empty()
    }

    /// The ID of this batch.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The progress, while it is running.
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

/// A remaining time in words.
#[must_use]
pub fn in_words(left: Duration) -> String {
    let seconds = left.as_secs() + 1;
    if seconds < 90 {
        format!("{seconds} s left")
    } else {
        format!("{} min left", (seconds + 30) / 60)
    }
}
