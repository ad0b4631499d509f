//! The executor in f64: every operator's output and vector-Jacobian product, row-major. All
//! gradients come from here; it is what the fast executor falls back to and is tested against.
//!
//! Results are the same to the bit for any number of threads and for AVX2 and AVX-512.

mod conv;
mod elementwise;
mod layout;
mod matrix;
mod multiply;
mod norm;
mod operand;
mod pool;
mod reduce;
mod run;
#[cfg(test)]
mod tests;
mod unary;

use std::borrow::Cow;
use std::sync::Arc;

use crate::model::cpu::Isa;
use crate::model::graph::{GraphError, Op};

pub use crate::model::graph::reference::run::{Keep, Run, gradients, run};

/// A tensor: values, row-major. Clones share them.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Its dimensions. A scalar has none.
    pub shape: Vec<usize>,
    /// As many as the product of the dimensions.
    pub values: Values,
}

/// Values in either precision. Weights stay in f32 and are widened where they are used.
#[derive(Clone, Debug)]
pub enum Values {
    /// In f32.
    Single(Arc<Vec<f32>>),
    /// In f64.
    Double(Arc<Vec<f64>>),
}

impl Values {
    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Single(values) => values.len(),
            Self::Double(values) => values.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Tensor {
    /// From values in f64.
    #[must_use]
    pub fn double(shape: &[usize], values: Vec<f64>) -> Self {
        Self {
            shape: shape.to_vec(),
            values: Values::Double(Arc::new(values)),
        }
    }

    /// From values in f32, which are shared.
    #[must_use]
    pub fn single(shape: &[usize], values: Arc<Vec<f32>>) -> Self {
        Self {
            shape: shape.to_vec(),
            values: Values::Single(values),
        }
    }

    /// Zeros.
    #[must_use]
    pub fn zeros(shape: &[usize]) -> Self {
        Self::double(shape, vec![0.0; shape.iter().product()])
    }

    /// The values in f64; a copy only if they are in f32.
    #[must_use]
    pub fn doubles(&self) -> Cow<'_, [f64]> {
        match &self.values {
            Values::Single(values) => values.iter().copied().map(f64::from).collect(),
            Values::Double(values) => Cow::Borrowed(values),
        }
    }

    /// The values rounded to f32.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // rounded
    pub fn singles(&self) -> Cow<'_, [f32]> {
        match &self.values {
            Values::Single(values) => Cow::Borrowed(values),
            Values::Double(values) => values.iter().map(|value| *value as f32).collect(),
        }
    }

    /// The same values in another shape with the same number of values.
    fn reshaped(&self, shape: &[usize]) -> Self {
        Self {
            shape: shape.to_vec(),
            values: self.values.clone(),
        }
    }
}

/// The output of an operator, in f64.
///
/// # Errors
/// If the inputs do not fit the operator.
pub fn forward(op: &Op, inputs: &[&Tensor], level: Isa) -> Result<Tensor, GraphError> {
    let shape = checked_shape(op, inputs)?;
    if let Op::Reshape { .. } = op {
        return Ok(widened(inputs[0]).reshaped(&shape));
    }
    let x = inputs[0];
    let values = match op {
        Op::Conv(conv) => {
            let mut out = conv::forward(conv, (x, inputs[1]), &shape, level);
            elementwise::add_per_channel(&mut out, inputs.get(2).copied(), &shape);
            out
        }
        Op::Linear => matrix::linear(x, inputs[1], inputs.get(2).copied(), level),
        Op::MatMul => matrix::product(x, inputs[1], &shape, level),
        Op::BatchNorm { eps } => norm::batch_norm(inputs, *eps),
        Op::LayerNorm { axis, eps } => norm::layer_norm(inputs, *axis, *eps),
        Op::GroupNorm { groups, eps } => norm::group_norm(inputs, *groups, *eps),
        Op::Lrn { .. } => norm::lrn(op, x),
        Op::Unary(unary) => elementwise::map(&x.doubles(), |x| unary::value(*unary, x)),
        Op::Binary(binary) => elementwise::binary(*binary, (x, inputs[1]), &shape),
        Op::Softmax { axis } => norm::softmax(x, *axis, false),
        Op::LogSoftmax { axis } => norm::softmax(x, *axis, true),
        Op::MaxPool(pool) => pool::maximum(pool, x, &shape),
        Op::AveragePool {
            pool,
            count_include_pad,
        } => pool::average(pool, *count_include_pad, x, &shape),
        Op::Reduce { kind, axes, .. } => reduce::forward(*kind, axes, x),
        Op::Concat { axis } => layout::concat(inputs, *axis, &shape),
        Op::Resample { axis, taps } => layout::resample(x, *axis, taps),
        Op::Slice { .. }
        | Op::Gather { .. }
        | Op::Pad { .. }
        | Op::Reshape { .. }
        | Op::Transpose { .. }
        | Op::Expand { .. } => layout::Map::new(op, &x.shape).forward(&x.doubles()),
    };
    Ok(Tensor::double(&shape, values))
}

