//! Operators that move values: slices, padding, transposition, joining, resampling.

use std::sync::Arc;

use rayon::prelude::*;

use crate::model::graph::reference::Tensor;
use crate::model::graph::reference::elementwise::CHUNK;
use crate::model::graph::{Op, PadMode, Taps};

/// Marks an added value in [`Map`].
const ADDED: usize = usize::MAX;

/// Where each value of the output comes from: the sum over the axes of the output of an offset for
/// the position on each.
pub(super) struct Map {
    /// For each axis of the output, the offset for each position, or [`ADDED`].
    offsets: Vec<Vec<usize>>,
    /// The value of added positions.
    added: f64,
    /// Number of values of the input.
    inputs: usize,
}

impl Map {
    /// The map of an operator that only moves values. Any other one is taken as the identity.
    pub(super) fn new(op: &Op, shape: &[usize]) -> Self {
        let steps = steps(shape);
        let mut offsets: Vec<Vec<usize>> = shape
            .iter()
            .zip(&steps)
            .map(|(side, step)| (0..*side).map(|at| at * step).collect())
            .collect();
        let mut added = 0.0;
        match op {
            Op::Slice {
                axis,
                start,
                step,
                length,
            } => {
                let at = |index: usize| {
                    let shift = step.wrapping_mul(index.cast_signed());
                    start.wrapping_add_signed(shift)
                };
                offsets[*axis] = (0..*length).map(|i| at(i) * steps[*axis]).collect();
            }
            Op::Gather { axis, indices, .. } => {
                // The axes that replace this one are one here.
                offsets[*axis] = indices.iter().map(|at| at * steps[*axis]).collect();
            }
            Op::Pad {
                before,
                after,
                mode,
            } => {
                if let PadMode::Constant(value) = mode {
                    added = f64::from(*value);
                }
                for (axis, offsets) in offsets.iter_mut().enumerate() {
                    let (before, after) = (before[axis], after[axis]);
                    *offsets = padded(shape[axis], (before, after), *mode)
                        .map(|at| at.map_or(ADDED, |at| at * steps[axis]))
                        .collect();
                }
            }
            Op::Transpose { perm } => {
                let mut moved = Vec::with_capacity(perm.len());
                for axis in perm {
                    moved.push(std::mem::take(&mut offsets[*axis]));
                }
                offsets = moved;
            }
            Op::Expand { shape: whole } => {
                let missing = whole.len() - shape.len();
                let repeated = |axis: usize| {
                    let old = axis.checked_sub(missing).filter(|axis| shape[*axis] > 1);
                    old.map_or_else(|| vec![0; whole[axis]], |axis| offsets[axis].clone())
                };
                offsets = (0..whole.len()).map(repeated).collect();
            }
            _ => {}
        }
        Self {
            offsets,
            added,
            inputs: shape.iter().product(),
        }
    }

    /// The output.
    pub(super) fn forward(&self, x: &[f64]) -> Vec<f64> {
        let inner = self.inner();
        let total: usize = self.offsets.iter().map(Vec::len).product();
        let mut out = vec![self.added; total];
        let runs = runs(inner);
        let rows = (CHUNK / inner.len()).max(1);
        let chunks = out.par_chunks_mut(rows * inner.len()).enumerate();
        chunks.for_each(|(chunk, out)| {
            for (row, out) in out.chunks_exact_mut(inner.len()).enumerate() {
                let Some(base) = self.base(chunk * rows + row) else {
                    continue;
                };
                if let Some(runs) = &runs {
                    for (at, from, count) in runs {
                        out[*at..][..*count].copy_from_slice(&x[base + from..][..*count]);
                    }
                    continue;
                }
                for (out, offset) in out.iter_mut().zip(inner) {
                    if *offset != ADDED {
                        *out = x[base + offset];
                    }
                }
            }
        });
        out
    }

    /// The gradient with respect to the input.
    pub(super) fn backward(&self, gradient: &[f64]) -> Vec<f64> {
        let inner = self.inner();
        let mut out = vec![0.0; self.inputs];
        for (row, gradient) in gradient.chunks_exact(inner.len()).enumerate() {
            let Some(base) = self.base(row) else { continue };
            for (g, offset) in gradient.iter().zip(inner) {
                if *offset != ADDED {
                    out[base + offset] += g;
                }
            }
        }
        out
    }

    /// The offsets of the last axis.
    fn inner(&self) -> &[usize] {
        self.offsets.last().map_or(&[0], |offsets| &offsets[..])
    }

    /// The offset of a row; none if it is added.
    fn base(&self, row: usize) -> Option<usize> {
        let mut rest = row;
        let mut base = 0;
        for offsets in self.offsets.iter().rev().skip(1) {
            let offset = offsets[rest % offsets.len()];
            rest /= offsets.len();
            if offset == ADDED {
                return None;
            }
            base += offset;
        }
        Some(base)
    }
}

