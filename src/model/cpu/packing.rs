//! Packs the weights of a convolution for the matrix product: they are split into panels of columns
//! when the model is loaded.

use rayon::prelude::*;

/// Granularity of the panel width, in columns: one AVX-512 vector, two of AVX2, four of NEON.
pub const UNIT: usize = 16;
/// Width of the widest panel, in units.
const WIDEST: usize = 4;
/// Width of the widest panel, in columns.
pub const PANEL: usize = WIDEST * UNIT;

/// A matrix `[depth, columns]` split into panels of up to 64 columns. Each panel is `[depth,
/// width]`, with the width rounded up to a multiple of [`UNIT`] and padded with zeros.
#[derive(Clone, Debug)]
pub struct Panels {
    depth: usize,
    columns: usize,
    widths: Vec<usize>,
    values: Vec<f32>,
}

/// A panel.
#[derive(Clone, Copy, Debug)]
pub struct Panel<'a> {
    /// Its first column in the matrix.
    pub first: usize,
    /// Its width in memory.
    pub width: usize,
    /// The number of columns without padding.
    pub columns: usize,
    /// `[depth, width]`, followed by the panels to its right.
    pub values: &'a [f32],
}

impl Panels {
    /// Packs a matrix; `fill` writes the columns of a panel, beginning with the given first column,
    /// into `[depth, width]`.
    #[must_use]
    pub fn new(
        depth: usize,
        columns: usize,
        fill: impl Fn(usize, usize, &mut [f32]) + Sync,
    ) -> Self {
        let widths = widths(columns);
        let total: usize = widths.iter().sum();
        let mut values = vec![0.0; depth * total];
        let mut rest = &mut values[..];
        let mut parts = Vec::with_capacity(widths.len());
        let mut first = 0;
        for width in &widths {
            let (panel, after) = rest.split_at_mut(depth * width);
            parts.push((first, *width, panel));
            rest = after;
            first += width;
        }
        parts
            .into_par_iter()
            .for_each(|(first, width, panel)| fill(first, width, panel));
        Self {
            depth,
            columns,
            widths,
            values,
        }
    }

    /// Packs the weight of a convolution, `[cout, cin, taps]` times `scale` `[cout]`, as the matrix
    /// `[taps·cin, cout]`.
    ///
    /// # Panics
    /// If the weight does not have this length.
    #[must_use]
    pub fn of_kernel(weight: &[f32], scale: &[f32], cin: usize, taps: usize) -> Self {
        let cout = scale.len();
        assert_eq!(
            weight.len(),
            cout * cin * taps,
            "weight is [cout, cin, taps]"
        );
        Self::new(taps * cin, cout, |first, width, panel| {
            let kernels = &weight[first * cin * taps..];
            let scales = &scale[first..cout.min(first + width)];
            for input in 0..cin {
                for (column, scale) in scales.iter().enumerate() {
                    let kernel = &kernels[(column * cin + input) * taps..][..taps];
                    for (tap, value) in kernel.iter().enumerate() {
                        panel[(tap * cin + input) * width + column] = value * scale;
                    }
                }
            }
        })
    }

    /// Rows of the matrix.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Columns of the matrix.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The panels from left to right.
    pub fn panels(&self) -> impl Iterator<Item = Panel<'_>> {
        let mut first = 0;
        let mut rest = &self.values[..];
        self.widths.iter().map(move |&width| {
            let panel = Panel {
                first,
                width,
                columns: width.min(self.columns - first),
                values: rest,
            };
            rest = &rest[self.depth * width..];
            first += width;
            panel
        })
    }

    /// Distributes the work on an output `[pixels, columns]` among the threads: one task for each
    /// panel and each `pixels` pixels. Each task gets the panel, its index among the tasks of the
    /// panel, and the parts of the pixels that it writes.
    pub fn share_out(
        &self,
        out: &mut [f32],
        pixels: usize,
        work: impl Fn(Panel, usize, &mut [&mut [f32]]) + Sync,
    ) {
        let mut columns = self.cut(out);
        let parts = columns
            .par_iter_mut()
            .zip(self.panels().collect::<Vec<_>>());
        parts
            .flat_map(|(column, panel)| {
                let pieces = column.par_chunks_mut(pixels).enumerate();
                pieces.map(move |(index, piece)| (panel, index, piece))
            })
            .for_each(|(panel, index, piece)| work(panel, index, piece));
    }

    /// An output `[pixels, columns]` split into columns like the panels: for each panel, a list of
    /// the parts of the pixels. Threads can fill them independently.
    fn cut<'a>(&self, out: &'a mut [f32]) -> Vec<Vec<&'a mut [f32]>> {
        let pixels = out.len() / self.columns;
        let mut lists: Vec<_> = (0..self.widths.len())
            .map(|_| Vec::with_capacity(pixels))
            .collect();
        for pixel in out.chunks_exact_mut(self.columns) {
            let mut rest = pixel;
            for (list, width) in lists.iter_mut().zip(&self.widths) {
                let (part, after) = rest.split_at_mut(rest.len().min(*width));
                list.push(part);
                rest = after;
            }
        }
        lists
    }

    /// For the matrix `[places·cin, cout]` of a kernel: the weights of some places, each
    /// transposed, stacked as `[places·cout, cin]`.
    ///
    /// # Panics
    /// If the kernel has no such place.
    #[must_use]
    pub fn transposed(&self, cin: usize, places: &[usize]) -> Self {
        let cout = self.columns;
        let sources: Vec<Panel> = self.panels().collect();
        Self::new(places.len() * cout, cin, |first, width, panel| {
            let blocks = panel.chunks_exact_mut(cout * width).zip(places);
            for (block, place) in blocks {
                for source in &sources {
                    let from = &source.values[(place * cin + first) * source.width..];
                    let to = &mut block[source.first * width..];
                    let size = (width.min(cin - first), source.columns);
                    transpose((from, source.width), (to, width), size);
                }
            }
        })
    }
}

