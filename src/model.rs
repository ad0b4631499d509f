//! Models: a network that ends in global average pooling and one linear layer,
//! cut in two at the target layer: `features`, and the [`Head`].
//!
//! Only this module and [`crate::engine`] know candle.

pub mod catalog;
pub mod cpu;
pub mod device;
mod efficientnet_lite;
pub mod layers;
mod resnet;
pub mod weights;

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use candle_core::Result as CandleResult;
use serde::{Deserialize, Serialize};

use crate::analysis::{FeatureMaps, Head};
use crate::framing::Input;
use crate::labels::Labels;
use efficientnet_lite::EfficientNetLite0;
use layers::{Backend, Conv, ConvSpec};
use resnet::ResNet18;
use weights::{Checkpoint, WeightsError};

/// A model as the user asks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ModelChoice {
    /// ResNet-18 if its weights are found, else the built-in model.
    #[default]
    Auto,
    /// EfficientNet-Lite0, which is part of the program.
    BuiltIn,
    /// ResNet-18 from the folders looked in.
    ResNet18,
    /// A weight file.
    File(PathBuf),
}

impl FromStr for ModelChoice {
    type Err = Infallible;

    /// A model's name, or else a path.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.to_lowercase().as_str() {
            "auto" => Self::Auto,
            "built-in" | "builtin" | "efficientnet-lite0" | "efficientnet_lite0" => Self::BuiltIn,
            "resnet18" | "resnet-18" => Self::ResNet18,
            _ => Self::File(text.into()),
        })
    }
}

/// The networks that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// ResNet-18 as torchvision builds it.
    ResNet18,
    /// EfficientNet-Lite0.
    EfficientNetLite0,
}

impl Architecture {
    /// The name in the field.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ResNet18 => "ResNet-18",
            Self::EfficientNetLite0 => "EfficientNet-Lite0",
        }
    }

    /// The target layer: the last one before global average pooling.
    #[must_use]
    pub fn target_layer(self) -> &'static str {
        match self {
            Self::ResNet18 => "layer4",
            Self::EfficientNetLite0 => "last",
        }
    }

    /// Recognises a network by its tensors' names.
    fn recognise(checkpoint: &Checkpoint) -> Result<Self, WeightsError> {
        let has = |tensor: &str| checkpoint.shape(tensor).is_some();
        let what = if has("_conv_stem.weight") && has("_fc.weight") {
            return Ok(Self::EfficientNetLite0);
        } else if has("layer1.0.conv3.weight") {
            "a ResNet with bottleneck blocks (ResNet-50 or deeper)"
        } else if has("layer1.2.conv1.weight") {
            "a ResNet deeper than 18 layers"
        } else if has("conv1.weight") || has("layer1.0.conv1.weight") || has("fc.weight") {
            return Ok(Self::ResNet18);
        } else {
            "no network that camlens knows"
        };
        Err(WeightsError::Architecture {
            name: checkpoint.name().to_owned(),
            what: what.into(),
        })
    }

    /// What is done to a byte of channel `c` before the network sees it.
    fn normalise(self, channel: usize, byte: u8) -> f32 {
        let value = f32::from(byte);
        match self {
            // torchvision's ImageNet statistics.
            Self::ResNet18 => {
                const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
                const STD: [f32; 3] = [0.229, 0.224, 0.225];
                (value / 255.0 - MEAN[channel]) / STD[channel]
            }
            // TensorFlow's constants for the Lite models.
            Self::EfficientNetLite0 => (value - 127.0) / 128.0,
        }
    }
}

/// What the user should know about a model.
#[derive(Clone, Debug)]
pub struct ModelInfo {
    /// Its network.
    pub architecture: Architecture,
    /// Where the weights came from: "built in", or a path.
    pub origin: String,
    /// What is known about its accuracy.
    pub accuracy: String,
    /// SHA-256 of the weight file, in hexadecimal.
    pub sha256: String,
    /// Its classes.
    pub labels: Labels,
}

impl fmt::Display for ModelInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.architecture.name(), self.origin)
    }
}

/// A loaded network.
pub struct Model {
    /// What the user should know about it.
    pub info: Arc<ModelInfo>,
    /// What follows the target layer.
    pub head: Arc<Head>,
    network: Network,
    backend: Backend,
}

enum Network {
    ResNet18(ResNet18),
    EfficientNetLite0(EfficientNetLite0),
}

