//! Layer normalization and softmax along contiguous values.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::model::cpu::functions::exp_all;
use crate::model::cpu::{Cpu, Image, lanes};

/// Approximate number of values in a task.
const TASK: usize = 16 << 10;

/// Each row of `width` values minus its mean, divided by its standard deviation, times `weight`
/// plus `bias` (each `[width]`, or none).
///
/// # Panics
/// If the rows, the weight or the bias do not fit.
#[must_use]
pub fn layer_norm(
    cpu: &Cpu,
    x: &Image,
    width: usize,
    weight: Option<&[f32]>,
    bias: Option<&[f32]>,
    eps: f32,
) -> Image {
    assert!(weight.is_none_or(|weight| weight.len() == width));
    assert!(bias.is_none_or(|bias| bias.len() == width));
    in_rows(cpu, x, width, |x, out| {
        cpu.level.run(Norm {
            x,
            out,
            width,
            weight,
            bias,
            eps,
        });
    })
}

/// The softmax of each row of `width` values times `scale`.
///
/// # Panics
/// If the rows do not fit.
#[must_use]
pub fn softmax(cpu: &Cpu, x: &Image, width: usize, scale: f32) -> Image {
    in_rows(cpu, x, width, |x, out| {
        cpu.level.run(Softmax {
            x,
            out,
            width,
            scale,
        });
    })
}

/// Distributes rows among the threads.
fn in_rows(cpu: &Cpu, x: &Image, width: usize, work: impl Fn(&[f32], &mut [f32]) + Sync) -> Image {
    let values = x.values();
    assert!(values.len().is_multiple_of(width), "whole rows");
    let mut out = cpu.image((x.shape.height, x.shape.width), x.shape.channels);
    let part = (TASK / width).max(1) * width;
    let parts = out.0.par_chunks_mut(part).zip(values.par_chunks(part));
    parts.for_each(|(out, x)| work(x, out));
    Image::new(out)
}

struct Norm<'a> {
    x: &'a [f32],
    out: &'a mut [f32],
    width: usize,
    weight: Option<&'a [f32]>,
    bias: Option<&'a [f32]>,
    eps: f32,
}

impl WithSimd for Norm<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let count = self.width as f32;
        let rows = self.out.chunks_exact_mut(self.width);
        for (out, x) in rows.zip(self.x.chunks_exact(self.width)) {
            let mean = lanes::sum(x) / count;
            let variance = lanes::squares(x, mean) / count;
            let scale = 1.0 / (variance + self.eps).sqrt();
            for (to, from) in out.iter_mut().zip(x) {
                *to = (from - mean) * scale;
            }
            match (self.weight, self.bias) {
                (Some(weight), Some(bias)) => {
                    for ((value, weight), bias) in out.iter_mut().zip(weight).zip(bias) {
                        *value = value.mul_add(*weight, *bias);
                    }
                }
                (Some(weight), None) => {
                    for (value, weight) in out.iter_mut().zip(weight) {
                        *value *= weight;
                    }
                }
                (None, Some(bias)) => {
                    for (value, bias) in out.iter_mut().zip(bias) {
                        *value += bias;
                    }
                }
                (None, None) => {}
            }
        }
    }
}

struct Softmax<'a> {
    x: &'a [f32],
    out: &'a mut [f32],
    width: usize,
    scale: f32,
}

impl WithSimd for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    #[allow(clippy::float_cmp)] // exactly 1: nothing to multiply by
    fn with_simd<S: Simd>(self, simd: S) {
        let rows = self.out.chunks_exact_mut(self.width);
        for (out, x) in rows.zip(self.x.chunks_exact(self.width)) {
            if self.scale == 1.0 {
                out.copy_from_slice(x);
            } else {
                for (to, from) in out.iter_mut().zip(x) {
                    *to = from * self.scale;
                }
            }
            // NaN is skipped here, and gets into the sum below.
            let largest = lanes::largest(out);
            for value in out.iter_mut() {
                *value -= largest;
            }
            exp_all(simd, out);
            let factor = 1.0 / lanes::sum(out);
            for value in out.iter_mut() {
                *value *= factor;
            }
        }
    }
}
