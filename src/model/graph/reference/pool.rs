//! Pooling: maximum and mean of windows.

use std::ops::Range;

use rayon::prelude::*;

use crate::model::graph::Pool;
use crate::model::graph::reference::Tensor;

/// The positions of the windows along one axis.
struct Windows {
    side: usize,
    stride: usize,
    dilation: usize,
    kernel: usize,
    before: usize,
    after: usize,
}

impl Windows {
    fn new(pool: &Pool, axis: usize, side: usize) -> Self {
        Self {
            side,
            stride: pool.strides[axis],
            dilation: pool.dilations[axis],
            kernel: pool.kernel[axis],
            before: pool.pads[axis],
            after: pool.pads[axis + 2],
        }
    }

    /// The positions of a window that lie inside the input.
    fn positions(&self, window: usize) -> impl Iterator<Item = usize> + Clone {
        let start = window * self.stride;
        let taps = self.taps(window, self.before, self.before + self.side);
        let (dilation, before) = (self.dilation, self.before);
        taps.map(move |tap| start + tap * dilation - before)
    }

    /// The number of positions up to the padding's end.
    fn with_padding(&self, window: usize) -> usize {
        self.taps(window, 0, self.before + self.side + self.after)
            .len()
    }

    /// The taps of a window that lie in `first..end`, counted from the padding's begin.
    fn taps(&self, window: usize, first: usize, end: usize) -> Range<usize> {
        let start = window * self.stride;
        let taps = first.saturating_sub(start).div_ceil(self.dilation);
        let end = end.saturating_sub(start).div_ceil(self.dilation);
        let end = end.min(self.kernel);
        taps.min(end)..end
    }
}

/// The maximum of each window.
pub(super) fn maximum(pool: &Pool, x: &Tensor, shape: &[usize]) -> Vec<f64> {
    let values = x.doubles();
    let (down, across) = axes(pool, x);
    let mut out = vec![0.0; shape.iter().product()];
    let planes = values.par_chunks(x.shape[2] * x.shape[3]);
    let planes = out.par_chunks_mut(shape[2] * shape[3]).zip(planes);
    planes.for_each(|(out, x)| {
        for (i, out) in out.chunks_exact_mut(shape[3]).enumerate() {
            for (j, out) in out.iter_mut().enumerate() {
                *out = first_maximum((&down, &across), (i, j), x)
                    .map_or(f64::NEG_INFINITY, |at| x[at]);
            }
        }
    });
    out
}

pub(super) fn maximum_backward(pool: &Pool, x: &Tensor, gradient: &Tensor) -> Vec<f64> {
    let (values, gradients) = (x.doubles(), gradient.doubles());
    let (down, across) = axes(pool, x);
    let mut out = vec![0.0; values.len()];
    let area = x.shape[2] * x.shape[3];
    let (rows, columns) = (gradient.shape[2], gradient.shape[3]);
    let sides = values
        .par_chunks(area)
        .zip(gradients.par_chunks(rows * columns));
    out.par_chunks_mut(area)
        .zip(sides)
        .for_each(|(out, (x, gradient))| {
            for i in 0..rows {
                for j in 0..columns {
                    if let Some(at) = first_maximum((&down, &across), (i, j), x) {
                        out[at] += gradient[i * columns + j];
                    }
                }
            }
        });
    out
}

/// The place of the first maximum of a window, row by row; a value that is not a number counts as
/// the largest.
#[inline(always)]
fn first_maximum(
    (down, across): (&Windows, &Windows),
    (i, j): (usize, usize),
    x: &[f64],
) -> Option<usize> {
    let mut best: Option<(usize, f64)> = None;
    let columns = across.positions(j);
    for row in down.positions(i) {
        for column in columns.clone() {
            let at = row * across.side + column;
            let value = x[at];
            match best {
                Some((_, most)) if most.is_nan() || value <= most => {}
                _ => best = Some((at, value)),
            }
        }
    }
    best.map(|(at, _)| at)
}

/// The mean of each window.
pub(super) fn average(pool: &Pool, include_pad: bool, x: &Tensor, shape: &[usize]) -> Vec<f64> {
    let values = x.doubles();
    let (down, across) = axes(pool, x);
    let divisors = divisors((&down, &across), (shape[2], shape[3]), include_pad);
    let mut out = vec![0.0; shape.iter().product()];
    let planes = values.par_chunks(x.shape[2] * x.shape[3]);
    let planes = out.par_chunks_mut(shape[2] * shape[3]).zip(planes);
    planes.for_each(|(out, x)| {
        for (at, (out, divisor)) in out.iter_mut().zip(&divisors).enumerate() {
            let columns = across.positions(at % shape[3]);
            for row in down.positions(at / shape[3]) {
                for column in columns.clone() {
                    *out += x[row * across.side + column];
                }
            }
            *out /= divisor;
        }
    });
    out
}

pub(super) fn average_backward(
    pool: &Pool,
    include_pad: bool,
    x: &Tensor,
    gradient: &Tensor,
) -> Vec<f64> {
    let gradients = gradient.doubles();
    let (down, across) = axes(pool, x);
    let grid = (gradient.shape[2], gradient.shape[3]);
    let divisors = divisors((&down, &across), grid, include_pad);
    let mut out = vec![0.0; x.shape.iter().product()];
    let planes = gradients.par_chunks(grid.0 * grid.1);
    let planes = out.par_chunks_mut(x.shape[2] * x.shape[3]).zip(planes);
    planes.for_each(|(out, gradient)| {
        for (at, (g, divisor)) in gradient.iter().zip(&divisors).enumerate() {
            let share = g / divisor;
            let columns = across.positions(at % grid.1);
            for row in down.positions(at / grid.1) {
                for column in columns.clone() {
                    out[row * across.side + column] += share;
                }
            }
        }
    });
    out
}

fn axes(pool: &Pool, x: &Tensor) -> (Windows, Windows) {
    let down = Windows::new(pool, 0, x.shape[2]);
    (down, Windows::new(pool, 1, x.shape[3]))
}

/// What the sum of each window is divided by; 1 for windows that lie in the padding, whose sum is
/// 0.
fn divisors(
    (down, across): (&Windows, &Windows),
    (rows, columns): (usize, usize),
    include_pad: bool,
) -> Vec<f64> {
    let count = |windows: &Windows, window: usize| {
        if include_pad {
            windows.with_padding(window) as f64
        } else {
            windows.positions(window).count() as f64
        }
    };
    let across: Vec<f64> = (0..columns).map(|j| count(across, j)).collect();
    let mut divisors = Vec::with_capacity(rows * columns);
    for i in 0..rows {
        let down = count(down, i);
        divisors.extend(across.iter().map(|across| (down * across).max(1.0)));
    }
    divisors
}
