//! What camlens needs of a network, whatever it is made of: our own kernels, a graph of
//! operators, another process.

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

    /// The layer that is explained where no other is asked for: what global average pooling
    /// takes, or what comes closest to it.
    fn default_layer(&self) -> LayerId;

    /// Global average pooling and one linear layer, if nothing else follows the default
    /// layer. Maps there are then known in closed form, for every class at once.
    fn head(&self) -> Option<&Arc<Head>> {
        None
    }

    /// Runs the network.
    ///
    /// # Errors
    /// What failed, in words.
    fn forward(&self, input: &NetworkInput, precision: Precision) -> Result<Tape, NetworkError>;

    /// The activations at a layer. What [`Network::forward`] has made as plain data already
    /// is not copied.
    ///
    /// # Errors
    /// What failed, or that there is no such layer.
    fn activations(&self, tape: &Tape, at: LayerId) -> Result<Arc<FeatureMaps>, NetworkError>;

    /// The gradients of a class's logit at some layers, in their order.
    ///
    /// # Errors
    /// What failed, or that there is no such layer.
    fn gradients(
        &self,
        tape: &Tape,
        class: ClassId,
        at: &[LayerId],
    ) -> Result<Vec<Gradients>, NetworkError>;

    /// The precision of a run that is good enough for gradients at the layers without a
    /// closed form.
    fn precision_for_gradients(&self) -> Precision {
        Precision::Single
    }

    /// Bytes that a run takes at most, for an input of some width and height in pixels; 0
    /// where it is not known.
    fn bytes_to_run(&self, _input: (usize, usize), _precision: Precision) -> u64 {
        0
    }
}

/// What a network takes: one image after preprocessing.
#[derive(Clone, Debug)]
pub struct NetworkInput {
    /// Pixels.
    pub width: usize,
    /// Pixels.
    pub height: usize,
    /// `[height, width, 3]`, row-major.
    pub values: Vec<f32>,
}

/// What a run of a network leaves behind.
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

    /// What the network has kept.
    ///
    /// # Errors
    /// If the tape is another network's.
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
    /// From what the user can read: the first line of it, since some libraries append a
    /// backtrace.
    #[must_use]
    pub fn new(text: impl AsRef<str>) -> Self {
        let first = text.as_ref().lines().next().unwrap_or_default();
        Self(first.to_owned())
    }

    /// That a network does not have a layer.
    #[must_use]
    pub fn no_layer(layer: LayerId) -> Self {
        Self(format!(
            "this network has no layer number {}",
            layer.index()
        ))
    }
}
