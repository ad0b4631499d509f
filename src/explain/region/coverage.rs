//! The exact area of a polygon in each square of a grid.

/// For each of `cells` (columns, rows) unit squares, row-major, the share of its area inside a
/// closed line (non-zero winding).
///
/// The plane is cut into bands in which no two sides cross and no row of squares ends. Within a
/// band, the inside lies between pairs of sides, and the area left of a side in a column is the
/// integral of a clamped linear function.
pub fn of_polygon(corners: &[(f64, f64)], cells: (usize, usize)) -> Vec<f64> {
    let whole = ((0.0, cells.0 as f64), (0.0, cells.1 as f64));
    within(corners, cells, whole)
}

/// The same for a part of the grid, given by its first and last column and row. Shares refer to the
/// part of each square that lies inside. The part must overlap every square.
pub fn within(
    corners: &[(f64, f64)],
    cells: (usize, usize),
    (across, down): ((f64, f64), (f64, f64)),
) -> Vec<f64> {
    let mut coverage = vec![0.0; cells.0 * cells.1];
    // The part of a column or row that counts, from and to.
    let part = |index: usize, (first, last): (f64, f64)| {
        let index = index as f64;
        (index.max(first), (index + 1.0).min(last))
    };
    let sides: Vec<Side> = (0..corners.len())
        .filter_map(|at| Side::new(corners[at], corners[(at + 1) % corners.len()]))
        .collect();
    let mut cuts: Vec<f64> = (0..=cells.1)
        .map(|row| (row as f64).clamp(down.0, down.1))
        .collect();
    cuts.extend(corners.iter().map(|corner| corner.1));
    for (index, side) in sides.iter().enumerate() {
        cuts.extend(
            sides[..index]
                .iter()
                .filter_map(|other| side.crossing(other)),
        );
    }
    cuts.retain(|cut| (down.0..=down.1).contains(cut));
    cuts.sort_by(f64::total_cmp);
    cuts.dedup();
    for band in cuts.windows(2) {
        let (top, bottom) = (band[0], band[1]);
        let middle = f64::midpoint(top, bottom);
        let mut here: Vec<&Side> = sides.iter().filter(|side| side.spans(middle)).collect();
        here.sort_by(|a, b| a.x(middle).total_cmp(&b.x(middle)));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within the grid
        let row = (middle as usize).min(cells.1 - 1);
        let row = &mut coverage[row * cells.0..][..cells.0];
        let mut winding = 0;
        for side in here {
            let before = winding;
            winding += side.direction;
            // Where the inside begins, the area left of the side is subtracted.
            let sign = match (before == 0, winding == 0) {
                (true, false) => -1.0,
                (false, true) => 1.0,
                _ => continue,
            };
            for (column, share) in row.iter_mut().enumerate() {
                *share += sign * side.area_left(top, bottom, part(column, across));
            }
        }
    }
    let length = |(first, last): (f64, f64)| last - first;
    for (row, line) in coverage.chunks_exact_mut(cells.0).enumerate() {
        for (column, share) in line.iter_mut().enumerate() {
            let area = length(part(column, across)) * length(part(row, down));
            *share = (*share / area).clamp(0.0, 1.0);
        }
    }
    coverage
}

/// How often a closed line winds around a point.
pub fn winding(corners: &[(f64, f64)], (x, y): (f64, f64)) -> i32 {
    let pairs = (0..corners.len()).map(|at| (corners[at], corners[(at + 1) % corners.len()]));
    pairs
        .filter_map(|(from, to)| Side::new(from, to))
        .filter(|side| side.spans(y) && side.x(y) <= x)
        .map(|side| side.direction)
        .sum()
}

/// A side of a polygon that is not horizontal.
struct Side {
    top: (f64, f64),
    bottom: (f64, f64),
    /// 1 downwards, −1 upwards.
    direction: i32,
}

impl Side {
    fn new(from: (f64, f64), to: (f64, f64)) -> Option<Self> {
        let (top, bottom, direction) = if from.1 < to.1 {
            (from, to, 1)
        } else {
            (to, from, -1)
        };
        (top.1 < bottom.1).then_some(Self {
            top,
            bottom,
            direction,
        })
    }

    fn spans(&self, y: f64) -> bool {
        (self.top.1..self.bottom.1).contains(&y)
    }

    fn slope(&self) -> f64 {
        (self.bottom.0 - self.top.0) / (self.bottom.1 - self.top.1)
    }

    fn x(&self, y: f64) -> f64 {
        self.top.0 + (y - self.top.1) * self.slope()
    }

    /// The y coordinate where it crosses another side.
    fn crossing(&self, other: &Self) -> Option<f64> {
        let apart = self.slope() - other.slope();
        let y = self.top.1 + (other.x(self.top.1) - self.top.0) / apart;
        (apart != 0.0 && self.spans(y) && other.spans(y)).then_some(y)
    }

