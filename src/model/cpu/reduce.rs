//! Sums and extremes over axes, and weighted sums along an axis.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::model::cpu::{Cpu, Image, lanes};

/// Number of positions that are added in f32; the sums of such blocks are added in f64. Blocks do
/// not depend on the number of threads.
const BLOCK: usize = 128;
/// Approximate number of values in a task.
const TASK: usize = 16 << 10;

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// The sum.
    Sum,
    /// The mean.
    Mean,
    /// The maximum; NaN if there is one.
    Max,
}

/// Reduces the middle axis of `[outer, count, inner]`.
///
/// # Panics
/// If the image is not as large.
#[must_use]
pub fn reduce(
    cpu: &Cpu,
    x: &Image,
    how: Reduction,
    (outer, count, inner): (usize, usize, usize),
) -> Image {
    let values = x.values();
    assert_eq!(values.len(), outer * count * inner);
    let mut out = cpu.image((1, outer), inner);
    if inner == 1 {
        let part = (TASK / count).max(1);
        let parts = out
            .0
            .par_chunks_mut(part)
            .zip(values.par_chunks(part * count));
        parts.for_each(|(out, x)| cpu.level.run(Lines { x, count, how, out }));
        return Image::new(out);
    }
    let blocks = count.div_ceil(BLOCK);
    let mut partial = cpu.pool.take(outer * blocks * inner);
    let parts = partial.par_chunks_mut(inner).enumerate();
    parts.for_each(|(index, out)| {
        let (outer, block) = (index / blocks, index % blocks);
        let first = block * BLOCK;
        let length = BLOCK.min(count - first);
        let x = &values[(outer * count + first) * inner..][..length * inner];
        cpu.level.run(Block { x, how, out });
    });
    let groups = partial.chunks_exact(blocks * inner);
    for (out, partial) in out.0.chunks_exact_mut(inner).zip(groups) {
        finish(out, partial, count, how);
    }
    Image::new(out)
}

#[allow(clippy::cast_possible_truncation)] // rounded once
fn finish(out: &mut [f32], partial: &[f32], count: usize, how: Reduction) {
    let inner = out.len();
    for (index, out) in out.iter_mut().enumerate() {
        let column = partial[index..].iter().step_by(inner);
        *out = match how {
            Reduction::Sum => column.map(|v| f64::from(*v)).sum::<f64>() as f32,
            Reduction::Mean => {
                let sum: f64 = column.map(|v| f64::from(*v)).sum();
                (sum / count as f64) as f32
            }
            Reduction::Max => column.fold(f32::NEG_INFINITY, |a, b| larger(a, *b)),
        };
    }
}

#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if b > a || b.is_nan() { b } else { a }
}

/// Contiguous lines, each reduced to one value.
struct Lines<'a> {
    x: &'a [f32],
    count: usize,
    how: Reduction,
    out: &'a mut [f32],
}

impl WithSimd for Lines<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        for (out, x) in self.out.iter_mut().zip(self.x.chunks_exact(self.count)) {
            *out = match self.how {
                Reduction::Sum => lanes::sum(x),
                Reduction::Mean => lanes::sum(x) / self.count as f32,
                Reduction::Max => {
                    let sum = lanes::sum(x);
                    if sum.is_nan() && x.iter().any(|x| x.is_nan()) {
                        f32::NAN
                    } else {
                        lanes::largest(x)
                    }
                }
            };
        }
    }
}

/// Some positions, added for each inner index.
struct Block<'a> {
    x: &'a [f32],
    how: Reduction,
    out: &'a mut [f32],
}

impl WithSimd for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let inner = self.out.len();
        let (first, rest) = self.x.split_at(inner);
        self.out.copy_from_slice(first);
        for x in rest.chunks_exact(inner) {
            match self.how {
                Reduction::Sum | Reduction::Mean => {
                    for (sum, x) in self.out.iter_mut().zip(x) {
                        *sum += x;
                    }
                }
                Reduction::Max => {
                    for (best, x) in self.out.iter_mut().zip(x) {
                        *best = larger(*best, *x);
                    }
                }
            }
        }
    }
}

/// Each position of the middle axis of the result `[outer, taps, inner]` is a weighted sum of
/// positions of the middle axis of `x` `[outer, count, inner]`.
///
/// # Panics
/// If the image is not as large, or a tap lies outside.
#[must_use]
pub fn resample(
    cpu: &Cpu,
    x: &Image,
    taps: &[Vec<(u32, f32)>],
    (outer, count, inner): (usize, usize, usize),
) -> Image {
    let values = x.values();
    assert_eq!(values.len(), outer * count * inner);
    let mut out = cpu.image((outer, taps.len()), inner);
    let lines = out.0.par_chunks_exact_mut(inner).enumerate();
    lines
        .with_min_len((TASK / inner).max(1))
        .for_each(|(index, out)| {
            let (outer, position) = (index / taps.len(), index % taps.len());
            cpu.level.run(Weighted {
                x: &values[outer * count * inner..][..count * inner],
                taps: &taps[position],
                out,
            });
        });
    Image::new(out)
}

struct Weighted<'a> {
    x: &'a [f32],
    taps: &'a [(u32, f32)],
    out: &'a mut [f32],
}

impl WithSimd for Weighted<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let inner = self.out.len();
        self.out.fill(0.0);
        for (position, weight) in self.taps {
            let x = &self.x[*position as usize * inner..][..inner];
            for (sum, x) in self.out.iter_mut().zip(x) {
                *sum = weight.mul_add(*x, *sum);
            }
        }
    }
}
