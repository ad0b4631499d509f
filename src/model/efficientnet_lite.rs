//! EfficientNet-Lite0: EfficientNet-B0 (Tan and Le 2019, arXiv 1905.11946) with
//! `ReLU6` and without squeeze-and-excitation, as TensorFlow released it.

mod network;

use candle_core::Result;

use crate::model::architecture::{LITE_CHANNELS, LiteNames};
use crate::model::batch_norm::folded_conv;
use crate::model::cpu::Activation;
use crate::model::cpu::Activation::{Linear, Relu6};
use crate::model::cpu::Precision::Single;
pub use crate::model::efficientnet_lite::network::EfficientNetLite0;
use crate::model::layers::{Backend, Conv, ConvSpec, Image, Padding};
use crate::model::standard::ConvNames;
use crate::model::weights::Checkpoint;

/// The epsilon of TensorFlow's batch norm for this family, and PyTorch's own.
const BATCH_NORM_EPS: (f32, f32) = (1e-3, 1e-5);
/// Output channels of the stem.
const STEM: usize = 32;
/// (repeats, kernel, stride of the first, expansion, output channels) of each stage.
const STAGES: [(usize, usize, usize, usize, usize); 7] = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
];

/// The convolutional part of EfficientNet-Lite0.
#[derive(Debug)]
pub struct Trunk {
    stem: Conv,
    blocks: Vec<InvertedResidual>,
    head: Conv,
}

#[derive(Debug)]
struct InvertedResidual {
    expand: Option<Conv>,
    depthwise: Conv,
    project: Conv,
    shortcut: bool,
}

impl Trunk {
    /// Reads all tensors of the convolutional part from a checkpoint.
    pub fn load(checkpoint: &mut Checkpoint, names: LiteNames, backend: &Backend) -> Result<Self> {
        let (eps, symmetric) = match names {
            LiteNames::Timm => (BATCH_NORM_EPS.1, true),
            LiteNames::Source | LiteNames::TimmFromTensorFlow => (BATCH_NORM_EPS.0, false),
        };
        let from_source = names == LiteNames::Source;
        let mut conv = |conv: String, batch_norm: String, mut spec: ConvSpec| {
            if symmetric {
                spec.padding = Padding::Each(spec.kernel / 2);
            }
            let names = ConvNames {
                conv: format!("{conv}.weight"),
                batch_norm,
            };
            folded_conv(checkpoint, &names, eps, spec, backend)
        };
        let stem_spec = spec(3, STEM, 3, 2, Relu6);
        let (stem, norm) = if from_source {
            ("_conv_stem", "_bn0")
        } else {
            ("conv_stem", "bn1")
        };
        let stem = conv(stem.into(), norm.into(), stem_spec)?;
        let mut blocks = Vec::new();
        let mut cin = STEM;
        for (stage, (repeats, kernel, first_stride, expansion, cout)) in
            STAGES.into_iter().enumerate()
        {
            for repeat in 0..repeats {
                let stride = if repeat == 0 { first_stride } else { 1 };
                let middle = cin * expansion;
                let at = if from_source {
                    format!("_blocks.{}", blocks.len())
                } else {
                    format!("blocks.{stage}.{repeat}")
                };
                let mut part = |step: Step, spec| {
                    let (name, norm) = step.names(from_source, expansion == 1);
                    conv(format!("{at}.{name}"), format!("{at}.{norm}"), spec)
                };
                let expand = if expansion == 1 {
                    None
                } else {
                    Some(part(Step::Expand, spec(cin, middle, 1, 1, Relu6))?)
                };
                let each = ConvSpec {
                    depthwise: true,
                    ..spec(middle, middle, kernel, stride, Relu6)
                };
                blocks.push(InvertedResidual {
                    expand,
                    depthwise: part(Step::Depthwise, each)?,
                    project: part(Step::Project, spec(middle, cout, 1, 1, Linear))?,
                    shortcut: cin == cout && stride == 1,
                });
                cin = cout;
            }
        }
        let head_spec = spec(cin, LITE_CHANNELS, 1, 1, Relu6);
        let (head, norm) = if from_source {
            ("_conv_head", "_bn1")
        } else {
            ("conv_head", "bn2")
        };
        let head = conv(head.into(), norm.into(), head_spec)?;
        Ok(Self { stem, blocks, head })
    }

    /// The output of the head convolution, after `ReLU6`: 1280 channels, stride 32.
    pub fn features(&self, image: &Image) -> Result<Image> {
        let mut x = self.stem.forward(image, Single)?;
        for block in &self.blocks {
            let inner = match &block.expand {
                Some(expand) => block
                    .depthwise
                    .forward(&expand.forward(&x, Single)?, Single)?,
                None => block.depthwise.forward(&x, Single)?,
            };
            x = if block.shortcut {
                block.project.forward_add(&inner, &x, Single)?
            } else {
                block.project.forward(&inner, Single)?
            };
        }
        self.head.forward(&x, Single)
    }
}

/// The convolutions of a block.
#[derive(Clone, Copy)]
enum Step {
    Expand,
    Depthwise,
    Project,
}

impl Step {
    /// The names of the convolution and its batch norm: in the original source, or in timm, which
    /// numbers the layers of a block.
    fn names(self, from_source: bool, without_expansion: bool) -> (&'static str, &'static str) {
        match (self, from_source, without_expansion) {
            (Self::Expand, true, _) => ("_expand_conv", "_bn0"),
            (Self::Depthwise, true, _) => ("_depthwise_conv", "_bn1"),
            (Self::Project, true, _) => ("_project_conv", "_bn2"),
            (Self::Expand, false, _) => ("conv_pw", "bn1"),
            (Self::Depthwise, false, false) => ("conv_dw", "bn2"),
            (Self::Project, false, false) => ("conv_pwl", "bn3"),
            (Self::Depthwise, false, true) => ("conv_dw", "bn1"),
            (Self::Project, false, true) => ("conv_pw", "bn2"),
        }
    }
}

fn spec(cin: usize, cout: usize, kernel: usize, stride: usize, activation: Activation) -> ConvSpec {
    ConvSpec {
        cin,
        cout,
        kernel,
        stride,
        padding: Padding::Same,
        depthwise: false,
        activation,
    }
}
