//! Copies between orders of axes.

use rayon::prelude::*;

use crate::model::cpu::{Buffer, Cpu, Image};

/// Approximate number of values in a task.
const TASK: usize = 16 << 10;

/// Nested loops over a contiguous output (outermost first), and the distance in each of `N` inputs
/// for one step of each loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loops<const N: usize> {
    /// Numbers of steps.
    pub sides: Vec<usize>,
    /// Distances.
    pub steps: Vec<[isize; N]>,
    /// Where the inputs begin.
    pub start: [usize; N],
}

impl<const N: usize> Loops<N> {
    /// As few loops as possible for these axes.
    #[must_use]
    pub fn new(sides: &[usize], steps: &[[isize; N]], start: [usize; N]) -> Self {
        let mut loops = Self {
            sides: Vec::new(),
            steps: Vec::new(),
            start,
        };
        for (side, step) in sides.iter().zip(steps) {
            if *side == 1 {
                continue;
            }
            if let (Some(outer), Some(outer_step)) =
                (loops.sides.last_mut(), loops.steps.last_mut())
            {
                let joins = |n: usize| outer_step[n] == step[n] * side.cast_signed();
                if (0..N).all(joins) {
                    *outer *= side;
                    *outer_step = *step;
                    continue;
                }
            }
            loops.sides.push(*side);
            loops.steps.push(*step);
        }
        if loops.sides.is_empty() {
            loops.sides.push(1);
            loops.steps.push([1; N]);
        }
        loops
    }

    /// Number of values of the output.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sides.iter().product()
    }

    /// Whether the output is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Steps of the innermost loop, and its distances.
    #[must_use]
    pub fn inner(&self) -> (usize, [isize; N]) {
        let last = self.sides.len() - 1;
        (self.sides[last], self.steps[last])
    }

    /// The positions in the inputs at the start of the innermost loop with this index.
    #[must_use]
    pub fn line(&self, mut index: usize) -> [isize; N] {
        let mut at = self.start.map(usize::cast_signed);
        let outer = self.sides.len() - 1;
        let loops = self.sides[..outer].iter().zip(&self.steps[..outer]);
        for (side, step) in loops.rev() {
            let position = (index % side).cast_signed();
            index /= side;
            for (at, step) in at.iter_mut().zip(step) {
                *at += position * step;
            }
        }
        at
    }

    /// Values of the output in a task: whole lines, or an even share of long ones.
    pub fn task(&self) -> usize {
        let (inner, _) = self.inner();
        if inner > TASK {
            TASK
        } else {
            TASK / inner * inner
        }
    }
}

/// Copies in the order of the loops; the result is `[1, 1, values]`.
///
/// # Panics
/// If the loops leave the input.
#[must_use]
pub fn copy(cpu: &Cpu, x: &Image, loops: &Loops<1>) -> Image {
    let mut out = cpu.image((1, 1), loops.len());
    fill(&mut out.0, x.values(), loops);
    Image::new(out)
}

fn fill(out: &mut [f32], x: &[f32], loops: &Loops<1>) {
    let (inner, [step]) = loops.inner();
    let task = loops.task();
    let tasks = out.par_chunks_mut(task).enumerate();
    tasks.for_each(|(index, out)| {
        let mut done = 0;
        while done < out.len() {
            let at = index * task + done;
            let (line, column) = (at / inner, at % inner);
            let count = (inner - column).min(out.len() - done);
            let from = loops.line(line)[0] + column.cast_signed() * step;
            let to = &mut out[done..done + count];
            match step {
                1 => to.copy_from_slice(&x[from.cast_unsigned()..][..count]),
                0 => to.fill(x[from.cast_unsigned()]),
                _ => {
                    for (n, to) in to.iter_mut().enumerate() {
                        *to = x[(from + n.cast_signed() * step).cast_unsigned()];
                    }
                }
            }
            done += count;
        }
    });
}

/// An image of this size filled with one value, into which `x` is written; the loops give the
/// position of each value of `x` in it.
///
/// # Panics
/// If the loops leave the output or do not cover `x`.
#[must_use]
pub fn pad(cpu: &Cpu, x: &Image, values: usize, value: f32, loops: &Loops<1>) -> Image {
    let mut out = cpu.image((1, 1), values);
    out.0.fill(value);
    spread(&mut out.0, x.values(), loops);
    Image::new(out)
}

fn spread(out: &mut Buffer, x: &[f32], loops: &Loops<1>) {
    let (inner, [step]) = loops.inner();
    for (line, from) in x.chunks_exact(inner).enumerate() {
        let at = loops.line(line)[0];
        if step == 1 {
            out[at.cast_unsigned()..][..inner].copy_from_slice(from);
            continue;
        }
        for (n, from) in from.iter().enumerate() {
            out[(at + n.cast_signed() * step).cast_unsigned()] = *from;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cpu::Isa;

    #[test]
    fn loops_are_joined() {
        let loops = Loops::new(&[2, 3, 1, 4], &[[12, 0], [4, 0], [9, 9], [1, 1]], [0, 0]);
        assert_eq!(loops.sides, [6, 4]);
        assert_eq!(loops.steps, [[4, 0], [1, 1]]);
        assert_eq!(Loops::<1>::new(&[1, 1], &[[1], [1]], [0]).len(), 1);
    }

    #[test]
    fn axes_are_reordered() {
        let cpu = Cpu::new(Isa::Portable);
        let x: Vec<f32> = (0..6).map(|n| n as f32).collect();
        let x = Image::from_values(&cpu, &x, (2, 3));
        // Transposed, and reversed.
        let loops = Loops::new(&[3, 2], &[[1], [3]], [0]);
        assert_eq!(
            copy(&cpu, &x, &loops).values(),
            [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
        );
        let loops = Loops::new(&[6], &[[-1]], [5]);
        assert_eq!(
            copy(&cpu, &x, &loops).values(),
            [5.0, 4.0, 3.0, 2.0, 1.0, 0.0]
        );
        let loops = Loops::new(&[2, 3], &[[4], [1]], [1]);
        let padded = pad(&cpu, &x, 8, 9.0, &loops);
        assert_eq!(padded.values(), [9.0, 0.0, 1.0, 2.0, 9.0, 3.0, 4.0, 5.0]);
    }
}
