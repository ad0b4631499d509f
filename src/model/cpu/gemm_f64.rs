//! The convolution with sums in f64, for gradients.

use pulp::{Simd, WithSimd};

use crate::model::cpu::dense::im2col;
use crate::model::cpu::packing::{Panel, Panels, UNIT};
use crate::model::cpu::{ConvGeometry, Cpu, Epilogue, Image, Scratch};

/// Maximum number of pixels in a task (measured, 2 cores).
const TILE: usize = 96;
/// This many rows of a panel (32 KB in f64) stay in the first-level cache while all pixels of a
/// task are processed.
const DEPTH: usize = 64;
/// Rows of sums that are kept in registers.
const ROWS: usize = 6;

/// Like [`crate::model::cpu::dense()`], but products are added up in f64 and rounded once.
///
/// # Panics
/// If an argument does not have the expected size.
#[must_use]
pub fn dense_in_double(
    cpu: &Cpu,
    x: &Image,
    weight: &Panels,
    window: ConvGeometry,
    finish: Epilogue,
) -> Image {
    let (cin, cout) = (x.shape.channels, finish.bias.len());
    assert_eq!((x.shape.height, x.shape.width), window.input);
    assert_eq!(weight.depth(), window.taps() * cin);
    assert_eq!(weight.columns(), cout, "bias is [cout]");
    let mut out = cpu.image(window.output, cout);
    finish.check(out.0.len());
    // Enough tasks to keep the threads busy; each reads all weights of its panel.
    let pieces = (2 * rayon::current_num_threads()).div_ceil(weight.panels().count());
    let tile = window.pixels().div_ceil(pieces).clamp(1, TILE);
    weight.share_out(&mut out.0, tile, |panel, index, out| {
        cpu.level.run(Piece {
            x,
            depth: weight.depth(),
            panel,
            window,
            finish,
            first: index * tile,
            out,
        });
    });
    Image::new(out)
}

/// Some pixels, and the channels of one panel.
struct Piece<'a, 'b> {
    x: &'a Image,
    depth: usize,
    panel: Panel<'a>,
    window: ConvGeometry,
    finish: Epilogue<'a>,
    /// The index of the first pixel.
    first: usize,
    /// The parts of the pixels.
    out: &'a mut [&'b mut [f32]],
}

impl WithSimd for Piece<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            x,
            depth,
            panel,
            window,
            finish,
            first,
            out,
        } = self;
        let (count, width) = (out.len(), panel.width);
        let mut scratch = Scratch::take([count * depth, 0]);
        let (gathered, _) = scratch.slices();
        im2col(gathered, x.values(), x.shape.channels, window, first);
        // Conversion from f32 to f64 is exact, and so is the product of two such numbers.
        let mut rows = vec![0.0; count * DEPTH];
        let mut weights = vec![0.0; DEPTH * width];
        let mut sums = vec![0.0; count * width];
        for start in (0..depth).step_by(DEPTH) {
            let length = DEPTH.min(depth - start);
            let pixels = gathered.chunks_exact(depth);
            for (to, from) in rows.chunks_exact_mut(length).zip(pixels) {
                widen(to, &from[start..start + length]);
            }
            let weights = &mut weights[..length * width];
            widen(weights, &panel.values[start * width..][..length * width]);
            multiply(simd, (&rows, length), (weights, width), &mut sums);
        }
        let cout = finish.bias.len();
        for (index, (part, sums)) in out.iter_mut().zip(sums.chunks_exact(width)).enumerate() {
            let at = (first + index) * cout + panel.first;
            write(part, sums, finish, (at, panel.first));
        }
    }
}

#[inline(always)]
fn widen(to: &mut [f64], from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = f64::from(*from);
    }
}

/// Applies the epilogue to consecutive channels of one pixel, as [`Epilogue::write`] does.
#[inline(always)]
#[allow(clippy::cast_possible_truncation)] // rounded once
fn write(part: &mut [f32], sums: &[f64], finish: Epilogue, (at, channel): (usize, usize)) {
    let bias = &finish.bias[channel..][..part.len()];
    for (index, (value, sum)) in part.iter_mut().zip(sums).enumerate() {
        let rest = finish
            .residual
            .map_or(0.0, |rest| f64::from(rest[at + index]));
        let sum = (sum + f64::from(bias[index]) + rest) as f32;
        *value = finish.activation.apply(sum);
    }
}

/// Adds rows `[count, length]` × weights `[length, width]` to sums `[count, width]`.
#[inline(always)]
fn multiply<S: Simd>(
    simd: S,
    (rows, length): (&[f64], usize),
    (weights, width): (&[f64], usize),
    sums: &mut [f64],
) {
    let groups = sums
        .chunks_mut(ROWS * width)
        .zip(rows.chunks(ROWS * length));
    for (sums, rows) in groups {
        match sums.len() / width {
            1 => columns::<S, 1>(simd, (rows, length), (weights, width), sums),
            2 => columns::<S, 2>(simd, (rows, length), (weights, width), sums),
            3 => columns::<S, 3>(simd, (rows, length), (weights, width), sums),
            4 => columns::<S, 4>(simd, (rows, length), (weights, width), sums),
            5 => columns::<S, 5>(simd, (rows, length), (weights, width), sums),
            _ => columns::<S, ROWS>(simd, (rows, length), (weights, width), sums),
        }
    }
}

/// All columns of `M` rows, as many at a time as there are registers for.
#[inline(always)]
fn columns<S: Simd, const M: usize>(
    simd: S,
    rows: (&[f64], usize),
    (weights, width): (&[f64], usize),
    sums: &mut [f64],
) {
    let mut at = 0;
    while at < width {
        let (weights, sums) = ((&weights[at..], width), &mut sums[at..]);
        at += match S::F64_LANES {
            8 if width - at >= 2 * UNIT => block::<S, M, 4>(simd, rows, weights, sums),
            8 | 4 => block::<S, M, 2>(simd, rows, weights, sums),
            _ => block::<S, M, 4>(simd, rows, weights, sums),
        };
    }
}

/// `M` rows × `N` vectors of columns, summed in registers; returns the number of columns.
#[inline(always)]
fn block<S: Simd, const M: usize, const N: usize>(
    simd: S,
    (rows, length): (&[f64], usize),
    (weights, width): (&[f64], usize),
    out: &mut [f64],
) -> usize {
    let wide = N * S::F64_LANES;
    let mut sums = [[simd.splat_f64s(0.0); N]; M];
    let mut runs: [&[f64]; M] = [&[]; M];
    for (row, run) in runs.iter_mut().enumerate() {
        *run = &rows[row * length..][..length];
    }
    for k in 0..length {
        let (line, _) = S::as_simd_f64s(&weights[k * width..][..wide]);
        for row in 0..M {
            let value = simd.splat_f64s(runs[row][k]);
            for column in 0..N {
                sums[row][column] = simd.mul_add_e_f64s(value, line[column], sums[row][column]);
            }
        }
    }
    // Keep this loop minimal: with more code, the compiler keeps the sums in memory.
    for (row, sums) in sums.iter().enumerate() {
        let (line, _) = S::as_mut_simd_f64s(&mut out[row * width..][..wide]);
        for column in 0..N {
            line[column] = simd.add_f64s(line[column], sums[column]);
        }
    }
    wide
}
