//! Requests to the worker, and its events.

use std::path::PathBuf;
use std::sync::Arc;

use crate::explain::analysis::{Analysis, rank};
use crate::explain::cam::LayerMaps;
use crate::input::framing::Framing;
use crate::input::photo::{Limits, Photo, PhotoError, Picture, WindowLevel};
use crate::labels::ClassId;
use crate::model::device::DeviceChoice;
use crate::model::preprocessing::PreprocessChoice;
use crate::model::target_layer::LayerId;
use crate::model::{ModelChoice, ModelInfo, Scores};

/// The source of a photo.
#[derive(Clone, Debug)]
pub enum PhotoSource {
    /// A file.
    File(PathBuf),
    /// A file embedded in the program.
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
    /// The name shown on screen.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => crate::input::photo::display_name(path),
            Self::Embedded { name, .. } => (*name).to_owned(),
            Self::Pixels(photo) => photo.name.clone(),
        }
    }

    /// The photo scaled down to at most `side` pixels on its longer side.
    ///
    /// # Errors
    /// [`PhotoError`] by kind of fault.
    pub fn thumbnail(&self, side: usize, limits: Limits) -> Result<Picture, PhotoError> {
        let photo = match self {
            Self::File(path) => Arc::new(Photo::open_at_least(path, side, limits)?),
            Self::Embedded { .. } | Self::Pixels(_) => self.load(limits)?,
        };
        Ok(photo.scaled_down(side))
    }

    /// Reads and decodes the photo.
    ///
    /// # Errors
    /// [`PhotoError`] by kind of fault.
    pub fn load(&self, limits: Limits) -> Result<Arc<Photo>, PhotoError> {
        match self {
            Self::File(path) => Photo::open_within(path, limits).map(Arc::new),
            Self::Embedded { name, bytes } => Photo::decode(name, bytes).map(Arc::new),
            Self::Pixels(photo) => Ok(photo.clone()),
        }
    }
}

/// Everything that determines an analysis: equal plans give the same answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The ID of the photo; `None` only loads the model.
    pub photo: Option<u64>,
    /// The model.
    pub model: ModelChoice,
    /// A file of class names that the user gave.
    pub labels: Option<PathBuf>,
    /// How pixels are normalized.
    pub preprocess: PreprocessChoice,
    /// How logits become scores; `None` for the model's own.
    pub scores: Option<Scores>,
    /// The device.
    pub device: DeviceChoice,
    /// The framing.
    pub framing: Framing,
    /// The window of a gray photo with many levels; `None` for its own.
    pub window: Option<WindowLevel>,
}

/// A request to the worker.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its ID, which its answers contain.
    pub id: u64,
    /// What to do.
    pub plan: Plan,
    /// Where the plan's photo comes from.
    pub source: Option<PhotoSource>,
    /// Limits on its size.
    pub limits: Limits,
}

/// A request for the maps of some classes at all layers of an analysis.
#[derive(Clone, Debug)]
pub struct LayerJob {
    /// Its ID, which messages about dropped maps contain.
    pub id: u64,
    /// The ID of the job whose answer is explained.
    pub of: u64,
    /// The classes, the most urgent first.
    pub classes: Vec<ClassId>,
    /// The layers.
    pub layers: Vec<LayerId>,
}

/// A request for the predictions of many photos, which replaces the previous one. It is handled
/// when the worker is idle.
#[derive(Clone, Debug)]
pub struct BatchJob {
    /// Its ID, which its answers contain.
    pub id: u64,
    /// The plan, without a photo.
    pub plan: Plan,
    /// The photos by ID, with the windows chosen for them.
    pub photos: Vec<(u64, PhotoSource, Option<WindowLevel>)>,
    /// Limits on their size.
    pub limits: Limits,
}

/// The network's prediction for a photo.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The photo's width and height in pixels.
    pub size: (usize, usize),
    /// The most probable class.
    pub top: ClassId,
    /// `[classes]`.
    pub logits: Vec<f32>,
    /// The probabilities, by `scores`: `[classes]`.
    pub probabilities: Vec<f32>,
    /// How logits became probabilities.
    pub scores: Scores,
}

impl Prediction {
    /// The prediction for a photo of this width and height.
    ///
    /// # Panics
    /// If there are no logits.
    #[must_use]
    pub fn new(size: (usize, usize), logits: Vec<f32>, scores: Scores) -> Self {
        Self {
            size,
            // By logit: large probabilities can be the same number.
            top: rank(&logits)[0],
            probabilities: scores.of(&logits),
            logits,
            scores,
        }
    }