/// Transposes `size` (rows, columns) of a matrix; each matrix is given with the length of its rows.
/// It works in square blocks, whose loops the compiler unrolls.
fn transpose(
    (from, from_width): (&[f32], usize),
    (to, to_width): (&mut [f32], usize),
    (rows, columns): (usize, usize),
) {
    for row in (0..rows).step_by(UNIT) {
        for column in (0..columns).step_by(UNIT) {
            if rows - row < UNIT || columns - column < UNIT {
                for row in row..rows.min(row + UNIT) {
                    for column in column..columns.min(column + UNIT) {
                        to[column * to_width + row] = from[row * from_width + column];
                    }
                }
                continue;
            }
            let mut square = [[0.0; UNIT]; UNIT];
            for (index, line) in square.iter_mut().enumerate() {
                line.copy_from_slice(&from[(row + index) * from_width + column..][..UNIT]);
            }
            for index in 0..UNIT {
                let line = &mut to[(column + index) * to_width + row..][..UNIT];
                for (to, from) in line.iter_mut().zip(&square) {
                    *to = from[index];
                }
            }
        }
    }
}

/// Panel widths: as few panels as possible, as equal in width as possible.
fn widths(columns: usize) -> Vec<usize> {
    let units = columns.div_ceil(UNIT);
    let panels = units.div_ceil(WIDEST);
    let share = |panel| units / panels + usize::from(panel < units % panels);
    (0..panels).map(|panel| UNIT * share(panel)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_are_few_and_even() {
        assert_eq!(widths(64), [64]);
        assert_eq!(widths(80), [48, 32]);
        assert_eq!(widths(144), [48, 48, 48]);
        assert_eq!(widths(24), [32]);
        assert_eq!(widths(512), [64; 8]);
    }

    #[test]
    fn places_of_a_kernel_are_transposed() {
        // Two input channels, 80 output channels, three places.
        let value = |row: usize, column: usize| (100 * row + column) as f32;
        let panels = Panels::new(3 * 2, 80, |first, width, panel| {
            for (row, line) in panel.chunks_exact_mut(width).enumerate() {
                for (column, to) in line.iter_mut().enumerate() {
                    *to = value(row, first + column);
                }
            }
        });
        let turned = panels.transposed(2, &[2, 0]);
        assert_eq!((turned.depth(), turned.columns()), (160, 2));
        let panel = turned.panels().next().unwrap();
        for (place, row) in [(0, 2), (1, 0)] {
            for (cin, cout) in [(0, 0), (1, 47), (0, 48), (1, 79)] {
                let at = (place * 80 + cout) * panel.width + cin;
                assert_eq!(
                    panel.values[at].to_bits(),
                    value(row * 2 + cin, cout).to_bits()
                );
            }
        }
    }

    #[test]
    fn every_value_of_an_output_is_in_one_piece() {
        let panels = Panels::new(1, 80, |_, _, _| ());
        let mut out = vec![0.0; 7 * 80];
        panels.share_out(&mut out, 3, |panel, index, piece| {
            for (row, part) in piece.iter_mut().enumerate() {
                for (column, value) in part.iter_mut().enumerate() {
                    *value += ((3 * index + row) * 80 + panel.first + column) as f32;
                }
            }
        });
        let expected: Vec<f32> = (0..out.len()).map(|at| at as f32).collect();
        assert_eq!(out, expected);
    }
}
