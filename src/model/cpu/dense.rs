//! Ordinary (ungrouped) convolution: pixel tiles × weight panels.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::model::cpu::epilogue::Epilogue;
use crate::model::cpu::gemm::{Out, Rows, multiply};
use crate::model::cpu::packing::{PANEL, Panel, Panels};
use crate::model::cpu::{ConvGeometry, Cpu, Image, Scratch};

/// Maximum number of pixels in a tile, and of values gathered for a tile (512 KB): the result and
/// the gathered rows stay in a core's second-level cache.
const TILE: (usize, usize) = (96, 128 << 10);
/// Minimum number of pixels in a tile: with fewer, the weights are read too often.
const LEAST: usize = 24;
/// With at most this many input channels (the first layer of a network), whole lines are padded
/// instead of gathering pixels, because the runs would be too short to copy.
const FEW_CHANNELS: usize = 8;

/// `activation(conv(x) + bias + residual)`.
///
/// `x` is `[height, width, cin]`, `weight` `[taps·cin, cout]` (row order: kernel row,
/// kernel column, input channel), `bias` `[cout]`; `residual` and the result are `[out_height,
/// out_width, cout]`.
///
/// # Panics
/// If an argument does not have this size.
#[must_use]
pub fn dense(
    cpu: &Cpu,
    x: &Image,
    weight: &Panels,
    window: ConvGeometry,
    finish: Epilogue,
) -> Image {
    run(cpu, Job::new(x, weight, window, finish))
}

/// [`dense()`] of an image that is first multiplied by a factor for each channel: what is squeezed
/// and excited. The window must be 1×1 without steps and padding.
///
/// # Panics
/// If an argument does not have the expected size.
#[must_use]
pub fn dense_gated(
    cpu: &Cpu,
    (x, gate): (&Image, &[f32]),
    weight: &Panels,
    window: ConvGeometry,
    finish: Epilogue,
) -> Image {
    let mut job = Job::new(x, weight, window, finish);
    assert!(window.is_pointwise());
    assert_eq!(gate.len(), job.cin, "a factor for each channel");
    job.gate = Some(gate);
    run(cpu, job)
}

fn run(cpu: &Cpu, job: Job) -> Image {
    let Job { window, finish, .. } = job;
    let cout = finish.bias.len();
    let mut out = cpu.image(window.output, cout);
    finish.check(out.0.len());
    let threads = rayon::current_num_threads();
    let pixels = window.pixels();
    if window.taps() > 1 && window.dilation.1 == 1 && job.cin <= FEW_CHANNELS {
        let lines = out.0.par_chunks_exact_mut(window.output.1 * cout);
        lines
            .enumerate()
            .for_each(|(down, out)| Line { job, out, down }.run(cpu));
        return Image::new(out);
    }
    let most = (TILE.1 / job.depth()).clamp(LEAST, TILE.0);
    if pixels.div_ceil(most.min(2 * LEAST)) >= 2 * threads {
        let tiles = pixels.div_ceil(most).next_multiple_of(threads);
        let tile = pixels.div_ceil(tiles);
        let parts = out.0.par_chunks_mut(tile * cout);
        parts.enumerate().for_each(|(index, out)| {
            let first = index * tile;
            let tile = Tile {
                job,
                out: &mut *out,
                first,
            };
            cpu.level.run(tile);
            finish.after(cpu.level, out);
        });
    } else {
        in_columns(cpu, job, &mut out.0, threads);
    }
    Image::new(out)
}

/// For few pixels, where tiles alone would not keep all threads busy: the output channels are also
/// distributed.
fn in_columns(cpu: &Cpu, job: Job, out: &mut [f32], threads: usize) {
    let pixels = job.window.pixels();
    let depth = job.depth();
    let mut gathered = cpu
        .pool
        .take(if job.in_place() { 0 } else { pixels * depth });
    if !job.in_place() {
        let rows = pixels.div_ceil(threads);
        let parts = gathered.par_chunks_mut(rows * depth);
        parts
            .enumerate()
            .for_each(|(index, part)| job.im2col(part, index * rows));
    }
    let values = if job.in_place() { job.x } else { &gathered };
    let rows = Rows::whole(values, depth, depth);
    // Enough parts of the panels' columns to keep the threads busy.
    let panels = job.weight.panels().count();
    let slice = pixels.div_ceil((2 * threads).div_ceil(panels));
    job.weight.share_out(out, slice, |panel, index, out| {
        cpu.level.run(Column {
            job,
            rows,
            panel,
            first: index * slice,
            out: &mut *out,
        });
        for part in out {
            job.finish.after(cpu.level, part);
        }
    });
}

