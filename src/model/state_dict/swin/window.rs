//! Windows of cells that attend to each other.

use std::sync::Arc;

use crate::model::graph::{GraphError, Op, PadMode, ValueId};
use crate::model::state_dict::Layers;
use crate::model::state_dict::tokens::gather;

/// The most values of a table of biases with masks (256 MB).
const MOST_BIASES: usize = 1 << 26;

/// What is added between cells that are not neighbors on the photo.
const MASK: f32 = -100.0;

/// How one block divides its input `[1, height, width, channels]`.
pub struct Windows {
    /// Number of heads.
    pub heads: usize,
    side: usize,
    height: usize,
    width: usize,
    channels: usize,
    /// With padding.
    padded: (usize, usize),
    /// Down, across.
    shift: (usize, usize),
}

impl Windows {
    /// The side of a window, from the size of the table of relative positions.
    pub fn side(layers: &Layers, block: &str) -> Result<usize, GraphError> {
        let tensor = table(block);
        let shape = layers.tensor_shape(&tensor)?;
        let side = match shape[..] {
            [entries, _] => {
                let positions = entries.isqrt();
                (positions * positions == entries && positions % 2 == 1)
                    .then_some(positions.div_ceil(2))
            }
            _ => None,
        };
        side.ok_or_else(|| {
            GraphError::new(format!(
                "{tensor} has shape {shape:?}, which is not that of square windows"
            ))
        })
    }

    pub fn new(
        layers: &Layers,
        block: &str,
        x: ValueId,
        shifted: bool,
        timm: bool,
    ) -> Result<Self, GraphError> {
        let side = Self::side(layers, block)?;
        let heads = layers.tensor_shape(&table(block))?[1];
        let &[1, height, width, channels] = layers.shape(x) else {
            return Err(GraphError::new(format!("{block} has no rows and columns")));
        };
        let pad = |length: usize| length.div_ceil(side) * side;
        let padded = (pad(height), pad(width));
        // timm shifts before it pads, and makes windows smaller where there are fewer cells.
        if timm && (padded != (height, width)) {
            return Err(GraphError::new(format!(
                "{block} has {width}×{height} cells, which windows of {side}×{side} do not divide: its input must be {0}×{0} pixels or a multiple",
                side * 32
            )));
        }
        let half = |length: usize| {
            if shifted && side < length {
                side / 2
            } else {
                0
            }
        };
        Ok(Self {
            heads,
            side,
            height,
            width,
            channels,
            padded,
            shift: (half(padded.0), half(padded.1)),
        })
    }

    fn is_shifted(&self) -> bool {
        self.shift != (0, 0)
    }

    /// `[1, H, W, C]` to `[windows, cells, C]`.
    pub fn split(
        &self,
        layers: &mut Layers,
        block: &str,
        x: ValueId,
    ) -> Result<ValueId, GraphError> {
        let at = |part: &str| format!("{block}.attn.{part}");
        let (height, width) = self.padded;
        let below = height - self.height;
        let right = width - self.width;
        let mut x = pad(layers, &at("pad"), x, below, right)?;
        if self.is_shifted() {
            x = roll(layers, &at("roll_rows"), x, 1, self.shift.0)?;
            x = roll(layers, &at("roll_columns"), x, 2, self.shift.1)?;
        }
        let (side, channels) = (self.side, self.channels);
        let (rows, columns) = (height / side, width / side);
        let shape = vec![1, rows, side, columns, side, channels];
        let x = layers.push(&at("grid"), Op::Reshape { shape }, &[x])?;
        let perm = vec![0, 1, 3, 2, 4, 5];
        let x = layers.push(&at("order"), Op::Transpose { perm }, &[x])?;
        let shape = vec![rows * columns, side * side, channels];
        layers.push(&at("windows"), Op::Reshape { shape }, &[x])
    }