/// The gradients with respect to the inputs marked in `wanted`, from the gradient with respect to
/// the output: vector-Jacobian products. Weights (const inputs) have none.
///
/// # Errors
/// If the inputs, output and gradient do not fit the operator, or a gradient with respect to
/// weights is wanted.
pub fn backward(
    op: &Op,
    inputs: &[&Tensor],
    output: &Tensor,
    gradient: &Tensor,
    wanted: &[bool],
    level: Isa,
) -> Result<Vec<Option<Tensor>>, GraphError> {
    let shape = checked_shape(op, inputs)?;
    let fits = |tensor: &Tensor| tensor.shape == shape && has_its_values(tensor);
    if !fits(output) || !fits(gradient) || wanted.len() != inputs.len() {
        return Err(GraphError::new("a gradient does not fit its operator"));
    }
    let both = matches!(op, Op::MatMul | Op::Binary(_) | Op::Concat { .. });
    if !both && wanted[1..].contains(&true) {
        return Err(GraphError::new("there is no gradient for weights"));
    }
    if !wanted.contains(&true) {
        return Ok(vec![None; inputs.len()]);
    }
    match op {
        Op::MatMul => {
            return Ok(matrix::product_backward(
                (inputs[0], inputs[1]),
                gradient,
                wanted,
                level,
            ));
        }
        Op::Binary(binary) => {
            return Ok(elementwise::binary_backward(
                *binary,
                (inputs[0], inputs[1]),
                gradient,
                wanted,
            ));
        }
        Op::Concat { axis } => return Ok(layout::concat_backward(inputs, *axis, gradient, wanted)),
        _ => {}
    }
    let x = inputs[0];
    let first = if let Op::Reshape { .. } = op {
        widened(gradient).reshaped(&x.shape)
    } else {
        Tensor::double(
            &x.shape,
            first_gradient(op, inputs, output, gradient, level),
        )
    };
    let mut gradients = vec![None; inputs.len()];
    gradients[0] = Some(first);
    Ok(gradients)
}

/// The gradient with respect to the first input, for operators whose other inputs are weights.
fn first_gradient(
    op: &Op,
    inputs: &[&Tensor],
    output: &Tensor,
    gradient: &Tensor,
    level: Isa,
) -> Vec<f64> {
    let x = inputs[0];
    match op {
        Op::Conv(conv) => conv::backward(conv, (x, inputs[1]), gradient, level),
        Op::Linear => matrix::linear_backward(inputs[1], gradient, level),
        Op::BatchNorm { eps } => norm::batch_norm_backward(inputs, *eps, gradient),
        Op::LayerNorm { axis, eps } => norm::layer_norm_backward(inputs, *axis, *eps, gradient),
        Op::GroupNorm { groups, eps } => norm::group_norm_backward(inputs, *groups, *eps, gradient),
        Op::Lrn { .. } => norm::lrn_backward(op, x, gradient),
        Op::Unary(unary) => {
            let (x, gradient) = (x.doubles(), gradient.doubles());
            elementwise::map2(&x, &gradient, |x, g| g * unary::derivative(*unary, x))
        }
        Op::Softmax { axis } => norm::softmax_backward(output, gradient, *axis, false),
        Op::LogSoftmax { axis } => norm::softmax_backward(output, gradient, *axis, true),
        Op::MaxPool(pool) => pool::maximum_backward(pool, x, gradient),
        Op::AveragePool {
            pool,
            count_include_pad,
        } => pool::average_backward(pool, *count_include_pad, x, gradient),
        Op::Reduce { kind, axes, .. } => reduce::backward(*kind, axes, x, output, gradient),
        Op::Resample { axis, taps } => layout::resample_backward(x, *axis, taps, gradient),
        Op::Transpose { perm } => {
            let mut inverse = vec![0; perm.len()];
            for (to, from) in perm.iter().enumerate() {
                inverse[*from] = to;
            }
            let back = Op::Transpose { perm: inverse };
            layout::Map::new(&back, &gradient.shape).forward(&gradient.doubles())
        }
        _ => layout::Map::new(op, &x.shape).backward(&gradient.doubles()),
    }
}

/// The output's shape.
fn checked_shape(op: &Op, inputs: &[&Tensor]) -> Result<Vec<usize>, GraphError> {
    if !inputs.iter().all(|tensor| has_its_values(tensor)) {
        return Err(GraphError::new(
            "the values of a tensor do not fit its shape",
        ));
    }
    let shapes: Vec<&[usize]> = inputs.iter().map(|tensor| &tensor.shape[..]).collect();
    op.output_shape(&shapes).map_err(GraphError::new)
}

fn has_its_values(tensor: &Tensor) -> bool {
    let mut sides = tensor.shape.iter();
    let count = sides.try_fold(1usize, |n, side| n.checked_mul(*side));
    count == Some(tensor.values.len()) && !tensor.values.is_empty()
}

/// In f64.
fn widened(tensor: &Tensor) -> Tensor {
    match &tensor.values {
        Values::Single(_) => Tensor::double(&tensor.shape, tensor.doubles().into_owned()),
        Values::Double(_) => tensor.clone(),
    }
}
