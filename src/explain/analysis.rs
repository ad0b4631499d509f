//! The results of the engine as plain data. Every map of every class can be computed from it
//! without running the network again.

use std::sync::Arc;
use std::time::Duration;

use crate::input::framing::{CellGrid, Framing, Placement};
use crate::labels::ClassId;
use crate::model::activations::{FeatureMaps, Gradients, LayerGradients};
use crate::model::cpu::Precision;
use crate::model::device::DeviceChoice;
use crate::model::preprocessing::{Preprocessing, PreprocessingSource};
use crate::model::{ModelInfo, Scores};

/// How long each step took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timings {
    /// Resizing and cropping the photo.
    pub frame: Duration,
    /// The network, from pixels to logits.
    pub forward: Duration,
}

/// One run of a network on one photo.
#[derive(Clone, Debug)]
pub struct Analysis {
    /// The model that ran.
    pub model: Arc<ModelInfo>,
    /// The device that it ran on; never [`DeviceChoice::Auto`].
    pub device: DeviceChoice,
    /// The precision of sums on the CPU.
    pub precision: Precision,
    /// How the photo was framed.
    pub framing: Framing,
    /// Where the input lies on the photo.
    pub placement: Placement,
    /// How pixels were normalized before they entered the network.
    pub preprocessing: Preprocessing,
    /// Where the preprocessing came from: the model's own source, or the user.
    pub preprocessing_from: PreprocessingSource,
    /// Activations of the model's default layer.
    pub features: Arc<FeatureMaps>,
    /// `y_c`, one for each class, before softmax or sigmoid.
    pub logits: Vec<f32>,
    /// How they become probabilities.
    pub scores: Scores,
    /// The probability of each class, by [`Analysis::scores`].
    pub probabilities: Vec<f32>,
    /// Classes from the largest to the smallest logit: from the most to the least probable.
    pub ranking: Vec<ClassId>,
    /// How long each step took.
    pub timings: Timings,
}

impl Analysis {
    /// The most probable class.
    #[must_use]
    pub fn top(&self) -> ClassId {
        self.ranking[0]
    }

    /// `y_c`.
    #[must_use]
    pub fn logit(&self, class: ClassId) -> f32 {
        self.logits[class.index()]
    }

    /// The gradients of a class's logit at the default layer in closed form: `g_k = W_ck / N`. `None`
    /// if the network has no such head: then [`Engine::layer_gradients`](crate::explain::engine::Engine::layer_gradients)
    /// computes them by a backward pass.
    #[must_use]
    pub fn layer_gradients(&self, class: ClassId) -> Option<LayerGradients> {
        let head = self.model.head.as_ref()?;
        let gradients = head.gradients(class, self.features.cells());
        Some(LayerGradients {
            layer: self.model.target(self.model.default_layer),
            features: self.features.clone(),
            gradients: Gradients::PerChannel(gradients),
        })
    }

    /// `b_c`, the bias of a class's logit, if the logit comes from a linear layer.
    #[must_use]
    pub fn bias(&self, class: ClassId) -> Option<f32> {
        Some(self.model.head.as_ref()?.bias[class.index()])
    }

    /// The contribution of one cell of the default layer to the logit of each class, `[classes]`;
    /// `None` without a closed form.
    #[must_use]
    pub fn cell_logits(&self, row: usize, column: usize) -> Option<Vec<f32>> {
        let head = self.model.head.as_ref()?;
        Some(head.cell_logits(&self.features, row, column))
    }

    /// The cells of the default layer.
    #[must_use]
    pub fn grid(&self) -> CellGrid {
        CellGrid {
            columns: self.features.width,
            rows: self.features.height,
            stride: self.model.layer(self.model.default_layer).stride,
        }
    }

    /// The probability of a class, 0..=1: see [`Analysis::scores`].
    #[must_use]
    pub fn probability(&self, class: ClassId) -> f32 {
        self.probabilities[class.index()]
    }
}

/// Class indices from the largest to the smallest logit; ties in index order.
#[must_use]
pub fn rank(logits: &[f32]) -> Vec<ClassId> {
    let mut order: Vec<ClassId> = ClassId::all(logits.len()).collect();
    order.sort_by(|a, b| logits[b.index()].total_cmp(&logits[a.index()]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranking_is_by_logit_then_index() {
        let order: Vec<usize> = rank(&[0.5, 2.0, 0.5, 9.0])
            .iter()
            .map(|c| c.index())
            .collect();
        assert_eq!(order, [3, 1, 0, 2]);
    }
}
