//! The networks that are known, and how they are recognized: by the names and
//! shapes of their tensors.

use crate::explain::analysis::Layer;
use crate::model::classifier_head::{Linear, Search};
use crate::model::families::Shapes;
use crate::model::leftovers::Leftovers;
use crate::model::model_choice::Selection;
use crate::model::outside::{Chosen, Outside};
use crate::model::selection::{Kind, Selected};
use crate::model::weights::{Checkpoint, WeightsError};
use crate::model::{families, selection};

/// The networks that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// ResNets as torchvision and timm build them, stride in the 3×3 convolution ("v1.5").
    ResNet18,
    /// As `ResNet18`, with more basic blocks.
    ResNet34,
    /// With bottleneck blocks.
    ResNet50,
    /// As `ResNet50`, with more blocks.
    ResNet101,
    /// As `ResNet101`, with more blocks.
    ResNet152,
    /// EfficientNet-Lite0.
    EfficientNetLite0,
}

/// Three stages of a ResNet and the last, and the convolution before its last batch-norm.
const RESNET_LAYERS: [Layer; 5] = [
    Layer::Layer1,
    Layer::Layer2,
    Layer::Layer3,
    Layer::Last,
    Layer::LastConv,
];

impl Architecture {
    /// Every one of them.
    pub const ALL: [Self; 6] = [
        Self::ResNet18,
        Self::ResNet34,
        Self::ResNet50,
        Self::ResNet101,
        Self::ResNet152,
        Self::EfficientNetLite0,
    ];

    /// The name in the field.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ResNet18 => "ResNet-18",
            Self::ResNet34 => "ResNet-34",
            Self::ResNet50 => "ResNet-50",
            Self::ResNet101 => "ResNet-101",
            Self::ResNet152 => "ResNet-152",
            Self::EfficientNetLite0 => "EfficientNet-Lite0",
        }
    }

    /// Blocks in each stage, and whether they are bottlenecks; none if it is no ResNet
    /// (He et al. 2015, arXiv 1512.03385, table 1).
    #[must_use]
    pub(super) fn blocks(self) -> Option<([usize; 4], BlockKind)> {
        match self {
            Self::ResNet18 => Some(([2, 2, 2, 2], BlockKind::Basic)),
            Self::ResNet34 => Some(([3, 4, 6, 3], BlockKind::Basic)),
            Self::ResNet50 => Some(([3, 4, 6, 3], BlockKind::Bottleneck)),
            Self::ResNet101 => Some(([3, 4, 23, 3], BlockKind::Bottleneck)),
            Self::ResNet152 => Some(([3, 8, 36, 3], BlockKind::Bottleneck)),
            Self::EfficientNetLite0 => None,
        }
    }

    /// Channels of its last layer: what its classifier takes.
    #[must_use]
    pub(super) fn channels(self) -> usize {
        match self.blocks() {
            Some((_, BlockKind::Basic)) => 512,
            Some((_, BlockKind::Bottleneck)) => 2048,
            None => crate::model::efficientnet_lite::FEATURES,
        }
    }

    /// The target layers that can be explained, from the first to the last.
    #[must_use]
    pub fn layers(self) -> &'static [Layer] {
        match self {
            Self::EfficientNetLite0 => &[Layer::Last],
            _ => &RESNET_LAYERS,
        }
    }

    /// What a layer is called in this network.
    #[must_use]
    pub fn layer_name(self, layer: Layer) -> &'static str {
        match (layer, self) {
            (Layer::Layer1, _) => "layer1",
            (Layer::Layer2, _) => "layer2",
            (Layer::Layer3, _) => "layer3",
            (Layer::Last, Self::EfficientNetLite0) => "last",
            (Layer::Last, _) => "layer4",
            (Layer::LastConv, Self::ResNet18) => "layer4.1.conv2",
            (Layer::LastConv, Self::ResNet34) => "layer4.2.conv2",
            (Layer::LastConv, _) => "layer4.2.conv3",
        }
    }

    /// The layer of a name; `last` is known everywhere.
    ///
    /// # Errors
    /// Which layers there are.
    pub fn find_layer(self, name: &str) -> Result<Layer, String> {
        if name == "last" {
            return Ok(Layer::Last);
        }
        let layers = self.layers().iter().copied();
        let mut found = layers
            .clone()
            .filter(|layer| self.layer_name(*layer) == name);
        found.next().ok_or_else(|| {
            let names: Vec<&str> = layers.map(|layer| self.layer_name(layer)).collect();
            let others = match names[..] {
                ["last"] => String::new(),
                _ => format!(" or one of {}", names.join(", ")),
            };
            let network = self.name();
            format!("{network} has no layer {name:?} that can be explained. Give last{others}.")
        })
    }
}

/// The two kinds of residual blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockKind {
    /// Two 3×3 convolutions.
    Basic,
    /// 1×1, 3×3, 1×1, the last to four times as many channels.
    Bottleneck,
}

