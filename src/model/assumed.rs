//! Properties that are not in a weight file: strides, pooling and activations are only in the
//! program that saved it. camlens shows the user what it assumes.

use crate::model::Scores;
use crate::model::architecture::{Architecture, BlockKind, LiteNames};

/// What is known about a network besides its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownFacts<'a> {
    /// Nothing: the file holds only numbers and names.
    Tensors,
    /// Its modules were saved whole, and they match the standard network.
    Modules,
    /// A timm `config.json` next to it names the network (and requires nothing else).
    Config(&'a str),
    /// Data saved by a training script with the weights names the network.
    Written(&'a str),
    /// The file itself is known, by its SHA-256 or as part of the program.
    File,
}

/// The sentence for the user; `None` if nothing is assumed.
#[must_use]
pub fn assumed(
    architecture: Architecture,
    names: LiteNames,
    known: KnownFacts,
    scores: Scores,
) -> Option<String> {
    let name = architecture.name();
    // Softmax is assumed where nothing says otherwise.
    let by = match scores {
        Scores::Softmax => "by softmax",
        Scores::Sigmoid | Scores::OneLogit => "by sigmoid",
    };
    match known {
        KnownFacts::File => None,
        KnownFacts::Modules => Some(format!(
            "The modules saved with the weights are a standard {name}'s; what else their forward method does is not in the file. Probabilities {by}."
        )),
        KnownFacts::Config(declared) => Some(format!(
            "Taken as timm's {declared}, which config.json names; probabilities {by}."
        )),
        KnownFacts::Tensors | KnownFacts::Written(_) => {
            let parts = match architecture.blocks() {
                Some((_, BlockKind::Basic)) => {
                    "ReLU, max pooling after the stem, the usual strides, no anti-aliasing, average pooling at the end"
                }
                Some((_, BlockKind::Bottleneck)) => {
                    "ReLU, max pooling after the stem, stride in the 3×3 convolution, no anti-aliasing, average pooling at the end"
                }
                None if names == LiteNames::Timm => {
                    "ReLU6, symmetric padding, average pooling at the end"
                }
                None => "ReLU6, padding as in TensorFlow, average pooling at the end",
            };
            Some(match known {
                KnownFacts::Written(written) => format!(
                    "Taken as a standard {name}, as the file names it ({written}): {parts}; probabilities {by}."
                ),
                _ => format!(
                    "Taken as a standard {name}: {parts}; probabilities {by}. The weights alone do not show it."
                ),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_assumed_is_said_unless_it_is_known() {
        let of =
            |architecture, known| assumed(architecture, LiteNames::Source, known, Scores::Softmax);
        assert_eq!(of(Architecture::ResNet18, KnownFacts::File), None);
        for (architecture, known, words) in [
            (
                Architecture::ResNet18,
                KnownFacts::Tensors,
                "a standard ResNet-18: ReLU, max pooling",
            ),
            (
                Architecture::ResNet50,
                KnownFacts::Tensors,
                "stride in the 3×3 convolution",
            ),
            (
                Architecture::EfficientNetLite0,
                KnownFacts::Tensors,
                "padding as in TensorFlow",
            ),
            (
                Architecture::ResNet34,
                KnownFacts::Modules,
                "modules saved with the weights are a standard ResNet-34's",
            ),
            (
                Architecture::ResNet34,
                KnownFacts::Config("resnet34"),
                "timm's resnet34",
            ),
            (
                Architecture::ResNet50,
                KnownFacts::Written("tv_resnet50"),
                "ResNet-50, as the file names it (tv_resnet50): ReLU",
            ),
        ] {
            let sentence = of(architecture, known).unwrap();
            assert!(sentence.contains(words), "{sentence}");
            assert!(sentence.contains("softmax"), "{sentence}");
        }
    }
}