    /// The area of the rectangle `left..right` × `top..bottom` that lies left of this side: the
    /// integral of `clamp(x(y) − left, 0, right − left)`.
    fn area_left(&self, top: f64, bottom: f64, (left, right): (f64, f64)) -> f64 {
        let width = right - left;
        let (a, b) = (self.x(top) - left, self.x(bottom) - left);
        let (low, high) = (a.min(b), a.max(b));
        let height = bottom - top;
        if high <= 0.0 {
            return 0.0;
        }
        if low >= width {
            return height * width;
        }
        if high - low < 1e-12 {
            return height * low.clamp(0.0, width);
        }
        // ∫ clamp(t, 0, width) dt from low to high, over the whole span of t.
        let below = |t: f64| {
            let inside = t.clamp(0.0, width);
            inside * inside / 2.0 + width * (t - width).max(0.0)
        };
        height * (below(high) - below(low)) / (high - low)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Polygon = Vec<(f64, f64)>;

    /// Corners on an ellipse in the order of their angles: a convex polygon that may reach
    /// beyond the grid.
    fn convex() -> impl Strategy<Value = Polygon> {
        let angles = prop::collection::vec(0.0..std::f64::consts::TAU, 4..9);
        let ellipse = (-2.0..9.0f64, -2.0..9.0f64, 0.1..6.0f64, 0.1..6.0f64);
        (angles, ellipse).prop_map(|(mut angles, (x, y, width, height))| {
            angles.sort_by(f64::total_cmp);
            let corner = |angle: &f64| (x + width * angle.cos(), y + height * angle.sin());
            angles.iter().map(corner).collect()
        })
    }

    fn any_polygon() -> impl Strategy<Value = Polygon> {
        prop::collection::vec((-3.0..10.0f64, -3.0..10.0f64), 3..9)
    }

    const CELLS: (usize, usize) = (7, 5);

    /// The counted parts of the cells, as when cells extend beyond the input.
    fn part() -> impl Strategy<Value = ((f64, f64), (f64, f64))> {
        let ends = |cells: usize| {
            let last = cells as f64;
            (0.0..0.5f64).prop_map(move |beyond| (beyond, last - beyond))
        };
        (ends(CELLS.0), ends(CELLS.1))
    }

    proptest! {
        /// Cutting a region in two does not change its sum.
        #[test]
        fn parts_add_up(polygon in convex(), cut in 2usize..7, part in part()) {
            let cut = cut.min(polygon.len() - 2);
            let first = &polygon[..=cut];
            let second = [&polygon[cut..], &polygon[..1]].concat();
            let whole = within(&polygon, CELLS, part);
            let (first, second) = (within(first, CELLS, part), within(&second, CELLS, part));
            for (cell, whole) in whole.iter().enumerate() {
                prop_assert!((first[cell] + second[cell] - whole).abs() < 1e-6, "cell {cell}");
            }
        }

        /// Shares are between 0 and 1 and do not depend on the direction of the line.
        #[test]
        fn shares_are_bounded_and_have_no_direction(
            mut polygon in any_polygon(),
            part in part(),
        ) {
            let shares = within(&polygon, CELLS, part);
            prop_assert_eq!(shares.len(), CELLS.0 * CELLS.1);
            prop_assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)));
            polygon.reverse();
            let backwards = within(&polygon, CELLS, part);
            for (one, other) in shares.iter().zip(&backwards) {
                prop_assert!((one - other).abs() < 1e-6);
            }
        }

        /// A region around the whole grid contains every cell completely.
        #[test]
        fn a_rectangle_round_the_grid_covers_it(
            (left, top) in (-9.0..0.0f64, -9.0..0.0f64),
            (right, bottom) in (7.0..20.0f64, 5.0..20.0f64),
            part in part(),
        ) {
            let corners = [(left, top), (right, top), (right, bottom), (left, bottom)];
            let shares = within(&corners, CELLS, part);
            prop_assert!(shares.iter().all(|share| (share - 1.0).abs() < 1e-9));
        }
    }

    /// Compares with counting points on a fine grid.
    #[test]
    fn areas_are_those_of_counted_points() {
        let star: Vec<(f64, f64)> = (0..5)
            .map(|corner| {
                let angle = f64::from(corner) * 4.0 * std::f64::consts::PI / 5.0;
                (3.1 + 2.7 * angle.sin(), 2.2 - 2.1 * angle.cos())
            })
            .collect();
        let (cells, fine) = ((6, 5), 100usize);
        let exact = of_polygon(&star, cells);
        for row in 0..cells.1 {
            for column in 0..cells.0 {
                let at = |line: usize, step: usize| line as f64 + (step as f64 + 0.5) / fine as f64;
                let inside = (0..fine)
                    .flat_map(|y| (0..fine).map(move |x| (x, y)))
                    .filter(|(x, y)| winding(&star, (at(column, *x), at(row, *y))) != 0)
                    .count();
                let counted = inside as f64 / (fine * fine) as f64;
                let share = exact[row * cells.0 + column];
                assert!(
                    (share - counted).abs() < 0.01,
                    "{row}, {column}: {share}, {counted}"
                );
            }
        }
    }
}
