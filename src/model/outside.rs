//! Tensors of a file outside the network: which can be ignored, and which may change the
//! answer.

use crate::model::families::Shapes;
use crate::model::file_selection::Selection;
use crate::model::leftovers::{Leftovers, is_linear};
use crate::model::linear::Linear;
use crate::model::selection::Scope;

/// A tensor that only `BCEWithLogitsLoss` has, in a loss or next to it.
const SEVERAL_LABELS: &str = "pos_weight";
/// Maximum number of tensors named in a message.
const NAMED: usize = 3;

/// What the user has chosen. It tells which tensors can be ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// None.
    Nothing,
    /// The classifier: other heads are ignored.
    Head,
    /// The prefix of the names: everything else is ignored.
    Prefix,
}

/// The network, and where its tensors are.
pub struct Outside<'a> {
    /// Its name.
    pub architecture: &'a str,
    /// The prefix of its tensor names.
    pub prefix: &'a str,
    /// The tensors that its classifier may be among.
    pub scope: &'a Scope,
    /// The key of its dictionary.
    pub key: &'a str,
    /// Its classifier.
    pub head: &'a Linear,
    /// The tensors used only in training.
    pub leftovers: Leftovers<'a>,
}

impl Outside<'_> {
    /// Checks the tensors that the network has not used. Returns a notice about those that are
    /// ignored.
    ///
    /// # Errors
    /// If the result may depend on them: their names, and what to do.
    pub fn check(&self, unused: &Shapes, chosen: Chosen) -> Result<Option<String>, String> {
        let Self {
            architecture, head, ..
        } = self;
        let here = unused.iter().filter(|(name, shape)| {
            // Tensors without elements only mark a device.
            !self.scope.is_of_another(name) && !shape.contains(&0)
        });
        let (ignored, others): (Vec<(&str, &[usize])>, Vec<_>) = here
            .map(|(name, shape)| (*name, *shape))
            .partition(|(name, shape)| match chosen {
                Chosen::Prefix => true,
                Chosen::Head => {
                    !self.follows(shape) && !self.precedes(shape) || self.leftovers.has(name, shape)
                }
                Chosen::Nothing => self.leftovers.has(name, shape) || is_of_several(name),
            });
        if others.is_empty() {
            let names: Vec<&str> = ignored.iter().map(|(name, _)| *name).collect();
            return Ok(names.first().map(|first| {
                format!(
                    "Ignored, since {architecture} has no such tensors: {} of the file ({first}, …).",
                    names.len()
                )
            }));
        }
        let way_out = self.way_out();
        let Linear { name, classes, .. } = head;
        let bare = |name: &str| name.trim_end_matches(".weight").to_owned();
        let follower = others.iter().find(|(_, shape)| self.follows(shape));
        if let Some((second, _)) = follower {
            let second = bare(second);
            let more = match chosen {
                Chosen::Head => format!(". If it does not follow, give {way_out} too"),
                _ => String::new(),
            };
            return Err(format!(
                "another linear layer, {second}, takes the {classes} outputs of {name}, and camlens needs one linear layer after global average pooling{more}"
            ));
        }
        // The user chooses between them with --head, unless another layer follows.
        let beside = others.iter().find(|(_, shape)| {
            matches!(shape, [rows, columns] if *columns == head.channels && rows != columns)
        });
        if let Some((other, shape)) = beside.filter(|_| chosen == Chosen::Nothing) {
            let can_be_chosen = other.ends_with(".weight")
                && !others.iter().any(|(_, next)| is_linear(next, shape[0]));
            let other = bare(other);
            return Err(if can_be_chosen {
                format!(
                    "it has two linear layers that can be the classifier, {name} and {other}, and other tensors may belong to it. Choose one by --head {name} or --head {other}"
                )
            } else {
                format!(
                    "beside its classifier {name} it has {other}, which takes the same features and may change its answer. If it does not, give --head {name}"
                )
            });
        }
        let names: Vec<&str> = others.iter().map(|(name, _)| *name).collect();
        let shown = names[..names.len().min(NAMED)].join(", ");
        let shown = match names.len() {
            0..=NAMED => shown,
            count => format!("{shown} and {} more", count - NAMED),
        };
        let too = if chosen == Chosen::Head { " too" } else { "" };
        Err(format!(
            "it has tensors outside {architecture} that may change its answer ({shown}). If they do not, give {way_out}{too}"
        ))
    }

    /// Whether a tensor takes the outputs of the classifier.
    fn follows(&self, shape: &[usize]) -> bool {
        let Linear {
            classes, channels, ..
        } = *self.head;
        // A square tensor with as many features may also come before the classifier.
        is_linear(shape, classes) && (classes != channels || shape[0] != classes)
    }

    /// Whether the outputs of a tensor are the inputs of the classifier.
    fn precedes(&self, shape: &[usize]) -> bool {
        matches!(shape, [rows, columns, ..] if *rows == self.head.channels && is_linear(shape, *columns))
    }

    /// The option that ignores everything outside but keeps the classifier.
    fn way_out(&self) -> String {
        let prefix = if self.head.name.starts_with(self.prefix) {
            self.prefix
        } else {
            &self.scope.prefix
        };
        let selection = Selection {
            prefix: Some(prefix.to_owned()),
            ..Selection::default()
        };
        selection.options()
    }

    /// Checks another dictionary of the file, which holds no network of its own. If the user has
    /// chosen the dictionary (`chosen`), returns a notice about what is left out.
    ///
    /// # Errors
    /// If it has a linear layer that may follow the network.
    pub fn check_beside(
        &self,
        key: &str,
        tensors: &Shapes,
        chosen: bool,
    ) -> Result<Option<String>, String> {
        let Linear {
            classes, channels, ..
        } = *self.head;
        let follows = |(name, shape): &(&&str, &&[usize])| {
            name.ends_with("weight")
                && !self.leftovers.has(&format!("{key}.{name}"), shape)
                && matches!(shape, [_, inputs] if *inputs == classes || *inputs == channels)
        };
        let Some((name, _)) = tensors.iter().find(follows) else {
            return Ok(None);
        };
        let own = Selection {
            key: Some(self.key.to_owned()),
            ..Selection::default()
        };
        let (architecture, own) = (self.architecture, own.options());
        if chosen {
            return Ok(Some(format!(
                "Left out by {own}: the dictionary {key:?}, whose linear layer {name} could follow {architecture}."
            )));
        }
        Err(format!(
            "its dictionary {key:?} has a linear layer ({name}) that may follow {architecture}. If it does not, give {own}"
        ))
    }
}

