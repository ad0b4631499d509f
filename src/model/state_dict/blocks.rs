//! Parts that many families share: a convolution with its normalization and activation, gates
//! (squeeze and excitation), and inverted residuals.

use crate::model::graph::{Conv, GraphError, Unary, ValueId};
use crate::model::state_dict::{Layers, same_padding};

/// `ReLU6`.
pub const RELU6: Unary = Unary::Clip(0.0, 6.0);
/// PyTorch's hard sigmoid: `clip(x/6 + 1/2, 0, 1)`.
pub const HARD_SIGMOID: Unary = Unary::HardSigmoid(1.0 / 6.0, 0.5);

/// How the convolutions of a network differ from library to library.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Style {
    /// Added to the variance by batch norms.
    pub eps: f32,
    /// Whether padding is `TensorFlow`'s "same": as many zeros as the input's size needs, the odd
    /// one at the end. Else half of the kernel on each side.
    pub same: bool,
}

/// Which channels a convolution reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// All of them.
    All,
    /// Each output one channel of its own.
    One,
    /// Groups, as large as the weight says.
    Groups,
}

/// A convolution, batch norm and activation, and what they are called.
#[derive(Clone, Copy, Debug)]
pub struct Unit<'a> {
    /// The convolution's path.
    pub conv: &'a str,
    /// The batch norm's path.
    pub norm: &'a str,
    /// The activation's path in networks that were saved whole; empty if it is no module.
    pub act: &'a str,
    /// The name of the output.
    pub output: &'a str,
}

impl Layers<'_> {
    /// The parameters of a convolution with a square, odd kernel and as many groups as the weight
    /// has.
    ///
    /// # Errors
    /// If the weight is missing or does not fit.
    pub fn padded_conv(
        &self,
        name: &str,
        x: ValueId,
        (kernel, stride): (usize, usize),
        reads: Reads,
        same: bool,
    ) -> Result<Conv, GraphError> {
        let weight = self.tensor_shape(&format!("{name}.weight"))?;
        let fault =
            |what: &str| GraphError::new(format!("{name} {what}: its weight is {weight:?}"));
        let (&[out, each, down, across], &[_, channels, height, width]) =
            (&weight[..], self.shape(x))
        else {
            return Err(fault("is no convolution of images"));
        };
        if [down, across] != [kernel, kernel] {
            return Err(fault(&format!("is no {kernel}×{kernel} convolution")));
        }
        let fits = match reads {
            Reads::All => each == channels,
            Reads::One => each == 1 && out == channels,
            Reads::Groups => each > 0 && channels.is_multiple_of(each),
        };
        if !fits {
            return Err(fault(&format!("does not fit {channels} channels")));
        }
        let (vertical, horizontal) = if same {
            let pads = same_padding(height, kernel, stride, 1);
            let pads = pads.zip(same_padding(width, kernel, stride, 1));
            pads.ok_or_else(|| fault("can't be padded"))?
        } else {
            ((kernel / 2, kernel / 2), (kernel / 2, kernel / 2))
        };
        Ok(Conv {
            strides: [stride, stride],
            pads: [vertical.0, horizontal.0, vertical.1, horizontal.1],
            dilations: [1, 1],
            groups: channels / each,
        })
    }

    /// A convolution without bias, batch norm, activation.
    ///
    /// # Errors
    /// If a tensor is missing or does not fit.
    pub fn unit(
        &mut self,
        unit: &Unit,
        plan: Plan,
        style: Style,
        x: ValueId,
    ) -> Result<ValueId, GraphError> {
        let kernel = (plan.kernel, plan.stride);
        let conv = self.padded_conv(unit.conv, x, kernel, plan.reads, style.same)?;
        let x = self.conv(unit.conv, x, conv)?;
        self.norm_activation(unit, plan.activation, style, x)
    }

    /// The batch norm and the activation of a unit.
    ///
    /// # Errors
    /// If a tensor is missing or does not fit.
    pub fn norm_activation(
        &mut self,
        unit: &Unit,
        activation: Option<Unary>,
        style: Style,
        x: ValueId,
    ) -> Result<ValueId, GraphError> {
        let Some(activation) = activation else {
            return self.batch_norm_as(unit.norm, unit.output, x, style.eps);
        };
        let x = self.batch_norm(unit.norm, x, style.eps)?;
        let act = [unit.act];
        let paths = if unit.act.is_empty() { &act[..0] } else { &act };
        self.activation(unit.output, paths, activation, x)
    }

    /// A unit whose convolution, batch norm and activation are the parts "0", "1" and "2" of a
    /// module.
    ///
    /// # Errors
    /// If a tensor is missing or does not fit.
    pub fn sequential_unit(
        &mut self,
        path: &str,
        plan: Plan,
        style: Style,
        x: ValueId,
    ) -> Result<ValueId, GraphError> {
        let unit = Unit {
            conv: &format!("{path}.0"),
            norm: &format!("{path}.1"),
            act: &format!("{path}.2"),
            output: path,
        };
        self.unit(&unit, plan, style, x)
    }

    /// Squeeze and excitation: each channel times a gate, `gate(W₂·act(W₁·mean + b₁) + b₂)`, both
    /// weights as 1×1 convolutions. (act, gate) are the functions.
    ///
    /// # Errors
    /// If a tensor is missing or does not fit.
    pub fn squeeze(
        &mut self,
        names: &Squeeze,
        (activation, gate): (Unary, Unary),
        x: ValueId,
    ) -> Result<ValueId, GraphError> {
        let Squeeze {
            name,
            reduce,
            expand,
            act,
            gate: gate_path,
        } = *names;
        let mean = self.global_average_pool(&format!("{name}.mean"), x, true)?;
        let squeezed = self.conv(reduce, mean, Conv::PLAIN)?;
        let squeezed = self.activation(act, &[act], activation, squeezed)?;
        let expanded = self.conv(expand, squeezed, Conv::PLAIN)?;
        let gates = self.activation(gate_path, &[gate_path], gate, expanded)?;
        self.mul(name, x, gates)
    }

    /// The sum of a block's input and its inner part, where stride and channels allow it.
    ///
    /// # Errors
    /// Never for values of this graph.
    pub fn residual(
        &mut self,
        name: &str,
        x: ValueId,
        inner: ValueId,
        stride: usize,
    ) -> Result<ValueId, GraphError> {
        if stride == 1 && self.shape(x)[1] == self.shape(inner)[1] {
            self.add(name, inner, x)
        } else {
            self.rename(inner, name);
            Ok(inner)
        }
    }

    /// `torchvision.ops.SqueezeExcitation` with these (activation, gate).
    ///
    /// # Errors
    /// If a tensor is missing or does not fit.
    pub fn torchvision_squeeze(
        &mut self,
        name: &str,
        functions: (Unary, Unary),
        x: ValueId,
    ) -> Result<ValueId, GraphError> {
        let squeeze = Squeeze {
            name,
            reduce: &format!("{name}.fc1"),
            expand: &format!("{name}.fc2"),
            act: &format!("{name}.activation"),
            gate: &format!("{name}.scale_activation"),
        };
        self.squeeze(&squeeze, functions, x)
    }
}

