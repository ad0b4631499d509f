//! Networks from the tensors of a state dict: one builder for each family, which writes the
//! network as a graph. The tensors give the widths, the family gives the structure.
//!
//! A file is accepted only if its builder used every tensor with exactly the expected shape, so
//! that a network that only looks similar is refused and not run wrongly.

mod blocks;
mod convnext;
mod densenet;
mod efficientnet;
#[cfg(test)]
mod family_tests;
mod head;
mod inception;
mod layers;
mod mobile;
mod mobile_timm;
mod regnet;
mod resnet;
mod resnetv2;
mod saved;
mod shufflenet;
mod squeezenet;
mod swin;
mod tokens;
mod vgg;
mod vit;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use crate::model::state_dict::layers::Layers;
pub use crate::model::state_dict::saved::{Role, SavedModule, same_padding};

use crate::model::graph::{GraphError, ValueId};

/// The shapes of a network's tensors by their names, without the prefix of the network.
pub type Shapes = BTreeMap<String, Vec<usize>>;

/// The tensors of one network.
pub trait Tensors {
    /// All names and shapes.
    fn shapes(&self) -> &Shapes;

    /// The values of a tensor, row-major. Called again for the same tensor, it gives the same
    /// memory.
    ///
    /// # Errors
    /// If the tensor is missing or can't be read.
    fn values(&mut self, name: &str) -> Result<Arc<Vec<f32>>, GraphError>;

    /// The modules, if the network was saved whole; each comes before its submodules.
    fn modules(&self) -> &[SavedModule] {
        &[]
    }
}

/// A family of networks with the same structure and tensor names.
pub struct Family {
    /// Whether these are the tensors of a network of this family. Only a few names and shapes
    /// are looked at; [`Family::build`] checks everything.
    pub matches: fn(&Shapes) -> bool,
    /// Adds the nodes for an input `[1, channels, height, width]` and returns the logits.
    pub build: fn(&mut Layers, ValueId) -> Result<ValueId, GraphError>,
}

/// What a builder says about its network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Described {
    /// The usual name: `VGG-16`.
    pub name: String,
    /// What the tensors do not tell and was taken for granted, one sentence each.
    pub assumed: Vec<String>,
    /// How its usual weights want their input.
    pub input: UsualInput,
}

/// The usual input of a network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UsualInput {
    /// Side of the input in pixels.
    pub crop: usize,
    /// The photo's short side before cutting.
    pub short: usize,
    /// Mean of each channel, for values in 0..=1.
    pub mean: [f32; 3],
    /// Standard deviation of each channel.
    pub std: [f32; 3],
    /// Whether the size is fixed (position embeddings, fully connected layers on cells).
    pub fixed: bool,
    /// Whether the usual interpolation is bicubic instead of bilinear.
    pub bicubic: bool,
}

impl Default for UsualInput {
    /// torchvision's.
    fn default() -> Self {
        Self {
            crop: 224,
            short: 256,
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
            fixed: false,
            bicubic: false,
        }
    }
}

/// All families, in the order in which they are tried.
pub const FAMILIES: &[Family] = &[
    vgg::VGG,
    vgg::ALEXNET,
    squeezenet::SQUEEZENET,
    densenet::DENSENET,
    mobile::MOBILENET_V2,
    mobile::MOBILENET_V3,
    mobile::MNASNET,
    efficientnet::EFFICIENTNET,
    mobile_timm::MOBILE_TIMM,
    mobile_timm::EFFICIENTNET_SOURCE,
    regnet::TORCHVISION,
    regnet::TIMM,
    shufflenet::SHUFFLENET_V2,
    inception::GOOGLENET,
    inception::INCEPTION_V3,
    resnet::FAMILY,
    resnetv2::FAMILY,
    convnext::TIMM,
    convnext::TORCHVISION,
    vit::FAMILY,
    swin::FAMILY,
];
