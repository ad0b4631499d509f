//! The sides of products: matrices in memory, the windows of a convolution, its weights.

use std::ops::Range;

use crate::model::graph::reference::Values;
use crate::model::graph::reference::multiply::Operand;

/// Numbers in either precision, borrowed.
#[derive(Clone, Copy)]
pub(super) enum Slice<'a> {
    Single(&'a [f32]),
    Double(&'a [f64]),
}

impl<'a> Slice<'a> {
    pub(super) fn of(values: &'a Values) -> Self {
        match values {
            Values::Single(values) => Self::Single(values),
            Values::Double(values) => Self::Double(values),
        }
    }

    /// `count` values from `first` on.
    pub(super) fn part(self, first: usize, count: usize) -> Self {
        match self {
            Self::Single(values) => Self::Single(&values[first..][..count]),
            Self::Double(values) => Self::Double(&values[first..][..count]),
        }
    }

    pub(super) fn get(self, at: usize) -> f64 {
        match self {
            Self::Single(values) => f64::from(values[at]),
            Self::Double(values) => values[at],
        }
    }
}

/// A matrix in memory: the value `k` of a line is at `k·depth + line·lines`.
pub(super) struct Matrix<'a> {
    pub(super) values: Slice<'a>,
    pub(super) depth: usize,
    pub(super) lines: usize,
}

impl Operand for Matrix<'_> {
    fn pack(&self, depth: Range<usize>, lines: Range<usize>, width: usize, out: &mut [f64]) {
        let strides = (self.depth, self.lines);
        match self.values {
            Slice::Single(values) => pack(values, strides, &depth, &lines, width, out),
            Slice::Double(values) => pack(values, strides, &depth, &lines, width, out),
        }
    }
}

fn pack<T: Copy + Into<f64>>(
    values: &[T],
    strides: (usize, usize),
    depth: &Range<usize>,
    lines: &Range<usize>,
    width: usize,
    out: &mut [f64],
) {
    let count = lines.len();
    let out = &mut out[..depth.len() * width];
    if count < width {
        out.fill(0.0);
    }
    if strides.1 == 1 {
        for (k, out) in depth.clone().zip(out.chunks_exact_mut(width)) {
            let from = &values[k * strides.0 + lines.start..][..count];
            for (to, from) in out.iter_mut().zip(from) {
                *to = (*from).into();
            }
        }
    } else {
        for (index, line) in lines.clone().enumerate() {
            let from = values[depth.start * strides.0 + line * strides.1..]
                .iter()
                .step_by(strides.0.max(1));
            for (out, from) in out.chunks_exact_mut(width).zip(from) {
                out[index] = (*from).into();
            }
        }
    }
}

/// Where the taps of a convolution lie, for the positions of a grid: position `(i, j)` reads the
/// source at `(i·step₀ + dy, j·step₁ + dx)`, or 0 if that lies outside.
pub(super) struct Geometry {
    /// Height and width of a plane of the source.
    pub(super) source: (usize, usize),
    /// Height and width of the grid.
    pub(super) grid: (usize, usize),
    pub(super) step: [usize; 2],
    /// `(dy, dx)` of each tap.
    pub(super) offsets: Vec<(isize, isize)>,
    /// The index of each tap in the kernel.
    pub(super) taps: Vec<usize>,
}

impl Geometry {
    /// Whether each position reads only the same position of the source.
    pub(super) fn is_identity(&self) -> bool {
        self.source == self.grid && self.step == [1, 1] && self.offsets[..] == [(0, 0)]
    }

    /// The row of the source that a tap reads for a row of the grid.
    #[inline(always)]
    pub(super) fn row(&self, i: usize, dy: isize) -> Option<usize> {
        let row = (i * self.step[0]).checked_add_signed(dy)?;
        (row < self.source.0).then_some(row)
    }

    /// Of the columns `first..first + count` of the grid, those for which a tap lies inside the
    /// source, relative to `first`.
    #[inline(always)]
    pub(super) fn inside(&self, first: usize, count: usize, dx: isize) -> Range<usize> {
        let step = self.step[1];
        let first_inside = dx.min(0).unsigned_abs().div_ceil(step);
        let room = self.source.1.saturating_add_signed(-dx.max(0));
        let room = room + dx.min(0).unsigned_abs();
        let end = room.div_ceil(step);
        let start = first_inside.saturating_sub(first).min(count);
        start..end.saturating_sub(first).clamp(start, count)
    }
}

