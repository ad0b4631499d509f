//! Models: a network that ends in global average pooling and one linear layer,
//! cut in two at its last layer: `forward`, and the [`Head`]. ResNets can also tell
//! the gradients of a logit at their earlier layers.
//!
//! Only this module and [`crate::explain::engine`] know candle.

mod architecture;
mod assumed;
mod classifier_head;
pub mod cpu;
mod declared;
pub mod device;
mod efficientnet_lite;
mod families;
pub mod hub;
pub mod known_weights;
pub mod layers;
mod leftovers;
mod model_choice;
pub mod needs;
mod outside;
pub mod preprocessing;
mod resnet;
mod selection;
mod standard;
pub mod weights;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::Result as CandleResult;

use crate::explain::analysis::{FeatureMaps, Gradients, Head, Layer};
use crate::input::framing::Input;
use crate::labels::{LabelFileError, Labels};
pub use crate::model::architecture::Architecture;
use crate::model::architecture::LiteNames;
use crate::model::assumed::KnownFacts;
use crate::model::cpu::Precision;
use crate::model::declared::Declared;
use crate::model::efficientnet_lite::EfficientNetLite0;
use crate::model::hub::Integrity;
use crate::model::layers::{Backend, Conv, ConvSpec, Image};
pub use crate::model::model_choice::{ModelChoice, ModelInfo, Selection};
use crate::model::preprocessing::{Config, Preprocessing};
use crate::model::resnet::ResNet;
use crate::model::weights::{Checkpoint, Progress, WeightsError};
use crate::platform::memory;

/// A loaded network.
pub struct Model {
    /// What the user should know about it.
    pub info: Arc<ModelInfo>,
    /// What follows the last layer.
    pub head: Arc<Head>,
    network: Network,
    backend: Backend,
    /// The weight file, if there is one, and the names found in it.
    path: Option<PathBuf>,
    own_labels: Option<OwnLabels>,
}

/// Class names that came with the weights.
struct OwnLabels {
    names: Vec<String>,
    from: &'static str,
}

enum Network {
    ResNet(Box<ResNet>),
    EfficientNetLite0(Box<EfficientNetLite0>),
}

/// What a run of the network left behind: what maps and gradients are made of.
pub enum Trace {
    /// The outputs of all layers that gradients need.
    ResNet(resnet::Trace),
    /// The last layer.
    Last(Image),
}

impl Model {
    /// The built-in model.
    ///
    /// # Errors
    /// As [`Model::load`]; only a device can fail here.
    pub fn built_in(labels: Option<&Path>, backend: Backend) -> Result<Self, ModelError> {
        let bytes = Cow::Borrowed(known_weights::BUILT_IN_WEIGHTS);
        let checkpoint = Checkpoint::from_bytes(known_weights::BUILT_IN_NAME, bytes)?;
        Self::load(checkpoint, None, labels, backend)
    }

    /// The model of a weight file. `labels` is a file of class names given by hand.
    ///
    /// # Errors
    /// As [`Model::load`]; [`ModelError::Damaged`] for a fetched file that is not what was
    /// fetched.
    pub fn open(
        path: &Path,
        labels: Option<&Path>,
        backend: Backend,
        progress: Option<Progress>,
    ) -> Result<Self, ModelError> {
        Self::open_within(path, &Selection::default(), labels, backend, progress)
    }

