//! Ordinary (ungrouped) convolution: pixel tiles × weight matrix.

use multiversion::multiversion;
use rayon::prelude::*;

use super::matmul::{Number, Rhs, matmul};
use super::{Activation, Window};

/// Fewest and most pixels in a tile: enough rows to keep the product busy, few
/// enough that tile and result stay in a core's cache (measured, 2 cores).
const TILE: (usize, usize) = (64, 196);
/// Below this many pixels tiles would be too few to share out; the output
/// channels are shared out instead.
const FEW_PIXELS: usize = 200;

/// How products are added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// In f32: fast, and off by some 1e-6 of an activation's usual size.
    #[default]
    Single,
    /// In f64, rounded to f32 once for each layer, at about twice the time. A gradient
    /// changes where a ReLU's input has the wrong sign, so for gradients the few inputs
    /// that are almost 0 matter.
    Double,
}

/// `activation(conv(x) + bias + residual)`.
///
/// `x` `[height, width, cin]`, `weight` `[kernel·kernel·cin, cout]` (row order:
/// kernel row, kernel column, input channel), `bias` `[cout]`, `residual` and the
/// result `[out_height, out_width, cout]`.
///
/// # Panics
/// If a slice does not have that length.
#[must_use]
pub fn dense(
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    residual: Option<&[f32]>,
    window: Window,
    activation: Activation,
) -> Vec<f32> {
    let mut out = vec![0.0; window.pixels() * bias.len()];
    check_residual(residual, out.len());
    let finish = |rows: &mut [f32], first: usize| {
        let residual = residual.map(|r| &r[first..first + rows.len()]);
        epilogue(rows, bias, residual, activation);
    };
    products(&mut out, x, weight, bias.len(), window, finish);
    out
}

/// As [`dense`], with products added up in f64.
///
/// # Panics
/// If a slice does not have that length.
#[must_use]
#[allow(clippy::cast_possible_truncation)] // rounded once
pub fn dense_in_double(
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    residual: Option<&[f32]>,
    window: Window,
    activation: Activation,
) -> Vec<f32> {
    let cout = bias.len();
    let mut sums = vec![0.0f64; window.pixels() * cout];
    check_residual(residual, sums.len());
    let weight: Vec<f64> = weight.par_iter().map(|w| f64::from(*w)).collect();
    products(&mut sums, x, &weight, cout, window, |_, _| ());
    let finish = |(index, sum): (usize, f64)| {
        let rest = residual.map_or(0.0, |r| f64::from(r[index]));
        activation.apply((sum + f64::from(bias[index % cout]) + rest) as f32)
    };
    sums.into_par_iter()
        .with_min_len(4096)
        .enumerate()
        .map(finish)
        .collect()
}

fn check_residual(residual: Option<&[f32]>, values: usize) {
    let fits = residual.is_none_or(|r| r.len() == values);
    assert!(fits, "residual is [h, w, cout]");
}

/// Fills `out` `[pixels, cout]` with pixel tiles × `weight`; `finish` gets each finished
/// part while it is in cache, and the index of its first value.
fn products<T: Number>(
    out: &mut [T],
    x: &[f32],
    weight: &[T],
    cout: usize,
    window: Window,
    finish: impl Fn(&mut [T], usize) + Sync,
) {
    let pixels = window.pixels();
    let cin = x.len() / (window.input.0 * window.input.1);
    let depth = window.kernel * window.kernel * cin;
    assert_eq!(weight.len(), depth * cout, "weight is [k·k·cin, cout]");
    let few = pixels < FEW_PIXELS;
    let share = pixels.div_ceil(2 * rayon::current_num_threads());
    let tile = if few {
        pixels
    } else {
        share.clamp(TILE.0, TILE.1)
    };
    let parallelism = if few {
        gemm::Parallelism::Rayon(rayon::current_num_threads())
    } else {
        gemm::Parallelism::None
    };
    out.par_chunks_mut(tile * cout).enumerate().for_each_init(
        || (Vec::new(), Vec::new()),
        |(gathered, converted): &mut (Vec<f32>, Vec<T>), (index, chunk)| {
            let (first, count) = (index * tile, chunk.len() / cout);
            let rows = if window.kernel == 1 && window.stride == 1 {
                &x[first * cin..(first + count) * cin]
            } else {
                gathered.resize(count * depth, 0.0);
                gather(gathered, x, cin, window, first);
                gathered
            };
            let rows = T::of(rows, converted);
            matmul(
                chunk,
                rows,
                Rhs::Plain(weight),
                (count, cout, depth),
                parallelism,
            );
            finish(chunk, first * cout);
        },
    );
}

/// Copies what the kernel covers at consecutive output pixels from `first` on,
/// one row of `kernel·kernel·cin` values for each ("im2col"), zeros where the
/// kernel hangs over the border.
fn gather(rows: &mut [f32], x: &[f32], cin: usize, window: Window, first: usize) {
    let run = window.kernel * cin;
    for (index, row) in rows.chunks_exact_mut(window.kernel * run).enumerate() {
        let pixel = first + index;
        let (across, down) = (pixel % window.output.1, pixel / window.output.1);
        let (vertical, horizontal) = window.on_input(down, across);
        let whole = window.kernel == vertical.count && window.kernel == horizontal.count;
        if !whole {
            row.fill(0.0);
        }
        for line in 0..vertical.count {
            let from = ((vertical.input + line) * window.input.1 + horizontal.input) * cin;
            let to = (vertical.first + line) * run + horizontal.first * cin;
            let length = horizontal.count * cin;
            row[to..to + length].copy_from_slice(&x[from..from + length]);
        }
    }
}

/// Bias, residual and activation, in place.
#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl+avx2+fma",
    "x86_64+avx2+fma",
))]
fn epilogue(rows: &mut [f32], bias: &[f32], residual: Option<&[f32]>, activation: Activation) {
    match activation {
        Activation::Linear => add_and(rows, bias, residual, |v| Activation::Linear.apply(v)),
        Activation::Relu => add_and(rows, bias, residual, |v| Activation::Relu.apply(v)),
        Activation::Relu6 => add_and(rows, bias, residual, |v| Activation::Relu6.apply(v)),
    }
}

#[inline(always)]
fn add_and(rows: &mut [f32], bias: &[f32], residual: Option<&[f32]>, f: impl Fn(f32) -> f32) {
    let cout = bias.len();
    match residual {
        None => {
            for row in rows.chunks_exact_mut(cout) {
                for (value, b) in row.iter_mut().zip(bias) {
                    *value = f(*value + b);
                }
            }
        }
        Some(residual) => {
            for (row, rest) in rows.chunks_exact_mut(cout).zip(residual.chunks_exact(cout)) {
                for ((value, b), r) in row.iter_mut().zip(bias).zip(rest) {
                    *value = f(*value + b + r);
                }
            }
        }
    }
}
