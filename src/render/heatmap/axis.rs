//! For each line of a grid over the photo, the two cells that it lies between.

use crate::input::framing::CellAxis;
use crate::render::heatmap::Interpolation;

/// The two cells that a grid line lies between, and the weight of the second.
#[derive(Clone, Copy, Debug)]
pub struct Tap {
    pub low: usize,
    pub high: usize,
    pub fraction: f32,
}

impl Tap {
    /// For a position in cells: cell `i` covers `i..i+1`.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped to the cells
    pub fn new(position: f64, cells: usize, interpolation: Interpolation) -> Self {
        let last = cells - 1;
        match interpolation {
            Interpolation::Bilinear => {
                let cell = (position - 0.5).clamp(0.0, last as f64);
                let low = cell.floor() as usize;
                Self {
                    low,
                    high: (low + 1).min(last),
                    fraction: (cell - cell.floor()) as f32,
                }
            }
            Interpolation::Cells => {
                let cell = (position.max(0.0) as usize).min(last);
                Self {
                    low: cell,
                    high: cell,
                    fraction: 0.0,
                }
            }
        }
    }

    #[inline(always)]
    pub fn mix(self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.fraction
    }
}

/// The taps of all grid lines that lie within the input.
pub struct Axis {
    pub first: usize,
    pub taps: Vec<Tap>,
}

impl Axis {
    /// The lines of a grid of `grid` over a photo's side of `photo` pixels, of which the
    /// network saw `input` pixels as `cells` cells, which lie along an axis.
    pub fn new(
        (grid, photo, input, cells): (usize, usize, usize, usize),
        axis: CellAxis,
        interpolation: Interpolation,
        input_from_photo: impl Fn(f64) -> f64,
    ) -> Self {
        let at = |line: usize| {
            let in_photo = (line as f64 + 0.5) * photo as f64 / grid as f64;
            input_from_photo(in_photo)
        };
        let seen = |line: &usize| (0.0..=input as f64).contains(&at(*line));
        let first = (0..grid).find(seen).unwrap_or(0);
        let taps = (first..grid)
            .take_while(seen)
            .map(|line| Tap::new(axis.cell_from_input(at(line)), cells, interpolation))
            .collect();
        Self { first, taps }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Each grid line within the input has a tap, in order, between cells that there are.
        #[test]
        fn lines_lie_between_cells(
            (grid, photo) in (1usize..900, 1usize..5000),
            (input, depth) in (32usize..=1024, 2u32..=5),
            (scale, offset) in (0.05..4.0f64, -600.0..600.0f64),
        ) {
            let cells = input.div_ceil(1 << depth);
            let input_from_photo = |at: f64| at * scale + offset;
            let at = |line: usize| {
                input_from_photo((line as f64 + 0.5) * photo as f64 / grid as f64)
            };
            let seen = (0..grid).filter(|line| (0.0..=input as f64).contains(&at(*line)));
            let seen: Vec<usize> = seen.collect();
            let cell_axis = || CellAxis::new(input, cells, f64::from(1 << depth));
            let cell_of = |line: usize| cell_axis().cell_from_input(at(line));
            for interpolation in [Interpolation::Bilinear, Interpolation::Cells] {
                let numbers = (grid, photo, input, cells);
                let axis = Axis::new(numbers, cell_axis(), interpolation, input_from_photo);
                let lines: Vec<usize> = (axis.first..axis.first + axis.taps.len()).collect();
                prop_assert_eq!(&lines, &seen);
                let mut before = 0.0;
                for (line, tap) in lines.into_iter().zip(&axis.taps) {
                    prop_assert!(tap.low <= tap.high && tap.high < cells);
                    prop_assert!(tap.high - tap.low <= 1);
                    prop_assert!((0.0..=1.0).contains(&tap.fraction));
                    let now = tap.low as f32 + tap.fraction;
                    prop_assert!(now >= before, "line {line} goes back");
                    before = now;
                    // Its own cell is one of the two.
                    let cell = cell_of(line);
                    let near = (cell - 0.5 - f64::from(now)).abs() <= 0.5 + 1e-4;
                    prop_assert!(near, "line {line} at {cell} is drawn from {now}");
                    prop_assert!((tap.mix(0.25, 0.25) - 0.25).abs() < f32::EPSILON);
                }
            }
        }
    }
}
