//! Products of matrices in f64: one blocked kernel for convolutions, linear layers and attention.
//!
//! The result does not depend on the number of threads or on the vector instructions: each value is
//! a sum over blocks of [`DEPTH`] products, each block added up in order with fused
//! multiply-add.

use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::model::cpu::Isa;

/// Rows of a panel of the left matrix: 12 rows of two AVX-512 vectors stay in registers.
const ROWS: usize = 12;
/// Columns of a panel of the right matrix.
const COLUMNS: usize = 16;
/// Products that are added up in registers. A panel of each side then stays in the first-level
/// cache.
const DEPTH: usize = 128;
/// Rows of the left matrix that are packed at once (multiple of [`ROWS`]).
const BLOCK_ROWS: usize = 16 * ROWS;
/// Columns of a task (multiple of [`COLUMNS`]); the packed block stays in the second-level cache.
const BLOCK_COLUMNS: usize = 16 * COLUMNS;
/// With fewer products, one thread does all.
const SMALL: usize = 1 << 16;

/// A side of a product: lines (rows of the left matrix, columns of the right one) of `depth` values
/// each.
pub(super) trait Operand: Sync {
    /// Writes the values of some lines as `[depth, width]`, for lines that do not exist zeros
    /// (`width` is at least the number of lines).
    fn pack(&self, depth: Range<usize>, lines: Range<usize>, width: usize, out: &mut [f64]);
}

/// Adds `left [rows, depth] · right [depth, columns]` to `out [rows, columns]`.
///
/// # Panics
/// If `out` has another size.
pub(super) fn multiply(
    level: Isa,
    (rows, depth, columns): (usize, usize, usize),
    left: &dyn Operand,
    right: &dyn Operand,
    out: &mut [f64],
) {
    assert_eq!(out.len(), rows * columns, "out is [rows, columns]");
    let (height, width) = task_size(rows, depth, columns);
    let across = columns.div_ceil(width);
    // Packed once if several tasks need the same rows.
    let packed = (across > 1).then(|| pack_all(left, (rows, depth)));
    let mut tasks: Vec<Task<'_, '_>> = Vec::new();
    for (row, line) in out.chunks_mut(columns).enumerate() {
        for (piece, part) in line.chunks_mut(width).enumerate() {
            let index = row / height * across + piece;
            if index == tasks.len() {
                tasks.push(Task {
                    left,
                    packed: packed.as_deref(),
                    padded: rows.next_multiple_of(ROWS),
                    right,
                    depth,
                    first: (row, piece * width),
                    out: Vec::with_capacity(height.min(rows - row)),
                });
            }
            tasks[index].out.push(part);
        }
    }
    if tasks.len() == 1 {
        for task in tasks {
            level.run(task);
        }
    } else {
        tasks.into_par_iter().for_each(|task| level.run(task));
    }
}

/// Rows and columns of a task: enough tasks for the threads, of equal size, and as large as
/// possible, because each packs its rows and columns itself.
fn task_size(rows: usize, depth: usize, columns: usize) -> (usize, usize) {
    let threads = rayon::current_num_threads();
    let products = rows.saturating_mul(depth).saturating_mul(columns);
    let wanted = if products < SMALL { 1 } else { 2 * threads };
    let mut across = columns.div_ceil(BLOCK_COLUMNS);
    if rows < 2 * ROWS {
        across = across.max(wanted.min(columns.div_ceil(COLUMNS)));
    } else if across > threads {
        across = across.next_multiple_of(threads);
    }
    let width = columns.div_ceil(across).next_multiple_of(COLUMNS);
    let down = wanted.div_ceil(across).min(rows.div_ceil(2 * ROWS));
    (rows.div_ceil(down).next_multiple_of(ROWS), width)
}

/// Packs the whole left matrix: for each block of the depth, all panels.
fn pack_all(left: &dyn Operand, (rows, depth): (usize, usize)) -> Vec<f64> {
    let padded = rows.next_multiple_of(ROWS);
    let mut packed = vec![0.0; padded * depth];
    let blocks = packed.par_chunks_mut(padded * DEPTH).enumerate();
    blocks.for_each(|(block, out)| {
        let start = block * DEPTH;
        let depth = start..depth.min(start + DEPTH);
        let panels = out.par_chunks_mut(depth.len() * ROWS).enumerate();
        panels.for_each(|(panel, out)| {
            let lines = panel * ROWS..rows.min((panel + 1) * ROWS);
            left.pack(depth.clone(), lines, ROWS, out);
        });
    });
    packed
}

/// A block of the result.
struct Task<'a, 'b> {
    left: &'a dyn Operand,
    /// The left matrix, if it is packed already.
    packed: Option<&'a [f64]>,
    /// Its number of rows, rounded up.
    padded: usize,
    right: &'a dyn Operand,
    depth: usize,
    /// Its first row and column.
    first: (usize, usize),
    /// Its part of each row.
    out: Vec<&'b mut [f64]>,
}

