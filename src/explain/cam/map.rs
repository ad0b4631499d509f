//! A map: one value for each cell of a layer.

use crate::explain::cam::{Recipe, UNSTABLE};
use crate::input::framing::CellGrid;
use crate::model::target_layer::TargetLayer;

/// A map is called nearly flat if its smallest cell is at least this share of its largest.
pub const FLAT: f32 = 0.75;

/// A map over the cells of a layer, before ReLU and scaling.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// How it was made.
    pub recipe: Recipe,
    /// The layer.
    pub layer: TargetLayer,
    /// Rows of cells.
    pub height: usize,
    /// Columns of cells.
    pub width: usize,
    /// How strongly the sums that the method divides by cancel: see
    /// [`condition`](crate::explain::cam::condition). 1 if nothing cancels.
    pub condition: f32,
    /// `[height, width]`, row-major. In logit units if
    /// [`Method::is_in_logits`](crate::explain::cam::Method::is_in_logits) says so, otherwise comparable only
    /// within the map.
    pub cells: Vec<f32>,
}

impl Map {
    /// The unit of the cells: `logit`, or `relative` if they are comparable only within the map.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        if self.recipe.method.is_in_logits(self.layer) {
            "logit"
        } else {
            "relative"
        }
    }

    /// Its cells.
    #[must_use]
    pub fn grid(&self) -> CellGrid {
        CellGrid {
            columns: self.width,
            rows: self.height,
            stride: self.layer.stride,
        }
    }

    /// The smallest cell.
    #[must_use]
    pub fn min(&self) -> f32 {
        self.cells.iter().copied().fold(f32::INFINITY, f32::min)
    }

    /// The largest cell.
    #[must_use]
    pub fn max(&self) -> f32 {
        self.cells.iter().copied().fold(f32::NEG_INFINITY, f32::max)
    }

    /// The sum of all cells; at the last layer Grad-CAM's is `y_c − b_c`.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // rounded once, at the end
    pub fn sum(&self) -> f32 {
        self.cells.iter().map(|&cell| f64::from(cell)).sum::<f64>() as f32
    }

    /// Pearson correlation with another map of the same size; `None` if either map is flat.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // rounded once, at the end
    pub fn correlation(&self, other: &Self) -> Option<f32> {
        let centered = |map: &Self| -> Vec<f64> {
            let mean = f64::from(map.sum()) / map.cells.len() as f64;
            map.cells
                .iter()
                .map(|&cell| f64::from(cell) - mean)
                .collect()
        };
        let (a, b) = (centered(self), centered(other));
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let norms = (product(&a, &a) * product(&b, &b)).sqrt();
        (norms > 0.0).then(|| (product(&a, &b) / norms) as f32)
    }

    /// The row and column of the largest cell.
    #[must_use]
    pub fn peak(&self) -> (usize, usize) {
        let largest = (0..self.cells.len())
            .reduce(|a, b| if self.cells[b] > self.cells[a] { b } else { a })
            .unwrap_or(0);
        (largest / self.width, largest % self.width)
    }

    /// This map minus another map of the same layer, cell by cell: why one class and not the other.
    /// If both are in logit units, the cells add up to `(y_a − y_b) − (b_a − b_b)`.
    #[must_use]
    pub fn minus(mut self, other: &Self) -> Self {
        for (cell, less) in self.cells.iter_mut().zip(&other.cells) {
            *cell -= less;
        }
        self.condition = self.condition.max(other.condition);
        self
    }

    /// Whether the cells are all positive and the smallest is at least [`FLAT`] of the largest.
    /// Colors scaled to the largest cell would then suggest differences that are hardly there.
    #[must_use]
    pub fn is_nearly_flat(&self) -> bool {
        self.max() > 0.0 && self.min() >= FLAT * self.max()
    }

    /// Whether the map depends on rounding errors: the method divides by sums that nearly cancel.
    #[must_use]
    pub fn is_unstable(&self) -> bool {
        self.condition >= UNSTABLE
    }

    /// Whether any cell is positive, that is, evidence for the class.
    #[must_use]
    pub fn has_positive_evidence(&self) -> bool {
        self.max() > 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::cam::{Method, fixture};

    fn map(cells: &[f32]) -> Map {
        Map {
            recipe: Method::GradCam.into(),
            layer: fixture::LAST,
            height: cells.len() / 2,
            width: 2,
            condition: 1.0,
            cells: cells.to_vec(),
        }
    }

    #[test]
    fn correlation_is_pearsons() {
        let map = |cells: [f32; 4]| map(&cells);
        let rising = map([1.0, 2.0, 3.0, 4.0]);
        assert_eq!(rising.correlation(&map([3.0, 5.0, 7.0, 9.0])), Some(1.0));
        assert_eq!(
            rising.correlation(&map([0.0, -1.0, -2.0, -3.0])),
            Some(-1.0)
        );
        let other = rising.correlation(&map([1.0, 3.0, 2.0, 4.0])).unwrap();
        assert!((other - 0.8).abs() < 1e-6); // numpy.corrcoef
        assert_eq!(rising.correlation(&map([2.0; 4])), None);
    }

    #[test]
    fn flat_maps_are_told_from_others() {
        let map = |cells: [f32; 2]| map(&cells);
        assert!(map([0.8, 1.0]).is_nearly_flat() && map([1.0, 1.0]).is_nearly_flat());
        assert!(!map([0.1, 1.0]).is_nearly_flat() && !map([-1.0, -0.9]).is_nearly_flat());
    }
}