/// Data shared by all parts of a convolution.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    x: &'a [f32],
    cin: usize,
    weight: &'a Panels,
    window: ConvGeometry,
    finish: Epilogue<'a>,
    /// Factors for the channels of the input.
    gate: Option<&'a [f32]>,
}

impl<'a> Job<'a> {
    /// # Panics
    /// If an argument does not have the expected size.
    pub fn new(
        x: &'a Image,
        weight: &'a Panels,
        window: ConvGeometry,
        finish: Epilogue<'a>,
    ) -> Self {
        let job = Self {
            x: x.values(),
            cin: x.shape.channels,
            weight,
            window,
            finish,
            gate: None,
        };
        assert_eq!((x.shape.height, x.shape.width), window.input);
        assert_eq!(weight.depth(), job.depth(), "weight is [taps·cin, cout]");
        assert_eq!(weight.columns(), finish.bias.len(), "bias is [cout]");
        job
    }

    fn depth(&self) -> usize {
        self.window.taps() * self.cin
    }

    /// Whether the pixels can be used as the rows of the product without gathering.
    fn in_place(&self) -> bool {
        self.window.is_pointwise() && self.gate.is_none()
    }

    #[inline(always)]
    fn im2col(&self, rows: &mut [f32], first: usize) {
        if let Some(gate) = self.gate {
            let pixels = self.x[first * self.cin..].chunks_exact(self.cin);
            for (row, pixel) in rows.chunks_exact_mut(self.cin).zip(pixels) {
                for ((to, value), factor) in row.iter_mut().zip(pixel).zip(gate) {
                    *to = value * factor;
                }
            }
            return;
        }
        im2col(rows, self.x, self.cin, self.window, first);
    }

    /// Multiplies pixels from `first` on with all panels and applies the epilogue.
    #[inline(always)]
    fn products<S: Simd>(self, simd: S, rows: Rows, out: &mut [f32], sums: &mut [f32], at: usize) {
        let cout = self.finish.bias.len();
        let count = out.len() / cout;
        for panel in self.weight.panels() {
            let weight = (panel.values, panel.width);
            let whole = panel.columns == panel.width;
            let products = if whole {
                Out {
                    values: &mut out[panel.first..],
                    stride: cout,
                    finish: Some((self.finish, at + panel.first, panel.first)),
                }
            } else {
                // The last columns are padding with zeros, and the output has no room for them.
                Out::sums(sums, panel.width)
            };
            // Once only: all of it is inlined here.
            multiply(simd, rows, count, weight, products);
            if whole {
                continue;
            }
            let pixels = out.chunks_exact_mut(cout).zip(sums.chunks(panel.width));
            for (index, (pixel, sums)) in pixels.enumerate() {
                let part = &mut pixel[panel.first..][..panel.columns];
                let at = at + index * cout + panel.first;
                self.finish.write(simd, part, sums, (at, panel.first));
            }
        }
    }
}

/// Consecutive output pixels.
struct Tile<'a> {
    job: Job<'a>,
    out: &'a mut [f32],
    first: usize,
}

impl WithSimd for Tile<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { job, out, first } = self;
        let (depth, cout) = (job.depth(), job.finish.bias.len());
        let count = out.len() / cout;
        let gathered = if job.in_place() { 0 } else { count * depth };
        let mut scratch = Scratch::take([gathered, count * PANEL]);
        let (gathered, sums) = scratch.slices();
        let values = if job.in_place() {
            &job.x[first * depth..]
        } else {
            job.im2col(gathered, first);
            gathered
        };
        let rows = Rows::whole(values, depth, depth);
        job.products(simd, rows, out, sums, first * cout);
    }
}