    /// Back from windows.
    pub fn join(
        &self,
        layers: &mut Layers,
        block: &str,
        x: ValueId,
    ) -> Result<ValueId, GraphError> {
        let at = |part: &str| format!("{block}.attn.back_{part}");
        let (height, width) = self.padded;
        let (side, channels) = (self.side, self.channels);
        let (rows, columns) = (height / side, width / side);
        let shape = vec![1, rows, columns, side, side, channels];
        let x = layers.push(&at("windows"), Op::Reshape { shape }, &[x])?;
        let perm = vec![0, 1, 3, 2, 4, 5];
        let x = layers.push(&at("order"), Op::Transpose { perm }, &[x])?;
        let shape = vec![1, height, width, channels];
        let mut x = layers.push(&at("grid"), Op::Reshape { shape }, &[x])?;
        if self.is_shifted() {
            x = roll(layers, &at("rows"), x, 1, height - self.shift.0)?;
            x = roll(layers, &at("columns"), x, 2, width - self.shift.1)?;
        }
        for (axis, length, whole) in [(1, self.height, height), (2, self.width, width)] {
            if length < whole {
                let slice = Op::Slice {
                    axis,
                    start: 0,
                    step: 1,
                    length,
                };
                x = layers.push(&at(&format!("cut{axis}")), slice, &[x])?;
            }
        }
        Ok(x)
    }

    /// The bias of each pair of cells in a window, `[1 or windows, heads, cells, cells]`. In shifted
    /// windows, cells from different sides of the image are kept apart.
    pub fn bias(&self, layers: &mut Layers, block: &str) -> Result<ValueId, GraphError> {
        let tensor = table(block);
        let values = layers.values(&tensor)?;
        let (side, heads) = (self.side, self.heads);
        let cells = side * side;
        let (rows, columns) = (self.padded.0 / side, self.padded.1 / side);
        let windows = if self.is_shifted() { rows * columns } else { 1 };
        let count = [windows, heads, cells, cells]
            .iter()
            .try_fold(1usize, |product, part| product.checked_mul(*part))
            .filter(|count| *count <= MOST_BIASES)
            .ok_or_else(|| GraphError::new(format!("{block} has too many windows")))?;
        let span = 2 * side - 1;
        let mut bias = Vec::with_capacity(count);
        for window in 0..windows {
            let corner = (window / columns * side, window % columns * side);
            let region = |cell: usize| {
                let part = |at: usize, whole: usize, shift: usize| {
                    usize::from(at >= whole - side) + usize::from(at >= whole - shift)
                };
                let (y, x) = (corner.0 + cell / side, corner.1 + cell % side);
                // Where one axis is not shifted, its last region is empty.
                let y = part(y, self.padded.0, self.shift.0);
                3 * y + part(x, self.padded.1, self.shift.1)
            };
            for head in 0..heads {
                for a in 0..cells {
                    for b in 0..cells {
                        let y = a / side + side - 1 - b / side;
                        let x = a % side + side - 1 - b % side;
                        let value = values[(y * span + x) * heads + head];
                        let apart = self.is_shifted() && region(a) != region(b);
                        bias.push(if apart { value + MASK } else { value });
                    }
                }
            }
        }
        let shape = [windows, heads, cells, cells];
        layers.graph().constant(&tensor, &shape, Arc::new(bias))
    }
}

fn table(block: &str) -> String {
    format!("{block}.attn.relative_position_bias_table")
}

/// Moves the first `by` positions of an axis to its end.
fn roll(
    layers: &mut Layers,
    name: &str,
    x: ValueId,
    axis: usize,
    by: usize,
) -> Result<ValueId, GraphError> {
    let length = layers.shape(x)[axis];
    let indices: Vec<usize> = (0..length).map(|at| (at + by) % length).collect();
    gather(layers, name, x, axis, indices)
}

/// Zeros below and to the right of `[1, H, W, C]`.
pub fn pad(
    layers: &mut Layers,
    name: &str,
    x: ValueId,
    below: usize,
    right: usize,
) -> Result<ValueId, GraphError> {
    if (below, right) == (0, 0) {
        return Ok(x);
    }
    let pad = Op::Pad {
        before: vec![0; 4],
        after: vec![0, below, right, 0],
        mode: PadMode::Constant(0.0),
    };
    layers.push(name, pad, &[x])
}
