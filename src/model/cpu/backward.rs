//! The way back through convolutions and ReLU: gradients with respect to their
//! inputs. Gradients of weights are never needed.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::matmul::{Rhs, matmul};
use super::{Cpu, Image, Panels, Window};

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
/// If something does not have that size.
#[must_use]
pub fn dense_backward(cpu: &Cpu, gradient: &Image, weight: &Panels, window: Window) -> Image {
    let pixels = window.pixels();
    let (cout, depth) = (weight.columns(), weight.depth());
    let cin = depth / (window.kernel * window.kernel);
    let shape = gradient.shape;
    assert_eq!((shape.height, shape.width), window.output);
    assert_eq!(shape.channels, cout, "gradient is [h, w, cout]");
    let weight = weight.unpack();
    // What each output pixel sends back to all the places that its kernel covers.
    let mut sent = cpu.pool.take(pixels * depth);
    let (share, parallelism) = if pixels < FEW_PIXELS {
        let threads = rayon::current_num_threads();
        (pixels, gemm::Parallelism::Rayon(threads))
    } else {
        let share = pixels.div_ceil(2 * rayon::current_num_threads());
        (share.min(TILE), gemm::Parallelism::None)
    };
    sent.par_chunks_mut(share * depth)
        .zip(gradient.values().par_chunks(share * cout))
        .for_each(|(sent, gradient)| {
            let sizes = (gradient.len() / cout, depth, cout);
            matmul(sent, gradient, Rhs::Transposed(&weight), sizes, parallelism);
        });
    let mut out = cpu.image(window.input, cin);
    let lines = out.0.par_chunks_exact_mut(window.input.1 * cin);
    lines.enumerate().for_each(|(row, line)| {
        cpu.level.run(Collect {
            line,
            sent: &sent,
            row,
            cin,
            window,
        });
    });
    Image::new(out)
}

/// Adds up what was sent to one row of the input.
struct Collect<'a> {
    line: &'a mut [f32],
    sent: &'a [f32],
    row: usize,
    cin: usize,
    window: Window,
}

impl WithSimd for Collect<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let Self {
            line,
            sent,
            row,
            cin,
            window,
        } = self;
        let depth = window.kernel * window.kernel * cin;
        line.fill(0.0);
        for (column, pixel) in line.chunks_exact_mut(cin).enumerate() {
            for down in 0..window.kernel {
                let Some(y) = window.output_of(row, down, window.before.0, window.output.0) else {
                    continue;
                };
                for across in 0..window.kernel {
                    let Some(x) =
                        window.output_of(column, across, window.before.1, window.output.1)
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
}

/// The gradient before a ReLU, from the one after it and the ReLU's output: 0 where
/// the output is 0 (PyTorch's choice where the input is exactly 0).
#[must_use]
pub fn relu_backward(cpu: &Cpu, gradient: &Image, output: &Image) -> Image {
    combine(cpu, gradient, output, |g, y| if y > 0.0 { g } else { 0.0 })
}

/// The sum of two images.
///
/// # Panics
/// If their sizes differ.
#[must_use]
pub fn add(cpu: &Cpu, one: &Image, other: &Image) -> Image {
    combine(cpu, one, other, |a, b| a + b)
}

fn combine(cpu: &Cpu, one: &Image, other: &Image, f: impl Fn(f32, f32) -> f32) -> Image {
    let shape = one.shape;
    assert_eq!(shape, other.shape, "two images of one size");
    let mut out = cpu.image((shape.height, shape.width), shape.channels);
    let pairs = one.values().iter().zip(other.values());
    for (value, (a, b)) in out.0.iter_mut().zip(pairs) {
        *value = f(*a, *b);
    }
    Image::new(out)
}

/// Each channel times its factor.
///
/// # Panics
/// If there are not as many factors as channels.
#[must_use]
pub fn scale(cpu: &Cpu, image: &Image, factors: &[f32]) -> Image {
    let shape = image.shape;
    assert_eq!(shape.channels, factors.len(), "a factor for each channel");
    let mut out = cpu.image((shape.height, shape.width), shape.channels);
    let pixels = out.0.chunks_exact_mut(shape.channels);
    for (to, from) in pixels.zip(image.values().chunks_exact(shape.channels)) {
        for ((to, from), factor) in to.iter_mut().zip(from).zip(factors) {
            *to = from * factor;
        }
    }
    Image::new(out)
}
