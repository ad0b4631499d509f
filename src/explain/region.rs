//! Regions of a photo, and measures of a map within them.
//!
//! The value of a cell is spread evenly over the part of the photo that it covers. A region gets
//! the share of each cell that is inside. The sums are exact: regions that tile the photo add up to
//! the sum of all cells (at the last layer, the logit minus its bias).

mod coverage;

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::explain::cam::Map;
use crate::input::framing::{CellGrid, Placement};

/// Maximum number of corners of a lasso: computing an area takes time quadratic in the number.
pub const MOST_CORNERS: usize = 2048;
/// Maximum number of regions of a photo: each is measured on each map.
pub const MOST_REGIONS: usize = 1000;
/// Maximum length of a region's name.
pub const LONGEST_NAME: usize = 1000;
/// Maximum distance of a corner from the origin in photo pixels; beyond it, areas can't be computed
/// accurately.
pub const FARTHEST: f64 = 1e9;

/// A shape; positions (x, y) in photo pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// Left, top, right, bottom.
    Rectangle([f64; 4]),
    /// The corners of a closed line. If the line crosses itself, everything it encloses counts once
    /// (non-zero winding).
    Lasso(Vec<(f64, f64)>),
}

/// A named shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Region {
    /// The name given by the user.
    pub name: String,
    /// Its shape.
    pub shape: Shape,
}

impl FromStr for Region {
    type Err = String;

    /// A rectangle as `NAME=LEFT,TOP,RIGHT,BOTTOM`, in photo pixels.
    fn from_str(text: &str) -> Result<Self, String> {
        let usage = || "use NAME=LEFT,TOP,RIGHT,BOTTOM in photo pixels".to_owned();
        let (name, numbers) = text.rsplit_once('=').ok_or_else(usage)?;
        let numbers: Result<Vec<f64>, _> = numbers.split(',').map(|n| n.trim().parse()).collect();
        let corners: [f64; 4] = numbers
            .ok()
            .and_then(|numbers| numbers.try_into().ok())
            .ok_or_else(usage)?;
        let shape = Shape::Rectangle(corners);
        let [left, top, right, bottom] = corners;
        if !(left < right && top < bottom && shape.is_sound()) {
            return Err(
                "the region is empty: left must be less than right, and top less than bottom"
                    .into(),
            );
        }
        let name = name.trim();
        if name.chars().nth(LONGEST_NAME).is_some() {
            return Err(format!(
                "its name is longer than {LONGEST_NAME} characters: use a shorter one"
            ));
        }
        Ok(Self {
            name: name.to_owned(),
            shape,
        })
    }
}

/// The measures of a map in a region.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// `Σ cell · share of the cell's area that is inside`, in the map's unit.
    pub sum: f64,
    /// `sum` as a share of the sum of all cells; `None` if that sum is not positive.
    pub share: Option<f64>,
    /// The share of all positive evidence that is inside (the energy-based pointing game, Wang et
    /// al. 2020, arXiv 1910.01279); `None` without positive evidence.
    pub positive_share: Option<f64>,
    /// Whether the center of the largest cell is inside (the pointing game, Zhang et al. 2016,
    /// arXiv 1608.00507); `None` without positive evidence.
    pub peak_inside: Option<bool>,
}

impl Shape {
    /// The corners of its outline.
    #[must_use]
    pub fn corners(&self) -> Vec<(f64, f64)> {
        match self {
            Self::Rectangle([left, top, right, bottom]) => {
                vec![
                    (*left, *top),
                    (*right, *top),
                    (*right, *bottom),
                    (*left, *bottom),
                ]
            }
            Self::Lasso(corners) => corners.clone(),
        }
    }

