//! HiResCAM: Draelos and Carin 2020, arXiv 2011.08891.
//!
//! Gradients are not averaged over the cells first. At the last layer, where they are the same at
//! every cell, the result is the same as Grad-CAM.

use crate::explain::cam::products;
use crate::model::activations::{FeatureMaps, Gradients};

/// `Σ_k g_k ⊙ A_k`, `[height, width]`; the shown map is its ReLU.
#[must_use]
pub fn cells(features: &FeatureMaps, gradients: &Gradients) -> Vec<f32> {
    products(features, gradients, |g| g)
}

#[cfg(test)]
mod tests {
    use crate::explain::cam::fixture;

    #[test]
    fn fixture_values() {
        let cells = super::cells(&fixture::features(), &fixture::gradients());
        fixture::assert_close(&cells, [0.0, 4.0, 31.0 - 6.0, 40.0 - 15.0]);
    }
}
