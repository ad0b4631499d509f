//! Target layers: where in a network a map can be taken. Each network describes its
//! layers as data; this module does not depend on any network.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A layer of a model: an index into its list of layers, in the order in which the network
/// runs. It is not valid for another model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LayerId(u16);

impl LayerId {
    /// The layer at an index of a model's list.
    ///
    /// # Panics
    /// If a list is longer than 65536.
    #[must_use]
    pub const fn new(index: usize) -> Self {
        assert!(index <= u16::MAX as usize, "too many layers");
        #[allow(clippy::cast_possible_truncation)] // just checked
        Self(index as u16)
    }

    /// The index in the model's list.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The kind of values of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerKind {
    /// The output of a stage, after its activation.
    Output,
    /// The output of a convolution before its batch-norm. It can be negative.
    BeforeBatchNorm,
}

/// A layer, as its network describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerInfo {
    /// Its name in the network.
    pub name: String,
    /// The distance of two neighboring cells in input pixels, across and down.
    pub stride: (f64, f64),
    /// Number of channels.
    pub channels: usize,
    /// The kind of its values.
    pub kind: LayerKind,
    /// Its number among the stages, from 1: one layer for each size, shown as a small multiple.
    pub stage: Option<usize>,
}

impl LayerInfo {
    /// Its name where there is little room: long names, as in ONNX files, are replaced by the
    /// number of the stage.
    #[must_use]
    pub fn title(&self) -> Cow<'_, str> {
        match self.stage {
            Some(stage) if self.name.chars().count() > LONG_NAME => format!("stage {stage}").into(),
            _ => Cow::Borrowed(&self.name),
        }
    }
}

/// Names with more characters do not fit under a small multiple.
const LONG_NAME: usize = 16;

/// The properties of a layer that maps need, without its model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TargetLayer {
    /// The ID of the layer in its model.
    pub id: LayerId,
    /// The distance of two neighboring cells in input pixels, across and down.
    pub stride: (f64, f64),
    /// Whether only global average pooling and one linear layer follow, so that what each
    /// cell adds to a logit is known in closed form.
    pub is_pooled: bool,
}

/// A layer as chosen by the user, independent of the model: by its name in a network, or by its
/// role in every network.
///
/// It is text in settings, in manifests and on the command line. Spellings of earlier versions
/// (`Last`, `Layer1`, `LastConv`) can also be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum LayerChoice {
    /// The model's default layer: the input of global average pooling. `last`.
    #[default]
    Last,
    /// The last convolution before its batch-norm, as a common tutorial has it. `last-conv`.
    LastConv,
    /// The layer with this name.
    Named(String),
}

impl LayerChoice {
    /// The text in settings and manifests.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Last => "last",
            Self::LastConv => "last-conv",
            Self::Named(name) => name,
        }
    }
}

impl fmt::Display for LayerChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<String> for LayerChoice {
    fn from(text: String) -> Self {
        match &text[..] {
            "last" | "Last" => Self::Last,
            "last-conv" | "LastConv" => Self::LastConv,
            // The spelling of early versions of 0.1.
            "Layer1" | "Layer2" | "Layer3" => Self::Named(text.to_lowercase()),
            _ => Self::Named(text),
        }
    }
}

impl From<&str> for LayerChoice {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<LayerChoice> for String {
    fn from(choice: LayerChoice) -> Self {
        match choice {
            LayerChoice::Named(name) => name,
            other => other.as_str().to_owned(),
        }
    }
}

impl FromStr for LayerChoice {
    type Err = Infallible;

    /// Accepts any text, because the names depend on the model.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_settings_and_manifests_is_read() {
        let named = |name: &str| LayerChoice::Named(name.into());
        for (text, choice, written) in [
            ("last", LayerChoice::Last, "last"),
            ("Last", LayerChoice::Last, "last"),
            ("last-conv", LayerChoice::LastConv, "last-conv"),
            ("LastConv", LayerChoice::LastConv, "last-conv"),
            ("layer1", named("layer1"), "layer1"),
            ("Layer1", named("layer1"), "layer1"),
            ("layer2", named("layer2"), "layer2"),
            ("Layer2", named("layer2"), "layer2"),
            ("layer3", named("layer3"), "layer3"),
            ("Layer3", named("layer3"), "layer3"),
            ("layer4.1.conv2", named("layer4.1.conv2"), "layer4.1.conv2"),
        ] {
            let json = format!("{text:?}");
            let read: LayerChoice = serde_json::from_str(&json).unwrap();
            assert_eq!(read, choice, "{text}");
            assert_eq!(
                serde_json::to_string(&read).unwrap(),
                format!("{written:?}")
            );
        }
    }
}
