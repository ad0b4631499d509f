//! Grad-CAM++: Chattopadhay et al. 2018, arXiv 1710.11063, eq. 19, and two variants that published
//! figures were made with.
//!
//! With `S_k = Σ_ab A_k(a,b)`, eq. 19 is `α = g² / (2g² + S g³)` and `w_k = Σ_ij α ReLU(g)`. Its
//! second and third derivatives are those of `exp(y_c)`. For a piecewise linear network they are
//! `exp(y) g²` and `exp(y) g³`, and the common factor cancels.

use serde::{Deserialize, Serialize};

use crate::model::activations::{FeatureMaps, Gradients};

/// The published formulas with this name.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
pub enum Variant {
    /// Eq. 19 of the paper, in its stable form: no powers and no epsilon
    #[default]
    #[value(name = "eq19")]
    #[serde(rename = "eq19", alias = "Eq19")]
    Eq19,
    /// Eq. 19 with `+1e-6` in the denominator, as in the grad-cam package
    #[value(name = "pytorch-grad-cam")]
    #[serde(rename = "pytorch-grad-cam", alias = "PytorchGradCam")]
    PytorchGradCam,
    /// `2g² + Σ_ab A_ab g_ab³ + 1e-8`, as in common tutorials. Equal to eq. 19 only where `g` is
    /// constant over the cells
    #[value(name = "tutorial")]
    #[serde(rename = "tutorial", alias = "TutorialSum")]
    TutorialSum,
}

impl Variant {
    /// All variants, in the order of menus.
    pub const ALL: [Self; 3] = [Self::Eq19, Self::PytorchGradCam, Self::TutorialSum];

    /// The name on the command line and in JSON.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Eq19 => "eq19",
            Self::PytorchGradCam => "pytorch-grad-cam",
            Self::TutorialSum => "tutorial",
        }
    }
}

/// The grad-cam package's epsilon (1.5.7, `grad_cam_plusplus.py`).
const PYTORCH_GRAD_CAM_EPS: f32 = 1e-6;
/// The tutorials' epsilon.
const TUTORIAL_EPS: f32 = 1e-8;

/// Channel weights `w_k = Σ_ij α_k(i,j) ReLU(g_k(i,j))`, `[channels]`.
#[must_use]
pub fn weights(features: &FeatureMaps, gradients: &Gradients, variant: Variant) -> Vec<f32> {
    let cells = features.cells();
    match gradients {
        // All cells have the same term, so it is computed once.
        Gradients::PerChannel(gradients) => features
            .planes()
            .zip(gradients)
            .map(|(plane, &g)| {
                let sum = plane.iter().sum::<f32>();
                cells as f32 * term(g, sum, sum * g.powi(3), variant)
            })
            .collect(),
        Gradients::PerCell(gradients) => features
            .planes()
            .zip(gradients.chunks_exact(cells))
            .map(|(plane, gradients)| {
                let sum = plane.iter().sum::<f32>();
                let pairs = plane.iter().zip(gradients);
                let own: f32 = pairs.map(|(a, g)| a * g.powi(3)).sum();
                let terms = gradients.iter().map(|&g| term(g, sum, own, variant));
                terms.sum()
            })
            .collect(),
    }
}

/// `α · ReLU(g)` at one cell; `sum` is `Σ A`, `own` is `Σ A g³`.
fn term(g: f32, sum: f32, own: f32, variant: Variant) -> f32 {
    if g <= 0.0 {
        return 0.0;
    }
    match variant {
        Variant::Eq19 => stable_term(g, sum),
        Variant::PytorchGradCam => {
            g * g * g / (2.0 * g * g + sum * g.powi(3) + PYTORCH_GRAD_CAM_EPS)
        }
        Variant::TutorialSum => g * g * g / (2.0 * g * g + own + TUTORIAL_EPS),
    }
}

/// `α · g` of eq. 19 for `g > 0`: `g / (2 + S g)`, with g² cancelled.
///
/// For activations ≥ 0 the denominator is at least 2. At a layer before its ReLU it can be 0 or
/// negative. The formula is not defined there, and such a cell counts as 0.
fn stable_term(g: f32, sum: f32) -> f32 {
    let denominator = 2.0 + sum * g;
    if denominator > 0.0 {
        g / denominator
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::cam::{fixture, weighted_sum};

    #[test]
    fn fixture_values_of_every_variant() {
        let features = fixture::features();
        for (variant, expected) in [
            (Variant::Eq19, [0.0, 0.207_792, 1.871_259, 2.730_096]),
            // Epsilon is too small to matter with these gradients.
            (
                Variant::PytorchGradCam,
                [0.0, 0.207_792, 1.871_259, 2.730_096],
            ),
            (Variant::TutorialSum, [0.0, 0.207_792, 1.294_6, 1.288_448]),
        ] {
            let weights = weights(&features, &fixture::gradients(), variant);
            fixture::assert_close(&weighted_sum(&features, &weights), expected);
        }
    }

    /// With gradients as small as layer4's, the package's epsilon matters: g = 1e-3, S = 75 gives α
    /// = 1e-6 / (2e-6 + 75e-9 + 1e-6).
    #[test]
    fn the_packages_epsilon_shows_at_small_gradients() {
        let features = fixture::features();
        let small = Gradients::PerCell(fixture::GRADIENTS.map(|g| g * 1e-3).to_vec());
        let package = weights(&features, &small, Variant::PytorchGradCam)[0];
        let paper = weights(&features, &small, Variant::Eq19)[0];
        assert!((package - 4e-3 * 1e-6 / 3.075e-6).abs() < 1e-8, "{package}");
        assert!((paper - 4e-3 / 2.075).abs() < 1e-8, "{paper}");
    }

    #[test]
    fn a_negative_layer_never_gives_an_infinite_weight() {
        let features = FeatureMaps {
            channels: 1,
            height: 1,
            width: 2,
            values: vec![-1.0, -1.0],
        };
        for g in [0.5, 1.0, 2.0] {
            let gradients = Gradients::PerCell(vec![g, g]);
            let weight = weights(&features, &gradients, Variant::Eq19)[0];
            assert!(weight.is_finite() && weight >= 0.0);
        }
    }
}
