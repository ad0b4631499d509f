//! From cells to heat in photo space: scaling and bilinear upsampling.
//!
//! Cell (r, c) covers a `stride×stride` square of the network's input
//! ([`CellAxis`](crate::input::framing::CellAxis)). Heat is interpolated between the centers of the cells
//! (half-pixel centers, clamped edges: PyTorch's `align_corners=False`) and drawn where the input
//! lies on the photo according to the framing. There is no heat outside the part that the network
//! saw.

mod axis;

use serde::{Deserialize, Serialize};

use crate::explain::cam::Map;
use crate::input::framing::Placement;
use crate::render::heatmap::axis::{Axis, Tap};

/// How values between the centers of cells are drawn.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// Interpolated from the nearest four cells.
    #[default]
    Bilinear,
    /// Not interpolated: each cell is one square of one color.
    Cells,
}

/// How cell values are scaled to 0..1.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Scaling {
    /// From zero to the largest cell.
    #[default]
    Max,
    /// Subtract the smallest cell and divide by the range (as the grad-cam package does): the
    /// smallest evidence is drawn as none.
    MinMax,
    /// Also shows evidence against the class: zero is in the middle, and the largest absolute value
    /// is at the ends.
    Signed,
}

impl Scaling {
    /// The scalings that draw only positive evidence, in the order of menus.
    pub const POSITIVE: [Self; 2] = [Self::Max, Self::MinMax];

    /// The name used on the command line and in menus.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Max => "max",
            Self::MinMax => "min-max",
            Self::Signed => "signed",
        }
    }

    /// The range in which a map is drawn; `None` if there is nothing to draw: no cell is above
    /// zero, or for [`Scaling::Signed`] all cells are zero.
    #[must_use]
    pub fn range(self, map: &Map) -> Option<Range> {
        let (low, high) = (map.min(), map.max());
        let range = match self {
            Self::Max => Range { low: 0.0, high },
            Self::MinMax => Range {
                low: low.max(0.0),
                high,
            },
            Self::Signed => {
                let high = high.max(-low);
                Range { low: -high, high }
            }
        };
        (range.high > 0.0).then_some(range)
    }
}

/// The values of a map that are drawn as no heat and as full heat.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// Drawn as 0, as are lower values.
    pub low: f32,
    /// Drawn as 1, as are higher values. Positive.
    pub high: f32,
}

impl Range {
    /// Whether the range is valid: two finite numbers, the upper one positive and not below the
    /// lower one.
    #[must_use]
    pub fn is_sound(self) -> bool {
        self.low.is_finite() && self.high.is_finite() && self.high > 0.0 && self.low <= self.high
    }

    /// The heat of a cell, 0..=1. In an empty range (a flat map with [`Scaling::MinMax`]) all cells
    /// have heat 0.
    #[must_use]
    pub fn heat(self, cell: f32) -> f32 {
        let extent = self.high - self.low;
        if extent > 0.0 {
            (cell.clamp(self.low, self.high) - self.low) / extent
        } else {
            0.0
        }
    }
}

/// Heat on a grid that covers the photo, with values only where the network looked.
#[derive(Clone, Debug)]
pub struct Heatmap {
    /// The grid's width and height: those of the photo, or less for a screen.
    pub size: (usize, usize),
    /// First column and row with heat.
    pub offset: (usize, usize),
    /// Width and height of the part with heat.
    pub extent: (usize, usize),
    /// Each row of cells interpolated over the columns, `[cells, extent.0]`. Rows of heat are
    /// interpolated from two of these on demand: at full size, all heat values would take more
    /// memory than the photo.
    spread: Vec<f32>,
    /// The pair of rows for each row of heat.
    rows: Vec<Tap>,
}

impl Heatmap {
    /// Heat of a map on a grid of `size` (width, height) over the whole photo, or
    /// `None` if there is no evidence to draw ([`Scaling::range`]).
    #[must_use]
    pub fn new(
        map: &Map,
        scaling: Scaling,
        placement: &Placement,
        size: (usize, usize),
    ) -> Option<Self> {
        let range = scaling.range(map)?;
        let interpolation = Interpolation::default();
        Some(Self::in_range(map, range, placement, size, interpolation))
    }

    /// The heat of a map in a range of values, on a grid of `size` (width, height) over the whole
    /// photo.
    #[must_use]
    pub fn in_range(
        map: &Map,
        range: Range,
        placement: &Placement,
        size: (usize, usize),
        interpolation: Interpolation,
    ) -> Self {
        let cells: Vec<f32> = map.cells.iter().map(|cell| range.heat(*cell)).collect();
        let (across, down) = placement.cell_axes(map.grid());
        let columns = Axis::new(
            (size.0, placement.photo.0, placement.input.0, map.width),
            across,
            interpolation,
            |x| placement.input_from_photo((x, 0.0)).0,
        );
        let rows = Axis::new(
            (size.1, placement.photo.1, placement.input.1, map.height),
            down,
            interpolation,
            |y| placement.input_from_photo((0.0, y)).1,
        );
        // Interpolate each row of cells over the columns first; between rows later.
        let width = columns.taps.len();
        let spread: Vec<f32> = cells
            .chunks_exact(map.width)
            .flat_map(|row| {
                columns
                    .taps
                    .iter()
                    .map(|tap| tap.mix(row[tap.low], row[tap.high]))
            })
            .collect();
        Self {
            size,
            offset: (columns.first, rows.first),
            extent: (width, rows.taps.len()),
            spread,
            rows: rows.taps,
        }
    }

