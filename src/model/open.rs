//! From a weight file to a loaded network.

mod family;
mod onnx;
mod parts;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::input::framing::Input;
use crate::labels;
use crate::labels::{LabelFileError, Labels};
use crate::model::architecture::{Architecture, LiteNames};
use crate::model::assumed::KnownFacts;
use crate::model::cpu::Precision;
use crate::model::declared::Declared;
use crate::model::efficientnet_lite::EfficientNetLite0;
use crate::model::file_selection::Selection;
use crate::model::hub::Integrity;
use crate::model::layers::Backend;
use crate::model::linear::Linear;
use crate::model::model_info::ModelInfo;
use crate::model::network::{Network, NetworkError, NetworkInput, Tape};
use crate::model::preprocessing::{
    Config, InputNeeds, Preprocessing, PreprocessingSource, SettledPreprocessing,
};
use crate::model::resnet::ResNet;
use crate::model::scores::Scores;
use crate::model::weights::{Checkpoint, Progress, WeightsError};
use crate::model::{
    assumed, declared, efficientnet_lite, hub, known_weights, needs, outside, recognize, resnet,
    standard, weights,
};
use crate::platform::memory;
use crate::text::printable;
use crate::text::printable::quotation;

/// A loaded network.
pub struct Model {
    /// Information about the model for the user.
    pub info: Arc<ModelInfo>,
    network: Box<dyn Network>,
    /// The weight file, if there is one, and the class names found in it.
    path: Option<PathBuf>,
    own_labels: Option<OwnLabels>,
}

/// Class names that came with the weights.
struct OwnLabels {
    names: Vec<String>,
    from: &'static str,
}

impl Model {
    /// The built-in model.
    ///
    /// # Errors
    /// As [`Model::load`]; only the device can fail here.
    pub fn built_in(labels: Option<&Path>, backend: Backend) -> Result<Self, ModelError> {
        let bytes = Cow::Borrowed(known_weights::BUILT_IN_WEIGHTS);
        let checkpoint = Checkpoint::from_bytes(known_weights::BUILT_IN_NAME, bytes)?;
        Self::load(checkpoint, None, labels, backend)
    }

    /// The model in a weight file. `labels` is a file of class names that the user gave.
    ///
    /// # Errors
    /// As [`Model::load`]; [`ModelError::Damaged`] for a fetched file whose SHA-256 is not
    /// that of the catalog.
    pub fn open(
        path: &Path,
        labels: Option<&Path>,
        backend: Backend,
        progress: Option<Progress>,
    ) -> Result<Self, ModelError> {
        Self::open_within(path, &Selection::default(), labels, backend, progress)
    }

    /// As [`Model::open`], for a file that may hold several networks.
    ///
    /// # Errors
    /// As [`Model::load`].
    #[allow(clippy::needless_pass_by_value)] // as the other ways to open a model
    pub fn open_within(
        path: &Path,
        selection: &Selection,
        labels: Option<&Path>,
        backend: Backend,
        progress: Option<Progress>,
    ) -> Result<Self, ModelError> {
        if onnx::is_onnx(path) {
            return Self::open_onnx(path, selection, labels, &backend);
        }
        let loaded = Checkpoint::open(path, progress.clone())
            .map_err(ModelError::from)
            .and_then(|checkpoint| {
                let loaded =
                    Self::build(checkpoint, selection, Some(path), labels, backend.clone());
                // What is not one of the networks with their own code may be one of a family.
                loaded.or_else(|error| {
                    if !family::may_be_of_a_family(&error) {
                        return Err(error);
                    }
                    let checkpoint = Checkpoint::open(path, progress)?;
                    Self::build_of_family(checkpoint, selection, path, labels, &backend, error)
                })
            });
        if let Some(known) = hub::of_file(path) {
            // A damaged file may still hold a network, or may no longer be a weight file.
            let sha256 = match &loaded {
                Ok(model) => Ok(model.info.sha256.clone()),
                Err(_) => weights::hash_file(path),
            };
            let damaged = |sha256: String| hub::integrity(path, &sha256) == Integrity::Damaged;
            if sha256.is_ok_and(damaged) {
                return Err(ModelError::Damaged { name: known.name });
            }
        }
        loaded
    }

