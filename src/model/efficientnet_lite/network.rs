//! EfficientNet-Lite0 as a network: its last layer and its head.

use std::sync::Arc;

use crate::labels::ClassId;
use crate::model::activations::{FeatureMaps, Gradients, Head};
use crate::model::architecture::{Architecture, LITE_CHANNELS};
use crate::model::cpu::Precision;
use crate::model::efficientnet_lite::Trunk;
use crate::model::layers::Backend;
use crate::model::needs;
use crate::model::network::{Network, NetworkError, NetworkInput, Tape};
use crate::model::target_layer::{LayerId, LayerInfo, LayerKind};

/// The only layer that can be explained: the output of the last convolution.
const LAST: LayerId = LayerId::new(0);

/// EfficientNet-Lite0 with its head.
pub struct EfficientNetLite0 {
    trunk: Trunk,
    head: Arc<Head>,
    layers: [LayerInfo; 1],
    backend: Backend,
}

impl EfficientNetLite0 {
    /// Builds the network from its parts.
    pub fn new(trunk: Trunk, head: Head, backend: Backend) -> Self {
        let last = LayerInfo {
            name: "last".into(),
            stride: (32.0, 32.0),
            channels: LITE_CHANNELS,
            kind: LayerKind::Output,
            stage: Some(1),
        };
        Self {
            trunk,
            head: Arc::new(head),
            layers: [last],
            backend,
        }
    }
}

impl Network for EfficientNetLite0 {
    fn layers(&self) -> &[LayerInfo] {
        &self.layers
    }

    fn default_layer(&self) -> LayerId {
        LAST
    }

    fn head(&self) -> Option<&Arc<Head>> {
        Some(&self.head)
    }

    /// Always in f32, because nothing here needs gradients.
    fn forward(&self, input: &NetworkInput, _: Precision) -> Result<Tape, NetworkError> {
        let backend = &self.backend;
        let last = backend.run_layers(|| {
            let image = backend.image(&input.values, input.height, input.width)?;
            self.trunk.features(&image)
        })?;
        let last = Arc::new(backend.feature_maps(&last)?);
        Ok(Tape::new(self.head.logits(&last), last))
    }

    fn activations(&self, tape: &Tape, at: LayerId) -> Result<Arc<FeatureMaps>, NetworkError> {
        match at {
            LAST => tape.state::<Arc<FeatureMaps>>().cloned(),
            _ => Err(NetworkError::no_layer(at)),
        }
    }

    fn gradients(
        &self,
        tape: &Tape,
        class: ClassId,
        at: &[LayerId],
    ) -> Result<Vec<Gradients>, NetworkError> {
        let last: &Arc<FeatureMaps> = tape.state()?;
        let gradients = |&layer: &LayerId| match layer {
            LAST => {
                let gradients = self.head.gradients(class, last.cells());
                Ok(Gradients::PerChannel(gradients))
            }
            _ => Err(NetworkError::no_layer(layer)),
        };
        at.iter().map(gradients).collect()
    }

    fn bytes_to_run(&self, input: (usize, usize), precision: Precision) -> u64 {
        needs::to_run(Architecture::EfficientNetLite0, input, precision)
    }
}
