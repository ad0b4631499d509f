//! What networks compute, as plain data: activations, gradients, and the linear layer that
//! turns pooled activations into logits.

use std::sync::Arc;

use rayon::prelude::*;

use crate::labels::ClassId;
use crate::model::target_layer::TargetLayer;

/// Activations `A_k(i, j)` of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureMaps {
    /// Number of channels `k`.
    pub channels: usize,
    /// Rows of cells.
    pub height: usize,
    /// Columns of cells.
    pub width: usize,
    /// `[channels, height, width]`, row-major.
    pub values: Vec<f32>,
}

impl FeatureMaps {
    /// Cells in one map: `N = height · width`.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.height * self.width
    }

    /// One map for each channel, each `[height, width]`.
    pub fn planes(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.cells())
    }
}

/// Gradients `g_k(i, j) = ∂y_c/∂A_k(i, j)` of one logit at a layer.
#[derive(Clone, Debug, PartialEq)]
pub enum Gradients {
    /// The same at every cell, `[channels]`: at the last layer `W_ck / N`.
    PerChannel(Vec<f32>),
    /// `[channels, height, width]`, row-major.
    PerCell(Vec<f32>),
}

/// The data for a map of one class at one layer.
#[derive(Clone, Debug)]
pub struct LayerGradients {
    /// The layer.
    pub layer: TargetLayer,
    /// Its activations.
    pub features: Arc<FeatureMaps>,
    /// The gradients of the class's logit there.
    pub gradients: Gradients,
}

/// Global average pooling and one linear layer: everything after the target layer.
#[derive(Clone, Debug)]
pub struct Head {
    /// `W` `[classes, channels]`, row-major.
    pub weight: Vec<f32>,
    /// `b` `[classes]`.
    pub bias: Vec<f32>,
}

impl Head {
    /// Number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.bias.len()
    }

    /// The weights `W_c` `[channels]` of one class.
    #[must_use]
    pub fn row(&self, class: ClassId) -> &[f32] {
        let channels = self.weight.len() / self.bias.len();
        &self.weight[class.index() * channels..][..channels]
    }

    /// The gradients of a class's logit at the last layer, one per channel and the same at each of
    /// its `cells`: `g_k = W_ck / N`.
    #[must_use]
    pub fn gradients(&self, class: ClassId, cells: usize) -> Vec<f32> {
        let cells = cells as f32;
        self.row(class)
            .iter()
            .map(|weight| weight / cells)
            .collect()
    }

    /// The logits `y_c = Σ_k W_ck · mean(A_k) + b_c`, `[classes]`.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // rounded once, at the end
    pub fn logits(&self, features: &FeatureMaps) -> Vec<f32> {
        let cells = features.cells() as f64;
        let pooled: Vec<f32> = features
            .planes()
            .map(|plane| (plane.iter().map(|&a| f64::from(a)).sum::<f64>() / cells) as f32)
            .collect();
        let classes = self.weight.par_chunks_exact(pooled.len());
        classes
            .with_min_len(CLASSES_TOGETHER)
            .zip(&self.bias)
            .map(|(row, bias)| dot(row, &pooled) + bias)
            .collect()
    }

    /// The contribution of one cell of the last layer to the logit of each class: `W_ck · A_k(cell)
    /// / N`, summed over `k`; `[classes]`.
    #[must_use]
    pub fn cell_logits(&self, features: &FeatureMaps, row: usize, column: usize) -> Vec<f32> {
        let cells = features.cells();
        let at = row * features.width + column;
        let activations: Vec<f32> = features
            .planes()
            .map(|plane| plane[at] / cells as f32)
            .collect();
        // Single-threaded, because the thread pool may be busy with a network.
        let weights = self.weight.chunks_exact(activations.len());
        weights.map(|row| dot(row, &activations)).collect()
    }
}

/// Number of classes per task: fewer are computed faster than they are handed to another thread.
const CLASSES_TOGETHER: usize = 128;

/// A dot product with sixteen partial sums, which is fast and has small rounding errors.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    let mut sums = [0.0f32; 16];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..16 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(a, b)| a * b);
    sums.iter().sum::<f32>() + rest.sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logits_are_pooled_and_linear() {
        let features = FeatureMaps {
            channels: 2,
            height: 1,
            width: 2,
            values: vec![1.0, 3.0, 10.0, 0.0],
        };
        let head = Head {
            weight: vec![1.0, 1.0, 2.0, -1.0],
            bias: vec![0.5, 0.0],
        };
        assert_eq!(head.logits(&features), [7.5, -1.0]);
    }
}
