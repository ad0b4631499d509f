//! The way back through convolutions and ReLU: gradients with respect to their
//! inputs. Gradients of weights are never needed.

use multiversion::multiversion;
use rayon::prelude::*;

use super::Window;
use super::matmul::{Rhs, matmul};

/// Pixels in one product (measured together with `dense`'s tiles).
const TILE: usize = 196;
/// Below this many pixels the product itself is shared out among the threads.
const FEW_PIXELS: usize = 200;

/// The gradient at the input of [`super::dense()`] without its activation.
///
/// `gradient` `[out_height, out_width, cout]`, `weight` `[kernel·kernel·cin, cout]`;
/// the result is `[height, width, cin]`.
///
/// # Panics
/// If a slice does not have that length.
#[must_use]
pub fn dense_backward(gradient: &[f32], weight: &[f32], cin: usize, window: Window) -> Vec<f32> {
    let pixels = window.pixels();
    let cout = gradient.len() / pixels;
    let depth = window.kernel * window.kernel * cin;
    assert_eq!(weight.len(), depth * cout, "weight is [k·k·cin, cout]");
    // What each output pixel sends back to all the places that its kernel covers.
    let mut sent = vec![0.0; pixels * depth];
    if pixels < FEW_PIXELS {
        let parallelism = gemm::Parallelism::Rayon(rayon::current_num_threads());
        matmul(
            &mut sent,
            gradient,
            Rhs::Transposed(weight),
            (pixels, depth, cout),
            parallelism,
        );
    } else {
        let share = pixels
            .div_ceil(2 * rayon::current_num_threads())
            .clamp(1, TILE);
        sent.par_chunks_mut(share * depth)
            .zip(gradient.par_chunks(share * cout))
            .for_each(|(sent, gradient)| {
                let sizes = (gradient.len() / cout, depth, cout);
                matmul(
                    sent,
                    gradient,
                    Rhs::Transposed(weight),
                    sizes,
                    gemm::Parallelism::None,
                );
            });
    }
    if window.kernel == 1 && window.stride == 1 {
        return sent;
    }
    let mut out = vec![0.0; window.input.0 * window.input.1 * cin];
    out.par_chunks_exact_mut(window.input.1 * cin)
        .enumerate()
        .for_each(|(row, line)| collect(line, &sent, row, cin, window));
    out
}

/// Adds up what was sent to one row of the input.
#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl+avx2+fma",
    "x86_64+avx2+fma",
))]
fn collect(line: &mut [f32], sent: &[f32], row: usize, cin: usize, window: Window) {
    let depth = window.kernel * window.kernel * cin;
    for (column, pixel) in line.chunks_exact_mut(cin).enumerate() {
        for down in 0..window.kernel {
            let Some(y) = window.output_of(row, down, window.before.0, window.output.0) else {
                continue;
            };
            for across in 0..window.kernel {
                let Some(x) = window.output_of(column, across, window.before.1, window.output.1)
                else {
                    continue;
                };
                let start =
                    (y * window.output.1 + x) * depth + (down * window.kernel + across) * cin;
                for (sum, part) in pixel.iter_mut().zip(&sent[start..start + cin]) {
                    *sum += part;
                }
            }
        }
    }
}

/// The gradient before a ReLU, from the one after it and the ReLU's output: 0 where
/// the output is 0 (PyTorch's choice where the input is exactly 0).
#[must_use]
pub fn relu_backward(gradient: &[f32], output: &[f32]) -> Vec<f32> {
    let pairs = gradient.iter().zip(output);
    pairs
        .map(|(g, y)| if *y > 0.0 { *g } else { 0.0 })
        .collect()
}
