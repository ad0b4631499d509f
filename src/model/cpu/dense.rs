//! Ordinary (ungrouped) convolution: pixel tiles × weight matrix.

use multiversion::multiversion;
use rayon::prelude::*;

use super::matmul::matmul;
use super::{Activation, Window};

/// Fewest and most pixels in a tile: enough rows to keep the product busy, few
/// enough that tile and result stay in a core's cache (measured, 2 cores).
const TILE: (usize, usize) = (64, 196);
/// Below this many pixels tiles would be too few to share out; the output
/// channels are shared out instead.
const FEW_PIXELS: usize = 200;

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
    let cout = bias.len();
    let cin = x.len() / (window.input.0 * window.input.1);
    let depth = window.kernel * window.kernel * cin;
    let pixels = window.output.0 * window.output.1;
    assert_eq!(weight.len(), depth * cout, "weight is [k·k·cin, cout]");
    assert!(
        residual.is_none_or(|r| r.len() == pixels * cout),
        "residual is [h, w, cout]"
    );

    let finish = |rows: &mut [f32], first: usize| {
        let residual = residual.map(|r| &r[first * cout..first * cout + rows.len()]);
        epilogue(rows, bias, residual, activation);
    };
    let pointwise = window.kernel == 1 && window.stride == 1;
    let mut out = vec![0.0; pixels * cout];

    if pixels < FEW_PIXELS {
        let mut gathered = Vec::new();
        let rows = if pointwise {
            x
        } else {
            gathered.resize(pixels * depth, 0.0);
            gather(&mut gathered, x, cin, window, 0);
            &gathered
        };
        let parallelism = gemm::Parallelism::Rayon(rayon::current_num_threads());
        matmul(&mut out, rows, weight, (pixels, cout, depth), parallelism);
        finish(&mut out, 0);
        return out;
    }

    let share = pixels.div_ceil(2 * rayon::current_num_threads());
    let tile = share.clamp(TILE.0, TILE.1);
    out.par_chunks_mut(tile * cout).enumerate().for_each_init(
        Vec::new,
        |gathered: &mut Vec<f32>, (index, chunk)| {
            let (first, count) = (index * tile, chunk.len() / cout);
            let rows = if pointwise {
                &x[first * cin..(first + count) * cin]
            } else {
                gathered.resize(count * depth, 0.0);
                gather(gathered, x, cin, window, first);
                gathered
            };
            let sizes = (count, cout, depth);
            matmul(chunk, rows, weight, sizes, gemm::Parallelism::None);
            finish(chunk, first);
        },
    );
    out
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
