//! How networks are recognized: by the names and shapes of their tensors.

use crate::model::architecture::{Architecture, BlockKind, LiteNames};
use crate::model::classifier_head::Search;
use crate::model::families::Shapes;
use crate::model::file_selection::Selection;
use crate::model::leftovers::Leftovers;
use crate::model::linear::Linear;
use crate::model::outside::{Chosen, Outside};
use crate::model::selection::{Kind, Selected};
use crate::model::weights::{Checkpoint, WeightsError};
use crate::model::{families, selection};

/// The network found in a checkpoint.
pub struct Recognized {
    /// The network.
    pub architecture: Architecture,
    /// The naming scheme of its tensors, where there are several.
    pub names: LiteNames,
    /// Its position in the file.
    pub selected: Selected,
}

impl Recognized {
    /// Finds its classifier.
    ///
    /// # Errors
    /// [`WeightsError::Structure`] with the reason.
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

    /// Names the dictionary of the file that has the classifier, if another one has it.
    fn elsewhere(&self, checkpoint: &Checkpoint) -> Option<String> {
        let channels = self.architecture.channels();
        let mut others = checkpoint.dictionaries().skip(1);
        others.find_map(|(key, shapes)| {
            // A dictionary with another network has that network's classifier.
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

    /// Notices about ignored tensors outside the network. To be called after all other tensors were
    /// read.
    ///
    /// # Errors
    /// If the answer may depend on some of them.
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

/// Recognizes a network and sets its prefix. `declared` is what a `config.json` or the file's name
/// says about it (timm's name).
///
/// # Errors
/// [`WeightsError`] if no known network is found; it says what the file seems to hold.
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

/// Describes a file without a network that camlens can open.
fn unknown(checkpoint: &Checkpoint) -> String {
    if let Some(family) = families::family(&checkpoint.shapes()) {
        return family;
    }
    let first: Vec<&str> = checkpoint.names().take(3).collect();
    if first.is_empty() {
        "no tensors".into()
    } else {
        let names = first.join(", ");
        format!("no network that camlens knows (its tensors are named {names}, …)")
    }
}

/// `ResNets` with their own names: their blocks and block kind.
const NAMED: [([usize; 4], BlockKind, &str); 6] = [
    ([1, 1, 1, 1], BlockKind::Basic, "a ResNet-10"),
    ([1, 2, 2, 1], BlockKind::Basic, "a ResNet-14"),
    ([1, 1, 1, 1], BlockKind::Bottleneck, "a ResNet-14"),
    ([2, 2, 2, 2], BlockKind::Bottleneck, "a ResNet-26"),
    ([2, 3, 3, 2], BlockKind::Bottleneck, "a ResNet-33"),
    ([3, 24, 36, 3], BlockKind::Bottleneck, "a ResNet-200"),
];

/// Which ResNet it is. If blocks are missing, it is the smallest one that has all blocks found, so
/// that loading can name the missing tensors.
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