    /// The weight file, if it is not the built-in one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Builds the network in a checkpoint.
    ///
    /// # Errors
    /// [`ModelError::Weights`] if the file is incomplete, has infinite or NaN values, does not hold
    /// a known network, or if the tensors or a `config.json` say that it is another one,
    /// [`ModelError::Labels`] if the names given by hand don't fit,
    /// [`ModelError::Memory`] if the system has too little memory,
    /// [`ModelError::Device`] if the device fails.
    pub fn load(
        checkpoint: Checkpoint,
        path: Option<&Path>,
        labels: Option<&Path>,
        backend: Backend,
    ) -> Result<Self, ModelError> {
        Self::build(checkpoint, &Selection::default(), path, labels, backend)
    }

    #[allow(clippy::too_many_lines)] // one step after the other
    fn build(
        mut checkpoint: Checkpoint,
        selection: &Selection,
        path: Option<&Path>,
        labels: Option<&Path>,
        backend: Backend,
    ) -> Result<Self, ModelError> {
        one_output(selection, &checkpoint)?;
        let mut config = path.map(Config::beside).unwrap_or_default();
        let mut written = Declared::written(checkpoint.written());
        let names = [&config.declared.name(), &written.name(), checkpoint.name()];
        let declared = names.into_iter().find(|name| !name.is_empty());
        let declared = declared.unwrap_or_default().to_owned();
        let recognized = recognize::recognize(&mut checkpoint, selection, &declared)?;
        let architecture = recognized.architecture;
        let names = standard::lite_names(&checkpoint, recognized.names);
        let linear = recognized.linear(&checkpoint, selection)?;
        // The file may name one of its networks, and the user may have chosen another.
        written.leave_to(selection, architecture);
        let both = [&config.declared, &written];
        if let Some(what) = declared::problem(both, architecture, names) {
            return Err(checkpoint.refused(what).into());
        }
        if let Some(name) = anti_aliased(checkpoint.name()) {
            let what = format!(
                "its name says {name}, a ResNet with anti-aliasing that its tensors do not show. Export it as ONNX, or rename the file if it is a plain ResNet"
            );
            return Err(checkpoint.refused(what).into());
        }
        let needed = needs::to_load(architecture);
        if !memory::has(needed) {
            return Err(ModelError::Memory {
                network: architecture.name(),
                megabytes: needed.div_ceil(1_000_000),
            });
        }
        let mut notices = std::mem::take(&mut config.notices);
        notices.extend(recognized.selected.notice.clone());
        notices.extend(linear.notice());
        notices.extend(config.declared.notices(architecture, names, linear.classes));
        let config_names_it = config.declared.names(architecture, names);
        let file_names_it = written.names(architecture, names);
        let is_open = !config_names_it && !file_names_it && !checkpoint.saved_whole();
        if names == LiteNames::Timm && is_open {
            notices.push(
                "The file does not say how its network pads: taken as timm's efficientnet_lite0. For tf_efficientnet_lite0, put its config.json next to it.".into(),
            );
        }
        notices.extend_from_slice(checkpoint.notices());
        let (of_modules, module) = standard::compare_rest(&mut checkpoint, architecture);
        notices.extend(of_modules);
        let (scores, scores_from) = found_scores(&config.declared, module, &checkpoint);
        let network = built(&mut checkpoint, (architecture, names), &linear, backend)?;
        let parts = architecture.parts();
        let head_part = format!("/{}", linear.part);
        let parts: Vec<&str> = parts.iter().copied().chain([&head_part[..]]).collect();
        let ignored = recognized.ignored(&checkpoint, &linear, &parts, selection);
        let saved_whole = checkpoint.saved_whole();
        let saved = checkpoint.labels().map(<[String]>::to_vec);
        let file = checkpoint.name().to_owned();
        let finished = checkpoint.finish(architecture.name(), parts)?;
        let ignored = ignored.map_err(|what| WeightsError::Structure { name: file, what })?;
        notices.extend(ignored);
        let known = if path.is_none() || known_weights::is_known(&finished.sha256) {
            KnownFacts::File
        } else if saved_whole {
            KnownFacts::Modules
        } else if config_names_it {
            KnownFacts::Config(&config.declared.architecture)
        } else if file_names_it {
            KnownFacts::Written(&written.architecture)
        } else {
            KnownFacts::Tensors
        };
        let usual = format!("usual for {}", architecture.name());
        let usual = match known {
            KnownFacts::File => PreprocessingSource::known(usual),
            _ => PreprocessingSource::guess(usual),
        };
        let usual = (Preprocessing::usual(architecture, names), usual);
        let needs = needs_of(&*network);
        let settled = SettledPreprocessing::new(config.preprocessing, None, usual, needs);
        notices.extend(settled.notices);
        let own = |from| move |names| OwnLabels { names, from };
        let own_labels = saved
            .map(own("saved with the weights"))
            .or(config.labels.map(own("config.json")));
        let origin = path.map_or("built in".into(), |path| path.display().to_string());
        let mut model = Self {
            info: Arc::new(ModelInfo {
                architecture: architecture.name().into(),
                layers: network.layers().to_vec(),
                default_layer: network.default_layer(),
                head: network.head().cloned(),
                origin,
                accuracy: known_weights::accuracy(&finished.sha256, path),
                sha256: finished.sha256,
                labels: Labels::for_count(linear.classes),
                labels_from: String::new(),
                preprocessing: settled.preprocessing,
                preprocessing_from: settled.from,
                own_framing: settled.framing,
                needs,
                assumed: assumed::assumed(architecture, names, known, scores),
                scores,
                scores_from,
                network: recognized.selected.network,
                networks: recognized.selected.networks,
                outputs: Vec::new(),
                gradient_check: None,
                notices,
            }),
            network,
            path: path.map(Path::to_owned),
            own_labels,
        };
        model.name_classes(labels)?;
        Ok(model)
    }

