//! ResNet-18 (He et al. 2015, arXiv 1512.03385) with torchvision's tensor names.

use candle_core::{Result, Tensor};

use super::cpu::Activation::{self, Linear, Relu};
use super::layers::{Backend, Conv, ConvSpec, Padding};
use super::weights::Checkpoint;
use super::{ConvNames, folded_conv};

/// torchvision's `BatchNorm2d` default.
const BATCH_NORM_EPS: f32 = 1e-5;
/// Output channels of the four stages.
const STAGES: [usize; 4] = [64, 128, 256, 512];

/// The convolutional part of ResNet-18, up to `layer4`.
#[derive(Debug)]
pub struct ResNet18 {
    conv1: Conv,
    blocks: Vec<BasicBlock>,
}

#[derive(Debug)]
struct BasicBlock {
    conv1: Conv,
    conv2: Conv,
    downsample: Option<Conv>,
}

impl ResNet18 {
    /// Reads all tensors of the convolutional part from a checkpoint.
    pub fn load(checkpoint: &mut Checkpoint, backend: &Backend) -> Result<Self> {
        let mut conv = |conv: String, batch_norm: String, spec: ConvSpec| {
            let names = ConvNames { conv, batch_norm };
            folded_conv(checkpoint, &names, BATCH_NORM_EPS, spec, backend)
        };
        let conv1 = conv("conv1.weight".into(), "bn1".into(), spec(3, 64, 7, 2, Relu))?;
        let mut blocks = Vec::new();
        let mut cin = STAGES[0];
        for (stage, cout) in STAGES.into_iter().enumerate() {
            for block in 0..2 {
                let at = format!("layer{}.{block}", stage + 1);
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                let mut part = |n: usize, spec| {
                    conv(format!("{at}.conv{n}.weight"), format!("{at}.bn{n}"), spec)
                };
                let conv1 = part(1, spec(cin, cout, 3, stride, Relu))?;
                // The block's last ReLU, after the residual is added.
                let conv2 = part(2, spec(cout, cout, 3, 1, Relu))?;
                let downsample = if stride == 2 {
                    let weight = format!("{at}.downsample.0.weight");
                    let spec = spec(cin, cout, 1, stride, Linear);
                    Some(conv(weight, format!("{at}.downsample.1"), spec)?)
                } else {
                    None
                };
                blocks.push(BasicBlock {
                    conv1,
                    conv2,
                    downsample,
                });
                cin = cout;
            }
        }
        Ok(Self { conv1, blocks })
    }

    /// The output of `layer4`, after its last ReLU: 512 channels, stride 32.
    pub fn features(&self, image: &Tensor, backend: &Backend) -> Result<Tensor> {
        let mut x = backend.max_pool(&self.conv1.forward(image)?)?;
        for block in &self.blocks {
            let inner = block.conv1.forward(&x)?;
            x = match &block.downsample {
                Some(shortcut) => block.conv2.forward_add(&inner, &shortcut.forward(&x)?)?,
                None => block.conv2.forward_add(&inner, &x)?,
            };
        }
        Ok(x)
    }
}

fn spec(cin: usize, cout: usize, kernel: usize, stride: usize, activation: Activation) -> ConvSpec {
    ConvSpec {
        cin,
        cout,
        kernel,
        stride,
        padding: Padding::Each(kernel / 2),
        depthwise: false,
        activation,
    }
}
