//! The description of a loaded model.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::input::framing::Framing;
use crate::labels::Labels;
use crate::model::activations::Head;
use crate::model::file_selection::Selection;
use crate::model::gradient_check::GradientCheck;
use crate::model::hub;
use crate::model::preprocessing::{InputNeeds, Preprocessing, PreprocessingSource};
use crate::model::scores::Scores;
use crate::model::target_layer::{LayerChoice, LayerId, LayerInfo, LayerKind, TargetLayer};

/// Maximum number of small multiples.
const MOST_STAGES: usize = 4;

/// One of the outputs of a network that can be explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputInfo {
    /// Its name in the file.
    pub name: String,
    /// Its number of classes.
    pub classes: usize,
}

/// Information about a loaded model for the user.
#[derive(Clone, Debug)]
pub struct ModelInfo {
    /// The name of its network: "ResNet-18".
    pub architecture: String,
    /// The layers that can be explained, in the order in which they run.
    pub layers: Vec<LayerInfo>,
    /// The layer that is explained by default.
    pub default_layer: LayerId,
    /// Global average pooling and one linear layer, if nothing else follows the default layer.
    pub head: Option<Arc<Head>>,
    /// Where the weights came from: "built in", or a path.
    pub origin: String,
    /// What is known about its accuracy.
    pub accuracy: String,
    /// SHA-256 of the weight file, in hexadecimal.
    pub sha256: String,
    /// Its classes.
    pub labels: Labels,
    /// Where its class names came from.
    pub labels_from: String,
    /// How its logits become scores.
    pub scores: Scores,
    /// How that is known, if it is not the usual softmax: "config.json".
    pub scores_from: Option<String>,
    /// The model's own preprocessing.
    pub preprocessing: Preprocessing,
    /// Where the preprocessing came from.
    pub preprocessing_from: PreprocessingSource,
    /// How its photos are fitted to the input, if a file next to it says so.
    pub own_framing: Option<Framing>,
    /// What the network needs of its input: its channels, and a fixed size.
    pub needs: InputNeeds,
    /// What was assumed about the network because the weight file does not say it, in a
    /// sentence. `None` if nothing was assumed.
    pub assumed: Option<String>,
    /// Which network of the file was loaded.
    pub network: Selection,
    /// The networks in the file, if it holds several.
    pub networks: Vec<Selection>,
    /// The outputs of the network, if it has several. [`Selection::output`] of `network` is the one
    /// that is explained.
    pub outputs: Vec<OutputInfo>,
    /// The check of its gradients; `None` if there is nothing to check.
    pub gradient_check: Option<GradientCheck>,
    /// Notices about this file for the user.
    pub notices: Vec<String>,
}

impl ModelInfo {
    /// Whether the network takes the inputs of a framing: `whole` needs inputs of any size.
    #[must_use]
    pub fn allows(&self, framing: Framing) -> bool {
        framing != Framing::Whole || self.needs.fixed_size.is_none()
    }

    /// The framing that is used when one is wanted: itself, if the network allows it. Otherwise the
    /// model's own, or what networks of this input are usually evaluated with.
    #[must_use]
    pub fn framing(&self, wanted: Framing) -> Framing {
        if self.allows(wanted) {
            return wanted;
        }
        let is_square = self.needs.fixed_size.is_some_and(|(h, w)| h == w);
        let usual = if is_square {
            Framing::Crop
        } else {
            Framing::Squash
        };
        let own = self.own_framing.filter(|own| self.allows(*own));
        own.unwrap_or(usual)
    }

    /// Its layers, in the order in which they run.
    pub fn layer_ids(&self) -> impl DoubleEndedIterator<Item = LayerId> + ExactSizeIterator {
        (0..self.layers.len()).map(LayerId::new)
    }

    /// The description of a layer.
    ///
    /// # Panics
    /// If the ID belongs to another model and this model has fewer layers.
    #[must_use]
    pub fn layer(&self, layer: LayerId) -> &LayerInfo {
        &self.layers[layer.index()]
    }