    /// Whether the shape encloses an area and has at most [`MOST_CORNERS`] corners with coordinates
    /// up to [`FARTHEST`].
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let corners = self.corners();
        let near = |at: f64| at.abs() <= FARTHEST; // false for NaN
        corners.len() <= MOST_CORNERS
            && corners.iter().all(|(x, y)| near(*x) && near(*y))
            && self.area() > 0.0
    }

    /// Its area in photo pixels.
    #[must_use]
    pub fn area(&self) -> f64 {
        let corners = self.corners();
        let bound = |pick: fn(&(f64, f64)) -> f64| {
            let values = corners.iter().map(pick);
            let low = values.clone().fold(f64::INFINITY, f64::min);
            (low, values.fold(f64::NEG_INFINITY, f64::max))
        };
        let ((left, right), (top, bottom)) = (bound(|at| at.0), bound(|at| at.1));
        if right <= left || bottom <= top || !(right - left + bottom - top).is_finite() {
            return 0.0;
        }
        // Its share of its bounding box.
        let in_box = corners
            .iter()
            .map(|(x, y)| ((x - left) / (right - left), (y - top) / (bottom - top)));
        let share = coverage::of_polygon(&in_box.collect::<Vec<_>>(), (1, 1))[0];
        share * (right - left) * (bottom - top)
    }

    /// Whether a position in photo pixels is inside.
    #[must_use]
    pub fn contains(&self, position: (f64, f64)) -> bool {
        coverage::winding(&self.corners(), position) != 0
    }

    /// The share of each cell's area (row-major) that is inside. Only the part of a cell that lies on
    /// the input counts.
    #[must_use]
    pub fn coverage(&self, placement: &Placement, grid: CellGrid) -> Vec<f64> {
        let (columns, rows) = placement.cell_axes(grid);
        let in_cells = |(x, y): (f64, f64)| {
            let (x, y) = placement.input_from_photo((x, y));
            (columns.cell_from_input(x), rows.cell_from_input(y))
        };
        let corners: Vec<_> = self.corners().into_iter().map(in_cells).collect();
        coverage::within(
            &corners,
            (grid.columns, grid.rows),
            (columns.ends(), rows.ends()),
        )
    }

    /// Measures a map in this region.
    #[must_use]
    pub fn measure(&self, map: &Map, placement: &Placement) -> Measure {
        let grid = map.grid();
        let coverage = self.coverage(placement, grid);
        // Sums inside and in total: of all cells, and of the positive ones.
        let (mut sum, mut total) = (0.0, 0.0);
        let (mut positive, mut all_positive) = (0.0, 0.0);
        for (&cell, share) in map.cells.iter().zip(&coverage) {
            let cell = f64::from(cell);
            sum += cell * share;
            total += cell;
            positive += cell.max(0.0) * share;
            all_positive += cell.max(0.0);
        }
        let of = |part: f64, whole: f64| (whole > 0.0).then(|| part / whole);
        let peak = map.has_positive_evidence().then(|| {
            let (row, column) = map.peak();
            let center = (column as f64 + 0.5, row as f64 + 0.5);
            self.contains(placement.photo_from_cells(center, grid))
        });
        Measure {
            sum,
            share: of(sum, total),
            positive_share: of(positive, all_positive),
            peak_inside: peak,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::cam::{Method, fixture};
    use crate::input::framing::{Framing, InputSize};

    fn map() -> Map {
        map_of(8, 12)
    }

    fn map_of(height: usize, width: usize) -> Map {
        let cells = (0..height * width).map(|cell| cell as f32 / 7.0 - 5.0);
        Map {
            recipe: Method::GradCam.into(),
            layer: fixture::LAST,
            height,
            width,
            condition: 1.0,
            cells: cells.collect(),
        }
    }

    fn placement() -> Placement {
        Framing::Whole.place(451, 300, InputSize::default())
    }

    #[test]
    fn regions_that_tile_the_photo_add_up_to_the_whole() {
        // Cells that tile the input, and cells that reach beyond it.
        let odd = InputSize::square(353, 353).unwrap();
        for placement in [placement(), Framing::Squash.place(451, 300, odd)] {
            tiles_add_up(&placement);
        }
    }

    fn tiles_add_up(placement: &Placement) {
        let map = map_of(
            placement.input.1.div_ceil(32),
            placement.input.0.div_ceil(32),
        );
        // A slanted cut, with the upper part cut once more.
        let tiles = [
            Shape::Lasso(vec![(0.0, 0.0), (451.0, 0.0), (451.0, 90.0), (0.0, 171.0)]),
            Shape::Lasso(vec![
                (0.0, 171.0),
                (451.0, 90.0),
                (451.0, 300.0),
                (200.0, 300.0),
                (0.0, 300.0),
            ]),
        ];
        let parts = tiles.map(|tile| tile.measure(&map, placement));
        let add = |pick: fn(&Measure) -> f64| parts.iter().map(pick).sum::<f64>();
        assert!((add(|part| part.sum) - f64::from(map.sum())).abs() < 1e-4);
        assert!((add(|part| part.share.unwrap()) - 1.0).abs() < 1e-9);
        assert!((add(|part| part.positive_share.unwrap()) - 1.0).abs() < 1e-9);
        assert_eq!(
            parts.map(|part| part.peak_inside),
            [Some(false), Some(true)]
        );
    }

    #[test]
    fn a_rectangle_over_cells_has_their_sum_and_over_parts_their_shares() {
        let (map, placement) = (map(), placement());
        let corner = |x: f64, y: f64| placement.photo_from_cells((x, y), map.grid());
        let rectangle = |from: (f64, f64), to: (f64, f64)| {
            let ((left, top), (right, bottom)) = (corner(from.0, from.1), corner(to.0, to.1));
            Shape::Rectangle([left, top, right, bottom])
        };
        let sum = |shape: Shape| shape.measure(&map, &placement).sum;
        let cell = |row: usize, column: usize| f64::from(map.cells[row * 12 + column]);
        let two = sum(rectangle((3.0, 2.0), (5.0, 3.0)));
        assert!((two - cell(2, 3) - cell(2, 4)).abs() < 1e-9);
        let quarter = sum(rectangle((3.5, 2.5), (4.0, 3.0)));
        assert!((quarter - cell(2, 3) / 4.0).abs() < 1e-9);
        // What lies outside the photo does not count.
        let all = sum(Shape::Rectangle([-100.0, -100.0, 900.0, 900.0]));
        assert!((all - f64::from(map.sum())).abs() < 1e-4);
    }

    /// Only the part of an edge cell that is on the input counts, as it is drawn.
    #[test]
    fn cells_that_reach_beyond_the_input_count_with_what_is_on_it() {
        let size = InputSize::square(240, 240).unwrap();
        let placement = Framing::Squash.place(240, 240, size);
        let map = map_of(8, 8);
        // Cells begin at −8: the first has 24 pixels on the input, the second 32.
        let sum = |corners| Shape::Rectangle(corners).measure(&map, &placement).sum;
        let cell = |row: usize, column: usize| f64::from(map.cells[row * 8 + column]);
        assert!((sum([0.0, 0.0, 24.0, 24.0]) - cell(0, 0)).abs() < 1e-9);
        assert!((sum([-50.0, -50.0, 12.0, 24.0]) - cell(0, 0) / 2.0).abs() < 1e-9);
        assert!((sum([24.0, 56.0, 56.0, 72.0]) - cell(2, 1) / 2.0).abs() < 1e-9);
        assert!((sum([216.0, 216.0, 900.0, 900.0]) - cell(7, 7)).abs() < 1e-9);
    }

    #[test]
    fn a_lasso_that_crosses_itself_counts_everything_once() {
        let square = [(0.0, 0.0), (200.0, 0.0), (200.0, 200.0), (0.0, 200.0)];
        let twice = Shape::Lasso([square, square].concat());
        assert!((twice.area() - 40_000.0).abs() < 1e-6);
        let eight = Shape::Lasso(vec![(0.0, 0.0), (100.0, 100.0), (100.0, 0.0), (0.0, 100.0)]);
        assert!((eight.area() - 5_000.0).abs() < 1e-6);
        let mut backwards = square.to_vec();
        backwards.reverse();
        assert!((Shape::Lasso(backwards).area() - 40_000.0).abs() < 1e-6);
        assert!(!Shape::Lasso(vec![(0.0, 0.0), (5.0, 5.0)]).is_sound());
        assert!(!Shape::Rectangle([0.0, 0.0, f64::NAN, 5.0]).is_sound());
    }

    #[test]
    fn rectangles_are_read_from_text() {
        let region: Region = "the left ear=10,20,110.5,90".parse().unwrap();
        assert_eq!(region.name, "the left ear");
        assert_eq!(region.shape, Shape::Rectangle([10.0, 20.0, 110.5, 90.0]));
        for text in [
            "",
            "a",
            "a=1,2,3",
            "a=1,2,3,x",
            "a=5,5,1,9",
            "a=1,1,inf,2",
            "a=1,1,NaN,2",
        ] {
            assert!(text.parse::<Region>().is_err(), "{text}");
        }
    }

    #[test]
    fn without_positive_evidence_there_are_no_shares() {
        let mut map = map();
        map.cells.iter_mut().for_each(|cell| *cell = -1.0);
        let measure = Shape::Rectangle([0.0, 0.0, 451.0, 300.0]).measure(&map, &placement());
        assert!((measure.sum + 96.0).abs() < 1e-6);
        assert_eq!(
            (measure.share, measure.positive_share, measure.peak_inside),
            (None, None, None)
        );
    }
}
