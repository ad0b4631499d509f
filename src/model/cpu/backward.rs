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
    // With few pixels the product itself is shared out, otherwise the pixels are.
    let threads = rayon::current_num_threads();
    let (share, parallelism) = if pixels < FEW_PIXELS {
        (pixels, gemm::Parallelism::Rayon(threads))
    } else {
        let share = pixels.div_ceil(2 * threads);
        (share.min(TILE), gemm::Parallelism::None)
    };
    let mut out = cpu.image(window.input, cin);
    out.0.fill(0.0);
    // One place of the kernel after the other: what each output pixel sends back to the
    // pixel under it. All places at once would take kernel·kernel times the memory.
    let mut place = cpu.pool.take(cin * cout);
    let mut sent = cpu.pool.take(pixels * cin);
    for (down, across) in window.places() {
        weight.unpack((down * window.kernel + across) * cin, &mut place);
        sent.par_chunks_mut(share * cin)
            .zip(gradient.values().par_chunks(share * cout))
            .for_each(|(sent, gradient)| {
                let sizes = (gradient.len() / cout, cin, cout);
                matmul(sent, gradient, Rhs::Transposed(&place), sizes, parallelism);
            });
        let lines = out.0.par_chunks_exact_mut(window.input.1 * cin);
        lines.enumerate().for_each(|(row, line)| {
            let from = window.output_of(row, down, window.before.0, window.output.0);
            if let Some(y) = from {
                let sent = &sent[y * window.output.1 * cin..][..window.output.1 * cin];
                cpu.level.run(Collect {
                    line,
                    sent,
                    cin,
                    across,
                    window,
                });
            }
        });
    }
    Image::new(out)
}

/// Adds what one row of the output sent to one row of the input.
struct Collect<'a> {
    line: &'a mut [f32],
    sent: &'a [f32],
    cin: usize,
    across: usize,
    window: Window,
}

impl WithSimd for Collect<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let Self {
            line,
            sent,
            cin,
            across,
            window,
        } = self;
        for (column, pixel) in line.chunks_exact_mut(cin).enumerate() {
            let from = window.output_of(column, across, window.before.1, window.output.1);
            if let Some(x) = from {
                for (sum, part) in pixel.iter_mut().zip(&sent[x * cin..][..cin]) {
                    *sum += part;
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
