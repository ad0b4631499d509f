//! Depthwise convolution: one kernel for each channel.

use multiversion::multiversion;
use rayon::prelude::*;

use super::{Activation, Window};

/// Channels summed side by side in registers. EfficientNet-Lite0's channel
/// counts are all multiples of 16.
const BLOCK: usize = 16;

/// `activation(depthwise(x) + bias)`.
///
/// `x` `[height, width, channels]`, `weight` `[kernel·kernel, channels]`, `bias`
/// `[channels]`, the result `[out_height, out_width, channels]`.
///
/// # Panics
/// If a slice does not have that length.
#[must_use]
pub fn depthwise(
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    window: Window,
    activation: Activation,
) -> Vec<f32> {
    let channels = bias.len();
    assert_eq!(
        x.len(),
        window.input.0 * window.input.1 * channels,
        "x is [h, w, channels]"
    );
    assert_eq!(
        weight.len(),
        window.kernel * window.kernel * channels,
        "weight is [k·k, channels]"
    );
    let mut out = vec![0.0; window.output.0 * window.output.1 * channels];
    out.par_chunks_exact_mut(window.output.1 * channels)
        .enumerate()
        .for_each(|(down, line)| convolve_line(line, x, weight, bias, window, activation, down));
    out
}

/// One line of output pixels.
#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl+avx2+fma",
    "x86_64+avx2+fma",
))]
fn convolve_line(
    line: &mut [f32],
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    window: Window,
    activation: Activation,
    down: usize,
) {
    for (across, pixel) in line.chunks_exact_mut(bias.len()).enumerate() {
        convolve_pixel(pixel, x, weight, bias, window, (down, across));
        for value in pixel {
            *value = activation.apply(*value);
        }
    }
}

/// One output pixel, all its channels, block by block.
#[inline(always)]
fn convolve_pixel(
    pixel: &mut [f32],
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    window: Window,
    (down, across): (usize, usize),
) {
    let channels = bias.len();
    let (vertical, horizontal) = window.on_input(down, across);
    for start in (0..channels).step_by(BLOCK) {
        let width = BLOCK.min(channels - start);
        let mut sums = [0.0f32; BLOCK];
        sums[..width].copy_from_slice(&bias[start..start + width]);
        for line in 0..vertical.count {
            let row = (vertical.input + line) * window.input.1 + horizontal.input;
            let tap = (vertical.first + line) * window.kernel + horizontal.first;
            for column in 0..horizontal.count {
                let values = &x[(row + column) * channels + start..][..width];
                let weights = &weight[(tap + column) * channels + start..][..width];
                if width == BLOCK {
                    // Constant length: one or two vector registers.
                    for lane in 0..BLOCK {
                        sums[lane] += values[lane] * weights[lane];
                    }
                } else {
                    for ((sum, value), weight) in sums.iter_mut().zip(values).zip(weights) {
                        *sum += value * weight;
                    }
                }
            }
        }
        pixel[start..start + width].copy_from_slice(&sums[..width]);
    }
}
