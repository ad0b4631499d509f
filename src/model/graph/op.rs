//! The operators.

use std::sync::Arc;

/// An operator. `x` is the first input; `[…]` are shapes; constants are marked "const".
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// 2-D convolution. `x [N, C, H, W]`, weight `[M, C/groups, kh, kw]` (const), optional bias
    /// `[M]` (const).
    Conv(Conv),
    /// `x [.., K]`, weight `[M, K]` (const), optional bias `[M]` (const) → `[.., M]`: `x·Wᵀ + b`.
    Linear,
    /// `a [.., M, K] · b [.., K, N]`, leading dimensions broadcast, as `numpy.matmul`. Ranks of at
    /// least 2.
    MatMul,
    /// `x [N, C, ..]`, weight γ `[C]`, bias β `[C]`, running mean `[C]`, running variance `[C]` (all
    /// const): `(x − mean) / √(variance + eps) · γ + β`.
    BatchNorm {
        /// Added to the variance.
        eps: f32,
    },
    /// Normalizes to mean 0 and variance 1 over the axes from `axis` to the last one. Optional
    /// weight and bias (const) with the shape of those axes.
    LayerNorm {
        /// The first normalized axis.
        axis: usize,
        /// Added to the variance.
        eps: f32,
    },
    /// Normalizes each group of channels. `x [N, C, ..]`, weight `[C]`, bias `[C]` (const).
    /// Instance normalization has as many groups as channels.
    GroupNorm {
        /// Number of groups.
        groups: usize,
        /// Added to the variance.
        eps: f32,
    },
    /// Local response normalization over channels (axis 1): `x / (bias + alpha/size·Σx²)^beta`, the
    /// sum over `size` channels around each.
    Lrn {
        /// Channels in a sum.
        size: usize,
        /// See above.
        alpha: f32,
        /// See above.
        beta: f32,
        /// See above.
        bias: f32,
    },
    /// Applied to each value.
    Unary(Unary),
    /// Of two values, with numpy's broadcasting.
    Binary(Binary),
    /// Over one axis.
    Softmax {
        /// The axis.
        axis: usize,
    },
    /// The logarithm of the softmax, over one axis.
    LogSoftmax {
        /// The axis.
        axis: usize,
    },
    /// Maximum in windows of the last two axes of `x [N, C, H, W]`; padding never is the maximum.
    MaxPool(Pool),
    /// Mean of windows of the last two axes of `x [N, C, H, W]`.
    AveragePool {
        /// The windows.
        pool: Pool,
        /// Whether padding counts as zeros. Windows that end beyond the padding (`ceil_mode`) are
        /// divided by the number of positions up to the padding's end.
        count_include_pad: bool,
    },
    /// Reduces some axes.
    Reduce {
        /// How.
        kind: ReduceKind,
        /// The axes, ascending.
        axes: Vec<usize>,
        /// Whether the axes stay with length 1.
        keep_dims: bool,
    },
    /// Joins its inputs along an axis.
    Concat {
        /// The axis.
        axis: usize,
    },
    /// The positions `start, start + step, …` of one axis, `length` of them.
    Slice {
        /// The axis.
        axis: usize,
        /// The first position.
        start: usize,
        /// Distance of positions; may be negative, never 0.
        step: isize,
        /// Number of positions.
        length: usize,
    },
    /// The given positions of one axis, which is replaced by the axes `shape` (none: the axis
    /// disappears).
    Gather {
        /// The axis.
        axis: usize,
        /// The positions, row-major.
        indices: Arc<Vec<usize>>,
        /// The axes that replace `axis`.
        shape: Vec<usize>,
    },
    /// Adds values before and after each axis.
    Pad {
        /// Number of values before each axis.
        before: Vec<usize>,
        /// Number of values after each axis.
        after: Vec<usize>,
        /// Which values.
        mode: PadMode,
    },
    /// The same values, row-major, in another shape.
    Reshape {
        /// The shape.
        shape: Vec<usize>,
    },
    /// Axis `i` of the output is axis `perm[i]` of the input.
    Transpose {
        /// The axes.
        perm: Vec<usize>,
    },
    /// Repeats axes of length 1 (numpy's broadcasting).
    Expand {
        /// The shape.
        shape: Vec<usize>,
    },
    /// Each position of the output along one axis is a weighted sum of positions of the input:
    /// resizing, adaptive pooling.
    Resample {
        /// The axis.
        axis: usize,
        /// The sums, one for each position of the output.
        taps: Arc<Taps>,
    },
}

