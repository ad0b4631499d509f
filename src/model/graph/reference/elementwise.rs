//! Functions of each value, and of two values with broadcasting.

use rayon::prelude::*;

use crate::model::graph::Binary;
use crate::model::graph::reference::Tensor;

/// Values of a task.
pub(super) const CHUNK: usize = 1 << 14;

/// A function of each value.
pub(super) fn map(x: &[f64], f: impl Fn(f64) -> f64 + Sync) -> Vec<f64> {
    let mut out = vec![0.0; x.len()];
    let chunks = out.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK));
    chunks.for_each(|(out, x)| {
        for (out, x) in out.iter_mut().zip(x) {
            *out = f(*x);
        }
    });
    out
}

/// A function of pairs of values.
pub(super) fn map2(a: &[f64], b: &[f64], f: impl Fn(f64, f64) -> f64 + Sync) -> Vec<f64> {
    let mut out = vec![0.0; a.len()];
    let sides = a.par_chunks(CHUNK).zip(b.par_chunks(CHUNK));
    let chunks = out.par_chunks_mut(CHUNK).zip(sides);
    chunks.for_each(|(out, (a, b))| {
        for (out, (a, b)) in out.iter_mut().zip(a.iter().zip(b)) {
            *out = f(*a, *b);
        }
    });
    out
}

/// Adds a value per channel to `x [N, C, ..]`.
pub(super) fn add_per_channel(x: &mut [f64], bias: Option<&Tensor>, shape: &[usize]) {
    let Some(bias) = bias else { return };
    let bias = bias.doubles();
    let area: usize = shape[2..].iter().product();
    let planes = x.par_chunks_mut(area).enumerate();
    planes.for_each(|(plane, x)| {
        let bias = bias[plane % bias.len()];
        for x in x {
            *x += bias;
        }
    });
}

/// A function of two tensors that are broadcast to `shape`.
pub(super) fn binary(binary: Binary, (a, b): (&Tensor, &Tensor), shape: &[usize]) -> Vec<f64> {
    combine((a, b), shape, |a, b| value(binary, a, b))
}

/// The gradients with respect to both tensors.
pub(super) fn binary_backward(
    binary: Binary,
    (a, b): (&Tensor, &Tensor),
    gradient: &Tensor,
    wanted: &[bool],
) -> Vec<Option<Tensor>> {
    let shape = &gradient.shape;
    let side = |index: usize, tensor: &Tensor| {
        wanted[index].then(|| {
            // Of these, no value is needed.
            let whole = match (binary, index) {
                (Binary::Add, _) | (Binary::Sub, 0) => gradient.doubles().into_owned(),
                (Binary::Sub, _) => map(&gradient.doubles(), |g| -g),
                _ => {
                    let slopes = combine((a, b), shape, |a, b| slopes(binary, a, b)[index]);
                    map2(&slopes, &gradient.doubles(), |slope, g| g * slope)
                }
            };
            let values = sum_to(whole, shape, &tensor.shape);
            Tensor::double(&tensor.shape, values)
        })
    };
    vec![side(0, a), side(1, b)]
}

fn value(binary: Binary, a: f64, b: f64) -> f64 {
    match binary {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Div => a / b,
        Binary::Pow => a.powf(b),
        // Not-a-number on either side is the result.
        Binary::Max | Binary::Min if a.is_nan() || b.is_nan() => f64::NAN,
        Binary::Max => a.max(b),
        Binary::Min => a.min(b),
        Binary::PRelu if a > 0.0 => a,
        Binary::Mul | Binary::PRelu => a * b,
    }
}

/// The partial derivatives.
fn slopes(binary: Binary, a: f64, b: f64) -> [f64; 2] {
    let share = |first: bool, second: bool| match (first, second) {
        (true, _) => [1.0, 0.0],
        (_, true) => [0.0, 1.0],
        _ => [0.5, 0.5],
    };
    match binary {
        Binary::Add => [1.0, 1.0],
        Binary::Sub => [1.0, -1.0],
        Binary::Div => [1.0 / b, -a / (b * b)],
        Binary::Pow => {
            let first = if b == 0.0 { 0.0 } else { b * a.powf(b - 1.0) };
            let second = if a == 0.0 && b >= 0.0 {
                0.0
            } else {
                a.powf(b) * a.ln()
            };
            [first, second]
        }
        Binary::Max => share(a > b, b > a),
        Binary::Min => share(a < b, b < a),
        Binary::PRelu if a > 0.0 => [1.0, 0.0],
        Binary::Mul | Binary::PRelu => [b, a],
    }
}

