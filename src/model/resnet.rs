//! The convolutional part of `ResNets` (He et al. 2015, arXiv 1512.03385) with
//! torchvision's tensor names, and gradients at the outputs of its stages.

mod network;

use candle_core::{Result, Var};

use crate::model::architecture::BlockKind;
use crate::model::batch_norm::folded_conv;
use crate::model::cpu::Activation::{Linear, Relu};
use crate::model::cpu::{Activation, Precision};
use crate::model::layers::{Backend, Conv, ConvSpec, Image, Padding};
pub use crate::model::resnet::network::ResNet;
use crate::model::standard::ConvNames;
use crate::model::weights::Checkpoint;

/// torchvision's and timm's `BatchNorm2d` default.
const BATCH_NORM_EPS: f32 = 1e-5;
/// Width of the blocks in the four stages.
const WIDTHS: [usize; 4] = [64, 128, 256, 512];
/// Output channels of a bottleneck, as a multiple of its width.
const EXPANSION: usize = 4;

/// The convolutional part of a ResNet, up to `layer4`.
#[derive(Debug)]
pub struct Trunk {
    conv1: Conv,
    stages: Vec<Vec<Block>>,
}

/// The convolutions of a block in sequence, and what is added before the last ReLU.
#[derive(Debug)]
struct Block {
    convs: Vec<Conv>,
    downsample: Option<Conv>,
}

/// What a block computed: the outputs of its convolutions, each after its ReLU. The last one, after
/// the residual, is the output of the block.
type BlockTrace = Vec<Image>;

/// All intermediate outputs that gradients need.
#[derive(Debug)]
pub struct Trace {
    /// For each stage, for each of its blocks. `layer1` keeps only its output.
    stages: Vec<Vec<BlockTrace>>,
}

impl Trace {
    /// The output of a stage, 0 to 3.
    pub fn stage(&self, stage: usize) -> Option<&Image> {
        self.stages.get(stage)?.last()?.last()
    }
}

impl Trunk {
    /// Reads all tensors of the convolutional part from a checkpoint.
    pub fn load(
        checkpoint: &mut Checkpoint,
        (counts, kind): ([usize; 4], BlockKind),
        backend: &Backend,
    ) -> Result<Self> {
        let mut conv = |conv: String, batch_norm: String, spec: ConvSpec| {
            let names = ConvNames { conv, batch_norm };
            folded_conv(checkpoint, &names, BATCH_NORM_EPS, spec, backend)
        };
        let conv1 = conv("conv1.weight".into(), "bn1".into(), spec(3, 64, 7, 2, Relu))?;
        let mut stages = Vec::new();
        let mut cin = WIDTHS[0];
        for (stage, (width, count)) in WIDTHS.into_iter().zip(counts).enumerate() {
            let mut blocks = Vec::new();
            for block in 0..count {
                let at = format!("layer{}.{block}", stage + 1);
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                let (specs, cout) = match kind {
                    BlockKind::Basic => {
                        let first = spec(cin, width, 3, stride, Relu);
                        (vec![first, spec(width, width, 3, 1, Relu)], width)
                    }
                    BlockKind::Bottleneck => {
                        let cout = EXPANSION * width;
                        // The stride is in the 3×3 convolution ("v1.5").
                        let inner = spec(width, width, 3, stride, Relu);
                        let ends = [spec(cin, width, 1, 1, Relu), spec(width, cout, 1, 1, Relu)];
                        (vec![ends[0], inner, ends[1]], cout)
                    }
                };
                let mut convs = Vec::new();
                for (index, spec) in specs.into_iter().enumerate() {
                    let n = index + 1;
                    convs.push(conv(
                        format!("{at}.conv{n}.weight"),
                        format!("{at}.bn{n}"),
                        spec,
                    )?);
                }
                let downsample = if stride == 2 || cin != cout {
                    let weight = format!("{at}.downsample.0.weight");
                    let spec = spec(cin, cout, 1, stride, Linear);
                    Some(conv(weight, format!("{at}.downsample.1"), spec)?)
                } else {
                    None
                };
                blocks.push(Block { convs, downsample });
                cin = cout;
            }
            stages.push(blocks);
        }
        Ok(Self { conv1, stages })
    }

    /// Runs up to the output of `layer4`, after its last ReLU, stride 32.
    pub fn forward(&self, image: &Image, backend: &Backend, precision: Precision) -> Result<Trace> {
        let mut x = self.conv1.forward_and_pool(image, backend, precision)?;
        let mut stages = Vec::new();
        for (index, stage) in self.stages.iter().enumerate() {
            let mut traces = Vec::new();
            for block in stage {
                let trace = block.forward(&x, precision)?;
                x = last(&trace)?.clone();
                traces.push(trace);
            }
            if index == 0 {
                traces = vec![vec![x.clone()]];
            }
            stages.push(traces);
        }
        Ok(Trace { stages })
    }