/// The tensor among those with these names that shows that several labels can be true at once.
pub fn several_labels<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names.find(|name| is_of_several(name))
}

fn is_of_several(name: &str) -> bool {
    let mut parts = name.split('.');
    parts.any(|part| part.starts_with(SEVERAL_LABELS))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "classifier";

    fn check(tensors: &[(&str, &[usize])], chosen: Chosen) -> Result<Option<String>, String> {
        let scope = Scope {
            prefix: String::new(),
            others: vec!["teacher.".into()],
        };
        let head = Linear {
            name: HEAD.into(),
            part: "classifier.".into(),
            classes: 10,
            channels: 512,
            has_bias: true,
            is_usual: true,
        };
        let tensors: Shapes = tensors.iter().copied().collect();
        let mut all = tensors.clone();
        all.insert("backbone.layer1.0.conv1.weight", &[64, 64, 3, 3]);
        let outside = Outside {
            architecture: "ResNet-18",
            prefix: "backbone.",
            scope: &scope,
            key: "model",
            leftovers: Leftovers::new(&all, "backbone.", &head),
            head: &head,
        };
        outside.check(&tensors, chosen)
    }

    #[test]
    fn tensors_for_training_are_ignored_and_said() {
        for (tensors, count) in [
            (&[("criterion.weight", &[10][..])][..], 1),
            (
                &[("aux_head.bias", &[7]), ("aux_head.weight", &[7, 512])],
                2,
            ),
            (&[("loss_fn.centers", &[10, 64])], 1),
            (&[("train_loss.mean_value", &[1])], 1),
            (&[("ema_layer1_0_conv1_weight", &[64, 64, 3, 3])], 1),
            (&[("criterion.pos_weight", &[10])], 1),
            (&[("pos_weight", &[1])], 1),
        ] {
            let notice = check(tensors, Chosen::Nothing).unwrap().unwrap();
            let words = format!(": {count} of the file ({}", tensors[0].0);
            assert!(notice.contains(&words), "{notice}");
        }
        assert_eq!(check(&[], Chosen::Nothing), Ok(None));
        let mark: &[(&str, &[usize])] = &[("device_indicator", &[0])];
        assert_eq!(check(mark, Chosen::Nothing), Ok(None));
        assert_eq!(
            check(&[("teacher.fc.weight", &[10, 512])], Chosen::Nothing),
            Ok(None)
        );
    }

    #[test]
    fn tensors_that_may_change_the_answer_are_refused_by_name() {
        for (tensors, words) in [
            (
                &[("last.weight", &[2, 10][..])][..],
                "last, takes the 10 outputs of classifier",
            ),
            (
                &[("head2.weight", &[7, 512])],
                "--head classifier or --head head2",
            ),
            (
                &[("loss_fn.centers", &[10, 512])],
                "it has loss_fn.centers, which takes the same features and may change its answer. If it does not, give --head classifier",
            ),
            (
                &[("embedding.weight", &[128, 512]), ("out.weight", &[3, 128])],
                "it has embedding, which takes the same features",
            ),
            (
                &[("metric_fc.weight", &[7, 512])],
                "--head classifier or --head metric_fc",
            ),
            // The classifier must stay inside.
            (
                &[("temperature", &[1])],
                "may change its answer (temperature). If they do not, give --prefix \"\"",
            ),
            (
                &[
                    ("a", &[1]),
                    ("b", &[1]),
                    ("c", &[1]),
                    ("d", &[1]),
                    ("e", &[1]),
                ],
                "(a, b, c and 2 more)",
            ),
            (
                &[
                    ("attention.weight", &[512, 512]),
                    ("criterion.weight", &[2]),
                ],
                "attention",
            ),
        ] {
            let problem = check(tensors, Chosen::Nothing).unwrap_err();
            assert!(problem.contains(words), "{problem}");
            assert!(
                check(tensors, Chosen::Prefix).unwrap().is_some(),
                "chosen by the user"
            );
        }
    }

    #[test]
    fn a_chosen_head_does_not_silence_what_stands_before_or_behind_it() {
        for (tensor, shape, words) in [
            (
                "out.weight",
                &[3, 10][..],
                Some("another linear layer, out, takes the 10 outputs"),
            ),
            ("calibration.weight", &[10, 10], Some("calibration")),
            (
                "hidden.weight",
                &[512, 512],
                Some("(hidden.weight). If they do not, give --prefix \"\" too"),
            ),
            ("expand.weight", &[512, 64], Some("expand.weight")),
            ("other.weight", &[7, 512], None),
            ("temperature", &[1], None),
            ("auroc.confmat", &[10, 10], None),
        ] {
            match (check(&[(tensor, shape)], Chosen::Head), words) {
                (Ok(notice), None) => assert!(notice.unwrap().contains(tensor)),
                (Err(problem), Some(words)) => assert!(problem.contains(words), "{problem}"),
                (found, _) => panic!("{tensor}: {found:?}"),
            }
        }
    }
}