    /// The probability of a class; 0 for a class that the model does not have.
    #[must_use]
    pub fn probability(&self, class: ClassId) -> f32 {
        let found = self.probabilities.get(class.index());
        found.copied().unwrap_or_default()
    }
}

/// The current step of the worker.
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
    /// A description for the screen.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::LoadingModel => "Loading the model…",
            Self::ReadingPhoto => "Reading the photo…",
            Self::Running => "Running the network…",
        }
    }
}

/// The model that is loaded in the worker.
#[derive(Clone, Debug)]
pub struct RunningModel {
    /// Information about it for the user.
    pub info: Arc<ModelInfo>,
    /// The requested model.
    pub choice: ModelChoice,
    /// The requested file of class names.
    pub asked_labels: Option<PathBuf>,
    /// The requested device.
    pub asked_device: DeviceChoice,
    /// The device that it runs on.
    pub device: DeviceChoice,
    /// Fallbacks, as messages for the user.
    pub notices: Vec<String>,
}

impl RunningModel {
    /// Whether it is the model of a plan.
    #[must_use]
    pub fn runs(&self, plan: &Plan) -> bool {
        self.choice == plan.model
            && self.asked_labels == plan.labels
            && self.asked_device == plan.device
    }
}

/// A finished job.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its ID.
    pub job: u64,
    /// The plan of the job.
    pub plan: Plan,
    /// The photo.
    pub photo: Arc<Photo>,
    /// A smaller copy for the screen, included in the first answer for a photo that is larger than
    /// [`OVERVIEW_SIDE`](crate::worker::OVERVIEW_SIDE).
    pub overview: Option<Arc<Picture>>,
    /// The answer.
    pub analysis: Arc<Analysis>,
}

/// The part of a job that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The model can't be used.
    Model,
    /// The photo can't be read.
    Photo,
    /// The network can't run on the photo.
    Run,
}

/// Why a request ended early, although nothing failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// A newer request replaced it. Request it again if it is still needed.
    Replaced,
    /// The user cancelled it.
    Cancelled,
    /// A job arrived that runs the network in another way than this batch.
    OtherPlan,
    /// The worker no longer has the run that the maps belong to (for example because its
    /// device failed). The photo must be run again.
    RunLost,
    /// The worker's thread ended. The next job starts it again.
    Stopped,
}

/// An event of the worker. Every request ends with exactly one of these: a job with
/// `Done`, `Failed` or `JobDropped`; a request for maps with `LayersDone` or `LayersDropped`; a
/// batch with `BatchDone`, `BatchFailed` or `BatchDropped`.
#[derive(Debug)]
pub enum WorkerEvent {
    /// A job has reached a step.
    Step(u64, Step),
    /// Weight loading progress of a job: bytes read, bytes in total.
    Loading(u64, u64, u64),
    /// The model or its device has changed.
    Model(RunningModel),
    /// A job is done; without a photo there is nothing to show.
    Done(u64, Option<Answer>),
    /// A job (its ID) is about to fail, because the file of its model holds several networks and no
    /// rule decides. Contains the choices that can be requested instead.
    Offer(u64, Vec<ModelChoice>),
    /// A job has failed, with the message for the user. The last field is the job whose run the
    /// worker still has; any other run must be repeated.
    Failed(u64, Fault, String, Option<u64>),
    /// A job (its ID) was dropped, and why.
    JobDropped(u64, Dropped),
    /// The prediction for a photo (its ID) in a batch, or the reason why there is none.
    Predicted(u64, u64, Result<Prediction, String>),
    /// The maps of a class at all layers for the answer to a job, or the reason why there are none.
    Layers(u64, ClassId, Result<Arc<LayerMaps>, String>),
    /// All classes of a request for maps at all layers (its ID) are answered.
    LayersDone(u64),
    /// A request for maps at all layers ended early: the ID of the request, the job whose answer it
    /// was about, the missing classes, and the reason.
    LayersDropped(u64, u64, Vec<ClassId>, Dropped),
    /// All photos of a batch (its ID) are answered.
    BatchDone(u64),
    /// A batch (its ID) ended before all photos were classified, and why.
    BatchDropped(u64, Dropped),
    /// A batch (its ID) can't continue, with the message for the user.
    BatchFailed(u64, String),
}
