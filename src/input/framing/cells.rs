//! Where the cells of a layer lie on the network's input.

/// The cells of a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CellGrid {
    /// Number of columns.
    pub columns: usize,
    /// Number of rows.
    pub rows: usize,
    /// The distance of two neighboring cells in input pixels, across and down.
    pub stride: (f64, f64),
}

/// The cells of a layer along one side of the input, in input pixels: cell `i` covers `start +
/// i·stride .. start + (i+1)·stride`, as far as that lies within the input.
///
/// The stride is the layer's own: 4, 8, 16 or 32 in the built-in networks. Each layer that halves
/// its input rounds up, so a side of `n` pixels has `⌈n / stride⌉` cells. Where `n` is a multiple of the stride they tile
/// the input. Otherwise they are longer than the input by `d = stride·cells − n < stride`,
/// and are centered on it: half of `d` reaches beyond each end. Dividing the input by the number
/// of cells instead would make cells smaller than they are (a side of 240 has 8 cells of 32
/// pixels, not of 30), and those at the ends would be off by up to half a cell.
///
/// The center of the pixels that a cell sees (in input pixels, where pixel `p` is `p..p+1`):
/// - In a ResNet it is `stride·i + ½`. The 7×7 convolution, the 3×3 pooling and each 3×3
///   convolution of stride 2 are padded by half their kernel on both sides, so output `o` sees
///   inputs around `2o`.
/// - In EfficientNet-Lite0 with `TensorFlow`'s padding, an even input is padded less before it than
///   after it, and output `o` sees inputs around `2o + 1`; an odd input behaves as in a ResNet. For
///   multiples of 32 all five inputs are even, and the center is `32i + 31½`.
///
/// For a side of `32k + 1` both networks have the centers `32i + ½`, from the first pixel to the
/// last: exactly the centered cells described above. For multiples of 32, the ResNet's centers lie
/// half a cell before the middle of the cell and those of `EfficientNet` half a cell after it; all
/// programs draw the tiles then. In between, centered cells are never farther than that from the
/// true centers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CellAxis {
    /// Where the first cell begins, 0 or before the input.
    start: f64,
    /// The length of a cell.
    stride: f64,
    /// The input's side.
    input: f64,
}

impl CellAxis {
    /// For an input's side, the number of cells along it and their stride.
    #[must_use]
    pub fn new(input: usize, cells: usize, stride: f64) -> Self {
        Self {
            start: (input as f64 - stride * cells as f64) / 2.0,
            stride,
            input: input as f64,
        }
    }

    /// The position in cells (cell `i` covers `i..i+1`) of a position on the input.
    #[must_use]
    pub fn cell_from_input(&self, position: f64) -> f64 {
        (position - self.start) / self.stride
    }

    /// The inverse.
    #[must_use]
    pub fn input_from_cell(&self, position: f64) -> f64 {
        self.start + position * self.stride
    }

    /// The ends of the input, in cells.
    #[must_use]
    pub fn ends(&self) -> (f64, f64) {
        (self.cell_from_input(0.0), self.cell_from_input(self.input))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// For any input and layer, the cells have the layer's stride, are adjacent, cover the
        /// input, are centered on it, and all overlap it.
        #[test]
        fn cells_cover_the_input(input in 32usize..=4096, depth in 2u32..=5, share in 0.0..1.0f64) {
            let stride = 1usize << depth;
            let cells = input.div_ceil(stride);
            let axis = CellAxis::new(input, cells, stride as f64);
            for cell in 0..cells {
                let (from, to) = (
                    axis.input_from_cell(cell as f64),
                    axis.input_from_cell(cell as f64 + 1.0),
                );
                prop_assert!((to - from - stride as f64).abs() < 1e-9);
                prop_assert!(to > 0.0 && from < input as f64, "cell {cell} is beyond the input");
            }
            let (first, last) = axis.ends();
            prop_assert!((0.0..1.0).contains(&first));
            prop_assert!(last <= cells as f64 && last > cells as f64 - 1.0);
            prop_assert!((first + last - cells as f64).abs() < 1e-9, "not centered");
            let at = share * input as f64;
            let cell = axis.cell_from_input(at);
            prop_assert!((first..=last).contains(&cell));
            prop_assert!((axis.input_from_cell(cell) - at).abs() < 1e-9);
        }
    }

    /// The center of the pixels that each cell sees, from each layer's kernel and stride, and
    /// whether the padding is `TensorFlow`'s.
    fn centers(input: usize, layers: &[(usize, usize)], same: bool) -> Vec<f64> {
        let mut sizes = vec![input];
        for (_, stride) in layers {
            let last = sizes[sizes.len() - 1];
            sizes.push(last.div_ceil(*stride));
        }
        let cells = sizes[layers.len()];
        let center = |cell: usize| {
            let steps = layers.iter().zip(&sizes).rev();
            steps.fold(cell as f64, |at, (&(kernel, stride), &size)| {
                let total = (size.div_ceil(stride) - 1) * stride + kernel;
                let before = if same {
                    total.saturating_sub(size) / 2
                } else {
                    kernel / 2
                };
                at * stride as f64 - before as f64 + (kernel - 1) as f64 / 2.0
            })
        };
        (0..cells).map(|cell| center(cell) + 0.5).collect()
    }

    /// Compares with the networks' layers of stride 2, for every possible size of input.
    #[test]
    fn cells_lie_where_the_network_looks() {
        let resnet = [(7, 2), (3, 2), (3, 2), (3, 2), (3, 2)];
        let lite = [(3, 2), (3, 2), (5, 2), (3, 2), (5, 2)];
        for input in 32..=1024usize {
            for (layers, same) in [(resnet, false), (lite, true)] {
                for depth in 2..=5 {
                    let stride = f64::from(1 << depth);
                    let seen = centers(input, &layers[..depth], same);
                    let axis = CellAxis::new(input, seen.len(), stride);
                    for (cell, seen) in seen.iter().enumerate() {
                        let middle = axis.input_from_cell(cell as f64 + 0.5);
                        assert!((middle - seen).abs() <= stride / 2.0, "{input}, {depth}");
                        assert!((0.0..=input as f64).contains(&middle));
                        if input % (1 << depth) == 1 {
                            assert!((middle - seen).abs() < 1e-9, "{input}, {depth}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn multiples_of_the_stride_are_tiled_and_others_have_whole_cells_in_their_middle() {
        for (input, cells, stride, ends) in [
            (256, 8, 32.0, (0.0, 8.0)),
            (224, 7, 32.0, (0.0, 7.0)),
            (240, 8, 32.0, (0.25, 7.75)),
            (240, 15, 16.0, (0.0, 15.0)),
            (225, 8, 32.0, (31.0 / 64.0, 8.0 - 31.0 / 64.0)),
            // A vision transformer's patches.
            (224, 16, 14.0, (0.0, 16.0)),
        ] {
            assert_eq!(CellAxis::new(input, cells, stride).ends(), ends);
        }
    }
}
