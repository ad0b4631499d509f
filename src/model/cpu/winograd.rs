//! 3×3 convolution with stride 1 by Winograd's minimal filtering (Lavin and Gray 2015, arXiv
//! 1509.09308, section 4). F(2×2, 3×3) needs 16 multiplications for 4 outputs, and F(4×4, 3×3) 36
//! for 16; direct sums need 36 and 144.

mod filter;

use pulp::{Simd, WithSimd};

use crate::model::cpu::epilogue::Epilogue;
use crate::model::cpu::gemm::{Out, Rows, multiply};
use crate::model::cpu::packing::{PANEL, Panel, Panels, UNIT};
use crate::model::cpu::{ConvGeometry, Cpu, Image, Scratch};
use crate::platform::simd::{load, store};

/// Approximate number of tiles that are transformed and multiplied together: their inputs and
/// products stay in a core's second-level cache.
const TILES: usize = 28;
/// Gap between tiles in memory, so that they do not all start in the same cache lines.
const GAP: usize = UNIT;

/// The tile size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// F(2×2, 3×3): tiles of 4×4 give 2×2 outputs.
    F2,
    /// F(4×4, 3×3): tiles of 6×6 give 4×4 outputs.
    F4,
}

impl Size {
    /// Side of the outputs of a tile.
    fn outputs(self) -> usize {
        match self {
            Self::F2 => 2,
            Self::F4 => 4,
        }
    }

    /// Number of values in a transformed tile.
    fn spots(self) -> usize {
        (self.outputs() + 2).pow(2)
    }
}

/// Transformed weights.
#[derive(Clone, Debug)]
pub struct Winograd {
    size: Size,
    /// `[spots·cin, cout]`: a matrix for each point of a tile, stacked.
    weight: Panels,
    cin: usize,
}

impl Winograd {
    /// Transforms the weight of a 3×3 convolution, `[9·cin, cout]`; `None` if the channels do not
    /// fill whole vectors.
    #[must_use]
    pub fn new(size: Size, weight: &Panels) -> Option<Self> {
        let (cin, cout) = (weight.depth() / 9, weight.columns());
        if !cin.is_multiple_of(UNIT) || !cout.is_multiple_of(UNIT) {
            return None;
        }
        let factors = filter::weights(size);
        let panels: Vec<Panel> = weight.panels().collect();
        let fill = |first: usize, width: usize, out: &mut [f32]| {
            let panel = panels.iter().find(|panel| panel.first == first);
            let taps = panel.map_or(&[][..], |panel| panel.values);
            for (spot, out) in out.chunks_exact_mut(cin * width).enumerate() {
                let factors = factors[spot].iter().enumerate();
                let factors = factors.filter(|(_, factor)| **factor != 0.0);
                for (index, (tap, factor)) in factors.enumerate() {
                    let values = &taps[tap * cin * width..][..cin * width];
                    // Freshly allocated memory must not be read first: that costs two page faults
                    // instead of one.
                    if index == 0 {
                        for (sum, value) in out.iter_mut().zip(values) {
                            *sum = factor * value;
                        }
                    } else {
                        for (sum, value) in out.iter_mut().zip(values) {
                            *sum += factor * value;
                        }
                    }
                }
            }
        };
        Some(Self {
            size,
            weight: Panels::new(size.spots() * cin, cout, fill),
            cin,
        })
    }

    /// `activation(conv(x) + bias + residual)`, like [`crate::model::cpu::dense()`].
    ///
    /// # Panics
    /// If an argument does not have the expected size, or the window is not 3×3 with stride 1.
    #[must_use]
    pub fn convolve(&self, cpu: &Cpu, x: &Image, window: ConvGeometry, finish: Epilogue) -> Image {
        let cout = finish.bias.len();
        assert_eq!((window.kernel, window.stride), ((3, 3), (1, 1)));
        assert_eq!(window.dilation, (1, 1));
        assert_eq!((x.shape.height, x.shape.width), window.input);
        assert_eq!((x.shape.channels, self.weight.columns()), (self.cin, cout));
        let mut out = cpu.image(window.output, cout);
        finish.check(out.0.len());
        let outputs = self.size.outputs();
        let job = Job {
            x: x.values(),
            weights: self,
            window,
            finish,
            wide: window.output.1.div_ceil(outputs),
        };
        let high = window.output.0.div_ceil(outputs);
        let (panels, threads) = (self.weight.panels().count(), rayon::current_num_threads());
        let lines = lines_together(high, job.wide, panels, threads);
        // Each part transforms its tiles again for each panel, which costs at most a tenth of the
        // multiplications. If the threads shared the transformed tiles, the data would move between
        // cores.
        let pixels = lines * outputs * window.output.1;
        self.weight
            .share_out(&mut out.0, pixels, |panel, index, out| {
                cpu.level.run(Part {
                    job,
                    panel,
                    first: index * lines,
                    out: &mut *out,
                });
                for part in out {
                    finish.after(cpu.level, part);
                }
            });
        Image::new(out)
    }
}

