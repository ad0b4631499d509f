//! Values that are known before the network runs: weights, shapes and what is computed from them.

use std::sync::Arc;

use crate::model::graph::{Op, ValueId};

/// A value while a graph is built.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Depends on the photo.
    Dynamic(ValueId),
    /// Known already.
    Constant(Array),
}

/// A constant with its type.
#[derive(Clone, Debug)]
pub(super) struct Array {
    /// Its name in the file.
    pub(super) name: Arc<str>,
    /// Its dimensions. Some may be 0.
    pub(super) shape: Vec<usize>,
    /// Its values, row-major.
    pub(super) data: Data,
    /// Whether it depends on the size of the input.
    pub(super) sized: bool,
}

/// Values with their type. Clones share the memory. Integers of all widths are 64 bits wide here;
/// half precision is single.
#[derive(Clone, Debug)]
pub(super) enum Data {
    /// Single precision.
    F32(Arc<Vec<f32>>),
    /// Double precision.
    F64(Arc<Vec<f64>>),
    /// Integers.
    I64(Arc<Vec<i64>>),
    /// Truth values.
    Bool(Arc<Vec<bool>>),
}

impl Data {
    /// Number of values.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::Bool(values) => values.len(),
        }
    }

    /// Whether these are floating-point numbers.
    pub(super) fn is_float(&self) -> bool {
        matches!(self, Self::F32(_) | Self::F64(_))
    }

    /// The values at some positions.
    pub(super) fn pick(&self, positions: &[usize]) -> Self {
        fn at<T: Copy>(values: &[T], positions: &[usize]) -> Arc<Vec<T>> {
            Arc::new(positions.iter().map(|at| values[*at]).collect())
        }
        match self {
            Self::F32(values) => Self::F32(at(values, positions)),
            Self::F64(values) => Self::F64(at(values, positions)),
            Self::I64(values) => Self::I64(at(values, positions)),
            Self::Bool(values) => Self::Bool(at(values, positions)),
        }
    }

    /// As single precision.
    #[allow(clippy::cast_possible_truncation)] // rounding is what is asked for
    pub(super) fn to_f32(&self) -> Arc<Vec<f32>> {
        match self {
            Self::F32(values) => Arc::clone(values),
            Self::F64(values) => Arc::new(values.iter().map(|value| *value as f32).collect()),
            Self::I64(values) => Arc::new(values.iter().map(|value| *value as f32).collect()),
            Self::Bool(values) => Arc::new(values.iter().map(|value| f32::from(*value)).collect()),
        }
    }

    /// As double precision.
    pub(super) fn to_f64(&self) -> Arc<Vec<f64>> {
        match self {
            Self::F32(values) => Arc::new(values.iter().map(|value| f64::from(*value)).collect()),
            Self::F64(values) => Arc::clone(values),
            Self::I64(values) => Arc::new(values.iter().map(|value| *value as f64).collect()),
            Self::Bool(values) => Arc::new(values.iter().map(|value| f64::from(*value)).collect()),
        }
    }

    /// As integers, rounded toward zero.
    #[allow(clippy::cast_possible_truncation)] // saturates, as intended
    pub(super) fn to_i64(&self) -> Arc<Vec<i64>> {
        match self {
            Self::F32(values) => Arc::new(values.iter().map(|value| *value as i64).collect()),
            Self::F64(values) => Arc::new(values.iter().map(|value| *value as i64).collect()),
            Self::I64(values) => Arc::clone(values),
            Self::Bool(values) => Arc::new(values.iter().map(|value| i64::from(*value)).collect()),
        }
    }

    /// As truth values: not zero.
    pub(super) fn to_bool(&self) -> Arc<Vec<bool>> {
        match self {
            Self::F32(values) => Arc::new(values.iter().map(|value| *value != 0.0).collect()),
            Self::F64(values) => Arc::new(values.iter().map(|value| *value != 0.0).collect()),
            Self::I64(values) => Arc::new(values.iter().map(|value| *value != 0).collect()),
            Self::Bool(values) => Arc::clone(values),
        }
    }
}

