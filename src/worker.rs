//! The inference worker: one named thread that owns the engine. It takes whole
//! jobs, and the newest one wins: what was asked for in between is dropped.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::analysis::Analysis;
use crate::engine::Engine;
use crate::framing::Framing;
use crate::model::device::DeviceChoice;
use crate::model::{ModelChoice, ModelInfo};
use crate::photo::{Photo, PhotoError, Picture};

/// Photos larger than this on a side are shown scaled down (the network and the
/// export still use them whole): a texture of 4096² is 64 MB.
pub const DISPLAY_SIDE: usize = 4096;

/// Where a photo comes from.
#[derive(Clone, Debug)]
pub enum PhotoSource {
    /// A file.
    File(PathBuf),
    /// A file within the program.
    Embedded {
        /// Its name.
        name: &'static str,
        /// Its contents.
        bytes: &'static [u8],
    },
    /// Pixels, from the clipboard.
    Pixels(Arc<Photo>),
}

impl PhotoSource {
    /// What to call it on screen.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => crate::photo::display_name(path),
            Self::Embedded { name, .. } => (*name).to_owned(),
            Self::Pixels(photo) => photo.name.clone(),
        }
    }

    /// Reads and decodes it.
    ///
    /// # Errors
    /// [`PhotoError`] by kind of fault.
    pub fn load(&self) -> Result<Arc<Photo>, PhotoError> {
        match self {
            Self::File(path) => Photo::open(path).map(Arc::new),
            Self::Embedded { name, bytes } => Photo::decode(name, bytes).map(Arc::new),
            Self::Pixels(photo) => Ok(photo.clone()),
        }
    }
}

/// What decides an analysis: two equal plans give the same answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Which photo, by the number it was opened under; none only loads the model.
    pub photo: Option<u64>,
    /// The model.
    pub model: ModelChoice,
    /// The device.
    pub device: DeviceChoice,
    /// The framing.
    pub framing: Framing,
}

/// A request to the worker.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its number; answers carry it.
    pub id: u64,
    /// What to do.
    pub plan: Plan,
    /// Where the plan's photo comes from.
    pub source: Option<PhotoSource>,
}

/// What the worker is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Reading weights.
    LoadingModel,
    /// Reading and decoding the photo.
    ReadingPhoto,
    /// Running the network.
    Running,
}

impl Step {
    /// In words for the screen.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::LoadingModel => "Loading the model…",
            Self::ReadingPhoto => "Reading the photo…",
            Self::Running => "Running the network…",
        }
    }
}

/// The model that the worker holds now.
#[derive(Clone, Debug)]
pub struct RunningModel {
    /// What the user should know about it.
    pub info: Arc<ModelInfo>,
    /// What was asked for.
    pub choice: ModelChoice,
    /// The device asked for.
    pub asked_device: DeviceChoice,
    /// The device that it runs on.
    pub device: DeviceChoice,
    /// What fell back.
    pub notices: Vec<String>,
}

/// A finished job.
#[derive(Clone, Debug)]
pub struct Shown {
    /// What was asked for.
    pub plan: Plan,
    /// The photo.
    pub photo: Arc<Photo>,
    /// A smaller copy for the screen, where the photo is larger than [`DISPLAY_SIDE`].
    pub display: Option<Arc<Picture>>,
    /// The answer.
    pub analysis: Arc<Analysis>,
}

/// Which part of a job failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The model can't be used.
    Model,
    /// The photo can't be read, or the network can't run on it.
    Photo,
}

/// Something the worker has to tell.
#[derive(Debug)]
pub enum News {
    /// A job has come to a step.
    Step(u64, Step),
    /// The model has changed (or its device has).
    Model(RunningModel),
    /// A job is done; without a photo there is nothing to show.
    Done(u64, Option<Shown>),
    /// A job has failed, with the message for the user.
    Failed(u64, Fault, String),
}

/// Wakes whoever waits for news.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// A handle to the worker's thread. Dropping it ends the thread after its job.
pub struct Worker {
    jobs: Sender<Job>,
    news: Receiver<News>,
    thread: JoinHandle<()>,
    wake: Wake,
}

