//! Antialiased bilinear resizing, to the bit as Pillow does it.
//!
//! Classifiers were trained and are evaluated on photos that Pillow resized, so
//! the network must see what Pillow would have shown it. One grey level at one
//! pixel in a hundred already moves a logit by more than 1e-3, which is why this
//! is our own code: the fast libraries use coarser coefficients (16 bits) than
//! Pillow's 22 bits and differ at a few percent of the pixels.
//!
//! The method (Pillow, `Resample.c`): a triangle filter as wide as the scale
//! when shrinking; horizontal pass first, rounded to 8 bits, then the vertical
//! one; fixed-point coefficients with 22 fractional bits; a pass whose size does
//! not change is skipped.

use pulp::Arch;
use rayon::prelude::*;

/// Fractional bits of the fixed-point coefficients: 32 − 8 − 2 (Pillow, `Resample.c`).
const PRECISION_BITS: u32 = 22;
/// Interleaved bytes summed side by side: 8 pixels of 3 channels, a multiple of
/// both the channel count and the widest vector.
const LANES: usize = 24;
const CHANNELS: usize = 3;

/// The filter for one axis: for each output position a run of input positions.
struct Taps {
    /// First input position and number of taps, for each output position.
    runs: Vec<(usize, usize)>,
    /// Fixed-point coefficients, `stride` for each output position.
    coefficients: Vec<i32>,
    stride: usize,
}

impl Taps {
    /// The triangle filter of Pillow's `BILINEAR`, in f64 as there.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // sizes below 2^31
    fn bilinear(input: usize, output: usize) -> Self {
        let scale = input as f64 / output as f64;
        let filter_scale = scale.max(1.0);
        let support = filter_scale; // the triangle's half width is 1
        let stride = support.ceil() as usize * 2 + 1;
        let mut runs = Vec::with_capacity(output);
        let mut coefficients = vec![0; stride * output];
        let mut weights = Vec::with_capacity(stride);
        for position in 0..output {
            let centre = (position as f64 + 0.5) * scale;
            let first = (centre - support + 0.5).max(0.0) as usize;
            let last = ((centre + support + 0.5) as usize).min(input);
            weights.clear();
            weights.extend((first..last).map(|x| {
                let distance = (x as f64 - centre + 0.5) * (1.0 / filter_scale);
                (1.0 - distance.abs()).max(0.0)
            }));
            let sum: f64 = weights.iter().sum();
            let row = &mut coefficients[position * stride..][..weights.len()];
            for (fixed, weight) in row.iter_mut().zip(&weights) {
                let weight = if sum == 0.0 { *weight } else { weight / sum };
                *fixed = (0.5 + weight * f64::from(1 << PRECISION_BITS)) as i32;
            }
            runs.push((first, weights.len()));
        }
        Self {
            runs,
            coefficients,
            stride,
        }
    }
}

/// Resizes interleaved RGB8 from `from` to `to` (width, height in pixels).
///
/// # Panics
/// If `rgb` does not hold `3·width·height` bytes or a side is 0: a caller's mistake.
#[must_use]
pub fn bilinear(rgb: &[u8], from: (usize, usize), to: (usize, usize)) -> Vec<u8> {
    assert_eq!(rgb.len(), CHANNELS * from.0 * from.1, "RGB8 of this size");
    assert!(from.0 * from.1 * to.0 * to.1 > 0, "sides above 0");
    let wide;
    let rgb = if from.0 == to.0 {
        rgb
    } else {
        wide = horizontal(rgb, from, to.0);
        &wide
    };
    if from.1 == to.1 {
        return rgb.to_vec();
    }
    vertical(rgb, (to.0, from.1), to.1)
}

fn horizontal(rgb: &[u8], (width, height): (usize, usize), out_width: usize) -> Vec<u8> {
    let taps = Taps::bilinear(width, out_width);
    // Each coefficient three times over, one for each interleaved channel, padded
    // with zeros to whole groups of lanes.
    let padded = (taps.stride * CHANNELS).next_multiple_of(LANES);
    let mut spread = vec![0; padded * out_width];
    for (wide, row) in spread
        .chunks_exact_mut(padded)
        .zip(taps.coefficients.chunks_exact(taps.stride))
    {
        for (triple, coefficient) in wide.chunks_exact_mut(CHANNELS).zip(row) {
            triple.fill(*coefficient);
        }
    }
    let mut out = vec![0; CHANNELS * out_width * height];
    let arch = Arch::new();
    let row_bytes = width * CHANNELS;
    let shrinks_much = taps.stride * CHANNELS > LANES;
    out.par_chunks_exact_mut(out_width * CHANNELS)
        .zip(rgb.par_chunks_exact(row_bytes))
        .with_min_len(16)
        .for_each(|(out_row, row)| {
            arch.dispatch(|| {
                for ((pixel, &(first, count)), wide) in out_row
                    .chunks_exact_mut(CHANNELS)
                    .zip(&taps.runs)
                    .zip(spread.chunks_exact(padded))
                {
                    let bytes = &row[first * CHANNELS..(first + count) * CHANNELS];
                    let sums = if shrinks_much {
                        dot_in_lanes(bytes, wide)
                    } else {
                        dot(bytes, wide)
                    };
                    for (value, sum) in pixel.iter_mut().zip(sums) {
                        *value = clip(sum);
                    }
                }
            });
        });
    out
}

