//! Selects one network of a file that holds several: for example, averaged weights next to the
//! plain ones, or a teacher next to a student.

use crate::model::families::Shapes;
use crate::model::file_selection::Selection;
use crate::model::weights::dictionaries::{is_average, usual};
use crate::model::weights::{Checkpoint, WeightsError};

/// The most networks of a file.
const MOST_NETWORKS: usize = 64;
/// Prefixes that programs put before the names of the network they save.
const WRAPPERS: [&str; 6] = ["module", "model", "net", "network", "_orig_mod", "backbone"];

/// A type of network, recognized by the names of its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// ResNet.
    ResNet,
    /// EfficientNet-Lite0 with its original names.
    LiteSource,
    /// EfficientNet-Lite0 with timm's names.
    LiteTimm,
}

/// The position of a network in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The key of its dictionary.
    pub key: String,
    /// The prefix of its convolutional part.
    pub prefix: String,
    /// The type of network.
    pub kind: Kind,
}

/// The tensors that a network's classifier may be among: those with a prefix, except those of other
/// networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// The prefix.
    pub prefix: String,
    /// The prefixes of other networks.
    pub others: Vec<String>,
}

impl Scope {
    /// Whether it contains a tensor.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        name.starts_with(&self.prefix) && !self.is_of_another(name)
    }

    /// Whether a tensor belongs to another network: the longest prefix decides.
    #[must_use]
    pub fn is_of_another(&self, name: &str) -> bool {
        let own = name.starts_with(&self.prefix).then_some(self.prefix.len());
        let mut others = self.others.iter();
        others.any(|other| name.starts_with(other) && own.is_none_or(|own| other.len() > own))
    }
}

/// The selected network.
#[derive(Clone, Debug)]
pub struct Selected {
    /// Its position.
    pub place: Place,
    /// The tensors that its classifier may be among.
    pub scope: Scope,
    /// The selection that chooses it.
    pub network: Selection,
    /// The selections that choose each network of the file, if there are several.
    pub networks: Vec<Selection>,
    /// A notice about the selection for the user.
    pub notice: Option<String>,
}

/// Selects a network: the only one, the one wanted, or one by rule. `None` if the file has no
/// supported network; tensors are then read from the wanted dictionary.
///
/// # Errors
/// [`WeightsError`] if there are several and no rule decides, or if the wanted one does not exist.
pub fn select(
    checkpoint: &mut Checkpoint,
    wanted: &Selection,
) -> Result<Option<Selected>, WeightsError> {
    let wanted = Selection {
        prefix: wanted.prefix.clone().map(with_dot),
        ..wanted.clone()
    };
    if let Some(key) = &wanted.key {
        take(checkpoint, key)?;
    }
    let places = places(checkpoint);
    if places.len() > MOST_NETWORKS {
        let count = places.len();
        let what = format!(
            "it holds {count} networks, and camlens reads at most {MOST_NETWORKS}: save one of them on its own"
        );
        return Err(checkpoint.refused(what));
    }
    let fitting: Vec<&Place> = places
        .iter()
        .filter(|place| wanted.key.as_ref().is_none_or(|key| place.key == *key))
        .filter(|place| {
            let prefix = wanted.prefix.as_ref();
            prefix.is_none_or(|prefix| place.prefix.starts_with(prefix))
        })
        .collect();
    let scopes: Vec<String> = places.iter().map(|place| scope(place, &places)).collect();
    let selection = |place: &Place| {
        let beside = |other: &&Place| other.key == place.key;
        let several_keys = places.iter().any(|other| other.key != place.key);
        let several_prefixes = places.iter().filter(beside).count() > 1;
        let index = places.iter().position(|other| other == place);
        Selection {
            key: several_keys.then(|| place.key.clone()),
            prefix: several_prefixes
                .then(|| index.map_or_else(String::new, |index| scopes[index].clone())),
            ..Selection::default()
        }
    };
    let exact = |place: &&&Place| wanted.prefix.as_ref() == Some(&place.prefix);
    let place = match fitting[..] {
        [] if wanted.prefix.is_some() && !places.is_empty() => {
            let found: Vec<String> = places
                .iter()
                .map(|place| selection(place).options())
                .collect();
            let found: Vec<&str> = found
                .iter()
                .map(String::as_str)
                .filter(|o| !o.is_empty())
                .collect();
            let prefix = wanted.prefix.unwrap_or_default();
            let there = match found[..] {
                [] => format!(
                    "the tensor names of its network begin with {:?}",
                    places[0].prefix
                ),
                _ => format!("its networks are selected by {}", found.join(" or ")),
            };
            let what =
                format!("no network in it has tensor names that begin with {prefix:?}; {there}");
            return Err(checkpoint.refused(what));
        }
        [] => return Ok(None),
        [only] => only,
        _ => match (fitting.iter().find(exact), usual_of(checkpoint, &fitting)) {
            (Some(exact), _) => exact,
            (None, Some(usual)) => usual,
            (None, None) => {
                return Err(WeightsError::Several {
                    name: checkpoint.name().to_owned(),
                    networks: fitting.iter().map(|place| selection(place)).collect(),
                });
            }
        },
    };
    let place = place.clone();
    checkpoint.take(&place.key)?;
    let beside = places.iter().zip(&scopes);
    let beside = beside.filter(|(other, _)| other.key == place.key && **other != place);
    let own = wanted
        .prefix
        .clone()
        .unwrap_or_else(|| scope(&place, &places));
    let others = beside.map(|(_, scope)| scope.clone());
    let network = Selection {
        head: wanted.head.clone(),
        ..selection(&place)
    };
    let is_choice = wanted.key.is_none() && wanted.prefix.is_none() && places.len() > 1;
    Ok(Some(Selected {
        scope: Scope {
            others: others.collect(),
            prefix: own,
        },
        notice: is_choice.then(|| notice(&place, &network, &places, &selection)),
        networks: match places.len() {
            1 => Vec::new(),
            _ => places.iter().map(selection).collect(),
        },
        network: if places.len() > 1 { network } else { wanted },
        place,
    }))
}

