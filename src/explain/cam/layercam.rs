//! LayerCAM: Jiang, Zhang, Hou, Cheng and Wei 2021, "LayerCAM: Exploring Hierarchical
//! Class Activation Maps for Localization", IEEE Transactions on Image Processing 30,
//! doi 10.1109/TIP.2021.3089943, eq. 6 and 7.

use crate::explain::cam::products;
use crate::model::activations::{FeatureMaps, Gradients};

/// `Σ_k ReLU(g_k) ⊙ A_k`, `[height, width]`; the shown map is its ReLU.
#[must_use]
pub fn cells(features: &FeatureMaps, gradients: &Gradients) -> Vec<f32> {
    products(features, gradients, |g| g.max(0.0))
}

#[cfg(test)]
mod tests {
    use crate::explain::cam::fixture;

    #[test]
    fn fixture_values() {
        let cells = super::cells(&fixture::features(), &fixture::gradients());
        fixture::assert_close(&cells, [0.0, 4.0, 31.0, 40.0]);
    }
}
