//! Tensors of a file that are outside the network: which may be ignored, and which may change
//! its answer.

use super::families::Shapes;
use super::head::Linear;
use super::selection::Scope;

/// What the parts of names begin with that are there for training only: heads that help
/// training, averages, weights of losses.
const FOR_TRAINING: [&str; 5] = ["aux", "optim", "ema", "class_weight", "n_averaged"];
/// A tensor that `BCEWithLogitsLoss` alone has, in a loss or beside it.
const SEVERAL_LABELS: &str = "pos_weight";
/// What such parts have in them: losses and measures.
const MEASURES: [&str; 3] = ["criterion", "loss", "metric"];
/// How many tensors a message names.
const NAMED: usize = 3;

/// The network whose tensors are not outside.
pub struct Outside<'a> {
    /// Its name.
    pub architecture: &'a str,
    /// What the names of its tensors begin with.
    pub prefix: &'a str,
    /// Where its classifier may be.
    pub scope: &'a Scope,
}

impl Outside<'_> {
    /// Looks through the tensors that the network has not used. Gives a notice of those that
    /// are ignored. If the user has chosen what to take (`chosen`), all are.
    ///
    /// # Errors
    /// That the answer may depend on them, with their names and what to do.
    pub fn check(
        &self,
        unused: &Shapes,
        head: &Linear,
        chosen: bool,
    ) -> Result<Option<String>, String> {
        let Self {
            architecture,
            prefix,
            scope,
        } = self;
        let here = unused.iter().filter(|(name, _)| !scope.is_of_another(name));
        let (ignored, others): (Vec<(&str, &[usize])>, Vec<_>) = here
            .map(|(name, shape)| (*name, *shape))
            .partition(|(name, _)| chosen || is_for_training(name) && !is_of_several(name));
        if others.is_empty() {
            let names: Vec<&str> = ignored.iter().map(|(name, _)| *name).collect();
            return Ok(names.first().map(|first| {
                format!(
                    "Ignored, since {architecture} has no such tensors: {} of the file ({first}, …).",
                    names.len()
                )
            }));
        }
        let names: Vec<&str> = others.iter().map(|(name, _)| *name).collect();
        let shown = names[..names.len().min(NAMED)].join(", ");
        let shown = match names.len() {
            0..=NAMED => shown,
            count => format!("{shown} and {} more", count - NAMED),
        };
        let way_out = match *prefix {
            "" => "--prefix \"\"".to_owned(),
            prefix => format!("--prefix {}", prefix.trim_end_matches('.')),
        };
        if let Some((tensor, _)) = others.iter().find(|(name, _)| is_of_several(name)) {
            return Err(format!(
                "its classes seem to be several labels at once: {tensor} is a weight that only BCEWithLogitsLoss has, and camlens shows probabilities by softmax. If one class excludes the others, give {way_out}"
            ));
        }
        let Linear { name, classes, .. } = head;
        let takes = |inputs: usize| {
            let mut matrices = others.iter();
            let found =
                matrices.find(|(_, shape)| matches!(shape, [rows, columns] if *columns == inputs && rows != columns));
            found.map(|(name, _)| name.trim_end_matches(".weight"))
        };
        if let Some(second) = takes(*classes) {
            return Err(format!(
                "another linear layer, {second}, takes the {classes} outputs of {name}, and camlens needs one linear layer after global average pooling"
            ));
        }
        // Their choice is the user's, by --head.
        if let Some(other) = takes(head.channels) {
            return Err(format!(
                "it has two linear layers that can be the classifier, {name} and {other}, and other tensors may belong to it. Choose one by --head {name} or --head {other}"
            ));
        }
        Err(format!(
            "it has tensors outside {architecture} that may change its answer ({shown}). If they do not, give {way_out}"
        ))
    }

    /// Looks through another dictionary of the file, which holds no network of its own.
    ///
    /// # Errors
    /// That it has a linear layer which may follow the network.
    pub fn check_beside(&self, key: &str, tensors: &Shapes, head: &Linear) -> Result<(), String> {
        let follows = |(name, shape): &(&&str, &&[usize])| {
            let [_, inputs] = shape[..] else {
                return false;
            };
            name.ends_with("weight")
                && !is_for_training(name)
                && !is_for_training(key)
                && (inputs == head.classes || inputs == head.channels)
        };
        match tensors.iter().find(follows) {
            None => Ok(()),
            Some((name, _)) => Err(format!(
                "its dictionary {key:?} has a linear layer ({name}) that may follow {}. If it does not, choose the network's own dictionary by --key",
                self.architecture
            )),
        }
    }
}

fn is_of_several(name: &str) -> bool {
    let mut parts = name.split('.');
    parts.any(|part| part.starts_with(SEVERAL_LABELS))
}

/// Whether a tensor's name says that it is there for training only.
fn is_for_training(name: &str) -> bool {
    let mut parts = name.split('.');
    parts.any(|part| {
        FOR_TRAINING.iter().any(|start| part.starts_with(start))
            || MEASURES.iter().any(|measure| part.contains(measure))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "classifier";

    fn check(tensors: &[(&str, &[usize])], chosen: bool) -> Result<Option<String>, String> {
        let scope = Scope {
            prefix: String::new(),
            others: vec!["teacher.".into()],
        };
        let outside = Outside {
            architecture: "ResNet-18",
            prefix: "backbone.",
            scope: &scope,
        };
        let head = Linear {
            name: HEAD.into(),
            part: "classifier.".into(),
            classes: 10,
            channels: 512,
            has_bias: true,
        };
        outside.check(&tensors.iter().copied().collect(), &head, chosen)
    }

    #[test]
    fn tensors_for_training_are_ignored_and_said() {
        for (tensors, count) in [
            (&[("criterion.weight", &[10][..])][..], 1),
            (
                &[("aux_head.bias", &[7]), ("aux_head.weight", &[7, 512])],
                2,
            ),
            (&[("loss_fn.centers", &[10, 512])], 1),
            (&[("train_loss.mean_value", &[1])], 1),
            (&[("model.ema_layer1_0_conv1_weight", &[64, 64, 3, 3])], 1),
        ] {
            let notice = check(tensors, false).unwrap().unwrap();
            let words = format!(": {count} of the file ({}", tensors[0].0);
            assert!(notice.contains(&words), "{notice}");
        }
        assert_eq!(check(&[], false), Ok(None));
        assert_eq!(check(&[("teacher.fc.weight", &[10, 512])], false), Ok(None));
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
                &[("temperature", &[1])],
                "may change its answer (temperature). If they do not, give --prefix backbone",
            ),
            (
                &[("criterion.pos_weight", &[10])],
                "several labels at once: criterion.pos_weight is a weight that only BCEWithLogitsLoss has, and camlens shows probabilities by softmax. If one class excludes the others, give --prefix backbone",
            ),
            (&[("pos_weight", &[1])], "several labels at once"),
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
            let problem = check(tensors, false).unwrap_err();
            assert!(problem.contains(words), "{problem}");
            assert!(
                check(tensors, true).unwrap().is_some(),
                "chosen by the user"
            );
        }
    }
}