/// The number of lines of tiles in a part: about [`TILES`] tiles, or fewer if the threads then
/// finish together.
fn lines_together(high: usize, wide: usize, panels: usize, threads: usize) -> usize {
    let most = (TILES / wide).clamp(1, high);
    let time = |lines: usize| {
        let parts = (0..high)
            .step_by(lines)
            .map(|first| lines.min(high - first));
        let parts: Vec<usize> = std::iter::repeat_n(parts, panels).flatten().collect();
        let shares = parts.chunks(parts.len().div_ceil(threads));
        shares.map(|share| share.iter().sum::<usize>()).max()
    };
    (1..=most)
        .rev()
        .min_by_key(|lines| time(*lines))
        .unwrap_or(1)
}

#[derive(Clone, Copy)]
struct Job<'a> {
    x: &'a [f32],
    weights: &'a Winograd,
    window: ConvGeometry,
    finish: Epilogue<'a>,
    /// Tiles in a line.
    wide: usize,
}

impl Job<'_> {
    /// Number of values in a transformed input tile in memory.
    fn tile(&self) -> usize {
        self.weights.size.spots() * self.weights.cin + GAP
    }

    /// Number of values in the products of a tile with one panel in memory.
    fn sums(&self) -> usize {
        self.weights.size.spots() * PANEL + GAP
    }

    /// Bᵀ d B of a line of tiles. `out` is `[tiles, spots, cin]` with gaps.
    #[inline(always)]
    fn transform<S: Simd>(&self, simd: S, out: &mut [f32], line: usize) {
        match self.weights.size {
            Size::F2 => self.transform_tiles::<S, 4>(simd, out, line),
            Size::F4 => self.transform_tiles::<S, 6>(simd, out, line),
        }
    }

    #[inline(always)]
    fn transform_tiles<S: Simd, const T: usize>(&self, simd: S, out: &mut [f32], line: usize) {
        let (cin, (height, width)) = (self.weights.cin, self.window.input);
        let above = self.window.before.0;
        let (tile, step) = (self.tile(), T - 2);
        let mut rows: [Option<usize>; T] = [None; T];
        for (row, start) in rows.iter_mut().enumerate() {
            let y = (step * line + row).checked_sub(above);
            *start = y.filter(|y| *y < height).map(|y| y * width * cin);
        }
        for channel in (0..cin).step_by(S::F32_LANES) {
            // The columns of a tile, each transformed vertically; neighboring tiles share two.
            let mut columns = [[simd.splat_f32s(0.0); T]; T];
            columns[T - 2] = self.column(simd, rows, 0, channel);
            columns[T - 1] = self.column(simd, rows, 1, channel);
            for (across, out) in out.chunks_exact_mut(tile).enumerate() {
                (columns[0], columns[1]) = (columns[T - 2], columns[T - 1]);
                for (new, column) in columns.iter_mut().enumerate().skip(2) {
                    *column = self.column(simd, rows, step * across + new, channel);
                }
                for row in 0..T {
                    let mut d = [simd.splat_f32s(0.0); T];
                    for (value, column) in d.iter_mut().zip(&columns) {
                        *value = column[row];
                    }
                    let spots = filter::input(simd, d);
                    for (spot, value) in spots.into_iter().enumerate() {
                        store::<S>(out, (row * T + spot) * cin + channel, value);
                    }
                }
            }
        }
    }

    /// One column of a tile, transformed vertically: the pixels at padded column `x` in lines that
    /// begin at `rows`.
    #[inline(always)]
    fn column<S: Simd, const T: usize>(
        &self,
        simd: S,
        rows: [Option<usize>; T],
        x: usize,
        channel: usize,
    ) -> [S::f32s; T] {
        let mut d = [simd.splat_f32s(0.0); T];
        let left = self.window.before.1;
        if x >= left && x - left < self.window.input.1 {
            let at = (x - left) * self.weights.cin + channel;
            for (value, start) in d.iter_mut().zip(rows) {
                if let Some(start) = start {
                    *value = load::<S>(self.x, start + at);
                }
            }
        }
        filter::input(simd, d)
    }

    /// For each point, the product of all tiles and one panel. `out` is `[tiles, spots, 64]` with
    /// gaps.
    #[inline(always)]
    fn multiply<S: Simd>(&self, simd: S, out: &mut [f32], input: &[f32], panel: Panel) {
        let cin = self.weights.cin;
        let count = out.len() / self.sums();
        for spot in 0..self.weights.size.spots() {
            let rows = Rows::whole(&input[spot * cin..], self.tile(), cin);
            let weight = (&panel.values[spot * cin * panel.width..], panel.width);
            let out = &mut out[spot * PANEL..];
            multiply(simd, rows, count, weight, Out::sums(out, self.sums()));
        }
    }

    /// Aᵀ m A of a line of tiles, with the epilogue applied, written to the lines of the output
    /// that it covers: `out` holds the parts of their pixels that belong to the panel.
    #[inline(always)]
    fn back<S: Simd>(
        &self,
        simd: S,
        out: &mut [&mut [f32]],
        sums: &[f32],
        panel: Panel,
        line: usize,
    ) {
        match self.weights.size {
            Size::F2 => self.back_tiles::<S, 4, 2>(simd, out, sums, panel, line),
            Size::F4 => self.back_tiles::<S, 6, 4>(simd, out, sums, panel, line),
        }
    }

    #[inline(always)]
    fn back_tiles<S: Simd, const T: usize, const M: usize>(
        &self,
        simd: S,
        out: &mut [&mut [f32]],
        sums: &[f32],
        panel: Panel,
        line: usize,
    ) {
        let width = self.window.output.1;
        let finish = self.finish;
        let cout = finish.bias.len();
        let first = M * line * width;
        let lines = out.len() / width;
        let tiles = sums.chunks_exact(self.sums()).take(self.wide);
        for (across, sums) in tiles.enumerate() {
            for column in (0..panel.width).step_by(S::F32_LANES) {
                let mut half = [[simd.splat_f32s(0.0); T]; M];
                for spot in 0..T {
                    let mut m = [simd.splat_f32s(0.0); T];
                    for (row, m) in m.iter_mut().enumerate() {
                        *m = load::<S>(sums, (row * T + spot) * PANEL + column);
                    }
                    let y: [S::f32s; M] = filter::output(simd, m);
                    for (half, y) in half.iter_mut().zip(y) {
                        half[spot] = y;
                    }
                }
                let channel = panel.first + column;
                for (row, m) in half.into_iter().enumerate().take(lines) {
                    let y: [S::f32s; M] = filter::output(simd, m);
                    for (x, sum) in (M * across..width).zip(y) {
                        let pixel = row * width + x;
                        let at = (first + pixel) * cout + channel;
                        let value = finish.vector(simd, sum, (at, channel));
                        store::<S>(out[pixel], column, value);
                    }
                }
            }
        }
    }
}

