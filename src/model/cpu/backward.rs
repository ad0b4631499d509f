//! The backward pass through convolutions and ReLU: gradients with respect to their inputs.
//! Gradients of weights are never needed.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::model::cpu::gemm::{Out, Rows, multiply};
use crate::model::cpu::{Activation, ConvGeometry, Cpu, Epilogue, Image, Panels, Scratch};

/// The gradient at the input of [`crate::model::cpu::dense()`] without its activation.
///
/// `gradient` is `[out_height, out_width, cout]`, `weight` `[kernel·kernel·cin, cout]`, and the
/// result `[height, width, cin]`.
///
/// # Panics
/// If an argument does not have this size.
#[must_use]
pub fn dense_backward(cpu: &Cpu, gradient: &Image, weight: &Panels, window: ConvGeometry) -> Image {
    let cout = weight.columns();
    let cin = weight.depth() / window.taps();
    let shape = gradient.shape;
    assert_eq!((shape.height, shape.width), window.output);
    assert_eq!(shape.channels, cout, "gradient is [h, w, cout]");
    assert_eq!(window.dilation, (1, 1), "without dilation");
    match window.reversed() {
        // With stride 1, the backward pass is itself a convolution, with the kernel rotated by
        // 180°.
        Some(back) => {
            let places: Vec<usize> = (0..window.taps()).rev().collect();
            let turned = weight.transposed(cin, &places);
            let finish = Epilogue {
                bias: &vec![0.0; cin],
                residual: None,
                activation: Activation::Linear,
            };
            crate::model::cpu::dense(cpu, gradient, &turned, back, finish)
        }
        None => send_back(cpu, gradient, weight, cin, window),
    }
}

/// Scatters the gradient of each output pixel to the input positions that its kernel covers, one
/// kernel position after the other.
fn send_back(
    cpu: &Cpu,
    gradient: &Image,
    weight: &Panels,
    cin: usize,
    window: ConvGeometry,
) -> Image {
    let mut out = cpu.image(window.input, cin);
    out.0.fill(0.0);
    for place in 0..window.taps() {
        let (down, across) = (place / window.kernel.1, place % window.kernel.1);
        let weight = weight.transposed(cin, &[place]);
        let lines = out.0.par_chunks_exact_mut(window.input.1 * cin);
        lines.enumerate().for_each(|(row, line)| {
            let from = window.output_of(row, down);
            if let Some(from) = from {
                cpu.level.run(ScatterLine {
                    gradient: gradient.values(),
                    weight: &weight,
                    window,
                    from,
                    across,
                    line,
                });
            }
        });
    }
    Image::new(out)
}

/// Scatters a line of the output through one column of the kernel to a line of the input.
struct ScatterLine<'a> {
    gradient: &'a [f32],
    /// `[cout, cin]`.
    weight: &'a Panels,
    window: ConvGeometry,
    /// The line of the output.
    from: usize,
    across: usize,
    line: &'a mut [f32],
}

impl WithSimd for ScatterLine<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            gradient,
            weight,
            window,
            from,
            across,
            line,
        } = self;
        let (cin, cout) = (weight.columns(), weight.depth());
        let (stride, before, wide) = (window.stride.1, window.before.1, window.output.1);
        // The pixels of the line for which this column of the kernel lies on the input.
        let first = before.saturating_sub(across).div_ceil(stride);
        let end = (window.input.1 + before).saturating_sub(across);
        let count = end.div_ceil(stride).min(wide).saturating_sub(first);
        if count == 0 {
            return;
        }
        let pixels = &gradient[(from * wide + first) * cout..];
        let rows = Rows::whole(pixels, cout, cout);
        let start = (first * stride + across - before) * cin;
        for panel in weight.panels() {
            let mut scratch = Scratch::take([0, count * panel.width]);
            let (_, sums) = scratch.slices();
            let products = Out::sums(sums, panel.width);
            multiply(simd, rows, count, (panel.values, panel.width), products);
            let to = line[start + panel.first..].chunks_mut(stride * cin);
            for (to, sums) in to.zip(sums.chunks_exact(panel.width)) {
                for (to, sum) in to[..panel.columns].iter_mut().zip(sums) {
                    *to += sum;
                }
            }
        }
    }
}

/// The gradient before a ReLU, from the gradient after it and the output of the ReLU: 0 where the
/// output is 0 (as in PyTorch if the input is exactly 0).
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

/// Multiplies each channel by its factor.
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