    /// A layer's name in the network.
    ///
    /// # Panics
    /// As [`ModelInfo::layer`].
    #[must_use]
    pub fn layer_name(&self, layer: LayerId) -> &str {
        &self.layer(layer).name
    }

    /// The properties of a layer that maps need.
    ///
    /// # Panics
    /// As [`ModelInfo::layer`].
    #[must_use]
    pub fn target(&self, layer: LayerId) -> TargetLayer {
        TargetLayer {
            id: layer,
            stride: self.layer(layer).stride,
            is_pooled: self.has_closed_form(layer),
        }
    }

    /// Whether maps at a layer can be computed from the head, without running the network again.
    #[must_use]
    pub fn has_closed_form(&self, layer: LayerId) -> bool {
        self.head.is_some() && layer == self.default_layer
    }

    /// The layers that have a small multiple: one for each size, and only the coarsest sizes.
    pub fn stages(&self) -> impl Iterator<Item = LayerId> {
        let is_stage = |id: &LayerId| self.layer(*id).stage.is_some();
        let count = self.layer_ids().filter(is_stage).count();
        let stages = self.layer_ids().filter(is_stage);
        stages.skip(count.saturating_sub(MOST_STAGES))
    }

    /// The last layer before its batch-norm, if it can be explained.
    #[must_use]
    pub fn last_conv(&self) -> Option<LayerId> {
        let before_norm = |id: &LayerId| self.layer(*id).kind == LayerKind::BeforeBatchNorm;
        self.layer_ids().rfind(before_norm)
    }

    /// The layer that a choice means here, if there is one.
    #[must_use]
    pub fn find_layer(&self, choice: &LayerChoice) -> Option<LayerId> {
        match choice {
            LayerChoice::Last => Some(self.default_layer),
            LayerChoice::LastConv => self.last_conv(),
            LayerChoice::Named(name) => self.layer_ids().find(|id| self.layer_name(*id) == name),
        }
    }

    /// The layer that a choice means here. The name that another ResNet has for its last stage or
    /// its last convolution means the same here: a choice outlives its model.
    #[must_use]
    pub fn closest_layer(&self, choice: &LayerChoice) -> Option<LayerId> {
        self.find_layer(choice).or_else(|| match choice.as_str() {
            "layer4" => Some(self.default_layer),
            "layer4.1.conv2" | "layer4.2.conv2" | "layer4.2.conv3" => self.last_conv(),
            _ => None,
        })
    }

    /// The closest layer to a choice, or the default layer.
    #[must_use]
    pub fn layer_or_default(&self, choice: &LayerChoice) -> LayerId {
        self.closest_layer(choice).unwrap_or(self.default_layer)
    }

    /// The same, but a missing layer is an error.
    ///
    /// # Errors
    /// A message that lists the layers.
    pub fn need_layer(&self, choice: &LayerChoice) -> Result<LayerId, String> {
        self.find_layer(choice).ok_or_else(|| {
            let names: Vec<&str> = self.layers.iter().map(|layer| &layer.name[..]).collect();
            let others = match names[..] {
                ["last"] => String::new(),
                _ => format!(" or one of {}", names.join(", ")),
            };
            format!(
                "{} has no layer {:?} that can be explained. Give last{others}.",
                self.architecture,
                choice.as_str()
            )
        })
    }

    /// The choice for a layer, in a form that also applies to other networks if possible.
    #[must_use]
    pub fn choice_of(&self, layer: LayerId) -> LayerChoice {
        if layer == self.default_layer {
            LayerChoice::Last
        } else if Some(layer) == self.last_conv() {
            LayerChoice::LastConv
        } else {
            LayerChoice::Named(self.layer_name(layer).to_owned())
        }
    }

    /// A short name for the origin of the weights: the name of the file or of the catalog entry.
    #[must_use]
    pub fn short_origin(&self) -> String {
        let path = Path::new(&self.origin);
        match hub::of_file(path) {
            Some(known) => known.name.into(),
            None => crate::input::photo::display_name(path),
        }
    }
}

impl fmt::Display for ModelInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.architecture, self.origin)
    }
}
