//! The max pooling of ResNets, alone and fused with the convolution before it.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::model::cpu::dense::{Job, Line};
use crate::model::cpu::epilogue::Epilogue;
use crate::model::cpu::{ConvGeometry, Cpu, Image, Panels};

/// Parts of the pooled image per thread. Each part recomputes one line of the intermediate image
/// that its neighbor also computes.
const PARTS: usize = 2;

/// 3×3 with stride 2 and one pixel of padding (which never is the maximum).
fn pooling(input: (usize, usize)) -> ConvGeometry {
    let half = |side: usize| (side + 2 - 3) / 2 + 1;
    let output = (half(input.0), half(input.1));
    ConvGeometry::square(input, output, 3, 2, (1, 1))
}

/// 3×3 max pooling with stride 2 and one pixel of padding (which never is the maximum).
#[must_use]
pub fn max_pool_3x3(cpu: &Cpu, x: &Image) -> Image {
    let channels = x.shape.channels;
    let window = pooling((x.shape.height, x.shape.width));
    let mut out = cpu.image(window.output, channels);
    let lines = out.0.par_chunks_exact_mut(window.output.1 * channels);
    lines.enumerate().for_each(|(down, out)| {
        cpu.level.run(PoolLine {
            x: x.values(),
            out,
            channels,
            window,
            down,
            ring: window.input.0,
        });
    });
    Image::new(out)
}

/// `max_pool_3x3(dense(x, …))` for an image with few channels, without storing the large
/// intermediate image.
///
/// # Panics
/// If an argument does not have the expected size.
#[must_use]
pub fn dense_and_pool(
    cpu: &Cpu,
    x: &Image,
    weight: &Panels,
    window: ConvGeometry,
    finish: Epilogue,
) -> Image {
    let channels = finish.bias.len();
    let job = Job::new(x, weight, window, finish);
    let pool = pooling(window.output);
    let mut out = cpu.image(pool.output, channels);
    let line = window.output.1 * channels;
    let bands = PARTS * rayon::current_num_threads();
    let high = pool.output.0.div_ceil(bands);
    let bands = out.0.par_chunks_mut(high * pool.output.1 * channels);
    bands.enumerate().for_each(|(band, out)| {
        // The last three lines of the intermediate image; line y is at y % 3.
        let mut between = cpu.pool.take(3 * line);
        let mut next = pool.on_input(band * high, 0).0.input;
        let lines = out.chunks_exact_mut(pool.output.1 * channels);
        for (index, out) in lines.enumerate() {
            let down = band * high + index;
            let (under, _) = pool.on_input(down, 0);
            for down in next..under.input + under.count {
                let out = &mut between[down % 3 * line..][..line];
                Line { job, out, down }.run(cpu);
            }
            next = under.input + under.count;
            cpu.level.run(PoolLine {
                x: &between,
                out,
                channels,
                window: pool,
                down,
                ring: 3,
            });
        }
    });
    Image::new(out)
}

/// One line of the pooled image.
struct PoolLine<'a> {
    x: &'a [f32],
    out: &'a mut [f32],
    channels: usize,
    window: ConvGeometry,
    down: usize,
    /// Number of lines in memory: line y is at y modulo this.
    ring: usize,
}

impl WithSimd for PoolLine<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let channels = self.channels;
        for (across, pixel) in self.out.chunks_exact_mut(channels).enumerate() {
            let (vertical, horizontal) = self.window.on_input(self.down, across);
            pixel.fill(f32::NEG_INFINITY);
            for line in vertical.input..vertical.input + vertical.count {
                for column in horizontal.input..horizontal.input + horizontal.count {
                    let at = line % self.ring * self.window.input.1 + column;
                    let values = &self.x[at * channels..][..channels];
                    for (best, value) in pixel.iter_mut().zip(values) {
                        // Propagates NaN, which `max` would skip.
                        if *value > *best || value.is_nan() {
                            *best = *value;
                        }
                    }
                }
            }
        }
    }
}
