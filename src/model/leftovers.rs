//! Tensors that only training needs: losses, metrics, averages, auxiliary heads. They are
//! recognized by whole words of their names and by their shapes.

use std::collections::BTreeSet;

use crate::model::families::Shapes;
use crate::model::linear::Linear;

/// Names of parts of training programs, whatever their tensors are.
const PARTS: [&str; 7] = [
    "aux",
    "auxiliary",
    "auxlogits",
    "optim",
    "optimizer",
    "optimizer",
    "optimizers",
];
/// Names of losses: their weights, and networks that they use to compare features.
const LOSSES: [&str; 5] = ["loss", "losses", "criterion", "criterions", "crit"];
/// Short names of losses, and names of metrics.
const MEASURES: [&str; 14] = [
    "ce",
    "bce",
    "focal",
    "metric",
    "metrics",
    "acc",
    "accuracy",
    "f1",
    "auroc",
    "auc",
    "confmat",
    "confusion",
    "precision",
    "recall",
];
/// A classes × classes matrix with one of these names holds counts.
const COUNTS: [&str; 2] = ["confmat", "confusion"];
/// Pairs of words in the names of tensors with at most one row of numbers.
const ROWS: [[&str; 2]; 9] = [
    ["class", "weight"],
    ["class", "weights"],
    ["pos", "weight"],
    ["n", "averaged"],
    ["log", "var"],
    ["log", "vars"],
    ["log", "variance"],
    ["log", "sigma"],
    ["log", "sigmas"],
];
/// Counters that belong to an average (EMA).
const COUNTERS: [&str; 7] = [
    "decay", "num", "updates", "n", "averaged", "step", "initted",
];
/// Words that may stand between `ema` and the name of the averaged tensor.
const WRAPPERS: [&str; 8] = [
    "model", "module", "net", "network", "backbone", "shadow", "params", "weights",
];

/// What is known about the network that the tensors are compared with.
pub struct Leftovers<'a> {
    head: &'a Linear,
    /// Its tensor names without dots and underscores; empty if no tensor is named as an average.
    own: BTreeSet<(String, &'a [usize])>,
}

impl<'a> Leftovers<'a> {
    /// `tensors` are all tensors of the dictionary, `prefix` is the prefix of the network.
    pub fn new(tensors: &Shapes<'a>, prefix: &str, head: &'a Linear) -> Self {
        let has_averages = tensors.keys().any(|name| is_average(&words(name)));
        let named = tensors.iter().filter(|(name, _)| {
            has_averages && (name.starts_with(prefix) || name.starts_with(&head.part))
        });
        let named = named.filter(|(name, _)| !is_average(&words(name)));
        let own = named.flat_map(|(name, shape)| {
            let inner = name.strip_prefix(prefix).unwrap_or(name);
            [inner, *name].map(|name| (words(name).concat(), *shape))
        });
        Self {
            head,
            own: own.collect(),
        }
    }

    /// Whether a tensor is used only in training.
    pub fn has(&self, name: &str, shape: &[usize]) -> bool {
        let words = words(name);
        let has = |list: &[&str]| words.iter().any(|word| is_one_of(word, list));
        if is_linear(shape, self.head.classes) {
            // A tensor with as many columns as there are classes either holds counts, or it follows
            // the classifier.
            return has(&COUNTS) && shape[0] == shape[1];
        }
        let takes_features = is_linear(shape, self.head.channels);
        let in_a_row = |pair: &[&str; 2]| words.windows(2).any(|two| two == pair);
        let numbers: usize = shape.iter().product();
        has(&PARTS)
            || has(&LOSSES) && !takes_features
            || has(&MEASURES) && !takes_features && (shape.len() < 4 || has(&COUNTS))
            || shape.len() <= 1 && ROWS.iter().any(in_a_row)
            || numbers <= 1 && has(&["best"])
            || self.is_average_of(&words, shape)
    }

    /// Whether it is the average of one of the network's tensors, or a counter of the average.
    fn is_average_of(&self, words: &[String], shape: &[usize]) -> bool {
        let Some(at) = words.iter().position(|word| word == "ema") else {
            return false;
        };
        let after = &words[at + 1..];
        let counts = after.iter().all(|word| COUNTERS.contains(&&word[..]));
        if counts && shape.iter().product::<usize>() <= 1 {
            return true;
        }
        let wrappers = after.iter();
        let wrappers = wrappers.take_while(|word| WRAPPERS.contains(&&word[..]));
        let wrappers = wrappers.count();
        (0..=wrappers).any(|skipped| self.own.contains(&(after[skipped..].concat(), shape)))
    }
}

