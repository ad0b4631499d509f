//! Finds the linear layer after global average pooling, whatever its name is.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::model::families::Shapes;
use crate::model::leftovers;
use crate::model::linear::Linear;
use crate::model::selection::Scope;

/// The most classes of a classifier. It bounds the memory that a file can make camlens use.
const MAX_CLASSES: usize = 200_000;

/// Maximum number of linear layers named in a message.
const NAMED: usize = 6;
/// Words in the name of a layer that gives logits. The only such layer is the classifier.
const LAST: [&str; 18] = [
    "last",
    "out",
    "output",
    "outputs",
    "logit",
    "logits",
    "final",
    "top",
    "cls",
    "clf",
    "class",
    "classes",
    "classification",
    "classifier",
    "pred",
    "predictor",
    "prediction",
    "fc",
];
/// Words in the name of a layer that gives features.
const EMBEDDINGS: [&str; 8] = [
    "proj",
    "projection",
    "projector",
    "embed",
    "embedding",
    "embeddings",
    "neck",
    "bottleneck",
];

/// Where to search for the classifier.
pub struct Search<'a> {
    /// The tensors of the file.
    pub tensors: &'a Shapes<'a>,
    /// The prefix of the convolutional part.
    pub prefix: &'a str,
    /// The tensors that its classifier may be among.
    pub scope: &'a Scope,
    /// Number of channels of the last layer.
    pub channels: usize,
    /// The name chosen by the user.
    pub wanted: Option<&'a str>,
}

impl<'a> Search<'a> {
    /// The linear layer at the end, with at least two classes.
    ///
    /// # Errors
    /// Why there is none, or more than one.
    pub fn find(&self) -> Result<Linear, String> {
        let found = match self.wanted {
            Some(wanted) => Some(self.wanted(wanted)?),
            None => self.usual()?,
        };
        let is_usual = found.is_some();
        let Some(name) = found.or_else(|| self.only()) else {
            return Err(self.without());
        };
        let shape = self.shape(&format!("{name}.weight"));
        let &[classes, channels] = shape.unwrap_or_default() else {
            return Err(format!("its classifier {name} is not a linear layer"));
        };
        if channels != self.channels {
            return Err(format!(
                "its classifier {name} takes {channels} inputs, and the network gives {}: the network has layers in between that camlens does not know",
                self.channels
            ));
        }
        match classes {
            1 => {
                return Err(format!(
                    "its classifier {name} has one output (a sigmoid head, probably); camlens needs two classes or more"
                ));
            }
            2..=MAX_CLASSES => {}
            _ => {
                return Err(format!(
                    "its classifier {name} has {classes} outputs; camlens supports 2 to {MAX_CLASSES}"
                ));
            }
        }
        // nn.Sequential numbers its layers: the layers next to it belong to the classifier.
        let end = name.rfind(|c: char| c != '.' && !c.is_ascii_digit());
        let end = end.map_or(name.len(), |end| end + 1);
        let part = if self.wanted.is_none() {
            format!("{}.", &name[..end])
        } else {
            format!("{name}.")
        };
        let own = [format!("{name}.weight"), format!("{name}.bias")];
        let mut more = self.tensors.keys().filter(|tensor| {
            tensor.starts_with(&part)
                && self.scope.contains(tensor)
                && !own.iter().any(|own| own == *tensor)
                && !tensor.ends_with(".num_batches_tracked")
                && !tensor.ends_with(".total_ops")
                && !tensor.ends_with(".total_params")
        });
        if let Some(more) = more.next() {
            return Err(format!(
                "its classifier is more than a linear layer (it has {more}, too); camlens needs one linear layer after global average pooling"
            ));
        }
        Ok(Linear {
            has_bias: self.tensors.contains_key(&own[1][..]),
            name,
            part,
            classes,
            channels,
            is_usual,
        })
    }

    fn shape(&self, tensor: &str) -> Option<&[usize]> {
        self.tensors
            .get(tensor)
            .copied()
            .filter(|_| self.scope.contains(tensor))
    }

    fn is_matrix(&self, tensor: &str) -> bool {
        self.shape(tensor).is_some_and(|shape| shape.len() == 2)
    }