impl Worker {
    /// Starts the thread; `wake` is called after each piece of news.
    ///
    /// # Errors
    /// The system's, if it has no thread to give.
    pub fn start(wake: Wake) -> std::io::Result<Self> {
        let (jobs, inbox) = mpsc::channel();
        let (outbox, news) = mpsc::channel();
        let notify = wake.clone();
        let thread = thread::Builder::new()
            .name("camlens-inference".into())
            .spawn(move || {
                let mut desk = Desk {
                    inbox,
                    outbox,
                    wake: notify,
                    waiting: None,
                    engine: None,
                    photo: None,
                };
                while let Some(job) = desk.next_job() {
                    desk.serve(&job);
                }
            })?;
        Ok(Self {
            jobs,
            news,
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
        if !self.thread.is_finished() && self.jobs.send(job.clone()).is_ok() {
            return Ok(false);
        }
        *self = Self::start(self.wake.clone())?;
        // A thread that has just started takes its first job.
        let _ = self.jobs.send(job);
        Ok(true)
    }

    /// The next piece of news, if there is one.
    #[must_use]
    pub fn news(&self) -> Option<News> {
        self.news.try_recv().ok()
    }
}

/// A job that is not finished: a newer one came, or something failed.
enum Stop {
    Superseded,
    Failed(Fault, String),
}

/// What the thread owns.
struct Desk {
    inbox: Receiver<Job>,
    outbox: Sender<News>,
    wake: Wake,
    /// A newer job, taken out of the inbox while another one ran.
    waiting: Option<Job>,
    engine: Option<(ModelChoice, DeviceChoice, Engine)>,
    photo: Option<Loaded>,
}

/// The photo of the last job, kept for the next one.
#[derive(Clone)]
struct Loaded {
    id: u64,
    photo: Arc<Photo>,
    display: Option<Arc<Picture>>,
}

impl Desk {
    /// Waits for a job and takes the newest; `None` when nobody can ask any more.
    fn next_job(&mut self) -> Option<Job> {
        let first = match self.waiting.take() {
            Some(job) => job,
            None => self.inbox.recv().ok()?,
        };
        Some(self.inbox.try_iter().last().unwrap_or(first))
    }

    fn tell(&self, news: News) {
        // Nobody listens once the window is closed.
        let _ = self.outbox.send(news);
        (self.wake)();
    }

    fn serve(&mut self, job: &Job) {
        let result = panic::catch_unwind(AssertUnwindSafe(|| self.work(job)));
        match result {
            Ok(Ok(shown)) => self.tell(News::Done(job.id, shown)),
            Ok(Err(Stop::Superseded)) => {}
            Ok(Err(Stop::Failed(fault, message))) => {
                self.tell(News::Failed(job.id, fault, message));
            }
            Err(panic) => {
                // Whatever was half done is not used again.
                self.engine = None;
                self.photo = None;
                let cause = panic_message(panic.as_ref());
                let message = format!(
                    "camlens made a mistake ({cause}). Try again, or another photo; please report it."
                );
                self.tell(News::Failed(job.id, Fault::Photo, message));
            }
        }
    }

    /// Goes on with a job unless a newer one has come.
    fn step(&mut self, job: &Job, step: Step) -> Result<(), Stop> {
        if let Some(newest) = self.inbox.try_iter().last() {
            self.waiting = Some(newest);
            return Err(Stop::Superseded);
        }
        self.tell(News::Step(job.id, step));
        Ok(())
    }

    fn work(&mut self, job: &Job) -> Result<Option<Shown>, Stop> {
        self.ready_engine(job)?;
        let (Some(id), Some(source)) = (job.plan.photo, &job.source) else {
            return Ok(None);
        };
        let loaded = self.ready_photo(job, id, source)?;
        self.step(job, Step::Running)?;
        let Some((.., engine)) = &mut self.engine else {
            return Err(Stop::Failed(
                Fault::Model,
                "No model is loaded. Choose one from the model menu.".into(),
            ));
        };
        let device = engine.device();
        let analysis = engine
            .analyse(&loaded.photo, job.plan.framing)
            .map_err(|error| Stop::Failed(Fault::Photo, error.to_string()))?;
        if engine.device() != device {
            self.tell_model();
        }
        Ok(Some(Shown {
            plan: job.plan.clone(),
            photo: loaded.photo,
            display: loaded.display,
            analysis: Arc::new(analysis),
        }))
    }

    /// Loads the job's model unless it is there. The old one stays until the new
    /// one is complete.
    fn ready_engine(&mut self, job: &Job) -> Result<(), Stop> {
        let Plan { model, device, .. } = &job.plan;
        if matches!(&self.engine, Some((m, d, _)) if m == model && d == device) {
            return Ok(());
        }
        self.step(job, Step::LoadingModel)?;
        let engine = Engine::open(model, *device)
            .map_err(|error| Stop::Failed(Fault::Model, error.to_string()))?;
        self.engine = Some((model.clone(), *device, engine));
        self.tell_model();
        Ok(())
    }

    fn tell_model(&self) {
        if let Some((choice, asked_device, engine)) = &self.engine {
            self.tell(News::Model(RunningModel {
                info: engine.model().clone(),
                choice: choice.clone(),
                asked_device: *asked_device,
                device: engine.device(),
                notices: engine.notices().to_vec(),
            }));
        }
    }

    fn ready_photo(&mut self, job: &Job, id: u64, source: &PhotoSource) -> Result<Loaded, Stop> {
        if let Some(loaded) = self.photo.as_ref().filter(|loaded| loaded.id == id) {
            return Ok(loaded.clone());
        }
        self.step(job, Step::ReadingPhoto)?;
        // Let go of the last one first: two large photos need not fit at once.
        self.photo = None;
        let started = Instant::now();
        let photo = source
            .load()
            .map_err(|error| Stop::Failed(Fault::Photo, error.to_string()))?;
        log::debug!("{} decoded in {:?}", photo.name, started.elapsed());
        let too_large = photo.width.max(photo.height) > DISPLAY_SIDE;
        let display = too_large.then(|| Arc::new(photo.scaled_down(DISPLAY_SIDE)));
        let loaded = Loaded { id, photo, display };
        self.photo = Some(loaded.clone());
        Ok(loaded)
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "no reason given".into()
    }
}

#[cfg(test)]
mod tests;
