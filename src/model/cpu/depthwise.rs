//! Depthwise convolution: one kernel for each channel.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::model::cpu::epilogue::Epilogue;
use crate::model::cpu::{ConvGeometry, Cpu, Image};
use crate::platform::simd::{load, store};

/// Number of adjacent output pixels whose sums are kept in registers, so that each weight is loaded
/// once for all of them.
const SIDE: usize = 4;

/// `activation(depthwise(x) + bias)`.
///
/// `x` is `[height, width, channels]`, `weight` `[taps, channels]`, `bias` `[channels]`,
/// and the result `[out_height, out_width, channels]`. A residual is not added.
///
/// # Panics
/// If an argument does not have this size.
#[must_use]
pub fn depthwise(
    cpu: &Cpu,
    x: &Image,
    weight: &[f32],
    window: ConvGeometry,
    finish: Epilogue,
) -> Image {
    let channels = finish.bias.len();
    assert_eq!((x.shape.height, x.shape.width), window.input);
    assert_eq!(x.shape.channels, channels, "x is [h, w, channels]");
    let taps = window.taps();
    assert_eq!(weight.len(), taps * channels, "weight is [taps, channels]");
    let mut out = cpu.image(window.output, channels);
    let job = Job {
        x: x.values(),
        weight,
        window,
        finish,
    };
    let lines = out.0.par_chunks_exact_mut(window.output.1 * channels);
    lines.enumerate().for_each(|(down, out)| {
        let line = Line {
            job,
            out: &mut *out,
            down,
        };
        cpu.level.run(line);
        finish.after(cpu.level, out);
    });
    Image::new(out)
}

#[derive(Clone, Copy)]
struct Job<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    window: ConvGeometry,
    finish: Epilogue<'a>,
}

/// One line of output pixels.
struct Line<'a> {
    job: Job<'a>,
    out: &'a mut [f32],
    down: usize,
}

impl WithSimd for Line<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { job, out, down } = self;
        let width = job.window.output.1;
        let mut x = 0;
        while x < width {
            // Pixels whose kernels lie completely on the input are adjacent.
            let ends = [x, width.min(x + SIDE) - 1].map(|x| job.window.across(x));
            let whole = ends.iter().all(|span| span.count == job.window.kernel.1);
            if x + SIDE <= width && whole {
                job.pixels::<S, SIDE>(simd, out, (down, x));
                x += SIDE;
            } else {
                job.pixels::<S, 1>(simd, out, (down, x));
                x += 1;
            }
        }
    }
}

impl Job<'_> {
    /// `N` output pixels of a line from `x` on. If `N` is more than 1, no kernel may extend beyond
    /// the left or right border.
    #[inline(always)]
    fn pixels<S: Simd, const N: usize>(&self, simd: S, out: &mut [f32], (down, x): (usize, usize)) {
        let channels = self.finish.bias.len();
        let lanes = S::F32_LANES;
        let (vertical, horizontal) = self.window.on_input(down, x);
        // Values of the input and the weight under the first tap.
        let input = (vertical.input * self.window.input.1 + horizontal.input) * channels;
        let tap = (vertical.first * self.window.kernel.1 + horizontal.first) * channels;
        let step = self.window.stride.1 * channels;
        // Distances of neighboring taps on the input.
        let line_step = self.window.dilation.0 * self.window.input.1 * channels;
        let column_step = self.window.dilation.1 * channels;
        for channel in (0..channels).step_by(lanes) {
            // The last vector overlaps with the one before it.
            let Some(last) = channels.checked_sub(lanes) else {
                break;
            };
            let channel = channel.min(last);
            let mut sums = [load::<S>(self.finish.bias, channel); N];
            for line in 0..vertical.count {
                let input = input + line * line_step + channel;
                let tap = tap + line * self.window.kernel.1 * channels + channel;
                for column in 0..horizontal.count {
                    let weight = load::<S>(self.weight, tap + column * channels);
                    for (pixel, sum) in sums.iter_mut().enumerate() {
                        let value = load::<S>(self.x, input + column * column_step + pixel * step);
                        *sum = simd.mul_add_e_f32s(weight, value, *sum);
                    }
                }
            }
            for (pixel, sum) in sums.iter().enumerate() {
                let value = self.finish.activation.vector(simd, *sum);
                store::<S>(out, (x + pixel) * channels + channel, value);
            }
        }
        for channel in 0..if channels < lanes { channels } else { 0 } {
            for pixel in 0..N {
                let mut sum = self.finish.bias[channel];
                for line in 0..vertical.count {
                    for column in 0..horizontal.count {
                        let from = line * line_step + column * column_step;
                        let tap = tap + (line * self.window.kernel.1 + column) * channels;
                        let value = self.x[input + from + pixel * step + channel];
                        sum = self.weight[tap + channel].mul_add(value, sum);
                    }
                }
                out[(x + pixel) * channels + channel] = self.finish.activation.apply(sum);
            }
        }
    }
}
