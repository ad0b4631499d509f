//! The interface of a network. An implementation may use our own kernels, a graph of operators or
//! another process.

use std::any::Any;
use std::sync::Arc;

use crate::labels::ClassId;
use crate::model::activations::{FeatureMaps, Gradients, Head};
use crate::model::cpu::Precision;
use crate::model::target_layer::{LayerId, LayerInfo};

/// A network with its weights, on its device.
pub trait Network: Send {
    /// The layers that can be explained, in the order in which they run. A [`LayerId`] is an
    /// index into this list.
    fn layers(&self) -> &[LayerInfo];

    /// The layer that is explained by default: the input of global average pooling, or the closest
    /// equivalent.
    fn default_layer(&self) -> LayerId;

    /// The channels of its input: 3 for colors, 1 for gray.
    fn channels(&self) -> usize {
        3
    }

    /// The only input size (height, width) in pixels that the network takes, if there is only one.
    fn fixed_size(&self) -> Option<(usize, usize)> {
        None
    }

    /// Global average pooling and one linear layer, if nothing else follows the default
    /// layer. Maps there are then known in closed form, for every class at once.
    fn head(&self) -> Option<&Arc<Head>> {
        None
    }

    /// Runs the network.
    ///
    /// # Errors
    /// If the network fails, with the reason.
    fn forward(&self, input: &NetworkInput, precision: Precision) -> Result<Tape, NetworkError>;

    /// The activations at a layer. Plain data that [`Network::forward`] already computed is not
    /// copied.
    ///
    /// # Errors
    /// If the network fails or has no such layer.
    fn activations(&self, tape: &Tape, at: LayerId) -> Result<Arc<FeatureMaps>, NetworkError>;

    /// The gradients of a class's logit at some layers, in the given order.
    ///
    /// # Errors
    /// If the network fails or has no such layer.
    fn gradients(
        &self,
        tape: &Tape,
        class: ClassId,
        at: &[LayerId],
    ) -> Result<Vec<Gradients>, NetworkError>;

    /// The precision that a run needs for gradients at layers without a closed form.
    fn precision_for_gradients(&self) -> Precision {
        Precision::Single
    }

    /// The maximum memory of a run in bytes, for an input of this width and height in pixels; 0 if
    /// unknown.
    fn bytes_to_run(&self, _input: (usize, usize), _precision: Precision) -> u64 {
        0
    }
}

/// The input of a network: one image after preprocessing.
#[derive(Clone, Debug)]
pub struct NetworkInput {
    /// Pixels.
    pub width: usize,
    /// Pixels.
    pub height: usize,
    /// 1 or 3: what [`Network::channels`] says.
    pub channels: usize,
    /// `[height, width, channels]`, row-major.
    pub values: Vec<f32>,
}

/// The result of a run of a network.
pub struct Tape {
    /// `y_c`, one for each class, before softmax.
    pub logits: Vec<f32>,
    state: Box<dyn Any + Send>,
}

impl Tape {
    /// The logits, and what the network needs for activations and gradients.
    #[must_use]
    pub fn new(logits: Vec<f32>, state: impl Any + Send) -> Self {
        Self {
            logits,
            state: Box::new(state),
        }
    }

    /// The data that the network kept.
    ///
    /// # Errors
    /// If the tape belongs to another network.
    pub fn state<T: Any>(&self) -> Result<&T, NetworkError> {
        let other = || NetworkError::new("the run belongs to another network");
        self.state.downcast_ref().ok_or_else(other)
    }
}

/// Why a network could not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NetworkError(String);

impl NetworkError {
    /// From a message for the user. Only its first line is kept, because some libraries append a
    /// backtrace.
    #[must_use]
    pub fn new(text: impl AsRef<str>) -> Self {
        let first = text.as_ref().lines().next().unwrap_or_default();
        Self(first.to_owned())
    }

    /// The error for a layer that the network does not have.
    #[must_use]
    pub fn no_layer(layer: LayerId) -> Self {
        Self(format!(
            "this network has no layer number {}",
            layer.index()
        ))
    }
}
