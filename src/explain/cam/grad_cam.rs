//! Grad-CAM: Selvaraju et al. 2017, arXiv 1610.02391, eq. 1 and 2.
//!
//! At the last layer the map is also CAM (Zhou et al. 2016, arXiv 1512.04150), and its
//! cells add up to `y_c − b_c`.

use crate::model::activations::{FeatureMaps, Gradients};

/// Channel weights `w_k = (1/N) Σ_ij g_k(i,j)`, `[channels]`.
#[must_use]
pub fn weights(features: &FeatureMaps, gradients: &Gradients) -> Vec<f32> {
    match gradients {
        Gradients::PerChannel(gradients) => gradients.clone(),
        Gradients::PerCell(gradients) => {
            let cells = features.cells() as f32;
            gradients
                .chunks_exact(features.cells())
                .map(|plane| plane.iter().sum::<f32>() / cells)
                .collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::explain::cam::{fixture, weighted_sum};

    #[test]
    fn fixture_values() {
        let features = fixture::features();
        let weights = super::weights(&features, &fixture::gradients());
        fixture::assert_close(&weighted_sum(&features, &weights), [0.0, 4.0, 28.0, 32.5]);
    }
}
