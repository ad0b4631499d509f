//! What the engine gives back: plain data, from which every map of every class
//! follows without running the network again.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::input::framing::{Framing, Placement};
use crate::labels::ClassId;
use crate::model::ModelInfo;
use crate::model::cpu::Precision;
use crate::model::preprocessing::Preprocessing;

/// A target layer: where a map is taken. Networks have their own names for them
/// ([`Architecture::layer_name`](crate::model::Architecture::layer_name)).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Layer {
    /// The output of a ResNet's first stage, stride 4.
    #[serde(rename = "layer1", alias = "Layer1")]
    Layer1,
    /// The second stage, stride 8.
    #[serde(rename = "layer2", alias = "Layer2")]
    Layer2,
    /// The third stage, stride 16.
    #[serde(rename = "layer3", alias = "Layer3")]
    Layer3,
    /// What global average pooling takes, stride 32.
    #[default]
    #[serde(rename = "last", alias = "Last")]
    Last,
    /// The last convolution before its batch-norm, as a common tutorial has it.
    #[serde(rename = "last-conv", alias = "LastConv")]
    LastConv,
}

impl FromStr for Layer {
    type Err = String;

    /// A layer by the name it has in some network, for a model that is not known yet.
    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "last" | "layer4" => Ok(Self::Last),
            "layer1" => Ok(Self::Layer1),
            "layer2" => Ok(Self::Layer2),
            "layer3" => Ok(Self::Layer3),
            "layer4.1.conv2" | "layer4.2.conv2" | "layer4.2.conv3" => Ok(Self::LastConv),
            _ => Err("give last, layer1, layer2, layer3, layer4 or layer4.1.conv2".into()),
        }
    }
}

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

/// What a map of one class at one layer is made of.
#[derive(Clone, Debug)]
pub struct LayerGradients {
    /// The layer.
    pub layer: Layer,
    /// Its activations.
    pub features: Arc<FeatureMaps>,
    /// The gradients of the class's logit there.
    pub gradients: Gradients,
}

/// Global average pooling and one linear layer: all that follows the target layer.
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

    /// The gradients of a class's logit at the last layer, one for each channel and the
    /// same at each of its `cells`: `g_k = W_ck / N`.
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
}

/// Classes that a thread takes at once: fewer are done sooner than handed over.
const CLASSES_TOGETHER: usize = 128;

/// A dot product in sixteen running sums, so that it is fast and rounds little.
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
    /// The device that it ran on, as shown: "CPU", "CUDA 0".
    pub device: String,
    /// How the CPU added up.
    pub precision: Precision,
    /// How the photo was framed.
    pub framing: Framing,
    /// Where the input lies on the photo.
    pub placement: Placement,
    /// What was done to the pixels before the network saw them.
    pub preprocessing: Preprocessing,
    /// Activations of the last layer.
    pub features: Arc<FeatureMaps>,
    /// The layers after it.
    pub head: Arc<Head>,
    /// `y_c`, one for each class, before softmax.
    pub logits: Vec<f32>,
    /// Softmax of the logits.
    pub probabilities: Vec<f32>,
    /// Classes from the most to the least probable.
    pub ranking: Vec<ClassId>,
    /// How long it took.
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

    /// The evidence for a class at the last layer, in closed form: `g_k = W_ck / N`.
    #[must_use]
    pub fn layer_gradients(&self, class: ClassId) -> LayerGradients {
        let gradients = self.head.gradients(class, self.features.cells());
        LayerGradients {
            layer: Layer::Last,
            features: self.features.clone(),
            gradients: Gradients::PerChannel(gradients),
        }
    }

    /// `b_c`, the bias of a class's logit.
    #[must_use]
    pub fn bias(&self, class: ClassId) -> f32 {
        self.head.bias[class.index()]
    }

    /// What one cell of the last layer adds to the logit of each class:
    /// `W_ck · A_k(cell) / N`, summed over `k`; `[classes]`.
    #[must_use]
    pub fn cell_logits(&self, row: usize, column: usize) -> Vec<f32> {
        let cells = self.features.cells();
        let at = row * self.features.width + column;
        let activations: Vec<f32> = self
            .features
            .planes()
            .map(|plane| plane[at] / cells as f32)
            .collect();
        // Without threads: the pool may be busy with a network.
        let weights = self.head.weight.chunks_exact(activations.len());
        weights.map(|row| dot(row, &activations)).collect()
    }

    /// Softmax probability of a class, 0..=1.
    #[must_use]
    pub fn probability(&self, class: ClassId) -> f32 {
        self.probabilities[class.index()]
    }
}

/// Softmax, in f64 and shifted by the largest logit, so that it cannot overflow.
#[must_use]
#[allow(clippy::cast_possible_truncation)] // rounded once, at the end
pub fn softmax(logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits
        .iter()
        .map(|&logit| f64::from(logit - largest).exp())
        .collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| (power / sum) as f32).collect()
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
    fn softmax_adds_up_and_survives_large_logits() {
        let shares = softmax(&[1000.0, 999.0, -1000.0]);
        assert!((shares.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!((shares[0] - 0.731_058_6).abs() < 1e-6 && shares[2] == 0.0);
    }

    #[test]
    fn ranking_is_by_logit_then_index() {
        let order: Vec<usize> = rank(&[0.5, 2.0, 0.5, 9.0])
            .iter()
            .map(|c| c.index())
            .collect();
        assert_eq!(order, [3, 1, 0, 2]);
    }

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