    /// Names the classes: from a file given by the user, otherwise from the checkpoint, from a file
    /// next to it, `ImageNet`'s names for 1000 classes, or numbers.
    ///
    /// # Errors
    /// [`ModelError::Labels`] if the file given by the user can't be used.
    pub fn name_classes(&mut self, by_hand: Option<&Path>) -> Result<(), ModelError> {
        let classes = self.info.labels.len();
        let mut notices = Vec::new();
        let (labels, from) = match by_hand {
            Some(path) => (
                self.read_names(path, classes)?,
                crate::input::photo::display_name(path),
            ),
            None => self.find_names(classes, &mut notices),
        };
        let mut info = (*self.info).clone();
        info.notices
            .retain(|notice| !notice.starts_with(NAMES_NOTICE));
        info.notices.extend(notices);
        info.labels = labels;
        info.labels_from = from;
        self.info = Arc::new(info);
        Ok(())
    }

    fn find_names(&self, classes: usize, notices: &mut Vec<String>) -> (Labels, String) {
        if let Some(OwnLabels { names, from }) = &self.own_labels {
            let count = names.len();
            let names = match self.info.scores {
                Scores::OneLogit => labels::two_classes(names.clone()),
                Scores::Softmax | Scores::Sigmoid => names.clone(),
            };
            if names.len() == classes {
                return (Labels::new(names), (*from).into());
            }
            notices.push(format!(
                "{NAMES_NOTICE} {} were not used: {count} for {classes} classes.",
                match *from {
                    "config.json" => "in config.json",
                    from => from,
                }
            ));
        }
        let files = self.path.iter().flat_map(|path| Labels::files_beside(path));
        for file in files {
            match self.read_names(&file, classes) {
                Ok(labels) => return (labels, crate::input::photo::display_name(&file)),
                Err(error) => notices.push(format!(
                    "{NAMES_NOTICE} in {} were not used: {}.",
                    error.name, error.cause
                )),
            }
        }
        if self.info.scores == Scores::OneLogit {
            let from = "negative and positive: no names were found";
            return (Labels::for_one_logit(), from.into());
        }
        let from = match (classes, &self.path) {
            (1000, None) => "ImageNet's names",
            (1000, Some(_)) if known_weights::is_known(&self.info.sha256) => "ImageNet's names",
            (1000, Some(_)) => "ImageNet's names, assumed since there are 1000 classes",
            _ => "numbers: no names were found",
        };
        (Labels::for_count(classes), from.into())
    }

    fn read_names(&self, path: &Path, classes: usize) -> Result<Labels, LabelFileError> {
        match self.info.scores {
            Scores::OneLogit => Labels::open_for_one_logit(path),
            Scores::Softmax | Scores::Sigmoid => Labels::open(path, classes),
        }
    }