    /// Computes the heat, 0..=1, of a row in the part with heat.
    ///
    /// # Panics
    /// If there is no such row, or `out` is not as long as the part is wide.
    #[inline]
    pub fn row(&self, row: usize, out: &mut [f32]) {
        let (tap, width) = (self.rows[row], self.extent.0);
        let low = &self.spread[tap.low * width..][..width];
        let high = &self.spread[tap.high * width..][..width];
        assert_eq!(out.len(), width, "a value for each column");
        for ((value, low), high) in out.iter_mut().zip(low).zip(high) {
            *value = tap.mix(*low, *high);
        }
    }

    /// The heat of a map, 0..=1, at a position in photo pixels; `None` where the network did not
    /// look.
    #[must_use]
    pub fn at(
        map: &Map,
        range: Range,
        placement: &Placement,
        position: (f64, f64),
        interpolation: Interpolation,
    ) -> Option<f32> {
        let (x, y) = placement.cells_from_photo(position, map.grid())?;
        let column = Tap::new(x, map.width, interpolation);
        let row = Tap::new(y, map.height, interpolation);
        let heat = |row: usize, column: usize| range.heat(map.cells[row * map.width + column]);
        let along = |row: usize| column.mix(heat(row, column.low), heat(row, column.high));
        Some(row.mix(along(row.low), along(row.high)))
    }

    /// All heat values, row-major: `extent.0 · extent.1` values.
    #[must_use]
    pub fn values(&self) -> Vec<f32> {
        let mut values = vec![0.0; self.extent.0 * self.extent.1];
        let rows = values.chunks_exact_mut(self.extent.0.max(1));
        for (row, out) in rows.enumerate() {
            self.row(row, out);
        }
        values
    }

    /// The same heat everywhere.
    #[cfg(test)]
    pub(crate) fn flat(
        value: f32,
        size: (usize, usize),
        offset: (usize, usize),
        extent: (usize, usize),
    ) -> Self {
        let tap = Tap {
            low: 0,
            high: 0,
            fraction: 0.0,
        };
        Self {
            size,
            offset,
            extent,
            spread: vec![value; extent.0],
            rows: vec![tap; extent.1],
        }
    }

    /// Whether the network saw nothing of the photo on this grid.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.extent.0 == 0 || self.extent.1 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::cam::{Method, fixture};
    use crate::input::framing::{Framing, InputSize};

    fn map(height: usize, width: usize, cells: &[f32]) -> Map {
        Map {
            recipe: Method::GradCam.into(),
            layer: fixture::LAST,
            height,
            width,
            condition: 1.0,
            cells: cells.to_vec(),
        }
    }

    fn plain(side: usize) -> Placement {
        Placement {
            photo: (side, side),
            resized: (side, side),
            offset: (0, 0),
            input: (side, side),
        }
    }

    /// `torch.nn.functional.interpolate(x, size=(4, 4), mode="bilinear",
    /// align_corners=False)` of [[0, 1], [0.5, 0]]: weights 0, ¼, ¾, 1.
    #[test]
    fn upsampling_has_half_pixel_centers() {
        let mut map = map(2, 2, &[0.0, 2.0, 1.0, -3.0]);
        map.layer.stride = (2.0, 2.0);
        let heat = Heatmap::new(&map, Scaling::Max, &plain(4), (4, 4)).unwrap();
        let (top, bottom) = ([0.0, 0.25, 0.75, 1.0], [0.5, 0.375, 0.125, 0.0]);
        let between = |t: f32| -> Vec<f32> {
            let pairs = top.iter().zip(bottom);
            pairs.map(|(a, b)| a + (b - a) * t).collect()
        };
        let values = heat.values();
        assert_eq!(values[..4], top);
        assert_eq!(values[4..8], between(0.25));
        assert_eq!(values[8..12], between(0.75));
        assert_eq!(values[12..], bottom);
    }

    fn scaled(map: &Map, scaling: Scaling) -> Option<Vec<f32>> {
        let range = scaling.range(map)?;
        Some(map.cells.iter().map(|cell| range.heat(*cell)).collect())
    }

