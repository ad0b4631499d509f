//! XGrad-CAM: Fu et al. 2020, "Axiom-based Grad-CAM", arXiv 2008.02312, eq. 8.
//!
//! At the last layer, where gradients are the same at every cell, the result is the same as
//! Grad-CAM.

use crate::model::activations::{FeatureMaps, Gradients};

/// Channel weights `w_k = Σ_ij A_k(i,j) g_k(i,j) / Σ_ab A_k(a,b)`, `[channels]`.
///
/// A channel whose activations add up to 0 has no weight by this formula; its weight is set to 0.
/// If no activation is negative, such a channel is 0 everywhere.
#[must_use]
#[allow(clippy::cast_possible_truncation)] // rounded once, at the end
pub fn weights(features: &FeatureMaps, gradients: &Gradients) -> Vec<f32> {
    match gradients {
        Gradients::PerChannel(gradients) => gradients.clone(),
        Gradients::PerCell(gradients) => features
            .planes()
            .zip(gradients.chunks_exact(features.cells()))
            .map(|(plane, gradients)| {
                // In f64, because the activations nearly cancel before a batch norm.
                let wide = |value: &f32| f64::from(*value);
                let sum: f64 = plane.iter().map(wide).sum();
                let pairs = plane.iter().zip(gradients);
                let product: f64 = pairs.map(|(a, g)| wide(a) * wide(g)).sum();
                if sum == 0.0 {
                    0.0
                } else {
                    (product / sum) as f32
                }
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use crate::explain::cam::{fixture, weighted_sum};
    use crate::model::activations::{FeatureMaps, Gradients};

    #[test]
    fn fixture_values() {
        let features = fixture::features();
        let weights = super::weights(&features, &fixture::gradients());
        // w₁ = 75/75, w₂ = −21/21
        fixture::assert_close(&weighted_sum(&features, &weights), [0.0, 4.0, 25.0, 25.0]);
    }

    #[test]
    fn a_silent_channel_has_no_weight() {
        let silent = FeatureMaps {
            channels: 1,
            height: 1,
            width: 2,
            values: vec![0.0, 0.0],
        };
        let gradients = Gradients::PerCell(vec![3.0, -1.0]);
        assert_eq!(super::weights(&silent, &gradients), [0.0]);
    }
}