/// Reads tensors from the dictionary with this key from now on.
fn take(checkpoint: &mut Checkpoint, key: &str) -> Result<(), WeightsError> {
    let keys: Vec<&str> = checkpoint.dictionaries().map(|(key, _)| key).collect();
    if !keys.contains(&key) {
        let what = match keys[..] {
            [""] => {
                format!("it has no dictionary {key:?}: its tensors are in the outermost one")
            }
            _ => format!("it has no dictionary {key:?}; it has {}", list(&keys)),
        };
        return Err(checkpoint.refused(what));
    }
    checkpoint.take(key)
}

fn notice(
    place: &Place,
    taken: &Selection,
    places: &[Place],
    selection: &impl Fn(&Place) -> Selection,
) -> String {
    let others = places.iter().filter(|other| *other != place);
    let others: Vec<String> = others.map(|other| selection(other).options()).collect();
    let why = if is_average(&place.key) || is_average(&place.prefix) {
        ", the averaged weights (EMA)"
    } else {
        ""
    };
    format!(
        "The file holds {} networks. Taken: {taken}{why}. Choose another as \"Network in the file\" or by {}.",
        places.len(),
        others.join(" or ")
    )
}

fn list(keys: &[&str]) -> String {
    let shown = keys.iter().filter(|key| !key.is_empty()).take(6);
    shown.copied().collect::<Vec<_>>().join(", ")
}

fn with_dot(prefix: String) -> String {
    if prefix.ends_with('.') || prefix.is_empty() {
        prefix
    } else {
        prefix + "."
    }
}

/// All supported networks, found by the names of their tensors.
fn places(checkpoint: &Checkpoint) -> Vec<Place> {
    let mut places = Vec::new();
    for (key, shapes) in checkpoint.dictionaries() {
        for (prefix, kind) in networks(&shapes) {
            places.push(Place {
                key: key.to_owned(),
                prefix,
                kind,
            });
        }
    }
    places
}

/// The prefix and type of each network.
fn networks(shapes: &Shapes) -> Vec<(String, Kind)> {
    let lite = |name: &str| {
        let source = name.strip_suffix("_conv_stem.weight");
        let timm = name.strip_suffix("blocks.0.0.conv_dw.weight");
        match (source, timm) {
            (Some(prefix), _) => Some((prefix.to_owned(), Kind::LiteSource)),
            (_, Some(prefix)) => Some((prefix.to_owned(), Kind::LiteTimm)),
            _ => None,
        }
    };
    let resnet = |name: &str| {
        let name = name.strip_suffix(".conv1.weight")?;
        let (rest, block) = name.rsplit_once('.')?;
        block.parse::<usize>().ok()?;
        let prefix = rest.strip_suffix(['1', '2', '3', '4'])?;
        let prefix = prefix.strip_suffix("layer")?;
        Some((prefix.to_owned(), Kind::ResNet))
    };
    let names = shapes.keys();
    let mut found: Vec<(String, Kind)> = names
        .filter_map(|name| lite(name).or_else(|| resnet(name)))
        .filter(|(prefix, _)| prefix.is_empty() || prefix.ends_with('.'))
        .collect();
    // Removes consecutive duplicates, before sorting.
    found.dedup();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found.dedup();
    found
}

/// The longest part of a network's prefix that no other network of its dictionary shares.
fn scope(place: &Place, places: &[Place]) -> String {
    let mut scope = &place.prefix[..];
    while let Some(inner) = scope.strip_suffix('.') {
        let outer = inner.rfind('.').map_or("", |dot| &inner[..=dot]);
        let mut others = places.iter().filter(|other| *other != place);
        if others.any(|other| other.key == place.key && other.prefix.starts_with(outer)) {
            break;
        }
        scope = outer;
    }
    scope.to_owned()
}