/// How an EfficientNet-Lite0's tensors are named, which also tells how it pads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiteNames {
    /// `_blocks.0._depthwise_conv.weight`: padding as TensorFlow.
    Source,
    /// `blocks.0.0.conv_dw.weight`: timm's own training, symmetric padding.
    Timm,
    /// The same names for TensorFlow's weights (`tf_efficientnet_lite0`).
    TimmFromTensorFlow,
}

/// What a checkpoint holds.
pub struct Recognized {
    /// The network.
    pub architecture: Architecture,
    /// How its tensors are named, where there is a choice.
    pub names: LiteNames,
    /// Where it is in the file.
    pub selected: Selected,
}

impl Recognized {
    /// Finds its classifier.
    ///
    /// # Errors
    /// [`WeightsError::Structure`] with what stands in the way.
    pub fn linear(
        &self,
        checkpoint: &Checkpoint,
        wanted: &Selection,
    ) -> Result<Linear, WeightsError> {
        let tensors = checkpoint.shapes();
        let search = self.search(&tensors, wanted);
        search.find().map_err(|what| {
            let elsewhere = if search.has_layers() {
                None
            } else {
                self.elsewhere(checkpoint)
            };
            checkpoint.refused(elsewhere.unwrap_or(what))
        })
    }

    /// Says which other dictionary of the file has the classifier, if one has.
    fn elsewhere(&self, checkpoint: &Checkpoint) -> Option<String> {
        let channels = self.architecture.channels();
        let mut others = checkpoint.dictionaries().skip(1);
        others.find_map(|(key, shapes)| {
            // That of another network is no classifier for this one.
            let is_network = shapes.values().any(|shape| shape.len() >= 4);
            let mut layers = shapes.iter().filter_map(|(name, shape)| match shape {
                [classes, inputs] if *inputs == channels => Some((*name, *classes)),
                _ => None,
            });
            let (name, classes) = layers.next().filter(|_| !is_network)?;
            Some(format!(
                "its network ({}) has no classifier; the dictionary {key:?} has a linear layer of {classes} classes ({name}). Save both as one state dict",
                match checkpoint.key() {
                    "" => "in the outermost dictionary".to_owned(),
                    own => format!("in the dictionary {own:?}"),
                }
            ))
        })
    }

    fn search<'a>(&'a self, tensors: &'a Shapes<'a>, wanted: &'a Selection) -> Search<'a> {
        Search {
            tensors,
            prefix: &self.selected.place.prefix,
            scope: &self.selected.scope,
            channels: self.architecture.channels(),
            wanted: wanted.head.as_deref(),
        }
    }

    /// Notices of the tensors outside the network that are ignored, once all others have been
    /// read.
    ///
    /// # Errors
    /// That there are some on which the answer may depend.
    pub fn ignored(
        &self,
        checkpoint: &Checkpoint,
        linear: &Linear,
        parts: &[&str],
        wanted: &Selection,
    ) -> Result<Vec<String>, String> {
        let Selected { place, scope, .. } = &self.selected;
        let chosen = if wanted.prefix.is_some() {
            Chosen::Prefix
        } else if wanted.head.is_some() {
            Chosen::Head
        } else {
            Chosen::Nothing
        };
        let outside = Outside {
            architecture: self.architecture.name(),
            prefix: &place.prefix,
            scope,
            key: checkpoint.key(),
            head: linear,
            leftovers: Leftovers::new(&checkpoint.shapes(), &place.prefix, linear),
        };
        let mut notices = Vec::new();
        for (key, shapes) in checkpoint.dictionaries().skip(1) {
            if !shapes.values().any(|shape| shape.len() >= 4) {
                notices.extend(outside.check_beside(key, &shapes, wanted.key.is_some())?);
            }
        }
        notices.extend(outside.check(&checkpoint.unused(parts), chosen)?);
        Ok(notices)
    }
}