    /// As [`Model::open`], of a file that may hold several networks.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn open_within(
        path: &Path,
        selection: &Selection,
        labels: Option<&Path>,
        backend: Backend,
        progress: Option<Progress>,
    ) -> Result<Self, ModelError> {
        let loaded = Checkpoint::open(path, progress)
            .map_err(ModelError::from)
            .and_then(|checkpoint| Self::build(checkpoint, selection, Some(path), labels, backend));
        if let Some(known) = hub::of_file(path) {
            // A damaged file may still be a network, or be no weight file any more.
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

    /// Builds the network that a checkpoint holds.
    ///
    /// # Errors
    /// [`ModelError::Weights`] if the file is not complete and finite, or not of a network
    /// that is known, or if the tensors or a `config.json` say that it is another one,
    /// [`ModelError::Labels`] if the names given by hand don't fit,
    /// [`ModelError::Memory`] if the system has too little of it,
    /// [`ModelError::Device`] if the device fails.
    pub fn load(
        checkpoint: Checkpoint,
        path: Option<&Path>,
        labels: Option<&Path>,
        backend: Backend,
    ) -> Result<Self, ModelError> {
        Self::build(checkpoint, &Selection::default(), path, labels, backend)
    }

    fn build(
        mut checkpoint: Checkpoint,
        selection: &Selection,
        path: Option<&Path>,
        labels: Option<&Path>,
        backend: Backend,
    ) -> Result<Self, ModelError> {
        let mut config = path.map(Config::beside).unwrap_or_default();
        let mut written = Declared::written(checkpoint.written());
        let names = [&config.declared.name(), &written.name(), checkpoint.name()];
        let declared = names.into_iter().find(|name| !name.is_empty());
        let declared = declared.unwrap_or_default().to_owned();
        let recognized = architecture::recognize(&mut checkpoint, selection, &declared)?;
        let architecture = recognized.architecture;
        let names = standard::lite_names(&checkpoint, recognized.names);
        let linear = recognized.linear(&checkpoint, selection)?;
        // Of several networks it names one, and the user may have chosen another.
        written.leave_to(selection, architecture);
        let both = [&config.declared, &written];
        if let Some(what) = declared::problem(both, architecture, names) {
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
                "The file does not say how its network pads: taken as timm's efficientnet_lite0. For tf_efficientnet_lite0 put its config.json beside it.".into(),
            );
        }
        notices.extend_from_slice(checkpoint.notices());
        notices.extend(standard::compare_rest(&mut checkpoint, architecture));
        let (network, parts) = if let Some(blocks) = architecture.blocks() {
            let network = ResNet::load(&mut checkpoint, blocks, &backend)?;
            let network = Network::ResNet(Box::new(network));
            (network, &resnet::PARTS[..])
        } else {
            let network = EfficientNetLite0::load(&mut checkpoint, names, &backend)?;
            let network = Network::EfficientNetLite0(Box::new(network));
            (network, &efficientnet_lite::PARTS[..])
        };
        let head = linear.read(&mut checkpoint);
        let classes = head.classes();
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
        let (preprocessing, preprocessing_from) = if let Some(found) = config.preprocessing {
            (found, "config.json".to_owned())
        } else {
            let usual = Preprocessing::usual(architecture, names);
            (usual, format!("usual for {}", architecture.name()))
        };
        let own = |from| move |names| OwnLabels { names, from };
        let own_labels = saved
            .map(own("saved with the weights"))
            .or(config.labels.map(own("config.json")));
        let origin = path.map_or("built in".into(), |path| path.display().to_string());
        let mut model = Self {
            info: Arc::new(ModelInfo {
                architecture,
                origin,
                accuracy: known_weights::accuracy(&finished.sha256, path),
                sha256: finished.sha256,
                labels: Labels::for_count(classes),
                labels_from: String::new(),
                preprocessing,
                preprocessing_from,
                assumed: assumed::assumed(architecture, names, known),
                network: recognized.selected.network,
                networks: recognized.selected.networks,
                notices,
            }),
            head: Arc::new(head),
            network,
            backend,
            path: path.map(Path::to_owned),
            own_labels,
        };
        model.name_classes(labels)?;
        Ok(model)
    }

    /// Names the classes: from a file given by hand, else from what the checkpoint
    /// holds, a file beside it, `ImageNet`'s for 1000, or numbers.
    ///
    /// # Errors
    /// [`ModelError::Labels`] if a file given by hand can't be used.
    pub fn name_classes(&mut self, by_hand: Option<&Path>) -> Result<(), ModelError> {
        let classes = self.head.classes();
        let mut notices = Vec::new();
        let (labels, from) = match by_hand {
            Some(path) => (
                Labels::open(path, classes)?,
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
            if names.len() == classes {
                return (Labels::new(names.clone()), (*from).into());
            }
            let count = names.len();
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
            match Labels::open(&file, classes) {
                Ok(labels) => return (labels, crate::input::photo::display_name(&file)),
                Err(error) => notices.push(format!(
                    "{NAMES_NOTICE} in {} were not used: {}.",
                    error.name, error.cause
                )),
            }
        }
        let from = match (classes, &self.path) {
            (1000, None) => "ImageNet's names",
            (1000, Some(_)) if known_weights::is_known(&self.info.sha256) => "ImageNet's names",
            (1000, Some(_)) => "ImageNet's names, assumed since there are 1000 classes",
            _ => "numbers: no names were found",
        };
        (Labels::for_count(classes), from.into())
    }

    /// Runs the network up to its last layer. The precision is that of a `ResNet` on the
    /// CPU; everything else runs in f32.
    ///
    /// # Errors
    /// candle's, where the device fails.
    pub fn forward(
        &self,
        input: &Input,
        preprocessing: &Preprocessing,
        precision: Precision,
    ) -> CandleResult<Trace> {
        let (width, height) = input.placement.input;
        let run = || {
            let values = normalized(&input.rgb, preprocessing);
            let image = self.backend.image(&values, height, width)?;
            Ok(match &self.network {
                Network::ResNet(network) => {
                    Trace::ResNet(network.forward(&image, &self.backend, precision)?)
                }
                Network::EfficientNetLite0(network) => Trace::Last(network.features(&image)?),
            })
        };
        match &self.backend {
            // As one of rayon's threads: from outside every layer would be handed over.
            Backend::Fused(_) => rayon::scope(|_| run()),
            Backend::Candle(_) => run(),
        }
    }

    /// The activations of one of the layers that a run keeps (not [`Layer::LastConv`]).
    ///
    /// # Errors
    /// candle's, where the device fails or the network has no such layer.
    pub fn features(&self, trace: &Trace, layer: Layer) -> CandleResult<FeatureMaps> {
        let image = match (trace, layer) {
            (Trace::ResNet(trace), Layer::Layer1) => trace.stage(0),
            (Trace::ResNet(trace), Layer::Layer2) => trace.stage(1),
            (Trace::ResNet(trace), Layer::Layer3) => trace.stage(2),
            (Trace::ResNet(trace), Layer::Last) => trace.stage(3),
            (Trace::Last(last), Layer::Last) => Some(last),
            _ => None,
        };
        let image = image.ok_or_else(|| no_layer(layer))?;
        self.backend.feature_maps(image)
    }

    /// Gradients of one logit at [`Layer::Layer3`] and the layers before it, down to
    /// `first`, from those at the last layer, `[channels]`.
    ///
    /// # Errors
    /// candle's, where the device fails or the network has no such layer.
    pub fn gradients(
        &self,
        trace: &Trace,
        at_last: &[f32],
        first: Layer,
    ) -> CandleResult<Vec<(Layer, Gradients)>> {
        const STAGES: [Layer; 3] = [Layer::Layer1, Layer::Layer2, Layer::Layer3];
        let stage = STAGES.iter().position(|layer| *layer == first);
        let (Network::ResNet(network), Trace::ResNet(trace), Some(stage)) =
            (&self.network, trace, stage)
        else {
            return Err(no_layer(first));
        };
        let at_layer4 = self.spread(trace, at_last)?;
        let gradients = network.gradients(trace, at_layer4, stage, &self.backend)?;
        let layers = STAGES.into_iter().rev();
        let pair = |(layer, gradient): (Layer, Image)| {
            let values = self.backend.feature_maps(&gradient)?.values;
            Ok((layer, Gradients::PerCell(values)))
        };
        layers.zip(gradients).map(pair).collect()
    }

    /// Activations and gradients of one logit at [`Layer::LastConv`].
    ///
    /// # Errors
    /// candle's, where the device fails or the network has no such layer.
    pub fn before_last_batch_norm(
        &self,
        trace: &Trace,
        at_last: &[f32],
    ) -> CandleResult<(FeatureMaps, Gradients)> {
        let (Network::ResNet(network), Trace::ResNet(trace)) = (&self.network, trace) else {
            return Err(no_layer(Layer::LastConv));
        };
        let at_layer4 = self.spread(trace, at_last)?;
        let (features, gradient) =
            network.before_last_batch_norm(trace, &at_layer4, &self.backend)?;
        let gradient = self.backend.feature_maps(&gradient)?.values;
        Ok((
            self.backend.feature_maps(&features)?,
            Gradients::PerCell(gradient),
        ))
    }

    /// The gradient at the last layer as an image: the same at every cell.
    fn spread(&self, trace: &resnet::Trace, at_last: &[f32]) -> CandleResult<Image> {
        let last = trace.stage(3).ok_or_else(|| no_layer(Layer::Last))?;
        let (height, width) = last.size()?;
        self.backend.uniform(at_last, height, width)
    }
}

/// How a notice about class names begins.
const NAMES_NOTICE: &str = "The class names";

fn no_layer(layer: Layer) -> candle_core::Error {
    candle_core::Error::Msg(format!("this network has no layer {layer:?}"))
}

/// Interleaved bytes as the network wants them, through a table, since there are only
/// 256 values for each channel.
fn normalized(rgb: &[u8], preprocessing: &Preprocessing) -> Vec<f32> {
    let table: [[f32; 256]; 3] = std::array::from_fn(|channel| preprocessing.table(channel));
    let mut values = vec![0.0; rgb.len()];
    let pixels = rgb.as_chunks::<3>().0;
    for (value, pixel) in values.as_chunks_mut::<3>().0.iter_mut().zip(pixels) {
        for channel in 0..3 {
            value[channel] = table[channel][usize::from(pixel[channel])];
        }
    }
    values
}

/// Why a model can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// Its file.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The names of its classes.
    #[error(transparent)]
    Labels(#[from] LabelFileError),
    /// A file in the hub's cache that is not what was fetched.
    #[error(
        "The fetched weights {name} are damaged (their SHA-256 is not the one announced). Fetch them again: camlens fetch {name}, or Get weights… › Check in the model menu."
    )]
    Damaged {
        /// Their name in the catalog.
        name: &'static str,
    },
    /// The system has not so much memory.
    #[error(
        "Loading {network} takes about {megabytes} MB of memory, which the system does not have. Close other programs, or choose a smaller network."
    )]
    Memory {
        /// The network.
        network: &'static str,
        /// What it takes.
        megabytes: u64,
    },
    /// The device that was to hold it.
    #[error("the device failed: {}", device::first_line(.0))]
    Device(candle_core::Error),
}

