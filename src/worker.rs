//! The inference worker: one named thread that owns the engine. It takes whole
//! jobs, and the newest one wins: older ones that wait are dropped. Every request
//! gets an answer: done, failed or dropped.

mod messages;
mod ticket;
mod worker_thread;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, mpsc};
use std::thread;
use std::thread::JoinHandle;

pub use crate::worker::messages::{
    Answer, BatchJob, Dropped, Fault, Job, LayerJob, PhotoSource, Plan, Prediction, RunningModel,
    Step, WorkerEvent,
};
use crate::worker::ticket::{Outbox, Ticket};
use crate::worker::worker_thread::WorkerThread;

/// Photos with a longer side than this are shown scaled down until the user zooms in (the network
/// and exports use the full photo). With mipmaps, a texture of a whole photo of 12 megapixels takes
/// 64 MB, one of 1024² takes 5.6 MB.
pub const OVERVIEW_SIDE: usize = 1024;

enum Request {
    Analyze(Ticket<Job>),
    Explain(Ticket<LayerJob>),
    Batch(Ticket<BatchJob>),
    /// Cancels the batch, which is answered by its own ticket.
    CancelBatch,
}

/// Wakes the receiver of the worker's events.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// A handle to the worker's thread. Dropping it ends the thread after its current job.
pub struct Worker {
    thread: Thread,
    event: Receiver<WorkerEvent>,
    /// The sender of events, for the thread and for tickets.
    outbox: Outbox,
}

/// The thread, and the channel to it.
struct Thread {
    requests: Sender<Request>,
    /// The number of jobs sent, so that work for an older one can be cancelled.
    sent: Arc<AtomicU64>,
    handle: JoinHandle<()>,
    /// The way to the window, which also says whether this thread has dropped a request.
    outbox: Outbox,
}

impl Thread {
    fn start(events: &Outbox) -> std::io::Result<Self> {
        let outbox = events.for_new_thread();
        let (requests, inbox) = mpsc::channel();
        let sent: Arc<AtomicU64> = Arc::default();
        let sent_by_now = sent.clone();
        let handle = thread::Builder::new()
            .name("camlens-inference".into())
            .spawn({
                let outbox = outbox.clone();
                move || WorkerThread::new(inbox, outbox, sent_by_now).work_off()
            })?;
        Ok(Self {
            requests,
            sent,
            handle,
            outbox,
        })
    }

    fn ticket<R: ticket::Request>(&self, request: R) -> Ticket<R> {
        Ticket::new(request, self.outbox.clone())
    }

    /// Whether the thread has ended, or is about to: requests that it can't answer are dropped
    /// before it ends.
    fn has_stopped(&self) -> bool {
        self.handle.is_finished() || self.outbox.has_lost_a_request()
    }
}

impl Worker {
    /// Starts the thread; `wake` is called after each event.
    ///
    /// # Errors
    /// If the system can't start a thread.
    pub fn start(wake: Wake) -> std::io::Result<Self> {
        let (sender, event) = mpsc::channel();
        let outbox = Outbox::new(sender, wake);
        Ok(Self {
            thread: Thread::start(&outbox)?,
            event,
            outbox,
        })
    }

    /// Sends a job. If the worker has stopped, it is started again; the result says whether that
    /// was necessary.
    ///
    /// # Errors
    /// If the system can't start a thread.
    pub fn submit(&mut self, job: Job) -> std::io::Result<bool> {
        let restarts = self.thread.has_stopped();
        if restarts {
            self.thread = Thread::start(&self.outbox)?;
        }
        // If the thread stops just now, the job's ticket says so.
        self.send(job);
        Ok(restarts)
    }

    fn send(&self, job: Job) -> bool {
        self.thread.sent.fetch_add(1, Ordering::Relaxed);
        let ticket = self.thread.ticket(job);
        self.thread.requests.send(Request::Analyze(ticket)).is_ok()
    }

    /// Requests maps at all layers, replacing the previous request. Returns false if the worker has
    /// stopped: the next [`Worker::submit`] starts it again.
    #[must_use]
    pub fn explain(&self, job: LayerJob) -> bool {
        let ticket = self.thread.ticket(job);
        self.thread.requests.send(Request::Explain(ticket)).is_ok()
    }

    /// Requests predictions for many photos, replacing the previous request; `None` cancels it.
    /// Returns false if the worker has stopped.
    #[must_use]
    pub fn batch(&self, job: Option<BatchJob>) -> bool {
        let request = match job {
            Some(job) => Request::Batch(self.thread.ticket(job)),
            None => Request::CancelBatch,
        };
        self.thread.requests.send(request).is_ok()
    }

    /// The next event, if there is one.
    #[must_use]
    pub fn event(&self) -> Option<WorkerEvent> {
        self.event.try_recv().ok()
    }
}

#[cfg(test)]
mod tests;