/// The default network: the only one with a usual name, or its averaged weights if there are any.
fn usual_of<'a>(checkpoint: &Checkpoint, places: &[&'a Place]) -> Option<&'a Place> {
    let averaged = |place: &&Place| is_average(&place.key) || is_average(&place.prefix);
    let (averages, plain): (Vec<&Place>, Vec<&Place>) = places.iter().copied().partition(averaged);
    let rank = |place: &Place| Some((usual(&place.key)?, usual_prefix(&place.prefix)?));
    let base = match plain[..] {
        [] => None,
        [only] => Some(only),
        _ => {
            let ranked = plain
                .iter()
                .filter_map(|place| Some((rank(place)?, *place)));
            let mut ranked: Vec<_> = ranked.collect();
            ranked.sort_by_key(|(rank, _)| *rank);
            match ranked[..] {
                [] => None,
                [(first, _), (second, _), ..] if first == second => None,
                [(_, place), ..] => Some(place),
            }
        }
    }?;
    match averages[..] {
        [average] if covers(checkpoint, average, base, places) => Some(average),
        _ => Some(base),
    }
}

fn usual_prefix(prefix: &str) -> Option<usize> {
    let mut parts = prefix.split_terminator('.').map(|part| {
        let mut wrappers = WRAPPERS.iter();
        wrappers.position(|wrapper| *wrapper == part)
    });
    let Some(first) = parts.next() else {
        return Some(0);
    };
    let known = parts.all(|part| part.is_some());
    first.filter(|_| known).map(|first| first + 1)
}

/// Whether the averaged weights contain all tensors of the network.
fn covers(checkpoint: &Checkpoint, average: &Place, base: &Place, places: &[&Place]) -> bool {
    let within = |place: &Place| -> Vec<String> {
        let others = places
            .iter()
            .filter(|other| other.key == place.key && other.prefix.len() > place.prefix.len());
        let others: Vec<&str> = others.map(|other| &other.prefix[..]).collect();
        let mut dictionaries = checkpoint.dictionaries();
        let shapes = dictionaries.find(|(key, _)| *key == place.key);
        let names = shapes.map(|(_, shapes)| shapes).unwrap_or_default();
        names
            .keys()
            .filter(|name| !others.iter().any(|other| name.starts_with(other)))
            .filter_map(|name| name.strip_prefix(&place.prefix[..]))
            .filter(|name| !name.ends_with(".num_batches_tracked"))
            .map(str::to_owned)
            .collect()
    };
    let (has, needs) = (within(average), within(base));
    // The list is sorted, because it comes from a map.
    needs.iter().all(|name| has.binary_search(name).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(key: &str, prefix: &str) -> Place {
        Place {
            key: key.into(),
            prefix: prefix.into(),
            kind: Kind::ResNet,
        }
    }

    #[test]
    fn a_scope_ends_where_another_network_begins() {
        for (prefixes, scopes) in [
            (&["model.backbone."][..], &[""][..]),
            (
                &["student.backbone.", "teacher.backbone."],
                &["student.", "teacher."],
            ),
            (&["", "ema."], &["", "ema."]),
            (
                &["module.a.net.", "module.b.net."],
                &["module.a.", "module.b."],
            ),
        ] {
            let places: Vec<Place> = prefixes.iter().map(|prefix| place("", prefix)).collect();
            let found: Vec<String> = places.iter().map(|one| scope(one, &places)).collect();
            assert_eq!(found, scopes);
        }
        let places = [place("a", "backbone."), place("b", "backbone.")];
        assert_eq!(
            scope(&places[0], &places),
            "",
            "other dictionaries do not matter"
        );
    }

    #[test]
    fn the_longest_prefix_says_whose_a_tensor_is() {
        let scope = |prefix: &str, others: &[&str]| Scope {
            prefix: prefix.into(),
            others: others.iter().map(|other| (*other).into()).collect(),
        };
        for (scope, name, own, anothers) in [
            (scope("", &["ema."]), "fc.weight", true, false),
            (scope("", &["ema."]), "ema.fc.weight", false, true),
            (scope("ema.", &[""]), "ema.fc.weight", true, false),
            (scope("ema.", &[""]), "fc.weight", false, true),
            (scope("a.", &["b."]), "c.weight", false, false),
        ] {
            assert_eq!(scope.contains(name), own, "{scope:?} {name}");
            assert_eq!(scope.is_of_another(name), anothers, "{scope:?} {name}");
        }
    }

    #[test]
    fn networks_are_found_by_the_names_of_their_tensors() {
        let names = [
            "m.layer1.0.conv1.weight",
            "m.layer4.11.conv1.weight",
            "xlayer1.0.conv1.weight",
            "n.blocks.0.0.conv_dw.weight",
            "layer1.x.conv1.weight",
            "o._conv_stem.weight",
        ];
        let shapes: Shapes = names.iter().map(|name| (*name, &[1usize][..])).collect();
        assert_eq!(
            networks(&shapes),
            [
                ("m.".to_owned(), Kind::ResNet),
                ("n.".to_owned(), Kind::LiteTimm),
                ("o.".to_owned(), Kind::LiteSource),
            ]
        );
    }

    #[test]
    fn usual_prefixes_come_first() {
        assert!(usual_prefix("") < usual_prefix("module."));
        assert!(usual_prefix("module.") < usual_prefix("model.backbone."));
        assert_eq!(usual_prefix("teacher."), None);
        assert_eq!(usual_prefix("model.teacher."), None);
    }
}
