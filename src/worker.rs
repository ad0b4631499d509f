//! The inference worker: one named thread that owns the engine. It takes whole
//! jobs, and the newest one wins: what was asked for in between is dropped.

mod messages;
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
use crate::worker::worker_thread::WorkerThread;

/// Photos larger than this on a side are shown scaled down until the user zooms in (the
/// network and the export use them whole). With mipmaps a texture of all of a photo of
/// 12 megapixels is 64 MB, one of 1024² is 5.6 MB.
pub const OVERVIEW_SIDE: usize = 1024;

enum Request {
    Analyze(Job),
    Explain(LayerJob),
    Batch(Option<BatchJob>),
}

/// Wakes whoever waits for news.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// A handle to the worker's thread. Dropping it ends the thread after its job.
pub struct Worker {
    requests: Sender<Request>,
    /// How many jobs were sent, so that work for an older one can be given up.
    sent: Arc<AtomicU64>,
    event: Receiver<WorkerEvent>,
    thread: JoinHandle<()>,
    wake: Wake,
}

impl Worker {
    /// Starts the thread; `wake` is called after each piece of news.
    ///
    /// # Errors
    /// The system's, if it has no thread to give.
    pub fn start(wake: Wake) -> std::io::Result<Self> {
        let (requests, inbox) = mpsc::channel();
        let (outbox, event) = mpsc::channel();
        let notify = wake.clone();
        let sent: Arc<AtomicU64> = Arc::default();
        let sent_by_now = sent.clone();
        let thread = thread::Builder::new()
            .name("camlens-inference".into())
            .spawn(move || {
                WorkerThread::new(inbox, outbox, notify, sent_by_now).work_off();
            })?;
        Ok(Self {
            requests,
            sent,
            event,
            thread,
            wake,
        })
    }

    /// Asks for a job. A dead worker is started again; the answer says whether
    /// that was needed.
    ///
    /// # Errors
    /// The system's, if it has no thread to give.
    pub fn submit(&mut self, job: Job) -> std::io::Result<bool> {
        if !self.thread.is_finished() && self.send(job.clone()) {
            return Ok(false);
        }
        *self = Self::start(self.wake.clone())?;
        // A thread that has just started takes its first job.
        self.send(job);
        Ok(true)
    }

    fn send(&self, job: Job) -> bool {
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.requests.send(Request::Analyze(job)).is_ok()
    }

    /// Asks for maps at all layers, in place of those asked for before. False if the worker is
    /// dead: the next [`Worker::submit`] starts it again.
    #[must_use]
    pub fn explain(&self, job: LayerJob) -> bool {
        self.requests.send(Request::Explain(job)).is_ok()
    }

    /// Asks for the predictions of many photos in place of those asked for before, or for
    /// none any more. False if the worker is dead.
    #[must_use]
    pub fn batch(&self, job: Option<BatchJob>) -> bool {
        self.requests.send(Request::Batch(job)).is_ok()
    }

    /// The next piece of news, if there is one.
    #[must_use]
    pub fn event(&self) -> Option<WorkerEvent> {
        self.event.try_recv().ok()
    }
}

#[cfg(test)]
mod tests;
