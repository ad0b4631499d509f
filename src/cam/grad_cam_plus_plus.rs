//! Grad-CAM++: Chattopadhay et al. 2018, arXiv 1710.11063, eq. 19, and two
//! variants of it that published figures were made with.
//!
//! With `S_k = Σ_ab A_k(a,b)`, eq. 19 is `α = g² / (2g² + S g³)` and
//! `w_k = Σ_ij α ReLU(g)`. Its second and third derivatives are of `exp(y_c)`;
//! for a piecewise linear network they are `exp(y) g²` and `exp(y) g³`, and the
//! common factor cancels.

use crate::analysis::{FeatureMaps, Head};
use crate::labels::ClassId;

/// The formulas in use under this name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Variant {
    /// Eq. 19 of the paper, in its stable form: no powers and no epsilon.
    #[default]
    Eq19,
    /// Eq. 19 with `+1e-6` in the denominator, as the grad-cam package has it.
    PytorchGradCam,
    /// `2g² + Σ_ab A_ab g_ab³ + 1e-8`, as in common tutorials. The same as eq. 19
    /// only where `g` is constant over the cells.
    TutorialSum,
}

/// The grad-cam package's epsilon (1.5.7, `grad_cam_plusplus.py`).
const PYTORCH_GRAD_CAM_EPS: f32 = 1e-6;
/// The tutorials' epsilon.
const TUTORIAL_EPS: f32 = 1e-8;

/// Channel weights for gradients `g` of one logit, `[channels, height, width]`
/// like the activations.
#[must_use]
pub fn weights(features: &FeatureMaps, gradients: &[f32], variant: Variant) -> Vec<f32> {
    features
        .planes()
        .zip(gradients.chunks_exact(features.cells()))
        .map(|(plane, gradients)| {
            let sum = plane.iter().sum::<f32>();
            let own: f32 = plane
                .iter()
                .zip(gradients)
                .map(|(a, g)| a * g.powi(3))
                .sum();
            gradients
                .iter()
                .filter(|g| **g > 0.0) // ReLU(g) leaves only these
                .map(|&g| match variant {
                    Variant::Eq19 => stable_term(g, sum),
                    Variant::PytorchGradCam => {
                        g * g * g / (2.0 * g * g + sum * g.powi(3) + PYTORCH_GRAD_CAM_EPS)
                    }
                    Variant::TutorialSum => g * g * g / (2.0 * g * g + own + TUTORIAL_EPS),
                })
                .sum()
        })
        .collect()
}

/// The same at the last layer, where `g = W_ck / N` at each of the `N` cells:
/// `w_k = N · g / (2 + S_k g)` for `g > 0`, else 0.
#[must_use]
pub fn last_layer_weights(features: &FeatureMaps, head: &Head, class: ClassId) -> Vec<f32> {
    let cells = features.cells() as f32;
    features
        .planes()
        .zip(head.row(class))
        .map(|(plane, weight)| {
            let g = weight / cells;
            if g > 0.0 {
                cells * stable_term(g, plane.iter().sum())
            } else {
                0.0
            }
        })
        .collect()
}

/// `α · g` of eq. 19 for `g > 0`: `g / (2 + S g)`, g² cancelled.
///
/// For activations ≥ 0 the denominator is at least 2. A layer before its ReLU can
/// make it 0 or negative; the formula has no meaning there, and such a cell
/// counts as 0.
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
    use crate::cam::{fixture, weighted_sum};

    #[test]
    fn fixture_values_of_every_variant() {
        let features = fixture::features();
        for (variant, expected) in [
            (Variant::Eq19, [0.0, 0.207_792, 1.871_259, 2.730_096]),
            // Epsilon is lost beside these gradients.
            (
                Variant::PytorchGradCam,
                [0.0, 0.207_792, 1.871_259, 2.730_096],
            ),
            (Variant::TutorialSum, [0.0, 0.207_792, 1.294_6, 1.288_448]),
        ] {
            let weights = weights(&features, &fixture::GRADIENTS, variant);
            fixture::assert_close(&weighted_sum(&features, &weights), expected);
        }
    }

    /// With gradients as small as layer4's the package's epsilon shows:
    /// g = 1e-3, S = 75 gives α = 1e-6 / (2e-6 + 75e-9 + 1e-6).
    #[test]
    fn the_packages_epsilon_shows_at_small_gradients() {
        let features = fixture::features();
        let small = fixture::GRADIENTS.map(|g| g * 1e-3);
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
            let weight = weights(&features, &[g, g], Variant::Eq19)[0];
            assert!(weight.is_finite() && weight >= 0.0);
        }
    }
}