/// Recognizes a network and enters its prefix. `declared` is what a `config.json`
/// or the file's name says of it (timm's name).
///
/// # Errors
/// [`WeightsError`] with what the file seems to hold, or if it holds several networks.
pub fn recognize(
    checkpoint: &mut Checkpoint,
    wanted: &Selection,
    declared: &str,
) -> Result<Recognized, WeightsError> {
    let refuse = |checkpoint: &Checkpoint, what: String| {
        Err(WeightsError::Architecture {
            name: checkpoint.name().to_owned(),
            what,
        })
    };
    let Some(selected) = selection::select(checkpoint, wanted)? else {
        return refuse(checkpoint, unknown(checkpoint));
    };
    let prefix = selected.place.prefix.clone();
    checkpoint.enter(&prefix);
    let (inside, outside): (Vec<_>, Vec<_>) = checkpoint
        .shapes()
        .into_iter()
        .filter(|(name, _)| !selected.scope.is_of_another(name))
        .partition(|(name, _)| name.starts_with(&prefix));
    let inside = inside.into_iter();
    let inside: Shapes = inside
        .map(|(name, shape)| (&name[prefix.len()..], shape))
        .collect();
    let names = match selected.place.kind {
        Kind::LiteTimm if declared.starts_with("tf_") => LiteNames::TimmFromTensorFlow,
        Kind::LiteTimm => LiteNames::Timm,
        Kind::LiteSource | Kind::ResNet => LiteNames::Source,
    };
    let found = match selected.place.kind {
        Kind::ResNet => match families::resnet_variant(&inside, &outside.into_iter().collect()) {
            Some(variant) => Err(variant),
            None => resnet(&inside),
        },
        Kind::LiteSource | Kind::LiteTimm => match families::lite_variant(&inside) {
            Some(family) => Err(family),
            None => Ok(Architecture::EfficientNetLite0),
        },
    };
    match found {
        Ok(architecture) => Ok(Recognized {
            architecture,
            names,
            selected,
        }),
        Err(what) => refuse(checkpoint, what),
    }
}

/// What a file holds that has no network that camlens opens.
fn unknown(checkpoint: &Checkpoint) -> String {
    if let Some(family) = families::family(&checkpoint.shapes()) {
        return family;
    }
    let first: Vec<&str> = checkpoint.names().take(3).collect();
    if first.is_empty() {
        "no tensors".into()
    } else {
        let names = first.join(", ");
        format!("no network that camlens knows (its tensors are called {names}, …)")
    }
}

/// `ResNets` that have names of their own: their blocks and kind.
const NAMED: [([usize; 4], BlockKind, &str); 6] = [
    ([1, 1, 1, 1], BlockKind::Basic, "a ResNet-10"),
    ([1, 2, 2, 1], BlockKind::Basic, "a ResNet-14"),
    ([1, 1, 1, 1], BlockKind::Bottleneck, "a ResNet-14"),
    ([2, 2, 2, 2], BlockKind::Bottleneck, "a ResNet-26"),
    ([2, 3, 3, 2], BlockKind::Bottleneck, "a ResNet-33"),
    ([3, 24, 36, 3], BlockKind::Bottleneck, "a ResNet-200"),
];

/// Which ResNet it is. One that lacks blocks counts as the smallest that has all
/// those found, so that loading can name what is missing.
fn resnet(tensors: &Shapes) -> Result<Architecture, String> {
    let has = |name: &str| tensors.contains_key(name);
    let count = |stage: usize| {
        let blocks = (0..100).filter(|block| has(&format!("layer{stage}.{block}.conv1.weight")));
        blocks.max().map_or(0, |last| last + 1)
    };
    let found: [usize; 4] = std::array::from_fn(|stage| count(stage + 1));
    let has_conv3 = |block| (1..5).any(|stage| has(&format!("layer{stage}.{block}.conv3.weight")));
    let kind = if has_conv3(0) || has_conv3(1) {
        BlockKind::Bottleneck
    } else {
        BlockKind::Basic
    };
    let mut named = NAMED.iter();
    if let Some((.., name)) = named.find(|(blocks, its, _)| *blocks == found && *its == kind) {
        return Err((*name).to_owned());
    }
    let covers = |architecture: &Architecture| {
        architecture.blocks().is_some_and(|(blocks, its_kind)| {
            its_kind == kind
                && blocks
                    .iter()
                    .zip(found)
                    .all(|(blocks, found)| *blocks >= found)
        })
    };
    let known = Architecture::ALL.into_iter().find(covers);
    known.ok_or_else(|| {
        let kind = match kind {
            BlockKind::Basic => "basic",
            BlockKind::Bottleneck => "bottleneck",
        };
        let [a, b, c, d] = found;
        format!("a ResNet with {a}, {b}, {c} and {d} {kind} blocks")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_have_the_names_of_their_network() {
        for (architecture, name, layer) in [
            (Architecture::ResNet18, "layer4.1.conv2", Layer::LastConv),
            (Architecture::ResNet34, "layer4.2.conv2", Layer::LastConv),
            (Architecture::ResNet50, "layer4.2.conv3", Layer::LastConv),
            (Architecture::ResNet152, "layer4", Layer::Last),
            (Architecture::ResNet101, "layer1", Layer::Layer1),
            (Architecture::EfficientNetLite0, "last", Layer::Last),
        ] {
            assert_eq!(architecture.find_layer(name), Ok(layer));
            assert_eq!(architecture.find_layer("last"), Ok(Layer::Last));
        }
        let problem = Architecture::ResNet50
            .find_layer("layer4.1.conv2")
            .unwrap_err();
        assert!(problem.ends_with("layer4, layer4.2.conv3."), "{problem}");
        let problem = Architecture::EfficientNetLite0
            .find_layer("layer2")
            .unwrap_err();
        assert!(problem.ends_with("Give last."), "{problem}");
    }
}
