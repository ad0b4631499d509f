//! The steps of a plan.

use std::fmt;
use std::sync::Arc;

use crate::model::cpu::{
    self, Activation, ChannelAffine, Combine, ConvGeometry, Cpu, Epilogue, Function, Grouped,
    Image, Loops, Matrices, Panels, Reduction, Winograd,
};
use crate::model::graph::fast::layout;
use crate::model::graph::reference::{self, Tensor};
use crate::model::graph::{Constant, GraphError, Op, Taps};

/// A kernel with its inputs and its output.
#[derive(Debug)]
pub struct Step {
    /// What is computed.
    pub kernel: Kernel,
    /// The buffers that it reads.
    pub inputs: Vec<usize>,
    /// The buffer that it makes.
    pub output: usize,
    /// The buffers that nothing reads after this.
    pub frees: Vec<usize>,
}

/// What follows the sums of a product.
#[derive(Clone, Debug)]
pub struct Finish {
    /// For each output channel.
    pub bias: Vec<f32>,
    /// Whether the second input is added.
    pub residual: bool,
    /// The activation.
    pub activation: Activation,
}

impl Finish {
    fn epilogue<'a>(&'a self, inputs: &'a [Image]) -> Epilogue<'a> {
        // It is the last input.
        let residual = if self.residual { inputs.last() } else { None };
        Epilogue {
            bias: &self.bias,
            residual: residual.map(Image::values),
            activation: self.activation,
        }
    }
}

/// What a step computes.
#[derive(Debug)]
pub enum Kernel {
    /// An ordinary convolution or a linear layer.
    Dense(Arc<Panels>, ConvGeometry, Finish),
    /// A 1×1 convolution of the first input times the second, which has a factor per channel.
    Gated(Arc<Panels>, ConvGeometry, Finish),
    /// An ordinary convolution and the pooling of ResNets.
    DenseAndPool(Arc<Panels>, ConvGeometry, Finish),
    /// A 3×3 convolution.
    Winograd(Arc<Winograd>, ConvGeometry, Finish),
    /// A kernel for each channel, `[taps, channels]`.
    Depthwise(Arc<Vec<f32>>, ConvGeometry, Finish),
    /// A convolution in groups.
    Grouped(Arc<Grouped>, ConvGeometry, Finish),
    /// A linear layer for this number of rows, with factors for its outputs.
    FewRows(Constant, Option<Vec<f32>>, usize, Finish),
    /// Pairs of matrices, and a factor.
    MatMul(Matrices, f32),
    /// A function of each value.
    Unary(Function),
    /// Two values.
    Binary(Combine, Loops<2>, Activation),
    /// Factors, summands, activation.
    Affine(Vec<f32>, Vec<f32>, Activation),
    /// The runs of each input; see [`cpu::concat`].
    Concat(Vec<usize>, Option<(Vec<f32>, Vec<f32>, Activation)>),
    /// Over lines of this length.
    Softmax(usize),
    /// Over lines of this length, with weight, bias, and what is added to the variance.
    LayerNorm(usize, Option<Constant>, Option<Constant>, f32),
    /// The middle axis of three.
    Reduce(Reduction, (usize, usize, usize)),
    /// The middle axis of three.
    Resample(Arc<Taps>, (usize, usize, usize)),
    /// Maximum in windows.
    MaxPool(ConvGeometry),
    /// Mean in windows; padding if it counts.
    AveragePool(ConvGeometry, Option<[usize; 4]>),
    /// Another order or a part.
    Copy(Loops<1>),
    /// Placed among this number of values, all others being the given one.
    Pad(Loops<1>, usize, f32),
    /// Anything else, in f64.
    Fallback(Op, Vec<Operand>),
}

/// An input of a fallback.
#[derive(Clone, Debug)]
pub enum Operand {
    /// A constant.
    Constant(Tensor),
    /// The next buffer, with shape and order.
    Value(Vec<usize>, Vec<usize>),
}