/// The windows of a convolution: lines are positions of the grid, values are planes × taps.
pub(super) struct Windows<'a> {
    pub(super) geometry: &'a Geometry,
    /// `[planes, height, width]`.
    pub(super) planes: &'a [f64],
}

/// Consecutive positions in a row of the grid.
struct Run {
    row: usize,
    column: usize,
    /// The position in a panel, and the number of positions.
    at: usize,
    count: usize,
}

impl Operand for Windows<'_> {
    fn pack(&self, depth: Range<usize>, lines: Range<usize>, width: usize, out: &mut [f64]) {
        let (height_in, width_in) = self.geometry.source;
        let taps = self.geometry.offsets.len();
        let runs = runs(&lines, self.geometry.grid.1);
        let (mut plane, mut tap) = (depth.start / taps, depth.start % taps);
        for out in out[..depth.len() * width].chunks_exact_mut(width) {
            let source = &self.planes[plane * height_in * width_in..][..height_in * width_in];
            let (dy, dx) = self.geometry.offsets[tap];
            out.fill(0.0);
            for run in &runs {
                if let Some(row) = self.geometry.row(run.row, dy) {
                    let source = &source[row * width_in..][..width_in];
                    let out = &mut out[run.at..][..run.count];
                    self.copy(source, (run.column, dx), out);
                }
            }
            tap += 1;
            if tap == taps {
                (plane, tap) = (plane + 1, 0);
            }
        }
    }
}

impl Windows<'_> {
    /// The values that a tap reads in a row of the source, for positions from `first` on.
    fn copy(&self, source: &[f64], (first, dx): (usize, isize), out: &mut [f64]) {
        let inside = self.geometry.inside(first, out.len(), dx);
        if inside.is_empty() {
            return;
        }
        let step = self.geometry.step[1];
        let start = ((first + inside.start) * step).saturating_add_signed(dx);
        let out = &mut out[inside];
        if step == 1 {
            out.copy_from_slice(&source[start..][..out.len()]);
        } else {
            for (to, from) in out.iter_mut().zip(source[start..].iter().step_by(step)) {
                *to = *from;
            }
        }
    }
}

/// The parts of a range of positions that lie in one row of the grid each.
fn runs(lines: &Range<usize>, width: usize) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut line = lines.start;
    while line < lines.end {
        let (row, column) = (line / width, line % width);
        let count = (width - column).min(lines.end - line);
        let at = line - lines.start;
        runs.push(Run {
            row,
            column,
            at,
            count,
        });
        line += count;
    }
    runs
}

/// Weights of a convolution `[outer, lines, kernel]`, of which only some taps count: the value
/// `outer·taps + tap` of a line.
pub(super) struct Kernels<'a> {
    pub(super) values: Slice<'a>,
    /// Distance of consecutive `outer`, and of lines.
    pub(super) strides: (usize, usize),
    /// The index of each tap in the kernel.
    pub(super) taps: &'a [usize],
}

impl Kernels<'_> {
    #[inline(always)]
    pub(super) fn get(&self, line: usize, outer: usize, tap: usize) -> f64 {
        self.values
            .get(outer * self.strides.0 + line * self.strides.1 + self.taps[tap])
    }
}

impl Operand for Kernels<'_> {
    fn pack(&self, depth: Range<usize>, lines: Range<usize>, width: usize, out: &mut [f64]) {
        match self.values {
            Slice::Single(values) => self.pack_from(values, &depth, lines, width, out),
            Slice::Double(values) => self.pack_from(values, &depth, lines, width, out),
        }
    }
}

impl Kernels<'_> {
    fn pack_from<T: Copy + Into<f64>>(
        &self,
        values: &[T],
        depth: &Range<usize>,
        lines: Range<usize>,
        width: usize,
        out: &mut [f64],
    ) {
        let out = &mut out[..depth.len() * width];
        if lines.len() < width {
            out.fill(0.0);
        }
        let taps = self.taps.len();
        for (index, line) in lines.enumerate() {
            let mut tap = depth.start % taps;
            let mut first = depth.start / taps * self.strides.0 + line * self.strides.1;
            for out in out.chunks_exact_mut(width) {
                out[index] = values[first + self.taps[tap]].into();
                tap += 1;
                if tap == taps {
                    (tap, first) = (0, first + self.strides.0);
                }
            }
        }
    }
}