    /// Gradients at the outputs of the stages `first..3` (counted from 0), from the gradient at
    /// `layer4`, in the layout of the images. The last stage comes first.
    pub fn gradients(
        &self,
        trace: &Trace,
        at_layer4: Image,
        first: usize,
        backend: &Backend,
    ) -> Result<Vec<Image>> {
        let mut gradient = at_layer4;
        let mut gradients = Vec::new();
        for stage in (first + 1..self.stages.len()).rev() {
            let input = trace.stage(stage - 1).ok_or_else(no_trace)?;
            gradient = match backend {
                Backend::Fused(_) => {
                    self.stage_backward(stage, input, &trace.stages[stage], gradient, backend)?
                }
                Backend::Candle(_) => self.stage_autograd(stage, input, &gradient)?,
            };
            gradients.push(gradient.clone());
        }
        Ok(gradients)
    }

    /// Backpropagation with our own kernels: only what is needed, without gradients of weights.
    fn stage_backward(
        &self,
        stage: usize,
        input: &Image,
        traces: &[BlockTrace],
        mut gradient: Image,
        backend: &Backend,
    ) -> Result<Image> {
        let blocks = self.stages[stage].iter().zip(traces).enumerate().rev();
        for (index, (block, trace)) in blocks {
            let x = match index {
                0 => input,
                _ => last(&traces[index - 1])?,
            };
            gradient = block.backward(x, trace, &gradient, backend)?;
        }
        Ok(gradient)
    }

    /// Backpropagation with candle's autograd: the input of the stage becomes a variable, and the
    /// stage runs once more. Its output times the gradient there is differentiated.
    fn stage_autograd(&self, stage: usize, input: &Image, gradient: &Image) -> Result<Image> {
        let variable = Var::from_tensor(&input.tensor()?.detach())?;
        let mut x = Image::Candle(variable.as_tensor().clone());
        for block in &self.stages[stage] {
            x = last(&block.forward(&x, Precision::Single)?)?.clone();
        }
        let output = (x.tensor()? * gradient.tensor()?.detach())?;
        let store = output.sum_all()?.backward()?;
        let found = store.get(&variable).cloned().ok_or_else(no_trace)?;
        Ok(Image::Candle(found))
    }

    /// The last block's last convolution, its input and its output after the residual and
    /// the ReLU.
    fn last_conv<'a>(&'a self, trace: &'a Trace) -> Result<(&'a Conv, &'a Image, &'a Image)> {
        let block = self.stages.last().and_then(|stage| stage.last());
        let traces = trace.stages.last().and_then(|stage| stage.last());
        let (Some(block), Some(traces)) = (block, traces) else {
            return Err(no_trace());
        };
        match (&block.convs[..], &traces[..]) {
            ([.., conv], [.., inner, out]) => Ok((conv, inner, out)),
            _ => Err(no_trace()),
        }
    }

    /// The output of the last convolution before its batch-norm.
    pub fn before_last_batch_norm(&self, trace: &Trace, backend: &Backend) -> Result<Image> {
        let (conv, inner, _) = self.last_conv(trace)?;
        conv.before_batch_norm(inner, backend)
    }

    /// The gradient before the batch-norm, from the one at the output of `layer4`.
    pub fn gradient_before_last_batch_norm(
        &self,
        trace: &Trace,
        at_layer4: &Image,
        backend: &Backend,
    ) -> Result<Image> {
        let (conv, _, out) = self.last_conv(trace)?;
        let masked = backend.relu_backward(at_layer4, out)?;
        conv.gradient_before_batch_norm(&masked, backend)
    }
}

impl Block {
    fn forward(&self, x: &Image, precision: Precision) -> Result<BlockTrace> {
        let Some((conv, inner)) = self.convs.split_last() else {
            return Err(no_trace());
        };
        let mut outputs: BlockTrace = Vec::with_capacity(self.convs.len());
        for conv in inner {
            let y = conv.forward(outputs.last().unwrap_or(x), precision)?;
            outputs.push(y);
        }
        let before = outputs.last().unwrap_or(x);
        let y = match &self.downsample {
            Some(shortcut) => {
                let residual = shortcut.forward(x, precision)?;
                conv.forward_add(before, &residual, precision)?
            }
            None => conv.forward_add(before, x, precision)?,
        };
        outputs.push(y);
        Ok(outputs)
    }

    /// The gradient at the input of the block, from the gradient at its output.
    fn backward(
        &self,
        x: &Image,
        outputs: &BlockTrace,
        gradient: &Image,
        backend: &Backend,
    ) -> Result<Image> {
        let at_sum = backend.relu_backward(gradient, last(outputs)?)?;
        let mut gradient = at_sum.clone();
        for (index, conv) in self.convs.iter().enumerate().rev() {
            let inner = index.checked_sub(1).map(|before| &outputs[before]);
            gradient = conv.backward(&gradient, inner.unwrap_or(x))?;
            if let Some(inner) = inner {
                gradient = backend.relu_backward(&gradient, inner)?;
            }
        }
        match &self.downsample {
            Some(shortcut) => backend.add(&gradient, &shortcut.backward(&at_sum, x)?),
            None => backend.add(&gradient, &at_sum),
        }
    }
}

fn last(trace: &BlockTrace) -> Result<&Image> {
    trace.last().ok_or_else(no_trace)
}

fn no_trace() -> candle_core::Error {
    candle_core::Error::Msg("the network has not recorded its run".into())
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