impl Kernel {
    /// Runs the kernel.
    ///
    /// # Errors
    /// If a fallback fails.
    pub fn run(&self, cpu: &Cpu, inputs: &[Image]) -> Result<Image, GraphError> {
        let x = &inputs[0];
        Ok(match self {
            Self::Dense(weight, window, finish) => {
                let finish = finish.epilogue(inputs);
                cpu::dense(cpu, &seen(x, *window), weight, *window, finish)
            }
            Self::Gated(weight, window, finish) => {
                let finish = finish.epilogue(inputs);
                let x = (&seen(x, *window), inputs[1].values());
                cpu::dense_gated(cpu, x, weight, *window, finish)
            }
            Self::DenseAndPool(weight, window, finish) => {
                let finish = finish.epilogue(inputs);
                cpu::dense_and_pool(cpu, &seen(x, *window), weight, *window, finish)
            }
            Self::Winograd(weight, window, finish) => {
                let finish = finish.epilogue(inputs);
                weight.convolve(cpu, &seen(x, *window), *window, finish)
            }
            Self::Depthwise(weight, window, finish) => {
                let finish = finish.epilogue(inputs);
                cpu::depthwise(cpu, &seen(x, *window), weight, *window, finish)
            }
            Self::Grouped(weight, window, finish) => {
                let finish = finish.epilogue(inputs);
                cpu::grouped(cpu, &seen(x, *window), weight, *window, finish)
            }
            Self::FewRows(weight, scale, rows, finish) => {
                let x = x.reshaped((1, *rows), x.values().len() / rows);
                let scale = scale.as_deref();
                cpu::few_rows(cpu, &x, &weight.0, scale, finish.epilogue(inputs))
            }
            Self::MatMul(matrices, scale) => cpu::matmul(cpu, x, &inputs[1], matrices, *scale),
            Self::Unary(function) => cpu::unary(cpu, x, *function),
            Self::Binary(how, loops, activation) => {
                cpu::binary(cpu, *how, (x, &inputs[1]), loops, *activation)
            }
            Self::Affine(scale, shift, activation) => {
                let activation = *activation;
                let with = ChannelAffine {
                    scale,
                    shift,
                    activation,
                };
                cpu::affine(cpu, x, with)
            }
            Self::Concat(runs, with) => {
                let parts: Vec<_> = inputs.iter().zip(runs.iter().copied()).collect();
                let with = with
                    .as_ref()
                    .map(|(scale, shift, activation)| ChannelAffine {
                        scale,
                        shift,
                        activation: *activation,
                    });
                cpu::concat(cpu, &parts, with)
            }
            Self::Softmax(width) => cpu::softmax(cpu, x, *width, 1.0),
            Self::LayerNorm(width, weight, bias, eps) => {
                let weight = weight.as_ref().map(|weight| &weight.0[..]);
                let bias = bias.as_ref().map(|bias| &bias.0[..]);
                cpu::layer_norm(cpu, x, *width, weight, bias, *eps)
            }
            Self::Reduce(how, sides) => cpu::reduce(cpu, x, *how, *sides),
            Self::Resample(taps, sides) => cpu::resample(cpu, x, taps, *sides),
            Self::MaxPool(window) => cpu::max_pool(cpu, &seen(x, *window), *window),
            Self::AveragePool(window, padding) => {
                cpu::average_pool(cpu, &seen(x, *window), *window, *padding)
            }
            Self::Copy(loops) => cpu::copy(cpu, x, loops),
            Self::Pad(loops, values, value) => cpu::pad(cpu, x, *values, *value, loops),
            Self::Fallback(op, operands) => return fall_back(cpu, op, operands, inputs),
        })
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut product = |name: &str, window: &ConvGeometry, finish: &Finish| {
            let ConvGeometry { input, kernel, .. } = window;
            let (stride, columns) = (window.stride.0, finish.bias.len());
            write!(f, "{name} {input:?} {kernel:?} /{stride} to {columns}")
        };
        match self {
            Self::Dense(weight, window, finish) => {
                product("Dense", window, finish)?;
                write!(f, " from {}", weight.depth() / window.taps())
            }
            Self::Gated(_, window, finish) => product("Gated", window, finish),
            Self::DenseAndPool(_, window, finish) => product("DenseAndPool", window, finish),
            Self::Winograd(_, window, finish) => product("Winograd", window, finish),
            Self::Depthwise(_, window, finish) => product("Depthwise", window, finish),
            Self::Grouped(_, window, finish) => product("Grouped", window, finish),
            Self::FewRows(_, _, _, finish) => write!(f, "FewRows to {}", finish.bias.len()),
            Self::MatMul(matrices, _) => {
                write!(
                    f,
                    "MatMul {} of {:?}",
                    matrices.starts.len(),
                    matrices.sides
                )
            }
            Self::Unary(function) => write!(f, "Unary {function:?}"),
            Self::Binary(how, loops, _) => write!(f, "Binary {how:?} {:?}", loops.sides),
            Self::Affine(scale, _, _) => write!(f, "Affine {}", scale.len()),
            Self::Concat(runs, _) => write!(f, "Concat {}", runs.iter().sum::<usize>()),
            Self::Softmax(width) => write!(f, "Softmax {width}"),
            Self::LayerNorm(width, ..) => write!(f, "LayerNorm {width}"),
            Self::Reduce(how, sides) => write!(f, "Reduce {how:?} {sides:?}"),
            Self::Resample(_, sides) => write!(f, "Resample {sides:?}"),
            Self::MaxPool(window) => write!(f, "MaxPool {:?}", window.input),
            Self::AveragePool(window, _) => write!(f, "AveragePool {:?}", window.input),
            Self::Copy(loops) => write!(f, "Copy {:?} {:?}", loops.sides, loops.steps),
            Self::Pad(loops, ..) => write!(f, "Pad {:?}", loops.sides),
            Self::Fallback(op, _) => write!(f, "Fallback {op:?}"),
        }
    }
}

/// A buffer as the image that a window slides over.
fn seen(x: &Image, window: ConvGeometry) -> Image {
    let pixels = window.input.0 * window.input.1;
    x.reshaped(window.input, x.values().len() / pixels)
}

fn fall_back(
    cpu: &Cpu,
    op: &Op,
    operands: &[Operand],
    inputs: &[Image],
) -> Result<Image, GraphError> {
    let mut inputs = inputs.iter();
    let mut tensors = Vec::with_capacity(operands.len());
    for operand in operands {
        tensors.push(match operand {
            Operand::Constant(tensor) => tensor.clone(),
            Operand::Value(shape, order) => {
                let image = inputs.next();
                let image = image.ok_or_else(|| GraphError::new("An input is missing."))?;
                let values = layout::row_major_values(image.values(), shape, order);
                Tensor::single(shape, Arc::new(values))
            }
        });
    }
    let tensors: Vec<&Tensor> = tensors.iter().collect();
    let output = reference::forward(op, &tensors, cpu.level)?;
    Ok(Image::from_values(cpu, &output.singles(), (1, 1)))
}