    #[test]
    fn scaling_rules() {
        let positive = map(1, 3, &[1.0, 2.0, 4.0]);
        assert_eq!(scaled(&positive, Scaling::Max).unwrap(), [0.25, 0.5, 1.0]);
        assert_eq!(
            scaled(&positive, Scaling::MinMax).unwrap(),
            [0.0, 1.0 / 3.0, 1.0]
        );
        let mixed = map(1, 3, &[-1.0, 1.0, 4.0]);
        assert_eq!(scaled(&mixed, Scaling::MinMax).unwrap(), [0.0, 0.25, 1.0]);
        assert_eq!(
            scaled(&map(1, 2, &[3.0, 3.0]), Scaling::MinMax).unwrap(),
            [0.0, 0.0]
        );
    }

    #[test]
    fn signed_heat_has_zero_in_the_middle() {
        let mixed = map(1, 4, &[-1.0, 0.0, 1.0, 4.0]);
        assert_eq!(
            scaled(&mixed, Scaling::Signed).unwrap(),
            [0.375, 0.5, 0.625, 1.0]
        );
        let contrast_class = map(1, 3, &[-8.0, -2.0, 0.0]);
        assert_eq!(
            scaled(&contrast_class, Scaling::Signed).unwrap(),
            [0.0, 0.375, 0.5]
        );
        assert!(scaled(&map(1, 2, &[0.0, 0.0]), Scaling::Signed).is_none());
    }

    #[test]
    fn no_positive_cell_is_no_heat() {
        let negative = map(2, 2, &[-1.0, -2.0, 0.0, -0.5]);
        for scaling in Scaling::POSITIVE {
            assert!(Heatmap::new(&negative, scaling, &plain(4), (4, 4)).is_none());
        }
    }

    #[test]
    fn a_crop_leaves_the_outside_empty() {
        let placement = Framing::Crop.place(1024, 512, InputSize::default());
        let cells = vec![1.0; 49];
        let heat = Heatmap::new(&map(7, 7, &cells), Scaling::Max, &placement, (1024, 512)).unwrap();
        assert_eq!((heat.offset, heat.extent), ((288, 32), (448, 448)));
        assert!(
            heat.values()
                .iter()
                .all(|&value| (value - 1.0).abs() < 1e-6)
        );
    }

    #[test]
    fn cells_are_drawn_as_squares_and_positions_agree_with_the_grid() {
        let cells: Vec<f32> = (0..8 * 12u8).map(f32::from).collect();
        let map = map(8, 12, &cells);
        let placement = Framing::Whole.place(451, 300, InputSize::default());
        let range = Scaling::Max.range(&map).unwrap();
        for interpolation in [Interpolation::Bilinear, Interpolation::Cells] {
            let heat = Heatmap::in_range(&map, range, &placement, (451, 300), interpolation);
            let values = heat.values();
            for (x, y) in [(0, 0), (17, 211), (200, 100), (450, 299)] {
                let position = (x as f64 + 0.5, y as f64 + 0.5);
                let at = Heatmap::at(&map, range, &placement, position, interpolation).unwrap();
                assert!((at - values[y * 451 + x]).abs() < 1e-6, "{x}, {y}");
                if interpolation == Interpolation::Cells {
                    let (row, column) = (y * 8 / 300, x * 12 / 451);
                    assert!((at - range.heat(cells[row * 12 + column])).abs() < 1e-9);
                }
            }
        }
    }

    /// An input of 240 has 8 cells of 32 pixels, and the outer ones extend 8 pixels beyond it.
    #[test]
    fn cells_are_as_long_as_their_stride_at_inputs_of_any_size() {
        let cells: Vec<f32> = (0..64u8).map(|cell| f32::from(cell % 8)).collect();
        let map = map(8, 8, &cells);
        let range = Range {
            low: 0.0,
            high: 7.0,
        };
        let heat = Heatmap::in_range(&map, range, &plain(240), (240, 240), Interpolation::Cells);
        let mut row = vec![0.0; 240];
        heat.row(100, &mut row);
        let expected = (0..240u8).map(|pixel| f32::from((pixel + 8) / 32) / 7.0);
        assert_eq!(row, expected.collect::<Vec<_>>());
    }

    /// The largest cell has the largest heat, at its center, on any grid.
    #[test]
    fn heat_lies_where_its_cell_lies() {
        let mut cells = vec![0.0; 8 * 12];
        cells[3 * 12 + 7] = 5.0;
        let placement = Framing::Whole.place(451, 300, InputSize::default());
        for (width, height) in [(451, 300), (226, 150)] {
            let heat = Heatmap::new(
                &map(8, 12, &cells),
                Scaling::Max,
                &placement,
                (width, height),
            )
            .unwrap();
            let values = heat.values();
            let hottest = (0..values.len())
                .max_by(|&a, &b| values[a].total_cmp(&values[b]))
                .unwrap();
            let (x, y) = (hottest % width, hottest / width);
            let center = (7.5 / 12.0 * width as f64, 3.5 / 8.0 * height as f64);
            assert!(
                (x as f64 + 0.5 - center.0).abs() <= 1.0,
                "{x} and {center:?}"
            );
            assert!(
                (y as f64 + 0.5 - center.1).abs() <= 1.0,
                "{y} and {center:?}"
            );
        }
    }
}
