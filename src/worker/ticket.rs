//! A request that is owed an answer. Every request travels in a [`Ticket`], and a ticket
//! always sends exactly one answer: the one it is given, or, when it goes out of scope
//! without one, that the request was dropped.

use std::mem;
use std::sync::mpsc::Sender;

use crate::worker::{Answer, BatchJob, Dropped, Fault, Job, LayerJob, Wake, WorkerEvent};

/// Sends news to the window and wakes it.
#[derive(Clone)]
pub struct Outbox {
    event: Sender<WorkerEvent>,
    wake: Wake,
}

impl Outbox {
    /// Into a channel; `wake` is called after each piece of news.
    pub fn new(event: Sender<WorkerEvent>, wake: Wake) -> Self {
        Self { event, wake }
    }

    /// Sends a piece of news.
    pub fn tell(&self, event: WorkerEvent) {
        // There is no receiver once the window is closed.
        let _ = self.event.send(event);
        (self.wake)();
    }
}

/// Something that can be asked of the worker.
pub trait Request {
    /// How it ended.
    type TaskResult;

    /// The outcome of a request that was dropped.
    fn dropped(why: Dropped) -> Self::TaskResult;

    /// The answer to this request, which ends it.
    fn answer(&mut self, outcome: Self::TaskResult) -> WorkerEvent;
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
    type TaskResult = Result<Option<Answer>, JobStop>;

    fn dropped(why: Dropped) -> Self::TaskResult {
        Err(JobStop::Dropped(why))
    }

    fn answer(&mut self, outcome: Self::TaskResult) -> WorkerEvent {
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
    type TaskResult = Result<(), Dropped>;

    fn dropped(why: Dropped) -> Self::TaskResult {
        Err(why)
    }

    /// The classes that are still in the request are those that were not made.
    fn answer(&mut self, outcome: Self::TaskResult) -> WorkerEvent {
        match outcome {
            Ok(()) => WorkerEvent::LayersDone(self.id),
            Err(why) => {
                let missing = mem::take(&mut self.classes);
                WorkerEvent::LayersDropped(self.id, self.of, missing, why)
            }
        }
    }
}

/// Why a survey ended before all of its photos were classified.
pub enum SurveyStop {
    /// It was dropped.
    Dropped(Dropped),
    /// It can't go on, with the message for the user.
    Failed(String),
}

impl Request for BatchJob {
    type TaskResult = Result<(), SurveyStop>;

    fn dropped(why: Dropped) -> Self::TaskResult {
        Err(SurveyStop::Dropped(why))
    }

    fn answer(&mut self, outcome: Self::TaskResult) -> WorkerEvent {
        match outcome {
            Ok(()) => WorkerEvent::SurveyDone(self.id),
            Err(SurveyStop::Dropped(why)) => WorkerEvent::BatchDropped(self.id, why),
            Err(SurveyStop::Failed(message)) => WorkerEvent::BatchFailed(self.id, message),
        }
    }
}

/// A request and the duty to answer it.
#[must_use]
pub struct Ticket<R: Request> {
    request: R,
    is_open: bool,
    outbox: Outbox,
}

impl<R: Request> Ticket<R> {
    /// For a request that has not been answered.
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
    pub fn close(mut self, outcome: R::TaskResult) {
        self.send(outcome);
    }

    /// Answers that the request was dropped.
    pub fn drop_because(self, why: Dropped) {
        self.close(R::dropped(why));
    }

    fn send(&mut self, outcome: R::TaskResult) {
        if self.is_open {
            self.is_open = false;
            self.outbox.tell(self.request.answer(outcome));
        }
    }
}

impl<R: Request> Drop for Ticket<R> {
    /// The thread ended before it answered.
    fn drop(&mut self) {
        self.send(R::dropped(Dropped::Stopped));
    }
}
