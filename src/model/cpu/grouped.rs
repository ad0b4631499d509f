//! Convolution in groups of channels: a matrix product for each group.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::model::cpu::gemm::{Out, Rows, multiply};
use crate::model::cpu::packing::{PANEL, Panels, UNIT};
use crate::model::cpu::{ConvGeometry, Cpu, Epilogue, Image, Scratch};

/// Maximum number of pixels in a tile, and of values gathered for a tile.
const TILE: (usize, usize) = (96, 64 << 10);

/// Packed weights of a convolution in groups. Narrow groups are joined, with zeros between them,
/// until they fill a vector.
#[derive(Clone, Debug)]
pub struct Grouped {
    /// A matrix `[taps·cin, cout]` for each joined group.
    panels: Vec<Panels>,
    /// Input channels of a joined group.
    cin: usize,
    /// Output channels of a joined group.
    cout: usize,
}

impl Grouped {
    /// Packs a weight `[cout, cin per group, taps]` times `scale` `[cout]`.
    ///
    /// # Panics
    /// If the weight does not have this length.
    #[must_use]
    pub fn new(weight: &[f32], scale: &[f32], cin_per_group: usize, groups: usize) -> Self {
        let cout_per_group = scale.len() / groups;
        let taps = weight.len() / scale.len() / cin_per_group;
        assert_eq!(weight.len(), scale.len() * cin_per_group * taps);
        // As many groups as make a whole vector, if they are narrower.
        let joined = if cout_per_group >= UNIT {
            1
        } else {
            let most = (UNIT / cout_per_group).min(groups);
            (1..=most)
                .rev()
                .find(|n| groups.is_multiple_of(*n))
                .unwrap_or(1)
        };
        let (cin, cout) = (joined * cin_per_group, joined * cout_per_group);
        let pack = |index: usize| {
            let first = index * cout;
            Panels::new(taps * cin, cout, |column, width, panel| {
                for column_in_panel in 0..width.min(cout - column) {
                    let local = column + column_in_panel;
                    let group = local / cout_per_group;
                    let kernel = (first + local) * cin_per_group * taps;
                    for input in 0..cin_per_group {
                        for tap in 0..taps {
                            let value = weight[kernel + input * taps + tap];
                            let row = tap * cin + group * cin_per_group + input;
                            panel[row * width + column_in_panel] = value * scale[first + local];
                        }
                    }
                }
            })
        };
        Self {
            panels: (0..groups / joined).into_par_iter().map(pack).collect(),
            cin,
            cout,
        }
    }
}

/// `activation(conv(x) + bias + residual)` in groups.
///
/// # Panics
/// If an argument does not have the expected size.
#[must_use]
pub fn grouped(
    cpu: &Cpu,
    x: &Image,
    weight: &Grouped,
    window: ConvGeometry,
    finish: Epilogue,
) -> Image {
    let cout = finish.bias.len();
    assert_eq!((x.shape.height, x.shape.width), window.input);
    assert_eq!(x.shape.channels, weight.panels.len() * weight.cin);
    assert_eq!(cout, weight.panels.len() * weight.cout);
    let mut out = cpu.image(window.output, cout);
    finish.check(out.0.len());
    let depth = window.taps() * weight.cin;
    let most = (TILE.1 / depth).clamp(6, TILE.0);
    let threads = rayon::current_num_threads();
    let tiles = window.pixels().div_ceil(most).next_multiple_of(threads);
    let tile = window.pixels().div_ceil(tiles);
    let parts = out.0.par_chunks_mut(tile * cout);
    parts.enumerate().for_each(|(index, out)| {
        cpu.level.run(Tile {
            x,
            weight,
            window,
            finish,
            first: index * tile,
            out: &mut *out,
        });
        finish.after(cpu.level, out);
    });
    Image::new(out)
}

/// Consecutive output pixels.
struct Tile<'a> {
    x: &'a Image,
    weight: &'a Grouped,
    window: ConvGeometry,
    finish: Epilogue<'a>,
    first: usize,
    out: &'a mut [f32],
}

impl WithSimd for Tile<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let cout = self.finish.bias.len();
        let count = self.out.len() / cout;
        let depth = self.window.taps() * self.weight.cin;
        let mut scratch = Scratch::take([count * depth, count * PANEL]);
        let (gathered, sums) = scratch.slices();
        for (group, panels) in self.weight.panels.iter().enumerate() {
            self.gather(gathered, group * self.weight.cin);
            let rows = Rows::whole(gathered, depth, depth);
            for panel in panels.panels() {
                let weight = (panel.values, panel.width);
                let channel = group * self.weight.cout + panel.first;
                let whole = panel.columns == panel.width;
                let products = if whole {
                    Out {
                        values: &mut self.out[channel..],
                        stride: cout,
                        finish: Some((self.finish, self.first * cout + channel, channel)),
                    }
                } else {
                    Out::sums(sums, panel.width)
                };
                multiply(simd, rows, count, weight, products);
                if whole {
                    continue;
                }
                let pixels = self
                    .out
                    .chunks_exact_mut(cout)
                    .zip(sums.chunks(panel.width));
                for (index, (pixel, sums)) in pixels.enumerate() {
                    let part = &mut pixel[channel..][..panel.columns];
                    let at = (self.first + index) * cout + channel;
                    self.finish.write(simd, part, sums, (at, channel));
                }
            }
        }
    }
}

impl Tile<'_> {
    /// Copies what the kernel covers at each pixel, for the channels of a group from `channel` on.
    #[inline(always)]
    fn gather(&self, rows: &mut [f32], channel: usize) {
        let (window, cin, channels) = (self.window, self.weight.cin, self.x.shape.channels);
        let depth = window.taps() * cin;
        for (index, row) in rows.chunks_exact_mut(depth).enumerate() {
            let pixel = self.first + index;
            let (down, across) = (pixel / window.output.1, pixel % window.output.1);
            let (vertical, horizontal) = window.on_input(down, across);
            if window.kernel != (vertical.count, horizontal.count) {
                row.fill(0.0);
            }
            for line in 0..vertical.count {
                let y = vertical.input + line * window.dilation.0;
                for tap in 0..horizontal.count {
                    let x = horizontal.input + tap * window.dilation.1;
                    let from = (y * window.input.1 + x) * channels + channel;
                    let to = (vertical.first + line) * window.kernel.1 + horizontal.first + tap;
                    row[to * cin..][..cin].copy_from_slice(&self.x.values()[from..from + cin]);
                }
            }
        }
    }
}