/// Combines two tensors that are broadcast to `shape`.
fn combine(
    (a, b): (&Tensor, &Tensor),
    shape: &[usize],
    f: impl Fn(f64, f64) -> f64 + Sync,
) -> Vec<f64> {
    let (a_values, b_values) = (a.doubles(), b.doubles());
    if a.shape == b.shape {
        return map2(&a_values, &b_values, f);
    }
    let axes = Axes::new(shape, &[&a.shape, &b.shape]);
    let mut out = vec![0.0; shape.iter().product()];
    let inner = axes.inner();
    let (a_step, b_step) = (axes.strides[0][axes.last()], axes.strides[1][axes.last()]);
    let rows = (CHUNK / inner).max(1);
    let chunks = out.par_chunks_mut(rows * inner).enumerate();
    chunks.for_each(|(chunk, out)| {
        for (row, out) in out.chunks_exact_mut(inner).enumerate() {
            let at = axes.offsets(chunk * rows + row);
            let (a, b) = (&a_values[at[0]..], &b_values[at[1]..]);
            match (a_step, b_step) {
                (0, _) => out
                    .iter_mut()
                    .zip(b)
                    .for_each(|(out, b)| *out = f(a[0], *b)),
                (_, 0) => out
                    .iter_mut()
                    .zip(a)
                    .for_each(|(out, a)| *out = f(*a, b[0])),
                _ => {
                    for (out, (a, b)) in out.iter_mut().zip(a.iter().zip(b)) {
                        *out = f(*a, *b);
                    }
                }
            }
        }
    });
    out
}

/// Sums values of the shape `whole` over the axes along which `part` was broadcast.
pub(super) fn sum_to(values: Vec<f64>, whole: &[usize], part: &[usize]) -> Vec<f64> {
    if whole.iter().product::<usize>() == part.iter().product::<usize>() {
        return values;
    }
    let axes = Axes::new(whole, &[part]);
    let mut out = vec![0.0; part.iter().product()];
    let step = axes.strides[0][axes.last()];
    for (row, values) in values.chunks_exact(axes.inner()).enumerate() {
        let out = &mut out[axes.offsets(row)[0]..];
        if step == 0 {
            out[0] += values.iter().sum::<f64>();
        } else {
            for (out, value) in out.iter_mut().zip(values) {
                *out += value;
            }
        }
    }
    out
}

/// The axes of a shape, neighbors merged where all parts allow it, and the distances in memory of
/// each part along them: 0 where it is broadcast. The last axis of a part has the distance 0 or
/// 1.
pub(super) struct Axes {
    sides: Vec<usize>,
    /// For each part, for each axis.
    pub(super) strides: Vec<Vec<usize>>,
}

impl Axes {
    pub(super) fn new(whole: &[usize], parts: &[&[usize]]) -> Self {
        let mut sides = Vec::new();
        let mut strides: Vec<Vec<usize>> = vec![Vec::new(); parts.len()];
        let mut next = vec![1; parts.len()];
        // From the last axis to the first; reversed at the end.
        for axis in (0..whole.len()).rev() {
            if whole[axis] == 1 {
                continue;
            }
            let steps: Vec<usize> = parts
                .iter()
                .zip(&mut next)
                .map(|(part, next)| {
                    let missing = whole.len() - part.len();
                    let side = axis.checked_sub(missing).map_or(1, |axis| part[axis]);
                    let step = if side == 1 { 0 } else { *next };
                    *next *= side;
                    step
                })
                .collect();
            let merges = sides.last().is_some_and(|inner: &usize| {
                let mut both = steps.iter().zip(&strides);
                both.all(|(step, strides)| *step == strides[strides.len() - 1] * inner)
            });
            if let (true, Some(last)) = (merges, sides.last_mut()) {
                *last *= whole[axis];
            } else {
                sides.push(whole[axis]);
                for (strides, step) in strides.iter_mut().zip(steps) {
                    strides.push(step);
                }
            }
        }
        if sides.is_empty() {
            sides.push(1);
            for strides in &mut strides {
                strides.push(1);
            }
        }
        sides.reverse();
        for strides in &mut strides {
            strides.reverse();
        }
        Self { sides, strides }
    }

    /// The last axis.
    pub(super) fn last(&self) -> usize {
        self.sides.len() - 1
    }

    /// Its length.
    pub(super) fn inner(&self) -> usize {
        self.sides[self.last()]
    }

    /// Where a row (all axes but the last, row-major) begins in the first two parts.
    pub(super) fn offsets(&self, row: usize) -> [usize; 2] {
        let mut rest = row;
        let mut offsets = [0; 2];
        for axis in (0..self.last()).rev() {
            let index = rest % self.sides[axis];
            rest /= self.sides[axis];
            for (offset, strides) in offsets.iter_mut().zip(&self.strides) {
                *offset += index * strides[axis];
            }
        }
        offsets
    }
}
