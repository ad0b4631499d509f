//! A linear layer of a weight file that can be the classifier.

use crate::model::activations::Head;
use crate::model::weights::Checkpoint;

/// A linear layer that can be the classifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linear {
    /// The name of its tensors without `.weight`.
    pub name: String,
    /// The prefix of the whole classifier: other tensors with this prefix change its result.
    pub part: String,
    /// Number of outputs.
    pub classes: usize,
    /// Number of inputs.
    pub channels: usize,
    /// Whether it has a bias; otherwise the bias is taken as 0.
    pub has_bias: bool,
    /// Whether it has a usual name or was chosen by the user; otherwise it is the only linear
    /// layer.
    pub is_usual: bool,
}

impl Linear {
    /// Reads the layer.
    pub fn read(&self, checkpoint: &mut Checkpoint) -> Head {
        let weight = format!("/{}.weight", self.name);
        let bias = format!("/{}.bias", self.name);
        Head {
            weight: checkpoint.tensor(&weight, &[self.classes, self.channels]),
            bias: if self.has_bias {
                checkpoint.tensor(&bias, &[self.classes])
            } else {
                vec![0.0; self.classes]
            },
        }
    }

    /// A notice about the layer for the user.
    pub fn notice(&self) -> Option<String> {
        let name = &self.name;
        if !self.is_usual {
            return Some(format!(
                "Taken as the classifier, since it is the only linear layer with {} inputs: {name}.",
                self.channels
            ));
        }
        (!self.has_bias).then(|| format!("The classifier {name} has no bias: taken as 0."))
    }
}