    /// A model from a network that is already loaded: anything that implements [`Network`].
    #[must_use]
    pub fn of_network(
        name: &str,
        network: Box<dyn Network>,
        labels: Labels,
        preprocessing: Preprocessing,
    ) -> Self {
        let needs = needs_of(&*network);
        let info = ModelInfo {
            architecture: name.into(),
            layers: network.layers().to_vec(),
            default_layer: network.default_layer(),
            head: network.head().cloned(),
            origin: "given".into(),
            accuracy: "accuracy unknown".into(),
            sha256: String::new(),
            labels,
            labels_from: "given".into(),
            preprocessing: needs.fit(preprocessing),
            preprocessing_from: PreprocessingSource::known("given"),
            own_framing: None,
            needs,
            scores: Scores::default(),
            scores_from: None,
            assumed: None,
            network: Selection::default(),
            networks: Vec::new(),
            outputs: Vec::new(),
            gradient_check: None,
            notices: Vec::new(),
        };
        Self {
            info: Arc::new(info),
            network,
            path: None,
            own_labels: None,
        }
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &dyn Network {
        &*self.network
    }

    /// Runs the network on pixels that are already framed.
    ///
    /// # Errors
    /// [`NetworkError`] if the device fails.
    pub fn forward(
        &self,
        input: &Input,
        preprocessing: &Preprocessing,
        precision: Precision,
    ) -> Result<Tape, NetworkError> {
        let (width, height) = input.placement.input;
        let channels = self.network.channels();
        let values = preprocessing.values(&input.rgb, channels);
        let input = NetworkInput {
            width,
            height,
            channels,
            values: values.map_err(NetworkError::new)?,
        };
        self.network.forward(&input, precision)
    }
}

/// Checks that no output was chosen: the networks here have only one.
fn one_output(selection: &Selection, checkpoint: &Checkpoint) -> Result<(), WeightsError> {
    match selection.output {
        None => Ok(()),
        Some(_) => Err(checkpoint.refused(
            "its network has one output, and --output names one of several: leave it out".into(),
        )),
    }
}

/// timm's name of an anti-aliased ResNet, if a file is called so.
fn anti_aliased(file: &str) -> Option<&str> {
    let stem = file.split(['.', '-']).next()?;
    let is_one = stem.starts_with("resnetblur") || stem.starts_with("resnetaa");
    is_one.then_some(stem)
}

/// The network with its weights.
fn built(
    checkpoint: &mut Checkpoint,
    (architecture, names): (Architecture, LiteNames),
    linear: &Linear,
    backend: Backend,
) -> Result<Box<dyn Network>, ModelError> {
    Ok(if let Some(blocks) = architecture.blocks() {
        let trunk = resnet::Trunk::load(checkpoint, blocks, &backend)?;
        let head = linear.read(checkpoint);
        Box::new(ResNet::new(architecture, trunk, head, backend))
    } else {
        let trunk = efficientnet_lite::Trunk::load(checkpoint, names, &backend)?;
        let head = linear.read(checkpoint);
        Box::new(EfficientNetLite0::new(trunk, head, backend))
    })
}

/// How logits become scores, and how that is known: from `config.json`, a module that was saved
/// with the network, or the weight of a loss.
fn found_scores(
    config: &Declared,
    module: Option<String>,
    checkpoint: &Checkpoint,
) -> (Scores, Option<String>) {
    let tensor = outside::several_labels(checkpoint.names());
    let from = if config.several_labels() {
        Some("config.json".to_owned())
    } else {
        module.or(tensor.map(str::to_owned))
    };
    match from {
        Some(_) => (Scores::Sigmoid, from),
        None => (Scores::Softmax, None),
    }
}

/// The beginning of a notice about class names.
const NAMES_NOTICE: &str = "The class names";

/// What a network needs of its input.
fn needs_of(network: &dyn Network) -> InputNeeds {
    InputNeeds {
        channels: network.channels(),
        fixed_size: network.fixed_size(),
    }
}

/// Why a model can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// Its file.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// An ONNX file.
    #[error("{} can't be used: {}", printable::name(.name), quotation(.what))]
    Onnx {
        /// The name of the file.
        name: String,
        /// The problem, and what to do.
        what: String,
    },
    /// The class names.
    #[error(transparent)]
    Labels(#[from] LabelFileError),
    /// A file in the hub's cache whose SHA-256 is not that of the catalog.
    #[error(
        "The fetched weights {name} are damaged (their SHA-256 differs from the published one). Fetch them again: camlens fetch {name}, or Download weights… › Check in the model menu."
    )]
    Damaged {
        /// Their name in the catalog.
        name: &'static str,
    },
    /// The system does not have enough memory.
    #[error(
        "Not enough memory: loading {network} needs about {megabytes} MB. Close other programs, or choose a smaller network."
    )]
    Memory {
        /// The network.
        network: &'static str,
        /// The memory that loading it takes.
        megabytes: u64,
    },
    /// The device failed while loading.
    #[error("the device failed: {0}")]
    Device(NetworkError),
}

// Not by `#[from]`: it would then be printed once more as the cause.
impl From<candle_core::Error> for ModelError {
    fn from(error: candle_core::Error) -> Self {
        Self::Device(error.into())
    }
}
