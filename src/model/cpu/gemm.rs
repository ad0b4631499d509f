//! The matrix product used by all convolutions: rows of pixels × weights that were packed into
//! panels when the model was loaded.
//!
//! It is generic over `pulp`'s vector types: safe code that the compiler turns into AVX-512, AVX2
//! or NEON. With packed weights it runs at 170 to 210 GFLOP/s on a core where `gemm`, which packs
//! them in each call, runs at 96 to 154 (measured with the shapes of a ResNet and AVX-512).

use pulp::{Simd, WithSimd};

use crate::model::cpu::epilogue::Epilogue;
use crate::model::cpu::packing::UNIT;
use crate::model::cpu::prefetch::prefetch;

/// Number of rows of sums kept in registers. With AVX-512, these rows times the four vectors of the
/// widest panel, four vectors of weights and one of the image fit into the 32 registers.
const ROWS: usize = 6;
/// This many rows of a panel (32 KB) stay in the first-level cache while all pixels of a tile are
/// processed.
const DEPTH: usize = 128;

/// The left-hand side of a product. Row `i` is `segments` runs of `length` values; run `s`
/// begins at `values[i·stride + s·step]`. Rows may overlap.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// The values.
    pub values: &'a [f32],
    /// Distance from one row to the next.
    pub stride: usize,
    /// Number of runs in a row.
    pub segments: usize,
    /// Distance from one run to the next.
    pub step: usize,
    /// Number of values in a run.
    pub length: usize,
}

impl<'a> Rows<'a> {
    /// Rows that consist of one run each.
    #[must_use]
    pub fn whole(values: &'a [f32], stride: usize, length: usize) -> Self {
        Self {
            values,
            stride,
            segments: 1,
            step: 0,
            length,
        }
    }
}

/// Where products are written: row `i`, column `j` to `values[i·stride + j]`.
pub struct Out<'a> {
    /// The output.
    pub values: &'a mut [f32],
    /// Distance from one row to the next.
    pub stride: usize,
    /// The epilogue, if the sums are final values of the output, with the index of the first output
    /// value and its channel.
    pub finish: Option<(Epilogue<'a>, usize, usize)>,
}

impl<'a> Out<'a> {
    /// Plain sums without an epilogue.
    #[inline(always)]
    pub fn sums(values: &'a mut [f32], stride: usize) -> Self {
        Self {
            values,
            stride,
            finish: None,
        }
    }
}

/// `Σ_k rows[i, k] · weights[k, j]` for the first `count` rows and all `width` columns of `weights`
/// `[depth, width]`. The data after the weights is prefetched, because it is usually needed next.
///
/// # Panics
/// If a slice is too short.
#[inline(always)]
pub fn multiply<S: Simd>(simd: S, rows: Rows, count: usize, weights: (&[f32], usize), out: Out) {
    // A function of its own for each set of instructions: inlined into every kernel, these loops
    // take minutes to compile.
    simd.vectorize(Product {
        rows,
        count,
        weights,
        out,
    });
}

struct Product<'a> {
    rows: Rows<'a>,
    count: usize,
    weights: (&'a [f32], usize),
    out: Out<'a>,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            rows,
            count,
            weights: (weights, width),
            mut out,
        } = self;
        let finish = out.finish;
        let in_one = rows.segments > 1;
        let mut done = 0;
        while done < rows.length {
            let (length, next) = if in_one {
                (rows.length, &[][..])
            } else {
                let length = DEPTH.min(rows.length - done);
                let next = &weights[(done + length) * width..];
                (length, &next[..next.len().min(DEPTH * width)])
            };
            let chunk = Rows {
                values: &rows.values[done..],
                length,
                ..rows
            };
            out.finish = finish.filter(|_| done + length == rows.length);
            let weights = (&weights[done * width..], width, next);
            // Once only: all of it is inlined here.
            multiply_chunk(simd, chunk, count, weights, &mut out, done == 0);
            done += length;
        }
    }
}

#[inline(always)]
fn multiply_chunk<S: Simd>(
    simd: S,
    rows: Rows,
    count: usize,
    (weights, width, next): (&[f32], usize, &[f32]),
    out: &mut Out,
    new: bool,
) {
    let groups = count.div_ceil(ROWS);
    // Each group prefetches its share of the data that comes next.
    let share = next.len().div_ceil(groups).next_multiple_of(UNIT);
    let mut first = 0;
    for group in 0..groups {
        let height = count / groups + usize::from(group < count % groups);
        let rows = Rows {
            values: &rows.values[first * rows.stride..],
            ..rows
        };
        let next = next.get(group * share..).unwrap_or_default();
        let weights = (weights, width, &next[..next.len().min(share)]);
        let stride = out.stride;
        let values = &mut out.values[first * stride..];
        let to = (&mut *values, stride);
        match height {
            1 => columns::<S, 1>(simd, rows, weights, to, new),
            2 => columns::<S, 2>(simd, rows, weights, to, new),
            3 => columns::<S, 3>(simd, rows, weights, to, new),
            4 => columns::<S, 4>(simd, rows, weights, to, new),
            5 => columns::<S, 5>(simd, rows, weights, to, new),
            _ => columns::<S, ROWS>(simd, rows, weights, to, new),
        }
        if let Some((finish, at, channel)) = out.finish {
            for row in 0..height {
                let line = &mut values[row * stride..][..width];
                finish.apply(simd, line, (at + (first + row) * stride, channel));
            }
        }
        first += height;
    }
}