impl Array {
    /// An array of integers with one axis.
    pub(super) fn integers(name: &str, values: Vec<i64>, sized: bool) -> Self {
        Self {
            name: name.into(),
            shape: vec![values.len()],
            data: Data::I64(Arc::new(values)),
            sized,
        }
    }

    /// One number without axes.
    pub(super) fn scalar(name: &str, value: f32) -> Self {
        Self {
            name: name.into(),
            shape: Vec::new(),
            data: Data::F32(Arc::new(vec![value])),
            sized: false,
        }
    }

    /// Integers.
    ///
    /// # Errors
    /// If it holds something else.
    pub(super) fn ints(&self) -> Result<&[i64], String> {
        match &self.data {
            Data::I64(values) => Ok(values),
            _ => Err(format!("{} does not hold integers", self.name)),
        }
    }

    /// A single number, for attributes that are inputs.
    ///
    /// # Errors
    /// If it holds several.
    pub(super) fn single(&self) -> Result<f64, String> {
        match self.data.to_f64()[..] {
            [value] => Ok(value),
            _ => Err(format!("{} does not hold one number", self.name)),
        }
    }
}

/// Number of values of a shape, if it is at most `most`.
pub(super) fn count(shape: &[usize], most: usize) -> Option<usize> {
    let values = shape
        .iter()
        .try_fold(1usize, |values, side| values.checked_mul(*side));
    values.filter(|values| *values <= most)
}

/// Distance of neighbors along each axis, row-major.
pub(super) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(shape[axis]);
    }
    strides
}

/// All positions `start + Σ index·step`, row-major over `shape`.
pub(super) fn positions(shape: &[usize], start: usize, steps: &[isize]) -> Vec<usize> {
    let mut all = vec![start.cast_signed()];
    for (side, step) in shape.iter().zip(steps) {
        let offsets = (0..*side).map(usize::cast_signed);
        let offsets: Vec<isize> = offsets.map(|index| index * step).collect();
        all = all
            .iter()
            .flat_map(|base| offsets.iter().map(move |offset| base + offset))
            .collect();
    }
    all.into_iter().map(isize::cast_unsigned).collect()
}

/// Where a broadcast output takes its values from.
pub(super) fn broadcast_positions(shape: &[usize], output: &[usize]) -> Vec<usize> {
    let own = strides(shape);
    let missing = output.len() - shape.len();
    let steps: Vec<isize> = (0..output.len())
        .map(|axis| match axis.checked_sub(missing) {
            Some(axis) if shape[axis] != 1 => own[axis].cast_signed(),
            _ => 0,
        })
        .collect();
    positions(output, 0, &steps)
}

/// Where the output of an operator that only moves values takes them from; `None` for others.
/// `output` is its shape.
pub(super) fn moved(op: &Op, shape: &[usize], output: &[usize]) -> Option<Vec<usize>> {
    let own = strides(shape);
    match op {
        Op::Reshape { .. } => Some((0..shape.iter().product()).collect()),
        Op::Expand { .. } => Some(broadcast_positions(shape, output)),
        Op::Transpose { perm } => {
            let steps: Vec<isize> = perm.iter().map(|axis| own[*axis].cast_signed()).collect();
            Some(positions(output, 0, &steps))
        }
        Op::Slice {
            axis, start, step, ..
        } => {
            let mut steps: Vec<isize> = own.iter().map(|step| step.cast_signed()).collect();
            let first = start * own[*axis];
            steps[*axis] *= step;
            Some(positions(output, first, &steps))
        }
        Op::Gather { axis, indices, .. } => {
            let outer: usize = shape[..*axis].iter().product();
            let inner = own[*axis];
            let side = shape[*axis];
            let mut all = Vec::with_capacity(outer * indices.len() * inner);
            for block in 0..outer {
                for index in indices.iter() {
                    let first = (block * side + index) * inner;
                    all.extend(first..first + inner);
                }
            }
            Some(all)
        }
        _ => None,
    }
}