/// The parameters of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv {
    /// Down, across.
    pub strides: [usize; 2],
    /// Zeros above, to the left, below, to the right.
    pub pads: [usize; 4],
    /// Down, across; 1 is an ordinary convolution.
    pub dilations: [usize; 2],
    /// Number of groups of channels.
    pub groups: usize,
}

impl Conv {
    /// Stride 1, no padding, one group.
    pub const PLAIN: Self = Self {
        strides: [1, 1],
        pads: [0; 4],
        dilations: [1, 1],
        groups: 1,
    };

    /// With the same stride on both axes and the same padding on all sides.
    #[must_use]
    pub const fn new(stride: usize, padding: usize, groups: usize) -> Self {
        Self {
            strides: [stride, stride],
            pads: [padding; 4],
            dilations: [1, 1],
            groups,
        }
    }
}

/// The windows of a pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Down, across.
    pub kernel: [usize; 2],
    /// Down, across.
    pub strides: [usize; 2],
    /// Padding above, to the left, below, to the right.
    pub pads: [usize; 4],
    /// Down, across.
    pub dilations: [usize; 2],
    /// Whether a window may end beyond the padding. One that would start there does not exist.
    pub ceil_mode: bool,
}

impl Pool {
    /// Square windows.
    #[must_use]
    pub const fn new(kernel: usize, stride: usize, padding: usize) -> Self {
        Self {
            kernel: [kernel, kernel],
            strides: [stride, stride],
            pads: [padding; 4],
            dilations: [1, 1],
            ceil_mode: false,
        }
    }
}

/// How axes are reduced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReduceKind {
    /// The mean.
    Mean,
    /// The sum.
    Sum,
    /// The maximum; the first one gets the gradient.
    Max,
    /// The minimum; the first one gets the gradient.
    Min,
    /// `√Σx²`.
    L2,
}

/// The values that a padding adds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PadMode {
    /// This value.
    Constant(f32),
    /// Mirrored without repeating the border.
    Reflect,
    /// The border.
    Edge,
}

/// A position of the input and its weight.
pub type Tap = (u32, f32);

/// For each position of an output axis, the sum that makes it.
pub type Taps = Vec<Vec<Tap>>;

/// A function of one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unary {
    /// `max(x, 0)`; its gradient at 0 is 0.
    Relu,
    /// `x` above 0, else `slope·x`.
    LeakyRelu(f32),
    /// `x` above 0, else `alpha·(eˣ − 1)`.
    Elu(f32),
    /// `gamma·(x above 0, else alpha·(eˣ − 1))`: (alpha, gamma).
    Selu(f32, f32),
    /// Limited to a range. The gradient is 0 at its ends, as for PyTorch's `hardtanh` and `relu6`.
    Clip(f32, f32),
    /// `1 / (1 + e⁻ˣ)`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `clip(alpha·x + beta, 0, 1)`.
    HardSigmoid(f32, f32),
    /// `x·clip(x/6 + 0.5, 0, 1)`.
    HardSwish,
    /// `x·sigmoid(x)`.
    Silu,
    /// `x·Φ(x)` with the error function.
    Gelu,
    /// Its approximation with tanh.
    GeluTanh,
    /// `x·tanh(softplus(x))`.
    Mish,
    /// `ln(1 + eˣ)`.
    Softplus,
    /// `x / (1 + |x|)`.
    Softsign,
    /// The error function.
    Erf,
    /// `eˣ`.
    Exp,
    /// Natural logarithm.
    Log,
    /// Square root.
    Sqrt,
    /// `1/x`.
    Reciprocal,
    /// Absolute value; its gradient at 0 is 0.
    Abs,
    /// `−x`.
    Neg,
    /// Sine.
    Sin,
    /// Cosine.
    Cos,
    /// Rounded down; its gradient is 0.
    Floor,
    /// Rounded up; its gradient is 0.
    Ceil,
    /// Rounded to the nearest, ties to even; its gradient is 0.
    Round,
    /// −1, 0 or 1; its gradient is 0.
    Sign,
}

/// A function of two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// Sum.
    Add,
    /// Difference.
    Sub,
    /// Product.
    Mul,
    /// Quotient.
    Div,
    /// Power.
    Pow,
    /// The larger one. Of equal ones, each gets half of the gradient, as in PyTorch.
    Max,
    /// The smaller one. Of equal ones, each gets half of the gradient, as in PyTorch.
    Min,
    /// `x` above 0, else `slope·x`: inputs x, slope.
    PRelu,
}
