//! Pooling with any windows.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::model::cpu::{ConvGeometry, Cpu, Image};

/// The maximum in each window; padding never is the maximum, NaN always is.
///
/// # Panics
/// If the image does not have the window's size.
#[must_use]
pub fn max_pool(cpu: &Cpu, x: &Image, window: ConvGeometry) -> Image {
    pool(cpu, x, window, None)
}

/// The mean in each window. `padding` gives the zeros around the input (above, to the left, below,
/// to the right) if they count as values.
///
/// # Panics
/// If the image does not have the window's size.
#[must_use]
pub fn average_pool(
    cpu: &Cpu,
    x: &Image,
    window: ConvGeometry,
    padding: Option<[usize; 4]>,
) -> Image {
    pool(cpu, x, window, Some(padding))
}

fn pool(cpu: &Cpu, x: &Image, window: ConvGeometry, mean: Option<Option<[usize; 4]>>) -> Image {
    let channels = x.shape.channels;
    assert_eq!((x.shape.height, x.shape.width), window.input);
    let mut out = cpu.image(window.output, channels);
    let lines = out.0.par_chunks_exact_mut(window.output.1 * channels);
    lines.enumerate().for_each(|(down, out)| {
        cpu.level.run(Line {
            x: x.values(),
            out,
            channels,
            window,
            down,
            mean,
        });
    });
    Image::new(out)
}

struct Line<'a> {
    x: &'a [f32],
    out: &'a mut [f32],
    channels: usize,
    window: ConvGeometry,
    down: usize,
    mean: Option<Option<[usize; 4]>>,
}

impl WithSimd for Line<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let (channels, window) = (self.channels, self.window);
        for (across, pixel) in self.out.chunks_exact_mut(channels).enumerate() {
            let (vertical, horizontal) = window.on_input(self.down, across);
            pixel.fill(if self.mean.is_some() {
                0.0
            } else {
                f32::NEG_INFINITY
            });
            for line in 0..vertical.count {
                let y = vertical.input + line * window.dilation.0;
                for column in 0..horizontal.count {
                    let x = horizontal.input + column * window.dilation.1;
                    let at = (y * window.input.1 + x) * channels;
                    let values = &self.x[at..at + channels];
                    if self.mean.is_some() {
                        for (sum, value) in pixel.iter_mut().zip(values) {
                            *sum += value;
                        }
                    } else {
                        for (best, value) in pixel.iter_mut().zip(values) {
                            // Propagates NaN, which `max` would skip.
                            let better = *value > *best || value.is_nan();
                            *best = if better { *value } else { *best };
                        }
                    }
                }
            }
            if let Some(padding) = self.mean {
                let count = match padding {
                    None => vertical.count * horizontal.count,
                    Some([top, left, bottom, right]) => {
                        let (height, width) = window.input;
                        let rows = (
                            self.down * window.stride.0,
                            window.kernel.0,
                            window.dilation.0,
                        );
                        let columns =
                            (across * window.stride.1, window.kernel.1, window.dilation.1);
                        inside(rows, top + height + bottom) * inside(columns, left + width + right)
                    }
                };
                let count = count as f32;
                for value in pixel {
                    *value /= count;
                }
            }
        }
    }
}

/// How many of the positions `start, start + step, …` lie below `end`.
#[inline(always)]
fn inside((start, count, step): (usize, usize, usize), end: usize) -> usize {
    end.saturating_sub(start).div_ceil(step).min(count)
}