/// The parts of the last axis that are contiguous in the input, as (position, offset, count), if
/// they are long enough to be worth it.
fn runs(inner: &[usize]) -> Option<Vec<(usize, usize, usize)>> {
    let mut runs: Vec<(usize, usize, usize)> = Vec::new();
    for (at, offset) in inner.iter().enumerate() {
        if *offset == ADDED {
            continue;
        }
        match runs.last_mut() {
            Some((first, from, count)) if *first + *count == at && *from + *count == *offset => {
                *count += 1;
            }
            _ => runs.push((at, *offset, 1)),
        }
    }
    (runs.len() * 4 <= inner.len()).then_some(runs)
}

/// The distances in memory of neighbors on each axis.
fn steps(shape: &[usize]) -> Vec<usize> {
    let mut steps = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        steps[axis - 1] = steps[axis] * shape[axis];
    }
    steps
}

/// For each position of a padded axis, the position in the input.
fn padded(
    side: usize,
    (before, after): (usize, usize),
    mode: PadMode,
) -> impl Iterator<Item = Option<usize>> {
    (0..before + side + after).map(move |at| {
        let inside = at.checked_sub(before).filter(|at| *at < side);
        inside.or_else(|| match mode {
            PadMode::Constant(_) => None,
            PadMode::Edge if at < before => Some(0),
            PadMode::Edge => Some(side - 1),
            PadMode::Reflect if at < before => Some(before - at),
            PadMode::Reflect => Some(2 * (side - 1) + before - at),
        })
    })
}

/// The numbers of values after and before an axis.
fn around(shape: &[usize], axis: usize) -> (usize, usize) {
    let before = shape[..axis].iter().product();
    (before, shape[axis + 1..].iter().product())
}

/// The inputs one after the other along an axis.
pub(super) fn concat(inputs: &[&Tensor], axis: usize, shape: &[usize]) -> Vec<f64> {
    let (before, after) = around(shape, axis);
    let mut out = vec![0.0; shape.iter().product()];
    let row = shape[axis] * after;
    let mut first = 0;
    for input in inputs {
        let count = input.shape[axis] * after;
        let values = input.doubles();
        for block in 0..before {
            out[block * row + first..][..count].copy_from_slice(&values[block * count..][..count]);
        }
        first += count;
    }
    out
}

/// The parts of the gradient.
pub(super) fn concat_backward(
    inputs: &[&Tensor],
    axis: usize,
    gradient: &Tensor,
    wanted: &[bool],
) -> Vec<Option<Tensor>> {
    let (_, after) = around(&gradient.shape, axis);
    let values = gradient.doubles();
    let row = gradient.shape[axis] * after;
    let mut first = 0;
    let mut parts = Vec::with_capacity(inputs.len());
    for (input, wanted) in inputs.iter().zip(wanted) {
        let count = input.shape[axis] * after;
        parts.push(wanted.then(|| {
            let rows = values.chunks_exact(row);
            let part = rows.flat_map(|row| &row[first..first + count]).copied();
            Tensor::double(&input.shape, part.collect())
        }));
        first += count;
    }
    parts
}

/// Weighted sums of positions of an axis.
pub(super) fn resample(x: &Tensor, axis: usize, taps: &Arc<Taps>) -> Vec<f64> {
    let (before, after) = around(&x.shape, axis);
    let values = x.doubles();
    let mut out = vec![0.0; before * taps.len() * after];
    let lines = out.par_chunks_mut(after).enumerate();
    lines.for_each(|(line, out)| {
        let block = line / taps.len() * x.shape[axis];
        for (at, weight) in &taps[line % taps.len()] {
            let from = &values[(block + *at as usize) * after..][..after];
            for (out, x) in out.iter_mut().zip(from) {
                *out += f64::from(*weight) * x;
            }
        }
    });
    out
}

pub(super) fn resample_backward(
    x: &Tensor,
    axis: usize,
    taps: &Arc<Taps>,
    gradient: &Tensor,
) -> Vec<f64> {
    let (_, after) = around(&x.shape, axis);
    let values = gradient.doubles();
    let mut out = vec![0.0; x.shape.iter().product()];
    let sides = values.par_chunks(taps.len() * after);
    let blocks = out.par_chunks_mut(x.shape[axis] * after).zip(sides);
    blocks.for_each(|(out, gradient)| {
        for (taps, gradient) in taps.iter().zip(gradient.chunks_exact(after)) {
            for (at, weight) in taps {
                let out = &mut out[*at as usize * after..][..after];
                for (out, g) in out.iter_mut().zip(gradient) {
                    *out += f64::from(*weight) * g;
                }
            }
        }
    });
    out
}
