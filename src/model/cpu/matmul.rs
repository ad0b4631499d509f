//! Products of many pairs of matrices that are both computed: attention.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::model::cpu::gemm::{Out, Rows, multiply};
use crate::model::cpu::packing::{PANEL, UNIT};
use crate::model::cpu::{Cpu, Image, Scratch};

/// The matrices, and how they lie in memory. Rows of `a` and of the result are contiguous.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matrices {
    /// Rows of `a`, columns of `a`, columns of `b`.
    pub sides: [usize; 3],
    /// For each pair, where its matrices begin in `a`, `b` and the result.
    pub starts: Vec<[usize; 3]>,
    /// Distance of the rows of `a`.
    pub a_row: usize,
    /// Distances of the rows and of the columns of `b`.
    pub b: (usize, usize),
    /// Distance of the rows of the result.
    pub out_row: usize,
    /// Number of values of the result.
    pub values: usize,
}

/// `scale · a·b` for each pair; the result is `[1, 1, values]`.
///
/// # Panics
/// If a matrix leaves its image.
#[must_use]
pub fn matmul(cpu: &Cpu, a: &Image, b: &Image, matrices: &Matrices, scale: f32) -> Image {
    let mut out = cpu.image((1, 1), matrices.values);
    let [rows, _, columns] = matrices.sides;
    let pairs = matrices.starts.len();
    let threads = rayon::current_num_threads();
    // Enough parts of rows to keep the threads busy; each packs the other matrix again.
    let pieces = (2 * threads).div_ceil(pairs).min(rows.div_ceil(6));
    let part = rows.div_ceil(pieces);
    let mut tasks: Vec<Task> = Vec::with_capacity(pairs * pieces);
    // The result in rows of `columns`, each of which belongs to one task.
    let mut owner: Vec<(usize, usize, usize)> = Vec::with_capacity(pairs * rows);
    for (pair, start) in matrices.starts.iter().enumerate() {
        for first in (0..rows).step_by(part) {
            tasks.push(Task {
                pair,
                first,
                out: Vec::with_capacity(part),
            });
        }
        for row in 0..rows {
            let task = tasks.len() - pieces_of(rows, part) + row / part;
            owner.push((start[2] + row * matrices.out_row, task, row));
        }
    }
    owner.sort_unstable();
    let mut rest = &mut out.0[..];
    let mut at = 0;
    for (start, task, _) in owner {
        let (_, after) = rest.split_at_mut(start - at);
        let (line, after) = after.split_at_mut(columns);
        tasks[task].out.push(line);
        rest = after;
        at = start + columns;
    }
    tasks.into_par_iter().for_each(|task| {
        cpu.level.run(Product {
            a: a.values(),
            b: b.values(),
            matrices,
            scale,
            task,
        });
    });
    Image::new(out)
}

fn pieces_of(rows: usize, part: usize) -> usize {
    rows.div_ceil(part)
}

/// Some rows of a pair.
struct Task<'a> {
    pair: usize,
    first: usize,
    out: Vec<&'a mut [f32]>,
}

struct Product<'a> {
    a: &'a [f32],
    b: &'a [f32],
    matrices: &'a Matrices,
    scale: f32,
    task: Task<'a>,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let [_, depth, columns] = self.matrices.sides;
        let [a_start, b_start, _] = self.matrices.starts[self.task.pair];
        let count = self.task.out.len();
        let mut scratch = Scratch::take([depth * PANEL, count * PANEL]);
        let (packed, sums) = scratch.slices();
        let a = &self.a[a_start + self.task.first * self.matrices.a_row..];
        let rows = Rows::whole(a, self.matrices.a_row, depth);
        for first in (0..columns).step_by(PANEL) {
            let wide = PANEL.min(columns - first);
            let width = wide.next_multiple_of(UNIT);
            let packed = &mut packed[..depth * width];
            self.pack(packed, b_start, (first, wide, width));
            multiply(simd, rows, count, (packed, width), Out::sums(sums, width));
            let lines = self.task.out.iter_mut().zip(sums.chunks_exact(width));
            for (out, sums) in lines {
                for (to, sum) in out[first..first + wide].iter_mut().zip(sums) {
                    *to = sum * self.scale;
                }
            }
        }
    }
}

impl Product<'_> {
    /// Copies columns of `b` into `[depth, width]`, with zeros after them.
    #[inline(always)]
    fn pack(&self, packed: &mut [f32], start: usize, (first, wide, width): (usize, usize, usize)) {
        let (row_step, column_step) = self.matrices.b;
        if column_step == 1 {
            for (row, to) in packed.chunks_exact_mut(width).enumerate() {
                let from = &self.b[start + row * row_step + first..][..wide];
                to[..wide].copy_from_slice(from);
                to[wide..].fill(0.0);
            }
            return;
        }
        for column in 0..width {
            if column >= wide {
                for to in packed[column..].iter_mut().step_by(width) {
                    *to = 0.0;
                }
                continue;
            }
            let at = start + (first + column) * column_step;
            for (row, to) in packed[column..].iter_mut().step_by(width).enumerate() {
                *to = self.b[at + row * row_step];
            }
        }
    }
}
