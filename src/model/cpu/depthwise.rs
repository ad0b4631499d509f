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
/// `x` is `[height, width, channels]`, `weight` `[kernel·kernel, channels]`, `bias` `[channels]`,
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
    let taps = window.kernel * window.kernel;
    assert_eq!(weight.len(), taps * channels, "weight is [k·k, channels]");
    let mut out = cpu.image(window.output, channels);
    let job = Job {
        x: x.values(),
        weight,
        window,
        finish,
    };
    let lines = out.0.par_chunks_exact_mut(window.output.1 * channels);
    lines
        .enumerate()
        .for_each(|(down, out)| cpu.level.run(Line { job, out, down }));
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
            let ends = [x, width.min(x + SIDE) - 1].map(|x| job.window.on_input(down, x).1);
            let whole = ends.iter().all(|span| span.count == job.window.kernel);
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
        let vectors = channels / lanes * lanes;
        let (vertical, horizontal) = self.window.on_input(down, x);
        // Values of the input and the weight under the first tap.
        let input = (vertical.input * self.window.input.1 + horizontal.input) * channels;
        let tap = (vertical.first * self.window.kernel + horizontal.first) * channels;
        let step = self.window.stride * channels;
        for channel in (0..vectors).step_by(lanes) {
            let mut sums = [load::<S>(self.finish.bias, channel); N];
            for line in 0..vertical.count {
                let input = input + line * self.window.input.1 * channels + channel;
                let tap = tap + line * self.window.kernel * channels + channel;
                for column in 0..horizontal.count {
                    let weight = load::<S>(self.weight, tap + column * channels);
                    for (pixel, sum) in sums.iter_mut().enumerate() {
                        let value = load::<S>(self.x, input + column * channels + pixel * step);
                        *sum = simd.mul_add_e_f32s(weight, value, *sum);
                    }
                }
            }
            for (pixel, sum) in sums.iter().enumerate() {
                let value = self.finish.activation.vector(simd, *sum);
                store::<S>(out, (x + pixel) * channels + channel, value);
            }
        }
        for channel in vectors..channels {
            for pixel in 0..N {
                let mut sum = self.finish.bias[channel];
                for line in 0..vertical.count {
                    for column in 0..horizontal.count {
                        let from = (line * self.window.input.1 + column) * channels;
                        let tap = tap + (line * self.window.kernel + column) * channels;
                        sum += self.x[input + from + pixel * step + channel]
                            * self.weight[tap + channel];
                    }
                }
                out[(x + pixel) * channels + channel] = self.finish.activation.apply(sum);
            }
        }
    }
}