/// One line of output pixels, for an input with few channels.
pub struct Line<'a> {
    pub job: Job<'a>,
    pub out: &'a mut [f32],
    pub down: usize,
}

impl Line<'_> {
    /// Computes the line.
    pub fn run(self, cpu: &Cpu) {
        let Self { job, out, down } = self;
        let line = Line {
            job,
            out: &mut *out,
            down,
        };
        cpu.level.run(line);
        job.finish.after(cpu.level, out);
    }
}

impl WithSimd for Line<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { job, out, down } = self;
        let ConvGeometry {
            kernel,
            stride,
            dilation,
            before,
            input,
            output,
        } = job.window;
        let cin = job.cin;
        // The input lines under the kernel, padded with zeros.
        let across = ((output.1 - 1) * stride.1 + kernel.1).max(before.1 + input.1);
        let step = across * cin;
        let mut scratch = Scratch::take([kernel.0 * step, output.1 * PANEL]);
        let (padded, sums) = scratch.slices();
        for (tap, to) in padded.chunks_exact_mut(step).enumerate() {
            let (left, right) = (before.1 * cin, (before.1 + input.1) * cin);
            match (down * stride.0 + tap * dilation.0).checked_sub(before.0) {
                Some(y) if y < input.0 => {
                    to[..left].fill(0.0);
                    to[left..right].copy_from_slice(&job.x[y * input.1 * cin..][..right - left]);
                    to[right..].fill(0.0);
                }
                _ => to.fill(0.0),
            }
        }
        let rows = Rows {
            values: padded,
            stride: stride.1 * cin,
            segments: kernel.0,
            step,
            length: kernel.1 * cin,
        };
        let at = down * output.1 * job.finish.bias.len();
        job.products(simd, rows, out, sums, at);
    }
}

/// Some pixels, and the channels of one panel.
struct Column<'a, 'b> {
    job: Job<'a>,
    /// All pixels.
    rows: Rows<'a>,
    panel: Panel<'a>,
    first: usize,
    /// The parts of the pixels.
    out: &'a mut [&'b mut [f32]],
}

impl WithSimd for Column<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            job,
            rows,
            panel,
            first,
            out,
        } = self;
        let values = &rows.values[first * rows.stride..];
        let rows = Rows { values, ..rows };
        let weight = (panel.values, panel.width);
        let mut scratch = Scratch::take([0, out.len() * panel.width]);
        let (_, sums) = scratch.slices();
        let products = Out::sums(sums, panel.width);
        multiply(simd, rows, out.len(), weight, products);
        let cout = job.finish.bias.len();
        let pixels = out.iter_mut().zip(sums.chunks_exact(panel.width));
        for (index, (part, sums)) in pixels.enumerate() {
            let at = (first + index) * cout + panel.first;
            job.finish.write(simd, part, sums, (at, panel.first));
        }
    }
}

/// Copies what the kernel covers at consecutive output pixels from `first` on, one row of
/// `taps·cin` values per pixel (im2col), with zeros where the kernel extends beyond the
/// border.
pub fn im2col(rows: &mut [f32], x: &[f32], cin: usize, window: ConvGeometry, first: usize) {
    let run = window.kernel.1 * cin;
    for (index, row) in rows.chunks_exact_mut(window.kernel.0 * run).enumerate() {
        let pixel = first + index;
        let (across, down) = (pixel % window.output.1, pixel / window.output.1);
        let (vertical, horizontal) = window.on_input(down, across);
        let whole = window.kernel == (vertical.count, horizontal.count);
        if !whole {
            row.fill(0.0);
        }
        for line in 0..vertical.count {
            let y = vertical.input + line * window.dilation.0;
            let from = (y * window.input.1 + horizontal.input) * cin;
            let to = (vertical.first + line) * run + horizontal.first * cin;
            if window.dilation.1 == 1 {
                let length = horizontal.count * cin;
                row[to..to + length].copy_from_slice(&x[from..from + length]);
                continue;
            }
            for tap in 0..horizontal.count {
                let from = from + tap * window.dilation.1 * cin;
                row[to + tap * cin..][..cin].copy_from_slice(&x[from..from + cin]);
            }
        }
    }
}
