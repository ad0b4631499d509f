//! Guarantees an answer to every request. Every request is sent in a [`Ticket`], which sends
//! exactly one answer: the one it is given, or, if it is dropped without one, that the request was
//! dropped.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;

use crate::worker::{Answer, BatchJob, Dropped, Fault, Job, LayerJob, Wake, WorkerEvent};

/// Sends events to the window and wakes it.
#[derive(Clone)]
pub struct Outbox {
    event: Sender<WorkerEvent>,
    wake: Wake,
    /// Whether a request went out of scope without an answer.
    lost: Arc<AtomicBool>,
}

impl Outbox {
    /// Sends into a channel; `wake` is called after each event.
    pub fn new(event: Sender<WorkerEvent>, wake: Wake) -> Self {
        Self {
            event,
            wake,
            lost: Arc::default(),
        }
    }

    /// The same way to the window, for another thread.
    pub fn for_new_thread(&self) -> Self {
        Self::new(self.event.clone(), self.wake.clone())
    }

    /// Whether a thread lost a request of this outbox, that is, whether it stopped.
    pub fn has_lost_a_request(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Sends an event.
    pub fn tell(&self, event: WorkerEvent) {
        // There is no receiver once the window is closed.
        let _ = self.event.send(event);
        (self.wake)();
    }
}

/// A request to the worker.
pub trait Request {
    /// The outcome of the request.
    type Outcome;

    /// The outcome of a request that was dropped.
    fn dropped(why: Dropped) -> Self::Outcome;

    /// The answer to this request, which ends it.
    fn answer(&mut self, outcome: Self::Outcome) -> WorkerEvent;
}

/// Why a job has no result.
pub enum JobStop {
    /// It was dropped.
    Dropped(Dropped),
    /// A part of it failed, with the message for the user. The last field is the job whose
    /// run the worker still has.
    Failed(Fault, String, Option<u64>),
}

impl Request for Job {
    type Outcome = Result<Option<Answer>, JobStop>;

    fn dropped(why: Dropped) -> Self::Outcome {
        Err(JobStop::Dropped(why))
    }

    fn answer(&mut self, outcome: Self::Outcome) -> WorkerEvent {
        match outcome {
            Ok(shown) => WorkerEvent::Done(self.id, shown),
            Err(JobStop::Dropped(why)) => WorkerEvent::JobDropped(self.id, why),
            Err(JobStop::Failed(fault, message, run)) => {
                WorkerEvent::Failed(self.id, fault, message, run)
            }
        }
    }
}

impl Request for LayerJob {
    type Outcome = Result<(), Dropped>;

    fn dropped(why: Dropped) -> Self::Outcome {
        Err(why)
    }

    /// The classes that remain in the request were not computed.
    fn answer(&mut self, outcome: Self::Outcome) -> WorkerEvent {
        match outcome {
            Ok(()) => WorkerEvent::LayersDone(self.id),
            Err(why) => {
                let missing = mem::take(&mut self.classes);
                WorkerEvent::LayersDropped(self.id, self.of, missing, why)
            }
        }
    }
}

/// Why a batch ended before all of its photos were classified.
pub enum BatchStop {
    /// It was dropped.
    Dropped(Dropped),
    /// It can't go on, with the message for the user.
    Failed(String),
}

impl Request for BatchJob {
    type Outcome = Result<(), BatchStop>;

    fn dropped(why: Dropped) -> Self::Outcome {
        Err(BatchStop::Dropped(why))
    }

    fn answer(&mut self, outcome: Self::Outcome) -> WorkerEvent {
        match outcome {
            Ok(()) => WorkerEvent::BatchDone(self.id),
            Err(BatchStop::Dropped(why)) => WorkerEvent::BatchDropped(self.id, why),
            Err(BatchStop::Failed(message)) => WorkerEvent::BatchFailed(self.id, message),
        }
    }
}

/// A request that must be answered.
#[must_use]
pub struct Ticket<R: Request> {
    request: R,
    is_open: bool,
    outbox: Outbox,
}

impl<R: Request> Ticket<R> {
    /// Creates a ticket for an unanswered request.
    pub fn new(request: R, outbox: Outbox) -> Self {
        Self {
            request,
            is_open: true,
            outbox,
        }
    }

    /// The request.
    pub fn request(&mut self) -> &mut R {
        &mut self.request
    }

    /// Answers the request.
    pub fn close(mut self, outcome: R::Outcome) {
        self.send(outcome);
    }

    /// Answers that the request was dropped.
    pub fn drop_because(self, why: Dropped) {
        self.close(R::dropped(why));
    }

    fn send(&mut self, outcome: R::Outcome) {
        if self.is_open {
            self.is_open = false;
            self.outbox.tell(self.request.answer(outcome));
        }
    }
}

impl<R: Request> Drop for Ticket<R> {
    /// Reports that the thread ended before it answered.
    fn drop(&mut self) {
        if self.is_open {
            self.outbox.lost.store(true, Ordering::Release);
        }
        self.send(R::dropped(Dropped::Stopped));
    }
}