impl WithSimd for Task<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (rows, columns) = (self.out.len(), self.out[0].len());
        let deepest = DEPTH.min(self.depth);
        let panels = columns.div_ceil(COLUMNS);
        let mut right = vec![0.0; panels * deepest * COLUMNS];
        let block = BLOCK_ROWS.min(rows.next_multiple_of(ROWS));
        let kept = if self.packed.is_some() {
            0
        } else {
            block * deepest
        };
        let mut own = vec![0.0; kept];
        let mut sums = [0.0; ROWS * COLUMNS];
        for start in (0..self.depth).step_by(DEPTH) {
            let depth = start..self.depth.min(start + DEPTH);
            let length = depth.len();
            pack(
                self.right,
                &depth,
                (self.first.1, columns, COLUMNS),
                &mut right,
            );
            for top in (0..rows).step_by(BLOCK_ROWS) {
                let height = BLOCK_ROWS.min(rows - top);
                let first = self.first.0 + top;
                let left = if let Some(packed) = self.packed {
                    &packed[start * self.padded + first * length..]
                } else {
                    pack(self.left, &depth, (first, height, ROWS), &mut own);
                    &own[..]
                };
                for (column, right) in right[..panels * length * COLUMNS]
                    .chunks_exact(length * COLUMNS)
                    .enumerate()
                {
                    let lefts = left.chunks_exact(length * ROWS);
                    for (row, left) in lefts.take(height.div_ceil(ROWS)).enumerate() {
                        let row = top + row * ROWS;
                        let count = ROWS.min(rows - row);
                        tile(simd, (left, right), count, &mut sums);
                        add(
                            simd,
                            &sums,
                            &mut self.out[row..row + count],
                            column * COLUMNS,
                        );
                    }
                }
            }
        }
    }
}

/// Packs lines `first..first + count` in panels of `width` lines.
fn pack(
    side: &dyn Operand,
    depth: &Range<usize>,
    (first, count, width): (usize, usize, usize),
    out: &mut [f64],
) {
    let panels = out.chunks_exact_mut(depth.len() * width);
    for (start, panel) in (0..count).step_by(width).zip(panels) {
        let lines = first + start..first + count.min(start + width);
        side.pack(depth.clone(), lines, width, panel);
    }
}

/// Adds a tile to the rows of the result, from a column on.
#[inline(always)]
fn add<S: Simd>(simd: S, sums: &[f64; ROWS * COLUMNS], rows: &mut [&mut [f64]], column: usize) {
    for (row, sums) in rows.iter_mut().zip(sums.chunks_exact(COLUMNS)) {
        let row = &mut row[column..];
        let count = row.len().min(COLUMNS);
        let (values, rest) = S::as_mut_simd_f64s(&mut row[..count]);
        let (whole, tail) = S::as_simd_f64s(&sums[..count]);
        for (value, sum) in values.iter_mut().zip(whole) {
            *value = simd.add_f64s(*value, *sum);
        }
        for (value, sum) in rest.iter_mut().zip(tail) {
            *value += sum;
        }
    }
}

/// The product of two panels; `count` rows of it are needed.
#[inline(always)]
fn tile<S: Simd>(simd: S, sides: (&[f64], &[f64]), count: usize, sums: &mut [f64; ROWS * COLUMNS]) {
    match (S::F64_LANES, count) {
        (8, 1) => block::<S, 1, 2>(simd, sides, (0, 0), sums),
        (8, 2..=6) => block::<S, 6, 2>(simd, sides, (0, 0), sums),
        (8, _) => block::<S, ROWS, 2>(simd, sides, (0, 0), sums),
        (lanes, 1) => {
            for column in (0..COLUMNS).step_by(4 * lanes) {
                block::<S, 1, 4>(simd, sides, (0, column), sums);
            }
        }
        (4, _) => {
            for at in [(0, 0), (0, 8), (6, 0), (6, 8)] {
                if at.0 < count {
                    block::<S, 6, 2>(simd, sides, at, sums);
                }
            }
        }
        (lanes, _) => {
            for row in (0..count).step_by(6) {
                for column in (0..COLUMNS).step_by(4 * lanes) {
                    block::<S, 6, 4>(simd, sides, (row, column), sums);
                }
            }
        }
    }
}

/// `M` rows × `N` vectors of a tile, summed in registers.
#[inline(always)]
fn block<S: Simd, const M: usize, const N: usize>(
    simd: S,
    (left, right): (&[f64], &[f64]),
    (row, column): (usize, usize),
    out: &mut [f64; ROWS * COLUMNS],
) {
    let wide = N * S::F64_LANES;
    let mut sums = [[simd.splat_f64s(0.0); N]; M];
    let (lefts, _) = left.as_chunks::<ROWS>();
    let (rights, _) = right.as_chunks::<COLUMNS>();
    for (left, right) in lefts.iter().zip(rights) {
        let (line, _) = S::as_simd_f64s(&right[column..][..wide]);
        let left = &left[row..][..M];
        for row in 0..M {
            let value = simd.splat_f64s(left[row]);
            for column in 0..N {
                sums[row][column] = simd.mul_add_e_f64s(value, line[column], sums[row][column]);
            }
        }
    }
    // Keep this loop minimal: with more code, the compiler keeps the sums in memory.
    for (index, sums) in sums.iter().enumerate() {
        let (line, _) = S::as_mut_simd_f64s(&mut out[(row + index) * COLUMNS + column..][..wide]);
        #[allow(clippy::manual_memcpy)] // a copy keeps the sums in memory
        for column in 0..N {
            line[column] = sums[column];
        }
    }
}