// Not by `#[from]`: candle's error, which has a backtrace in its text, would then
// be printed once more as the cause.
impl From<candle_core::Error> for ModelError {
    fn from(error: candle_core::Error) -> Self {
        Self::Device(error)
    }
}

/// The tensors' names of one convolution and the batch-norm after it.
struct ConvNames {
    /// The convolution's weight.
    conv: String,
    /// The batch-norm's prefix.
    batch_norm: String,
}

/// Reads a convolution and folds the batch-norm after it into its weight and bias:
/// `w' = w·γ/√(σ²+ε)`, `b' = β − μ·γ/√(σ²+ε)`.
fn folded_conv(
    checkpoint: &mut Checkpoint,
    names: &ConvNames,
    eps: f32,
    spec: ConvSpec,
    backend: &Backend,
) -> CandleResult<Conv> {
    standard::compare_convolution(checkpoint, names, eps, &spec);
    let weight = checkpoint.tensor(&names.conv, &spec.weight_shape());
    let mut vector =
        |part: &str| checkpoint.tensor(&format!("{}.{part}", names.batch_norm), &[spec.cout]);
    let (gamma, beta) = (vector("weight"), vector("bias"));
    let (mean, variance) = (vector("running_mean"), vector("running_var"));
    if let Some(negative) = variance.iter().find(|v| **v < 0.0) {
        let prefix = &names.batch_norm;
        checkpoint.note_problem(format!(
            "{prefix}.running_var has a negative value ({negative})"
        ));
    }
    let mut bias = beta;
    let range_locks = gamma.iter().zip(&variance);
    let range_locks: Vec<f32> = range_locks
        .map(|(gamma, v)| gamma / (v + eps).sqrt())
        .collect();
    for ((bias, mean), scale) in bias.iter_mut().zip(&mean).zip(&range_locks) {
        *bias -= mean * scale;
    }
    let conv = Conv::new(&weight, bias, range_locks, spec, backend);
    checkpoint.reuse(weight);
    conv
}
