//! Joining images along channels (or any axis), and factors for each channel.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::model::cpu::{Activation, Cpu, Image};

/// Approximate number of values in a task.
const TASK: usize = 16 << 10;

/// `activation(x·scale + shift)`, with values for each channel.
#[derive(Clone, Copy, Debug)]
pub struct ChannelAffine<'a> {
    /// `[channels]`.
    pub scale: &'a [f32],
    /// `[channels]`.
    pub shift: &'a [f32],
    /// The activation.
    pub activation: Activation,
}

/// [`ChannelAffine`] of an image.
///
/// # Panics
/// If the channels do not fit.
#[must_use]
pub fn affine(cpu: &Cpu, x: &Image, with: ChannelAffine) -> Image {
    concat(cpu, &[(x, with.scale.len())], Some(with))
}

/// Joins images: each consists of as many runs (of the given length) as the others, and the runs
/// with the same index follow each other in the result `[1, runs, length of all]`. The factors,
/// if there are any, belong to the positions in the joined runs.
///
/// # Panics
/// If the numbers of runs differ, or the factors do not fit.
#[must_use]
pub fn concat(cpu: &Cpu, parts: &[(&Image, usize)], with: Option<ChannelAffine>) -> Image {
    let length: usize = parts.iter().map(|(_, run)| run).sum();
    let runs = parts[0].0.values().len() / parts[0].1;
    for (image, run) in parts {
        assert_eq!(image.values().len(), runs * run, "as many runs each");
    }
    if let Some(with) = with {
        assert_eq!((with.scale.len(), with.shift.len()), (length, length));
    }
    let mut out = cpu.image((1, runs), length);
    let lines = (TASK / length).max(1);
    let tasks = out.0.par_chunks_mut(lines * length);
    tasks.enumerate().for_each(|(index, out)| {
        cpu.level.run(Join {
            parts,
            with,
            first: index * lines,
            length,
            out: &mut *out,
        });
        if let Some(with) = with {
            with.activation.after(cpu.level, out);
        }
    });
    Image::new(out)
}

struct Join<'a> {
    parts: &'a [(&'a Image, usize)],
    with: Option<ChannelAffine<'a>>,
    first: usize,
    length: usize,
    out: &'a mut [f32],
}

impl WithSimd for Join<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        for (index, out) in self.out.chunks_exact_mut(self.length).enumerate() {
            let mut at = 0;
            for (image, run) in self.parts {
                let from = &image.values()[(self.first + index) * run..][..*run];
                let to = &mut out[at..at + run];
                match self.with {
                    Some(with) => {
                        let (scale, shift) = (&with.scale[at..], &with.shift[at..]);
                        line(to, from, (&scale[..*run], &shift[..*run]), with.activation);
                    }
                    None => to.copy_from_slice(from),
                }
                at += run;
            }
        }
    }
}

#[inline(always)]
fn line(to: &mut [f32], from: &[f32], (scale, shift): (&[f32], &[f32]), activation: Activation) {
    let values = to.iter_mut().zip(from).zip(scale.iter().zip(shift));
    match activation {
        Activation::Relu => {
            for ((to, from), (scale, shift)) in values {
                let value = from.mul_add(*scale, *shift);
                *to = if value < 0.0 { 0.0 } else { value };
            }
        }
        Activation::Relu6 => {
            for ((to, from), (scale, shift)) in values {
                let value = from.mul_add(*scale, *shift);
                *to = Activation::Relu6.apply(value);
            }
        }
        Activation::Linear | Activation::Other(_) => {
            for ((to, from), (scale, shift)) in values {
                *to = from.mul_add(*scale, *shift);
            }
        }
    }
}
