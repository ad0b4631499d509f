//! Lines over the photo: contours of equal heat by marching squares (the 2D version of Lorensen and
//! Cline 1987), cell borders, and outlines of regions.

use crate::explain::region::Shape;
use crate::input::framing::{CellGrid, Placement};
use crate::render::heatmap::Heatmap;

/// A line segment; positions are shares of the photo's width and height, 0..1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// Where it begins.
    pub from: (f32, f32),
    /// Where it ends.
    pub to: (f32, f32),
}

/// Longest side of the grid on which contours are computed.
pub const SIDE: usize = 192;

/// The contours at some levels of heat (0..1) on the grid of a heatmap.
#[must_use]
pub fn lines(heat: &Heatmap, levels: &[f32]) -> Vec<Line> {
    let (width, height) = heat.extent;
    let values = heat.values();
    let mut lines = Vec::new();
    for row in 1..height {
        for column in 1..width {
            let at = |y: usize, x: usize| values[(row - 1 + y) * width + column - 1 + x];
            let corners = [at(0, 0), at(0, 1), at(1, 1), at(1, 0)];
            for &level in levels {
                let mut found = crossings(corners, level).into_iter();
                // Two crossings give one segment, four give two.
                while let (Some(from), Some(to)) = (found.next(), found.next()) {
                    let place = |(x, y): (f32, f32)| {
                        let center = |offset: usize, index: usize| (offset + index) as f32 - 0.5;
                        (
                            (center(heat.offset.0, column) + x) / heat.size.0 as f32,
                            (center(heat.offset.1, row) + y) / heat.size.1 as f32,
                        )
                    };
                    lines.push(Line {
                        from: place(from),
                        to: place(to),
                    });
                }
            }
        }
    }
    lines
}

/// Where a level crosses the sides of a unit square with these values at its corners (clockwise
/// from the top left), as pairs that form segments.
fn crossings(corners: [f32; 4], level: f32) -> Vec<(f32, f32)> {
    const PLACES: [(f32, f32); 4] = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)];
    let above = corners.map(|value| value >= level);
    let mut found = Vec::new();
    for side in 0..4 {
        let (a, b) = (side, (side + 1) % 4);
        if above[a] != above[b] {
            let share = (level - corners[a]) / (corners[b] - corners[a]);
            let along = |from: f32, to: f32| from + (to - from) * share;
            found.push((
                along(PLACES[a].0, PLACES[b].0),
                along(PLACES[a].1, PLACES[b].1),
            ));
        }
    }
    // A saddle: the middle decides which corners are connected. The crossings are in the order top,
    // right, bottom, left; these pairs cut off the top right corner.
    let middle = corners.iter().sum::<f32>() / 4.0 >= level;
    if found.len() == 4 && middle == above[1] {
        found.rotate_left(1);
    }
    found
}

/// The borders of the cells of a layer; those that lie beyond the input are drawn at its edge.
pub fn cells(placement: &Placement, grid: CellGrid) -> impl Iterator<Item = Line> {
    let at = share_of(placement);
    let (columns, rows) = (grid.columns as f64, grid.rows as f64);
    let ends = placement.cell_axes(grid);
    let (across, down) = (ends.0.ends(), ends.1.ends());
    let place = move |x: f64, y: f64| {
        let within = (x.clamp(across.0, across.1), y.clamp(down.0, down.1));
        at(placement.photo_from_cells(within, grid))
    };
    let upright =
        (0..=grid.columns).map(move |column| ((column as f64, 0.0), (column as f64, rows)));
    let level = (0..=grid.rows).map(move |row| ((0.0, row as f64), (columns, row as f64)));
    upright.chain(level).map(move |(from, to)| Line {
        from: place(from.0, from.1),
        to: place(to.0, to.1),
    })
}

/// The outline of a region.
#[must_use]
pub fn outline(shape: &Shape, placement: &Placement) -> Vec<Line> {
    let corners = shape.corners();
    let at = share_of(placement);
    let next = |index: usize| corners[(index + 1) % corners.len()];
    let pieces = corners.iter().enumerate().map(|(index, corner)| Line {
        from: at(*corner),
        to: at(next(index)),
    });
    pieces.collect()
}

/// Converts positions in photo pixels to shares of the photo.
#[allow(clippy::cast_possible_truncation)] // to be drawn
fn share_of(placement: &Placement) -> impl Fn((f64, f64)) -> (f32, f32) + Copy {
    let (width, height) = placement.photo;
    move |(x, y)| ((x / width as f64) as f32, (y / height as f64) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::cam::{Map, Method, fixture};
    use crate::input::framing::{Framing, InputSize};
    use crate::render::heatmap::{Interpolation, Range};

    #[test]
    fn a_ramp_has_a_straight_line_where_it_passes_the_level() {
        let cells: Vec<f32> = (0..8).flat_map(|_| (0..8u8).map(f32::from)).collect();
        let map = Map {
            recipe: Method::GradCam.into(),
            layer: fixture::LAST,
            height: 8,
            width: 8,
            condition: 1.0,
            cells,
        };
        let placement = Framing::Whole.place(400, 400, InputSize::default());
        let range = Range {
            low: 0.0,
            high: 7.0,
        };
        let heat = Heatmap::in_range(&map, range, &placement, (64, 64), Interpolation::Bilinear);
        let found = lines(&heat, &[0.5]);
        assert_eq!(found.len(), 63, "one piece for each pair of rows");
        // 3.5 of 0..7 lies between the fourth and the fifth cell: in the middle.
        for line in found {
            for (x, _) in [line.from, line.to] {
                assert!((x - 0.5).abs() < 1e-5, "{line:?}");
            }
        }
        assert!(lines(&heat, &[2.0]).is_empty());
    }

    #[test]
    fn a_saddle_keeps_its_high_corners_together_or_apart() {
        // The high corners are top left and bottom right.
        let joined = crossings([1.0, 0.2, 1.0, 0.2], 0.5);
        assert_eq!(joined.len(), 4);
        // The middle is high, so the low top right corner is cut off: top is paired with right.
        assert!(joined[0].1.abs() < 1e-6 && (joined[1].0 - 1.0).abs() < 1e-6);
        let apart = crossings([0.8, 0.0, 0.8, 0.0], 0.5);
        assert!(
            (apart[0].0 - 1.0).abs() < 1e-6,
            "right with bottom: {apart:?}"
        );
    }
}
