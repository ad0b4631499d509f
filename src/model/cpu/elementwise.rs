//! Functions of one or two images, value by value, with broadcasting.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::model::cpu::{Activation, Cpu, Function, Image, Loops};

/// Approximate number of values in a task.
const TASK: usize = 16 << 10;

/// How two values are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combine {
    /// Sum.
    Add,
    /// Difference.
    Sub,
    /// Product.
    Mul,
    /// Quotient.
    Div,
    /// The larger one.
    Max,
    /// The smaller one.
    Min,
}

/// A function of every value; the result is as large.
#[must_use]
pub fn unary(cpu: &Cpu, x: &Image, function: Function) -> Image {
    let mut out = cpu.image((x.shape.height, x.shape.width), x.shape.channels);
    let parts = out.0.par_chunks_mut(TASK).zip(x.values().par_chunks(TASK));
    parts.for_each(|(out, x)| {
        out.copy_from_slice(x);
        function.run(cpu.level, out);
    });
    Image::new(out)
}

/// `activation(a ∘ b)` in the order of the loops; the result is `[1, 1, values]`.
///
/// # Panics
/// If the loops leave an input.
#[must_use]
pub fn binary(
    cpu: &Cpu,
    how: Combine,
    (a, b): (&Image, &Image),
    loops: &Loops<2>,
    activation: Activation,
) -> Image {
    let mut out = cpu.image((1, 1), loops.len());
    let task = loops.task();
    let function = match activation {
        Activation::Linear => None,
        Activation::Relu => Some(Function::Relu),
        Activation::Relu6 => Some(Function::Clip(0.0, 6.0)),
        Activation::Other(function) => Some(function),
    };
    let tasks = out.0.par_chunks_mut(task).enumerate();
    tasks.for_each(|(index, out)| {
        cpu.level.run(Both {
            how,
            inputs: (a.values(), b.values()),
            loops,
            first: index * task,
            out: &mut *out,
        });
        if let Some(function) = function {
            function.run(cpu.level, out);
        }
    });
    Image::new(out)
}

struct Both<'a> {
    how: Combine,
    inputs: (&'a [f32], &'a [f32]),
    loops: &'a Loops<2>,
    first: usize,
    out: &'a mut [f32],
}

impl WithSimd for Both<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let (inner, steps) = self.loops.inner();
        let mut done = 0;
        while done < self.out.len() {
            let at = self.first + done;
            let (line, column) = (at / inner, at % inner);
            let count = (inner - column).min(self.out.len() - done);
            let start = self.loops.line(line);
            let column = column.cast_signed();
            let a = (self.inputs.0, start[0] + column * steps[0], steps[0]);
            let b = (self.inputs.1, start[1] + column * steps[1], steps[1]);
            let out = &mut self.out[done..done + count];
            match self.how {
                Combine::Add => combine::<Add>(out, a, b),
                Combine::Sub => combine::<Sub>(out, a, b),
                Combine::Mul => combine::<Mul>(out, a, b),
                Combine::Div => combine::<Div>(out, a, b),
                Combine::Max => combine::<Max>(out, a, b),
                Combine::Min => combine::<Min>(out, a, b),
            }
            done += count;
        }
    }
}

/// An operation on two values. (A trait instead of closures, which would be compiled without the
/// vector instructions.)
trait Operation {
    fn of(a: f32, b: f32) -> f32;
}

struct Add;
struct Sub;
struct Mul;
struct Div;
struct Max;
struct Min;

impl Operation for Add {
    #[inline(always)]
    fn of(a: f32, b: f32) -> f32 {
        a + b
    }
}

impl Operation for Sub {
    #[inline(always)]
    fn of(a: f32, b: f32) -> f32 {
        a - b
    }
}

impl Operation for Mul {
    #[inline(always)]
    fn of(a: f32, b: f32) -> f32 {
        a * b
    }
}

impl Operation for Div {
    #[inline(always)]
    fn of(a: f32, b: f32) -> f32 {
        a / b
    }
}

impl Operation for Max {
    #[inline(always)]
    fn of(a: f32, b: f32) -> f32 {
        if a > b || a.is_nan() { a } else { b }
    }
}

impl Operation for Min {
    #[inline(always)]
    fn of(a: f32, b: f32) -> f32 {
        if a < b || a.is_nan() { a } else { b }
    }
}

/// A line; each input with where it begins and its step.
#[inline(always)]
fn combine<O: Operation>(
    out: &mut [f32],
    (a, a_at, a_step): (&[f32], isize, isize),
    (b, b_at, b_step): (&[f32], isize, isize),
) {
    let count = out.len();
    let (a_start, b_start) = (a_at.cast_unsigned(), b_at.cast_unsigned());
    match (a_step, b_step) {
        (1, 1) => {
            let pairs = a[a_start..][..count].iter().zip(&b[b_start..][..count]);
            for (out, (a, b)) in out.iter_mut().zip(pairs) {
                *out = O::of(*a, *b);
            }
        }
        (1, 0) => {
            let b = b[b_start];
            for (out, a) in out.iter_mut().zip(&a[a_start..][..count]) {
                *out = O::of(*a, b);
            }
        }
        (0, 1) => {
            let a = a[a_start];
            for (out, b) in out.iter_mut().zip(&b[b_start..][..count]) {
                *out = O::of(a, *b);
            }
        }
        _ => {
            for (n, out) in out.iter_mut().enumerate() {
                let n = n.cast_signed();
                let a = a[(a_at + n * a_step).cast_unsigned()];
                *out = O::of(a, b[(b_at + n * b_step).cast_unsigned()]);
            }
        }
    }
}
