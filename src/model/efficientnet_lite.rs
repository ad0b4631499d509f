//! EfficientNet-Lite0: EfficientNet-B0 (Tan and Le 2019, arXiv 1905.11946) with
//! `ReLU6` and without squeeze-and-excitation, as TensorFlow released it.

use candle_core::{Result, Tensor};

use super::cpu::Activation::{self, Linear, Relu6};
use super::layers::{Backend, Conv, ConvSpec, Padding};
use super::weights::Checkpoint;
use super::{ConvNames, folded_conv};

/// TensorFlow's batch-norm constant for this family.
const BATCH_NORM_EPS: f32 = 1e-3;
/// Output channels of the stem.
const STEM: usize = 32;
/// Output channels of the last convolution: the target layer's channels.
pub const FEATURES: usize = 1280;
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
pub struct EfficientNetLite0 {
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

impl EfficientNetLite0 {
    /// Reads all tensors of the convolutional part from a checkpoint.
    pub fn load(checkpoint: &mut Checkpoint, backend: &Backend) -> Result<Self> {
        let mut conv = |conv: String, batch_norm: String, spec: ConvSpec| {
            let names = ConvNames { conv, batch_norm };
            folded_conv(checkpoint, &names, BATCH_NORM_EPS, spec, backend)
        };
        let stem_spec = spec(3, STEM, 3, 2, Relu6);
        let stem = conv("_conv_stem.weight".into(), "_bn0".into(), stem_spec)?;
        let mut blocks = Vec::new();
        let mut cin = STEM;
        for (repeats, kernel, first_stride, expansion, cout) in STAGES {
            for repeat in 0..repeats {
                let stride = if repeat == 0 { first_stride } else { 1 };
                let middle = cin * expansion;
                let at = format!("_blocks.{}", blocks.len());
                let mut part = |name: &str, n: usize, spec| {
                    conv(
                        format!("{at}._{name}_conv.weight"),
                        format!("{at}._bn{n}"),
                        spec,
                    )
                };
                let expand = if expansion == 1 {
                    None
                } else {
                    Some(part("expand", 0, spec(cin, middle, 1, 1, Relu6))?)
                };
                let each = ConvSpec {
                    depthwise: true,
                    ..spec(middle, middle, kernel, stride, Relu6)
                };
                blocks.push(InvertedResidual {
                    expand,
                    depthwise: part("depthwise", 1, each)?,
                    project: part("project", 2, spec(middle, cout, 1, 1, Linear))?,
                    shortcut: cin == cout && stride == 1,
                });
                cin = cout;
            }
        }
        let head_spec = spec(cin, FEATURES, 1, 1, Relu6);
        let head = conv("_conv_head.weight".into(), "_bn1".into(), head_spec)?;
        Ok(Self { stem, blocks, head })
    }

    /// The output of the head convolution, after `ReLU6`: 1280 channels, stride 32.
    pub fn features(&self, image: &Tensor) -> Result<Tensor> {
        let mut x = self.stem.forward(image)?;
        for block in &self.blocks {
            let inner = match &block.expand {
                Some(expand) => block.depthwise.forward(&expand.forward(&x)?)?,
                None => block.depthwise.forward(&x)?,
            };
            x = if block.shortcut {
                block.project.forward_add(&inner, &x)?
            } else {
                block.project.forward(&inner)?
            };
        }
        self.head.forward(&x)
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