impl Model {
    /// The built-in model.
    ///
    /// # Errors
    /// As [`Model::load`]; only a device can fail here.
    pub fn built_in(backend: Backend) -> Result<Self, ModelError> {
        let bytes = Cow::Borrowed(catalog::BUILT_IN_WEIGHTS);
        let checkpoint = Checkpoint::from_bytes(catalog::BUILT_IN_NAME, bytes)?;
        Self::load(checkpoint, "built in".into(), backend)
    }

    /// Builds the network that a checkpoint holds.
    ///
    /// # Errors
    /// [`ModelError::Weights`] if the file is not complete and finite,
    /// [`ModelError::Device`] if the device fails.
    pub fn load(
        mut checkpoint: Checkpoint,
        origin: String,
        backend: Backend,
    ) -> Result<Self, ModelError> {
        let architecture = Architecture::recognise(&checkpoint)?;
        let (network, fc, channels) = match architecture {
            Architecture::ResNet18 => {
                let network = ResNet18::load(&mut checkpoint, &backend)?;
                (Network::ResNet18(network), "fc", 512)
            }
            Architecture::EfficientNetLite0 => {
                let network = EfficientNetLite0::load(&mut checkpoint, &backend)?;
                let network = Network::EfficientNetLite0(network);
                (network, "_fc", efficientnet_lite::FEATURES)
            }
        };
        let fc_weight = format!("{fc}.weight");
        // Any number of classes; two are needed for a choice between them.
        let classes = checkpoint
            .shape(&fc_weight)
            .and_then(|shape| shape.first().copied());
        if classes.is_some_and(|count| count < 2) {
            checkpoint.complain(format!("{fc_weight} has fewer than 2 classes"));
        }
        let classes = classes.unwrap_or(2);
        let head = Head {
            weight: checkpoint.tensor(&fc_weight, &[classes, channels]),
            bias: checkpoint.tensor(&format!("{fc}.bias"), &[classes]),
        };
        let sha256 = checkpoint.sha256().to_owned();
        checkpoint.finish(architecture.name())?;
        let info = ModelInfo {
            architecture,
            origin,
            accuracy: catalog::accuracy(&sha256).to_owned(),
            sha256,
            labels: Labels::for_count(classes),
        };
        Ok(Self {
            info: Arc::new(info),
            head: Arc::new(head),
            network,
            backend,
        })
    }

    /// Runs the network up to the target layer.
    ///
    /// # Errors
    /// candle's, where the device fails.
    pub fn features(&self, input: &Input) -> CandleResult<FeatureMaps> {
        let (width, height) = input.placement.input;
        let image = self
            .backend
            .image(self.normalised(&input.rgb), height, width)?;
        let features = match &self.network {
            Network::ResNet18(network) => network.features(&image, &self.backend)?,
            Network::EfficientNetLite0(network) => network.features(&image)?,
        };
        self.backend.feature_maps(&features)
    }

    /// Interleaved bytes as the network wants them, through a table, since there
    /// are only 256 values for each channel.
    fn normalised(&self, rgb: &[u8]) -> Vec<f32> {
        let table: [[f32; 256]; 3] = std::array::from_fn(|channel| {
            std::array::from_fn(|byte| {
                #[allow(clippy::cast_possible_truncation)] // below 256
                self.info.architecture.normalise(channel, byte as u8)
            })
        });
        rgb.chunks_exact(3)
            .flat_map(|pixel| [0, 1, 2].map(|channel| table[channel][usize::from(pixel[channel])]))
            .collect()
    }
}

/// Why a model can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// Its file.
    #[error(transparent)]
    Weights(#[from] WeightsError),
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
    let mut weight = checkpoint.tensor(&names.conv, &spec.weight_shape());
    let mut vector =
        |part: &str| checkpoint.tensor(&format!("{}.{part}", names.batch_norm), &[spec.cout]);
    let (gamma, beta) = (vector("weight"), vector("bias"));
    let (mean, variance) = (vector("running_mean"), vector("running_var"));
    if let Some(negative) = variance.iter().find(|v| **v < 0.0) {
        let prefix = &names.batch_norm;
        checkpoint.complain(format!(
            "{prefix}.running_var has a negative value ({negative})"
        ));
    }
    let per_output = weight.len() / spec.cout;
    let mut bias = beta;
    for (channel, kernel) in weight.chunks_exact_mut(per_output).enumerate() {
        let scale = gamma[channel] / (variance[channel] + eps).sqrt();
        for value in kernel {
            *value *= scale;
        }
        bias[channel] -= mean[channel] * scale;
    }
    Conv::new(weight, bias, spec, backend)
}
