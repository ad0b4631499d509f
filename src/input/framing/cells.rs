//! Where the cells of a layer lie on the network's input.

/// The cells of a layer along one side of the input, in input pixels: cell `i` is
/// `start + i·stride .. start + (i+1)·stride`, as far as that lies within the input.
///
/// The stride is the layer's own, 4, 8, 16 or 32. Each layer that halves its input rounds up, so
/// a side of `n` pixels has `⌈n / stride⌉` cells. Where `n` is a multiple of the stride they tile
/// the input. Where it is none they are longer than the input by `d = stride·cells − n < stride`,
/// and lie centered on it: half of `d` reaches beyond each end. Dividing the input by the number
/// of cells instead would make cells smaller than they are (a side of 240 has 8 cells of 32
/// pixels, not of 30), and those at the ends would be off by up to half a cell.
///
/// What a cell sees is centered (in input pixels, where pixel `p` is `p..p+1`):
/// - In a ResNet at `stride·i + ½`: the convolution 7×7, the pooling 3×3 and each convolution
///   3×3 of stride 2 are padded by half their kernel on both sides, so that output `o` looks at
///   inputs around `2o`.
/// - In EfficientNet-Lite0 with `TensorFlow`'s padding, an even input is padded less before it
///   than after it, and output `o` looks at inputs around `2o + 1`; an odd one as in a ResNet.
///   For multiples of 32 all five inputs are even: `32i + 31½`.
///
/// A side of `32k + 1` has the centers `32i + ½` in both, from the first pixel to the last: the
/// centered cells of above. For multiples of 32 the ResNet's are half a cell before the cell's
/// middle, `EfficientNet`'s half a cell after it, and all programs draw the tiles. In between,
/// centered cells are never farther from what they see than that.
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
    /// For an input's side and the number of cells along it.
    ///
    /// Strides are powers of two, which makes them known: `⌈n / s⌉` cells cover at least `n` and,
    /// for `n ≥ s`, less than `2n`.
    #[must_use]
    pub fn new(input: usize, cells: usize) -> Self {
        let stride = input.div_ceil(cells).next_power_of_two();
        Self {
            start: (input as f64 - (stride * cells) as f64) / 2.0,
            stride: stride as f64,
            input: input as f64,
        }
    }

    /// The position in cells (cell `i` covers `i..i+1`) of a position on the input.
    #[must_use]
    pub fn cell_from_input(&self, position: f64) -> f64 {
        (position - self.start) / self.stride
    }

    /// The way back.
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
    use super::*;

    /// Where the middle pixel of what each cell sees is, layer by layer: kernel, stride, and
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

    /// Against the networks' own layers of stride 2, for every size of input there is.
    #[test]
    fn cells_lie_where_the_network_looks() {
        let resnet = [(7, 2), (3, 2), (3, 2), (3, 2), (3, 2)];
        let lite = [(3, 2), (3, 2), (5, 2), (3, 2), (5, 2)];
        for input in 32..=1024usize {
            for (layers, same) in [(resnet, false), (lite, true)] {
                for depth in 2..=5 {
                    let stride = f64::from(1 << depth);
                    let seen = centers(input, &layers[..depth], same);
                    let axis = CellAxis::new(input, seen.len());
                    assert!((axis.stride - stride).abs() < 1e-9, "{input}, {depth}");
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
        for (input, cells, ends) in [
            (256, 8, (0.0, 8.0)),
            (224, 7, (0.0, 7.0)),
            (240, 8, (0.25, 7.75)),
            (240, 15, (0.0, 15.0)),
            (225, 8, (31.0 / 64.0, 8.0 - 31.0 / 64.0)),
        ] {
            assert_eq!(CellAxis::new(input, cells).ends(), ends);
        }
    }
}