/// Whether the name contains a word of training programs, whatever its shape is.
pub fn is_called_so(name: &str) -> bool {
    let words = words(name);
    let mut lists = [&PARTS[..], &LOSSES, &MEASURES].into_iter();
    lists.any(|list| words.iter().any(|word| is_one_of(word, list)))
}

/// Whether a tensor is the weight of a linear layer (or a 1×1 convolution) with `inputs` inputs.
pub fn is_linear(shape: &[usize], inputs: usize) -> bool {
    matches!(shape, [_, columns, rest @ ..] if *columns == inputs && rest.iter().all(|side| *side == 1))
}

/// The words of a name, split at dots and underscores.
pub fn words(name: &str) -> Vec<String> {
    let words = name.split(['.', '_']).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

/// Whether a word is in a list; `aux3` counts as `aux`.
fn is_one_of(word: &str, list: &[&str]) -> bool {
    list.contains(&word) || list.contains(&word.trim_end_matches(|c: char| c.is_ascii_digit()))
}

fn is_average(words: &[String]) -> bool {
    words.iter().any(|word| word == "ema")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_by_whole_words_and_shapes_count() {
        let head = Linear {
            name: "model.fc".into(),
            part: "model.fc.".into(),
            classes: 10,
            channels: 512,
            has_bias: true,
            is_usual: true,
        };
        let conv: &[usize] = &[64, 64, 3, 3];
        let tensors: &[(&str, &[usize])] = &[
            ("model.layer1.0.conv1.weight", conv),
            ("model.fc.weight", &[10, 512]),
            ("model_ema.n_averaged", &[]),
        ];
        let tensors: Shapes = tensors.iter().copied().collect();
        let leftovers = Leftovers::new(&tensors, "model.", &head);
        for (name, shape, expected) in [
            // Losses and metrics by their usual names.
            ("criterion.weight", &[10][..], true),
            ("crit.weight", &[10], true),
            ("ce.weight", &[10], true),
            ("focal.alpha", &[10], true),
            ("bce.pos_weight", &[10], true),
            ("class_weights", &[10], true),
            ("val_acc.correct", &[], true),
            ("accuracy.total", &[], true),
            ("val_f1.tp", &[10], true),
            ("auroc.confmat", &[10, 10], true),
            ("confusion_matrix.mat", &[10, 10], true),
            ("train_loss.mean_value", &[], true),
            ("perceptual_loss.vgg.0.weight", &[512, 512, 3, 3], true),
            ("best_val", &[], true),
            ("log_vars", &[2], true),
            ("aux_head.weight", &[7, 512], true),
            ("aux3.weight", &[10, 256], true),
            // Names that only contain the same letters.
            ("asymmetric_gate.weight", &[512, 512], false),
            ("glossy.weight", &[7], false),
            ("schema.gamma", &[512], false),
            ("acceptor.bias", &[64], false),
            // Layers that take the features or the logits of the classes.
            ("metric_fc.weight", &[10, 512], false),
            ("loss.proj.weight", &[64, 512, 1, 1], false),
            ("criterion.weight", &[2, 10], false),
            ("aux.weight", &[2, 10], false),
            ("calibration_loss.weight", &[10, 10], false),
            ("focal.conv.weight", &[16, 16, 3, 3], false),
            ("best_bn.weight", &[512], false),
            ("log_vars.weight", &[2, 64], false),
            ("weights", &[10], false),
            ("temperature", &[1], false),
            // Averages of the network's own tensors, and an attention layer with the same name.
            ("model_ema.layer1_0_conv1_weight", conv, true),
            ("ema.module.layer1.0.conv1.weight", conv, true),
            ("model_ema.layer10conv1weight", conv, true),
            ("ema.model.fc.weight", &[10, 512], true),
            ("model_ema.n_averaged", &[], true),
            ("model_ema.decay", &[], true),
            ("ema.layer1_0_conv1_weight", &[64, 64, 1, 1], false),
            ("ema.conv1x1.weight", &[16, 16, 1, 1], false),
            ("ema.gn.weight", &[16], false),
            ("ema.gamma", &[1], false),
        ] {
            assert_eq!(leftovers.has(name, shape), expected, "{name} {shape:?}");
        }
    }
}
