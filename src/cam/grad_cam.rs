//! Grad-CAM: Selvaraju et al. 2017, arXiv 1610.02391, eq. 1 and 2.

use crate::analysis::{FeatureMaps, Head};
use crate::labels::ClassId;

/// Channel weights `w_k = (1/N) Σ_ij g_k(i,j)` for gradients `g` of one logit,
/// `[channels, height, width]` like the activations.
#[must_use]
pub fn weights(features: &FeatureMaps, gradients: &[f32]) -> Vec<f32> {
    let cells = features.cells() as f32;
    gradients
        .chunks_exact(features.cells())
        .map(|plane| plane.iter().sum::<f32>() / cells)
        .collect()
}

/// The same at the last layer: `w_k = W_ck / N`. The map is then also CAM
/// (Zhou et al. 2016, arXiv 1512.04150), and its cells add up to `y_c − b_c`.
#[must_use]
pub fn last_layer_weights(features: &FeatureMaps, head: &Head, class: ClassId) -> Vec<f32> {
    let cells = features.cells() as f32;
    head.row(class)
        .iter()
        .map(|weight| weight / cells)
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::cam::{fixture, weighted_sum};

    #[test]
    fn fixture_values() {
        let features = fixture::features();
        let weights = super::weights(&features, &fixture::GRADIENTS);
        fixture::assert_close(&weighted_sum(&features, &weights), [0.0, 4.0, 28.0, 32.5]);
    }
}