    /// The classifier chosen by the user, by its whole name or its name after the network's prefix.
    fn wanted(&self, wanted: &str) -> Result<String, String> {
        let wanted = wanted.trim_end_matches(".weight");
        let names = ["", &self.scope.prefix, self.prefix].map(|start| format!("{start}{wanted}"));
        let mut found = names
            .into_iter()
            .filter(|name| self.is_matrix(&format!("{name}.weight")));
        found.next().ok_or_else(|| match &self.linear_layers()[..] {
            [] => format!(
                "it has no linear layer {wanted:?}, and no other linear layer of {} inputs",
                self.channels
            ),
            layers => format!(
                "it has no linear layer {wanted:?}; it has {}",
                layers.join(", ")
            ),
        })
    }

    /// The linear layers with the right number of inputs that no other layer follows, with their
    /// numbers of classes.
    fn linear_layers(&self) -> Vec<String> {
        let layers = self.layers();
        let ends = layers.iter().filter(|layer| !layer.is_followed());
        ends.map(Layer::described).take(NAMED).collect()
    }

    /// All linear layers that may follow features of the right width, with the layers that take
    /// their outputs.
    fn layers(&self) -> Vec<Layer<'a>> {
        let matrices = self.tensors.iter().filter_map(|(tensor, shape)| {
            let name = tensor.strip_suffix(".weight")?;
            let &[rows, columns] = *shape else {
                return None;
            };
            (!self.scope.is_of_another(tensor)).then_some((name, rows, columns))
        });
        // Two of each are enough, because one of them may be the layer itself.
        let mut takers: BTreeMap<usize, Vec<(&'a str, usize)>> = BTreeMap::new();
        for (name, rows, columns) in matrices.clone() {
            let of_its_width = takers.entry(columns).or_default();
            // A confusion matrix.
            let counts = rows == columns && leftovers::is_called_so(name);
            if of_its_width.len() < 2 && !counts {
                of_its_width.push((name, rows));
            }
        }
        let layers = matrices.filter(|(.., columns)| *columns == self.channels);
        let followed = layers.map(|(name, classes, _)| {
            let mut chain = vec![name];
            let mut outputs = classes;
            while chain.len() < NAMED {
                let takers = takers.get(&outputs).into_iter().flatten();
                let mut others = takers.filter(|(name, _)| !chain.contains(name));
                let Some((next, rows)) = others.next() else {
                    break;
                };
                chain.push(next);
                outputs = *rows;
            }
            Layer { chain, classes }
        });
        followed.collect()
    }

    /// The only linear layer with the right number of inputs, if its name allows that it is the
    /// classifier and no other layer follows it.
    fn only(&self) -> Option<String> {
        let layers = self.layers();
        let [layer] = &layers[..] else {
            return None;
        };
        let name = layer.name();
        let words = leftovers::words(name);
        let is_called_so = words.iter().any(|word| LAST.contains(&&word[..]))
            // The last layer of an nn.Sequential.
            || words.iter().all(|word| word.parse::<usize>().is_ok());
        let bias = self.shape(&format!("{name}.bias"));
        (is_called_so
            && !leftovers::is_called_so(name)
            && !words.iter().any(|word| EMBEDDINGS.contains(&&word[..]))
            && !layer.is_followed()
            && bias == Some(&[layer.classes]))
        .then(|| name.to_owned())
    }