/// All columns of `M` rows, as many at a time as there are registers for.
#[inline(always)]
fn columns<S: Simd, const M: usize>(
    simd: S,
    rows: Rows,
    (weights, width, next): (&[f32], usize, &[f32]),
    (out, stride): (&mut [f32], usize),
    new: bool,
) {
    match (S::F32_LANES, width / UNIT) {
        (16, 4) => block::<S, M, 4>(simd, rows, (weights, width, next), (out, stride), new),
        (16, 3) => block::<S, M, 3>(simd, rows, (weights, width, next), (out, stride), new),
        (16, 2) => block::<S, M, 2>(simd, rows, (weights, width, next), (out, stride), new),
        (lanes, units) => {
            for unit in 0..units {
                let at = unit * UNIT;
                // Only the first unit prefetches; the others would prefetch the same data.
                let next = if unit == 0 { next } else { &[] };
                let weights = (&weights[at..], width, next);
                let out = (&mut out[at..], stride);
                match lanes {
                    16 => block::<S, M, 1>(simd, rows, weights, out, new),
                    8 => block::<S, M, 2>(simd, rows, weights, out, new),
                    4 => block::<S, M, 4>(simd, rows, weights, out, new),
                    _ => block::<S, M, UNIT>(simd, rows, weights, out, new),
                }
            }
        }
    }
}

/// `M` rows × `N` vectors of columns, summed in registers.
#[inline(always)]
fn block<S: Simd, const M: usize, const N: usize>(
    simd: S,
    rows: Rows,
    (weights, width, next): (&[f32], usize, &[f32]),
    (out, stride): (&mut [f32], usize),
    new: bool,
) {
    let lanes = S::F32_LANES;
    let mut sums = [[simd.splat_f32s(0.0); N]; M];
    for segment in 0..rows.segments {
        let mut runs: [&[f32]; M] = [&[]; M];
        for (row, run) in runs.iter_mut().enumerate() {
            *run = &rows.values[row * rows.stride + segment * rows.step..][..rows.length];
        }
        let weights = &weights[segment * rows.length * width..];
        for k in 0..rows.length {
            if let Some(next) = next.get(k * UNIT..) {
                prefetch(next);
            }
            let (line, _) = S::as_simd_f32s(&weights[k * width..][..N * lanes]);
            for row in 0..M {
                let value = simd.splat_f32s(runs[row][k]);
                for column in 0..N {
                    sums[row][column] = simd.mul_add_e_f32s(value, line[column], sums[row][column]);
                }
            }
        }
    }
    // Keep this loop minimal: with more code, the compiler keeps the sums in memory.
    for (row, sums) in sums.iter().enumerate() {
        let (line, _) = S::as_mut_simd_f32s(&mut out[row * stride..][..N * lanes]);
        for column in 0..N {
            line[column] = if new {
                sums[column]
            } else {
                simd.add_f32s(line[column], sums[column])
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cpu::Panels;
    use crate::platform::simd::Isa;

    fn pack(depth: usize, columns: usize, at: impl Fn(usize, usize) -> f32 + Sync) -> Panels {
        Panels::new(depth, columns, |first, width, panel| {
            for (row, line) in panel.chunks_exact_mut(width).enumerate() {
                for column in first..columns.min(first + width) {
                    line[column - first] = at(row, column);
                }
            }
        })
    }

    struct Multiply<'a>(Rows<'a>, usize, &'a Panels);

    impl WithSimd for Multiply<'_> {
        type Output = Vec<f32>;

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Vec<f32> {
            let Self(rows, count, panels) = self;
            let mut out = vec![0.0; count * panels.columns()];
            for panel in panels.panels() {
                let mut block = vec![f32::NAN; count * panel.width];
                let weights = (panel.values, panel.width);
                multiply(
                    simd,
                    rows,
                    count,
                    weights,
                    Out::sums(&mut block, panel.width),
                );
                for (row, line) in block.chunks_exact(panel.width).enumerate() {
                    let to = row * panels.columns() + panel.first;
                    out[to..to + panel.columns].copy_from_slice(&line[..panel.columns]);
                }
            }
            out
        }
    }

    #[test]
    fn every_level_multiplies_exactly() {
        // Small integers: every order of summation gives the same f32.
        let whole = |n: usize, m: usize| ((n * 7 + m * 13) % 9) as f32 - 4.0;
        for (count, depth, columns) in [(1, 1, 1), (7, 150, 40), (13, 27, 64), (6, 300, 80)] {
            let a: Vec<f32> = (0..count * depth).map(|n| whole(n, 1)).collect();
            let panels = pack(depth, columns, whole);
            let mut expected = Vec::new();
            for row in a.chunks_exact(depth) {
                for column in 0..columns {
                    let products = row.iter().enumerate().map(|(k, v)| v * whole(k, column));
                    expected.push(products.sum::<f32>());
                }
            }
            for level in Isa::available() {
                let rows = Rows::whole(&a, depth, depth);
                let product = level.run(Multiply(rows, count, &panels));
                assert_eq!(
                    product,
                    expected,
                    "{} {count} {depth} {columns}",
                    level.name()
                );
            }
        }
    }

    #[test]
    fn rows_in_segments_overlap() {
        // Two runs of three values; the rows are one value apart.
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        let rows = Rows {
            values: &values,
            stride: 1,
            segments: 2,
            step: 4,
            length: 3,
        };
        let ones = pack(6, 1, |_, _| 1.0);
        for level in Isa::available() {
            let sums = level.run(Multiply(rows, 2, &ones));
            assert_eq!(sums, [1.0 + 2.0 + 3.0 + 5.0 + 6.0 + 7.0, 9.0 + 21.0]);
        }
    }
}
