//! What is asked of the worker and what it has to tell.

use std::path::PathBuf;
use std::sync::Arc;

use crate::explain::analysis::Analysis;
use crate::explain::cam::LayerMaps;
use crate::input::framing::Framing;
use crate::input::photo::{Limits, Photo, PhotoError, Picture};
use crate::labels::ClassId;
use crate::model::device::DeviceChoice;
use crate::model::preprocessing::PreprocessChoice;
use crate::model::{ModelChoice, ModelInfo};

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
            Self::File(path) => crate::input::photo::display_name(path),
            Self::Embedded { name, .. } => (*name).to_owned(),
            Self::Pixels(photo) => photo.name.clone(),
        }
    }

    /// The photo at most `side` pixels on its longer side.
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

    /// Reads and decodes it.
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

/// What decides an analysis: two equal plans give the same answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Which photo, by the number it was opened under; none only loads the model.
    pub photo: Option<u64>,
    /// The model.
    pub model: ModelChoice,
    /// A file with the names of its classes, given by hand.
    pub labels: Option<PathBuf>,
    /// What is done to the pixels.
    pub preprocess: PreprocessChoice,
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
    /// How large it may be.
    pub limits: Limits,
}

/// A request for the maps of some classes at all layers of an analysis.
#[derive(Clone, Debug)]
pub struct LayerJob {
    /// Its number; what is dropped of it carries it.
    pub id: u64,
    /// The job whose answer is explained.
    pub of: u64,
    /// The classes, the most urgent first.
    pub classes: Vec<ClassId>,
}

/// A request for the predictions of many photos, in place of the one before. It is worked
/// on when nothing else is asked for.
#[derive(Clone, Debug)]
pub struct BatchJob {
    /// Its number; answers carry it.
    pub id: u64,
    /// How the network runs; without a photo.
    pub plan: Plan,
    /// The photos, by their numbers.
    pub photos: Vec<(u64, PhotoSource)>,
    /// How large they may be.
    pub limits: Limits,
}

/// What the network says of a photo.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The photo's width and height in pixels.
    pub size: (usize, usize),
    /// The most probable class.
    pub top: ClassId,
    /// Softmax, `[classes]`.
    pub probabilities: Vec<f32>,
}

impl Prediction {
    /// The probability of a class; 0 of one that the model does not have.
    #[must_use]
    pub fn probability(&self, class: ClassId) -> f32 {
        let found = self.probabilities.get(class.index());
        found.copied().unwrap_or_default()
    }
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
    /// The file of class names asked for.
    pub asked_labels: Option<PathBuf>,
    /// The device asked for.
    pub asked_device: DeviceChoice,
    /// The device that it runs on.
    pub device: DeviceChoice,
    /// What fell back.
    pub notices: Vec<String>,
}

impl RunningModel {
    /// Whether it is what a plan asks for.
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
    /// Its number.
    pub job: u64,
    /// What was asked for.
    pub plan: Plan,
    /// The photo.
    pub photo: Arc<Photo>,
    /// A smaller copy for the screen, with the first answer for a photo that is larger than
    /// [`OVERVIEW_SIDE`](crate::worker::OVERVIEW_SIDE).
    pub overview: Option<Arc<Picture>>,
    /// The answer.
    pub analysis: Arc<Analysis>,
}

/// Which part of a job failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The model can't be used.
    Model,
    /// The photo can't be read.
    Photo,
    /// The network can't run on the photo.
    Run,
}

/// Why maps at the layers that were asked for were not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// A newer request came first. Ask again if they are still needed.
    Replaced,
    /// The worker no longer has the run that they belong to (its device failed, say). The
    /// photo has to be run again.
    RunLost,
}

/// Something the worker has to tell.
#[derive(Debug)]
pub enum WorkerEvent {
    /// A job has come to a step.
    Step(u64, Step),
    /// Weight loading progress of a job: bytes read, bytes in total.
    Loading(u64, u64, u64),
    /// The model has changed (or its device has).
    Model(RunningModel),
    /// A job is done; without a photo there is nothing to show.
    Done(u64, Option<Answer>),
    /// A job (its number) is about to fail, since its model's file holds several networks and
    /// nothing says which one is meant: what can be asked for instead.
    Offer(u64, Vec<ModelChoice>),
    /// A job has failed, with the message for the user. The last field is the job whose run
    /// the worker still has: what needs another has to be run anew.
    Failed(u64, Fault, String, Option<u64>),
    /// What the network says of a photo (by its number) in a survey, or why it says nothing.
    Predicted(u64, u64, Result<Prediction, String>),
    /// The maps of a class at all layers of a job's answer, or why there are none.
    Layers(u64, ClassId, Result<Arc<LayerMaps>, String>),
    /// A request for maps at all layers ended before all of them were made: the request's
    /// number, the job whose answer it was about, the classes that are missing, and why.
    LayersDropped(u64, u64, Vec<ClassId>, Dropped),
    /// A survey (its number) ended before all photos were classified: a job came that runs the
    /// network in another way. Ask again if it is still needed.
    BatchDropped(u64),
    /// A survey can't go on (its number), with the message for the user.
    BatchFailed(u64, String),
}
