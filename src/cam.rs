//! Class activation maps: plain `f32`, no candle, and nothing here can fail.
//!
//! At the last layer before global average pooling and one linear layer the
//! gradient of a logit is `g_k(i,j) = W_ck / N` at every cell, so a map of any
//! class follows from the activations alone ([`explain`]). The general formulas,
//! which take gradients, are in [`grad_cam`] and [`grad_cam_plus_plus`].

pub mod grad_cam;
pub mod grad_cam_plus_plus;

use serde::{Deserialize, Serialize};

use crate::analysis::{FeatureMaps, Head};
use crate::labels::ClassId;

/// How the activations are weighted.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391).
    GradCam,
    /// Grad-CAM++ (Chattopadhay et al. 2018, arXiv 1710.11063), eq. 19.
    #[value(name = "grad-cam++")]
    #[serde(rename = "grad-cam++")]
    GradCamPlusPlus,
}

impl Method {
    /// Both, in the order of the panes.
    pub const ALL: [Self; 2] = [Self::GradCam, Self::GradCamPlusPlus];

    /// The name in the field.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::GradCam => "Grad-CAM",
            Self::GradCamPlusPlus => "Grad-CAM++",
        }
    }

    /// The name on the command line and in JSON.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::GradCam => "grad-cam",
            Self::GradCamPlusPlus => "grad-cam++",
        }
    }
}

/// A map over the cells of the target layer, before ReLU and scaling.
///
/// Grad-CAM's cells are in logit units: they add up to `y_c − b_c`.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// How it was made.
    pub method: Method,
    /// Rows of cells.
    pub height: usize,
    /// Columns of cells.
    pub width: usize,
    /// `[height, width]`, row-major.
    pub cells: Vec<f32>,
}

impl Map {
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

    /// The sum of all cells; for Grad-CAM it is `y_c − b_c`.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // rounded once, at the end
    pub fn sum(&self) -> f32 {
        self.cells.iter().map(|&cell| f64::from(cell)).sum::<f64>() as f32
    }

    /// Pearson's correlation with another map of the same size; `None` if either
    /// is flat.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // rounded once, at the end
    pub fn correlation(&self, other: &Self) -> Option<f32> {
        let centred = |map: &Self| -> Vec<f64> {
            let mean = f64::from(map.sum()) / map.cells.len() as f64;
            map.cells
                .iter()
                .map(|&cell| f64::from(cell) - mean)
                .collect()
        };
        let (a, b) = (centred(self), centred(other));
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let norms = (product(&a, &a) * product(&b, &b)).sqrt();
        (norms > 0.0).then(|| (product(&a, &b) / norms) as f32)
    }

    /// Whether any cell speaks for the class.
    #[must_use]
    pub fn has_positive_evidence(&self) -> bool {
        self.max() > 0.0
    }
}

/// The map of one class at the target layer, in closed form.
#[must_use]
pub fn explain(method: Method, features: &FeatureMaps, head: &Head, class: ClassId) -> Map {
    let weights = match method {
        Method::GradCam => grad_cam::last_layer_weights(features, head, class),
        Method::GradCamPlusPlus => grad_cam_plus_plus::last_layer_weights(features, head, class),
    };
    Map {
        method,
        height: features.height,
        width: features.width,
        cells: weighted_sum(features, &weights),
    }
}

/// `Σ_k w_k A_k`, `[height, width]`, for one weight per channel.
#[must_use]
pub fn weighted_sum(features: &FeatureMaps, weights: &[f32]) -> Vec<f32> {
    let mut cells = vec![0.0; features.cells()];
    for (plane, weight) in features.planes().zip(weights) {
        for (cell, activation) in cells.iter_mut().zip(plane) {
            *cell += weight * activation;
        }
    }
    cells
}

#[cfg(test)]
pub(crate) mod fixture {
    //! Two channels of 2×2 cells that tell all variants apart.

    use crate::analysis::FeatureMaps;

    pub fn features() -> FeatureMaps {
        FeatureMaps {
            channels: 2,
            height: 2,
            width: 2,
            values: vec![0.0, 4.0, 31.0, 40.0, 0.0, 0.0, 6.0, 15.0],
        }
    }

    pub const GRADIENTS: [f32; 8] = [1.0, 1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0];

    pub fn assert_close(cells: &[f32], expected: [f32; 4]) {
        for (cell, value) in cells.iter().zip(expected) {
            assert!(
                (cell - value).abs() < 1e-5,
                "{cells:?} instead of {expected:?}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both closed forms against the general formulas with g = W/N.
    #[test]
    fn the_closed_forms_are_the_general_formulas_with_constant_gradients() {
        let features = fixture::features();
        let head = Head {
            weight: vec![0.3, -0.2, -1.5, 0.7],
            bias: vec![0.25, -0.5],
        };
        for class in ClassId::all(2) {
            let gradients: Vec<f32> = head
                .row(class)
                .iter()
                .flat_map(|weight| [weight / 4.0; 4])
                .collect();
            let general = [
                grad_cam::weights(&features, &gradients),
                grad_cam_plus_plus::weights(
                    &features,
                    &gradients,
                    grad_cam_plus_plus::Variant::Eq19,
                ),
            ];
            for (method, weights) in Method::ALL.into_iter().zip(general) {
                let closed = explain(method, &features, &head, class).cells;
                for (a, b) in closed.iter().zip(weighted_sum(&features, &weights)) {
                    assert!((a - b).abs() < 1e-6, "{method:?}: {a} and {b}");
                }
            }
        }
    }

    #[test]
    fn correlation_is_pearsons() {
        let map = |cells: [f32; 4]| Map {
            method: Method::GradCam,
            height: 2,
            width: 2,
            cells: cells.to_vec(),
        };
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
    fn grad_cam_cells_add_up_to_the_logit_less_its_bias() {
        let features = fixture::features();
        let head = Head {
            weight: vec![0.3, -0.2, -1.5, 0.7],
            bias: vec![0.25, -0.5],
        };
        for (class, logit) in ClassId::all(2).zip(head.logits(&features)) {
            let sum = explain(Method::GradCam, &features, &head, class).sum();
            assert!((sum - (logit - head.bias[class.index()])).abs() < 1e-5);
        }
    }
}