/// The kernel's side, stride, channels read and activation of a unit.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Side of the kernel, an odd number.
    pub kernel: usize,
    /// Stride on both axes.
    pub stride: usize,
    /// Which channels it reads.
    pub reads: Reads,
    /// The activation.
    pub activation: Option<Unary>,
}

impl Plan {
    /// A 1×1 convolution.
    #[must_use]
    pub const fn pointwise(activation: Option<Unary>) -> Self {
        Self {
            kernel: 1,
            stride: 1,
            reads: Reads::All,
            activation,
        }
    }

    /// A convolution of each channel.
    #[must_use]
    pub const fn depthwise(kernel: usize, stride: usize, activation: Unary) -> Self {
        Self {
            kernel,
            stride,
            reads: Reads::One,
            activation: Some(activation),
        }
    }

    /// A convolution of all channels.
    #[must_use]
    pub const fn full(kernel: usize, stride: usize, activation: Unary) -> Self {
        Self {
            kernel,
            stride,
            reads: Reads::All,
            activation: Some(activation),
        }
    }
}

/// The paths of squeeze and excitation.
#[derive(Clone, Copy, Debug)]
pub struct Squeeze<'a> {
    /// The module, and the name of the output.
    pub name: &'a str,
    /// The first convolution.
    pub reduce: &'a str,
    /// The second convolution.
    pub expand: &'a str,
    /// The activation between them.
    pub act: &'a str,
    /// The function after them.
    pub gate: &'a str,
}

/// Checks the shape of a tensor.
///
/// # Errors
/// If it is missing or has another shape.
pub fn expect(layers: &Layers, tensor: &str, shape: &[usize]) -> Result<(), GraphError> {
    let its = layers.tensor_shape(tensor)?;
    if its == shape {
        Ok(())
    } else {
        let text = format!("{tensor} has the shape {its:?} instead of {shape:?}");
        Err(GraphError::new(text))
    }
}

/// The multiple of `divisor` that is nearest to a number of channels, at least `divisor`, and one
/// more if that is less than `limit` times the number: `make_divisible` of timm and torchvision.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a number of channels
pub fn divisible(channels: f64, divisor: usize, limit: f64) -> usize {
    let step = divisor as f64;
    let rounded = ((channels + step / 2.0) / step).floor() * step;
    let rounded = rounded.max(step);
    let rounded = if rounded < limit * channels {
        rounded + step
    } else {
        rounded
    };
    rounded as usize
}