    /// The classifier, found by its usual names.
    fn usual(&self) -> Result<Option<String>, String> {
        // `fc` in torchvision, `classifier` in timm's EfficientNets, `_fc` in their original
        // source; the other names are often used in fine-tuned models.
        let names = [
            "fc",
            "_fc",
            "classifier",
            "head.fc",
            "head",
            "linear",
            "last_linear",
        ];
        let mut prefixes = vec![self.prefix];
        while let Some(shorter) = prefixes
            .last()
            .filter(|last| **last != self.scope.prefix)
            .and_then(|last| last.strip_suffix('.'))
        {
            prefixes.push(shorter.rfind('.').map_or("", |dot| &shorter[..=dot]));
        }
        for prefix in prefixes {
            for name in names {
                let whole = format!("{prefix}{name}");
                if self.is_matrix(&format!("{whole}.weight")) {
                    return Ok(Some(whole));
                }
                if let Some(found) = self.within(&format!("{whole}."))? {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    /// The linear layer in `nn.Sequential(Dropout, Linear)`, which is common in fine-tuning.
    fn within(&self, start: &str) -> Result<Option<String>, String> {
        let normalized = ["weight_v", "weight_g", "parametrizations.weight.original0"];
        if normalized
            .iter()
            .any(|tensor| self.tensors.contains_key(&format!("{start}{tensor}")[..]))
        {
            return Err(format!(
                "its classifier {} uses weight normalization; remove it (torch.nn.utils.remove_weight_norm) and save the model again",
                start.trim_end_matches('.')
            ));
        }
        let from = (Bound::Included(start), Bound::Unbounded);
        let inner = self
            .tensors
            .range::<str, _>(from)
            .map(|(tensor, _)| *tensor);
        let inner: Vec<&str> = inner
            .take_while(|tensor| tensor.starts_with(start))
            .filter(|tensor| tensor.ends_with(".weight") && self.is_matrix(tensor))
            .collect();
        // Parallel heads: each takes the features, and none outputs features.
        let takes_features = |tensor: &&str| matches!(*self.tensors[tensor], [rows, columns] if columns == self.channels && rows != columns);
        match inner[..] {
            [] => Ok(None),
            [only] => Ok(Some(only.trim_end_matches(".weight").to_owned())),
            _ if inner.iter().all(takes_features) => Err(self.choose()),
            _ => Err(format!(
                "its classifier has {} linear layers ({}); camlens needs one after global average pooling",
                inner.len(),
                inner.join(", ")
            )),
        }
    }

    /// For a message: lists the linear layers with the right number of inputs.
    fn choose(&self) -> String {
        let layers = self.linear_layers();
        let Some(first) = layers.first().and_then(|layer| layer.split(' ').next()) else {
            return "its classifier has several linear layers, and others follow them; camlens needs one after global average pooling".into();
        };
        format!(
            "it has several linear layers that can be the classifier: {}. Choose one, such as --head {first}",
            layers.join(", ")
        )
    }

    /// Whether there is a linear layer with the right number of inputs.
    pub fn has_layers(&self) -> bool {
        !self.layers().is_empty()
    }

    /// Why there is no classifier.
    fn without(&self) -> String {
        let layers = self.layers();
        let (here, elsewhere): (Vec<&Layer>, Vec<&Layer>) = layers
            .iter()
            .partition(|layer| self.scope.contains(layer.name()));
        let (followed, ends): (Vec<&Layer>, Vec<&Layer>) =
            here.into_iter().partition(|layer| layer.is_followed());
        let described: Vec<String> = ends.iter().map(|end| end.described()).take(NAMED).collect();
        let described = described.join(", ");
        match (&followed[..], &ends[..], &elsewhere[..]) {
            ([], [], []) => format!(
                "it has no classifier, a linear layer with {} inputs (num_classes=0, or only the backbone was saved)",
                self.channels
            ),
            ([], [], [first, ..]) if self.scope.others.is_empty() => format!(
                "it has no classifier among the tensors that begin with {:?}; there is {} outside of them; --prefix \"\" includes it",
                self.scope.prefix,
                first.described()
            ),
            ([], [], [first, ..]) => format!(
                "it holds {} networks that share the classifier {}",
                self.scope.others.len() + 1,
                first.name()
            ),
            ([], [first, ..], _) => format!(
                "it has no classifier called fc, classifier or head. Choose one of its linear layers, such as --head {}: {described}",
                first.name()
            ),
            ([first, ..], rest, _) => {
                let count = first.chain.len();
                let names = first.chain.join(", ");
                let others = match rest {
                    [] => String::new(),
                    _ => format!(". Others can be chosen by --head: {described}"),
                };
                format!(
                    "its classifier has {count} linear layers ({names}); camlens needs one after global average pooling{others}"
                )
            }
        }
    }
}

/// A linear layer with the right number of inputs, and the layers that follow it in sequence.
struct Layer<'a> {
    chain: Vec<&'a str>,
    classes: usize,
}

impl<'a> Layer<'a> {
    fn name(&self) -> &'a str {
        self.chain[0]
    }

    fn is_followed(&self) -> bool {
        self.chain.len() > 1
    }

    fn described(&self) -> String {
        format!("{} ({} classes)", self.name(), self.classes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(
        tensors: &[(&str, &[usize])],
        prefix: &str,
        wanted: Option<&str>,
    ) -> Result<String, String> {
        let scope = Scope::default();
        let tensors: Shapes = tensors.iter().copied().collect();
        let search = Search {
            tensors: &tensors,
            prefix,
            scope: &scope,
            channels: 512,
            wanted,
        };
        search.find().map(|linear| linear.name)
    }

    #[test]
    fn the_classifier_is_found_where_people_put_it() {
        for (tensors, prefix, wanted, name) in [
            (&[("fc.weight", &[2, 512][..])][..], "", None, "fc"),
            (
                &[("m.head.weight", &[2, 512])],
                "m.backbone.",
                None,
                "m.head",
            ),
            (&[("fc.1.weight", &[2, 512])], "", None, "fc.1"),
            (
                &[("last.weight", &[2, 512]), ("last.bias", &[2])],
                "",
                None,
                "last",
            ),
            (
                &[
                    ("classification_head.weight", &[2, 512]),
                    ("classification_head.bias", &[2]),
                    ("val_confmat.confmat", &[2, 2]),
                ],
                "backbone.",
                None,
                "classification_head",
            ),
            (
                &[("2.weight", &[2, 512]), ("2.bias", &[2])],
                "0.",
                None,
                "2",
            ),
            (
                &[("fc1.weight", &[2, 512]), ("m.fc2.weight", &[3, 512])],
                "m.",
                Some("fc2"),
                "m.fc2",
            ),
            (
                &[
                    ("classifier.a.weight", &[2, 512]),
                    ("classifier.b.weight", &[3, 512]),
                ],
                "",
                Some("classifier.b"),
                "classifier.b",
            ),
        ] {
            assert_eq!(find(tensors, prefix, wanted), Ok(name.to_owned()));
        }
    }

    #[test]
    fn what_stands_in_the_way_is_one_sentence_with_its_cause() {
        for (tensors, wanted, words) in [
            (
                &[("fc.weight", &[1, 512][..])][..],
                None,
                "one output (a sigmoid head, probably)",
            ),
            (&[("fc.weight", &[0, 512])], None, "0 outputs"),
            (
                &[("fc.weight", &[2, 1024])],
                None,
                "takes 1024 inputs, and the network gives 512",
            ),
            (
                &[("fc.weight_v", &[2, 512]), ("fc.weight_g", &[2, 1])],
                None,
                "weight normalization",
            ),
            (
                &[("fc1.weight", &[2, 512]), ("fc2.weight", &[7, 512])],
                None,
                "--head fc1: fc1 (2 classes), fc2 (7 classes)",
            ),
            // Layers in sequence, of which none is offered.
            (
                &[("embedding.weight", &[128, 512]), ("out.weight", &[3, 128])],
                None,
                "its classifier has 2 linear layers (embedding, out)",
            ),
            (
                &[("1.weight", &[64, 512]), ("3.weight", &[3, 64])],
                None,
                "its classifier has 2 linear layers (1, 3)",
            ),
            (
                &[
                    ("a.weight", &[64, 512]),
                    ("b.weight", &[32, 64]),
                    ("c.weight", &[3, 32]),
                    ("other.weight", &[7, 512]),
                ],
                None,
                "3 linear layers (a, b, c); camlens needs one after global average pooling. Others can be chosen by --head: other (7 classes)",
            ),
            (
                &[("fc.0.weight", &[512, 512]), ("fc.3.weight", &[3, 512])],
                None,
                "its classifier has 2 linear layers (fc.0.weight, fc.3.weight)",
            ),
            // A single layer whose name or missing bias makes it doubtful.
            (
                &[
                    ("projection.weight", &[128, 512]),
                    ("projection.bias", &[128]),
                ],
                None,
                "--head projection: projection (128 classes)",
            ),
            (
                &[("metric_fc.weight", &[10, 512])],
                None,
                "--head metric_fc: metric_fc (10 classes)",
            ),
            (
                &[("fc1.weight", &[2, 512])],
                Some("fc3"),
                "no linear layer \"fc3\"; it has fc1",
            ),
            (
                &[("x.weight", &[2, 5])],
                None,
                "only the backbone was saved",
            ),
            (
                &[("fc.0.weight", &[256, 512]), ("fc.2.weight", &[2, 256])],
                None,
                "2 linear layers (fc.0.weight, fc.2.weight)",
            ),
            (
                &[
                    ("classifier.a.weight", &[2, 512]),
                    ("classifier.b.weight", &[3, 512]),
                ],
                None,
                "Choose one, such as --head classifier.a",
            ),
            (
                &[("fc.0.weight", &[512]), ("fc.1.weight", &[2, 512])],
                None,
                "more than a linear layer (it has fc.0.weight, too)",
            ),
        ] {
            let problem = find(tensors, "", wanted).unwrap_err();
            assert!(problem.contains(words), "{words}: {problem}");
        }
    }
}