/// Some lines of tiles from input to output, for the channels of one panel.
struct Part<'a, 'b> {
    job: Job<'a>,
    panel: Panel<'a>,
    first: usize,
    /// The parts of the pixels.
    out: &'a mut [&'b mut [f32]],
}

impl WithSimd for Part<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            job,
            panel,
            first,
            out,
        } = self;
        let line = job.weights.size.outputs() * job.window.output.1;
        let lines = out.len().div_ceil(line);
        let tiles = lines * job.wide;
        let mut scratch = Scratch::take([tiles * job.tile(), tiles * job.sums()]);
        let (input, sums) = scratch.slices();
        let parts = input.chunks_exact_mut(job.wide * job.tile());
        for (index, input) in parts.enumerate() {
            job.transform(simd, input, first + index);
        }
        job.multiply(simd, sums, input, panel);
        for (index, out) in out.chunks_mut(line).enumerate() {
            let sums = &sums[index * job.wide * job.sums()..];
            job.back(simd, out, sums, panel, first + index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_end_together() {
        assert_eq!(lines_together(14, 14, 1, 2), 1);
        assert_eq!(lines_together(16, 14, 1, 2), 2);
        assert_eq!(lines_together(7, 7, 2, 2), 4);
        assert_eq!(lines_together(7, 7, 2, 1), 4);
    }
}