/// Σ byte · coefficient for each channel of an interleaved run, one by one.
#[inline(always)]
fn dot(bytes: &[u8], wide: &[i32]) -> [i32; CHANNELS] {
    let mut sums = [0; CHANNELS];
    for (pixel, weights) in bytes
        .chunks_exact(CHANNELS)
        .zip(wide.chunks_exact(CHANNELS))
    {
        for channel in 0..CHANNELS {
            sums[channel] += i32::from(pixel[channel]) * weights[channel];
        }
    }
    sums
}

/// The same, eight pixels at a time, for runs long enough to pay for it.
#[inline(always)]
fn dot_in_lanes(bytes: &[u8], wide: &[i32]) -> [i32; CHANNELS] {
    let mut lanes = [0i32; LANES];
    let mut groups = bytes.chunks_exact(LANES);
    let mut weights = wide.chunks_exact(LANES);
    for (group, weights) in groups.by_ref().zip(weights.by_ref()) {
        for lane in 0..LANES {
            lanes[lane] += i32::from(group[lane]) * weights[lane];
        }
    }
    let done = bytes.len() - groups.remainder().len();
    let mut sums = dot(groups.remainder(), &wide[done..]);
    for pixel in lanes.chunks_exact(CHANNELS) {
        for channel in 0..CHANNELS {
            sums[channel] += pixel[channel];
        }
    }
    sums
}

fn vertical(rgb: &[u8], (width, height): (usize, usize), out_height: usize) -> Vec<u8> {
    let taps = Taps::bilinear(height, out_height);
    let row_bytes = width * CHANNELS;
    let mut out = vec![0; row_bytes * out_height];
    let arch = Arch::new();
    out.par_chunks_exact_mut(row_bytes)
        .zip(&taps.runs)
        .zip(taps.coefficients.par_chunks_exact(taps.stride))
        .for_each(|((out_row, &(first, count)), weights)| {
            let mut sums = vec![0i32; row_bytes];
            arch.dispatch(|| {
                let rows = rgb[first * row_bytes..].chunks_exact(row_bytes);
                for (row, &weight) in rows.zip(&weights[..count]) {
                    for (sum, &byte) in sums.iter_mut().zip(row) {
                        *sum += i32::from(byte) * weight;
                    }
                }
                for (value, &sum) in out_row.iter_mut().zip(&sums) {
                    *value = clip(sum);
                }
            });
        });
    out
}

/// Rounds a fixed-point sum to a byte.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
fn clip(sum: i32) -> u8 {
    ((sum + (1 << (PRECISION_BITS - 1))) >> PRECISION_BITS).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::bilinear;

    /// Pillow 13.0, `Image.resize((3, 2), Image.BILINEAR)` of the 7×5 ramp below.
    #[test]
    fn agrees_with_pillow_on_a_small_image() {
        let ramp = |n: u32| (n * n * 37).to_le_bytes()[0];
        let rgb: Vec<u8> = (0..7 * 5 * 3).map(ramp).collect();
        assert_eq!(bilinear(&rgb, (7, 5), (3, 2)), SMALLER);
        assert_eq!(bilinear(&rgb[..6], (2, 1), (5, 1)), LARGER);
    }

    const SMALLER: [u8; 18] = [
        104, 105, 137, 110, 113, 97, 142, 92, 148, 164, 104, 148, 101, 110, 120, 119, 116, 93,
    ];
    const LARGER: [u8; 15] = [
        0, 37, 148, 8, 41, 149, 39, 59, 153, 69, 76, 156, 77, 80, 157,
    ];

    #[test]
    fn the_same_size_is_the_same_image() {
        let rgb: Vec<u8> = (0..4 * 3 * 3).collect();
        assert_eq!(bilinear(&rgb, (4, 3), (4, 3)), rgb);
    }
}
