//! ResNets as networks: stages, head, and the layers that can be explained.

use std::sync::Arc;

use crate::labels::ClassId;
use crate::model::activations::{FeatureMaps, Gradients, Head};
use crate::model::architecture::{Architecture, BlockKind};
use crate::model::cpu::Precision;
use crate::model::layers::{Backend, Image};
use crate::model::needs;
use crate::model::network::{Network, NetworkError, NetworkInput, Tape};
use crate::model::resnet::{EXPANSION, Trace, Trunk, WIDTHS};
use crate::model::target_layer::{LayerId, LayerInfo, LayerKind};

/// Input pixels for each cell of the stages.
const STRIDES: [f64; 4] = [4.0, 8.0, 16.0, 32.0];
/// The layers: the four stages, and the last convolution before its batch-norm.
const LAST: LayerId = LayerId::new(3);
const LAST_CONV: LayerId = LayerId::new(4);

/// A ResNet with its head.
pub struct ResNet {
    architecture: Architecture,
    trunk: Trunk,
    head: Arc<Head>,
    layers: Vec<LayerInfo>,
    backend: Backend,
}

/// What a run keeps.
struct State {
    trace: Trace,
    last: Arc<FeatureMaps>,
}

impl ResNet {
    /// Builds the network from its parts.
    pub fn new(architecture: Architecture, trunk: Trunk, head: Head, backend: Backend) -> Self {
        Self {
            layers: layers(architecture),
            architecture,
            trunk,
            head: Arc::new(head),
            backend,
        }
    }

    /// The gradient at the last stage as an image: the same at every cell.
    fn at_layer4(&self, state: &State, class: ClassId) -> Result<Image, NetworkError> {
        let FeatureMaps { height, width, .. } = *state.last;
        let gradients = self.head.gradients(class, state.last.cells());
        Ok(self.backend.uniform(&gradients, height, width)?)
    }
}

/// The stages, and the last convolution of the last block.
fn layers(architecture: Architecture) -> Vec<LayerInfo> {
    let Some((counts, kind)) = architecture.blocks() else {
        return Vec::new();
    };
    let (expansion, convs) = match kind {
        BlockKind::Basic => (1, 2),
        BlockKind::Bottleneck => (EXPANSION, 3),
    };
    let stages = WIDTHS.iter().zip(STRIDES).enumerate();
    let stages = stages.map(|(stage, (width, stride))| LayerInfo {
        name: format!("layer{}", stage + 1),
        stride: (stride, stride),
        channels: expansion * width,
        kind: LayerKind::Output,
        stage: Some(stage + 1),
    });
    let mut layers: Vec<LayerInfo> = stages.collect();
    layers.push(LayerInfo {
        name: format!("layer4.{}.conv{convs}", counts[3] - 1),
        kind: LayerKind::BeforeBatchNorm,
        stage: None,
        ..layers[LAST.index()].clone()
    });
    layers
}

impl Network for ResNet {
    fn layers(&self) -> &[LayerInfo] {
        &self.layers
    }

    fn default_layer(&self) -> LayerId {
        LAST
    }

    fn head(&self) -> Option<&Arc<Head>> {
        Some(&self.head)
    }

    fn forward(&self, input: &NetworkInput, precision: Precision) -> Result<Tape, NetworkError> {
        let backend = &self.backend;
        let trace = backend.run_layers(|| {
            let image = backend.image(&input.values, input.height, input.width)?;
            self.trunk.forward(&image, backend, precision)
        })?;
        let last = trace.stage(LAST.index());
        let last = last.ok_or_else(|| NetworkError::no_layer(LAST))?;
        let last = Arc::new(backend.feature_maps(last)?);
        Ok(Tape::new(self.head.logits(&last), State { trace, last }))
    }

    fn activations(&self, tape: &Tape, at: LayerId) -> Result<Arc<FeatureMaps>, NetworkError> {
        let state: &State = tape.state()?;
        let features = match at {
            LAST => return Ok(state.last.clone()),
            LAST_CONV => {
                let image = self
                    .trunk
                    .before_last_batch_norm(&state.trace, &self.backend)?;
                self.backend.feature_maps(&image)?
            }
            stage => {
                let image = state.trace.stage(stage.index());
                let image = image.ok_or_else(|| NetworkError::no_layer(at))?;
                self.backend.feature_maps(image)?
            }
        };
        Ok(Arc::new(features))
    }

    fn gradients(
        &self,
        tape: &Tape,
        class: ClassId,
        at: &[LayerId],
    ) -> Result<Vec<Gradients>, NetworkError> {
        let state: &State = tape.state()?;
        let at_layer4 = if at.iter().all(|layer| *layer == LAST) {
            None
        } else {
            Some(self.at_layer4(state, class)?)
        };
        // One backward pass covers every stage down to the earliest requested one.
        let first = at.iter().copied().filter(|layer| *layer < LAST).min();
        let stages = match (first, &at_layer4) {
            (Some(first), Some(at_layer4)) => {
                let (trace, at_layer4) = (&state.trace, at_layer4.clone());
                self.trunk
                    .gradients(trace, at_layer4, first.index(), &self.backend)?
            }
            _ => Vec::new(),
        };
        let per_cell = |image: &Image| -> Result<Gradients, NetworkError> {
            let values = self.backend.feature_maps(image)?.values;
            Ok(Gradients::PerCell(values))
        };
        at.iter()
            .map(|&layer| match (layer, &at_layer4) {
                (LAST, _) => {
                    let gradients = self.head.gradients(class, state.last.cells());
                    Ok(Gradients::PerChannel(gradients))
                }
                (LAST_CONV, Some(at_layer4)) => {
                    let gradient = self.trunk.gradient_before_last_batch_norm(
                        &state.trace,
                        at_layer4,
                        &self.backend,
                    )?;
                    per_cell(&gradient)
                }
                (stage, _) => {
                    // The gradient of the last stage comes first.
                    let index = (LAST.index() - 1).checked_sub(stage.index());
                    let image = index.and_then(|index| stages.get(index));
                    per_cell(image.ok_or_else(|| NetworkError::no_layer(layer))?)
                }
            })
            .collect()
    }

    /// Rounding puts about one activation in a million on the wrong side of its `ReLU`, and a
    /// single one can change a map at an early layer by 0.2 % (measured).
    fn precision_for_gradients(&self) -> Precision {
        Precision::Double
    }

    fn bytes_to_run(&self, input: (usize, usize), precision: Precision) -> u64 {
        needs::to_run(self.architecture, input, precision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_have_torchvisions_names_and_sizes() {
        for (architecture, last_conv, channels) in [
            (Architecture::ResNet18, "layer4.1.conv2", 512),
            (Architecture::ResNet34, "layer4.2.conv2", 512),
            (Architecture::ResNet50, "layer4.2.conv3", 2048),
            (Architecture::ResNet152, "layer4.2.conv3", 2048),
        ] {
            let layers = layers(architecture);
            let names: Vec<&str> = layers.iter().map(|layer| &layer.name[..]).collect();
            assert_eq!(names, ["layer1", "layer2", "layer3", "layer4", last_conv]);
            for layer in &layers[LAST.index()..] {
                assert_eq!(layer.channels, channels);
                assert_eq!(layer.stride, (32.0, 32.0));
            }
            assert_eq!(layers[LAST.index()].channels, architecture.channels());
            assert_eq!(layers[LAST_CONV.index()].kind, LayerKind::BeforeBatchNorm);
        }
    }
}
