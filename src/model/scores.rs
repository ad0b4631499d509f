//! How the logits of a network become scores from 0 to 1.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How logits become scores. Whatever it is, maps explain logits, and classes are sorted by logit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scores {
    /// One class excludes the others: `exp(y_c) / Σ exp(y_k)`. The scores add up to 1.
    #[default]
    Softmax,
    /// Several labels at once: each class has its own probability, `1 / (1 + exp(−y_c))`.
    Sigmoid,
    /// One output `y` for two classes. They are presented as two logits, `−y` for the negative and
    /// `+y` for the positive class, so that each has its own map. The scores are
    /// `1 / (1 + exp(−y_c))` and add up to 1.
    OneLogit,
}

impl Scores {
    /// What can be chosen for a network with one logit for each class.
    pub const CHOICES: [Self; 2] = [Self::Softmax, Self::Sigmoid];

    /// The scores of all classes, 0..=1, for logits `[classes]`.
    #[must_use]
    pub fn of(self, logits: &[f32]) -> Vec<f32> {
        match self {
            Self::Softmax => softmax(logits),
            Self::Sigmoid | Self::OneLogit => logits.iter().map(|&logit| sigmoid(logit)).collect(),
        }
    }

    /// These scores, or what the user chose instead. The two logits of a network with one output
    /// depend on each other, so that there is no choice.
    #[must_use]
    pub fn unless(self, chosen: Option<Self>) -> Self {
        match (self, chosen) {
            (Self::OneLogit, _) | (_, None | Some(Self::OneLogit)) => self,
            (_, Some(chosen)) => chosen,
        }
    }

    /// The name in options, JSON and tables.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Softmax => "softmax",
            Self::Sigmoid => "sigmoid",
            Self::OneLogit => "one-logit",
        }
    }

    /// The name on screen.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Softmax => "softmax",
            Self::Sigmoid => "sigmoid",
            Self::OneLogit => "sigmoid of one logit",
        }
    }

    /// What the scores mean, in one sentence.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Softmax => {
                "Softmax: one class excludes the others, and all probabilities add up to 100 %."
            }
            Self::Sigmoid => {
                "Sigmoid: each class has its own probability, several can be present at once, and they do not add up to 100 %."
            }
            Self::OneLogit => {
                "One logit y for two classes: the probability of the positive class is sigmoid(y), that of the negative class 1 − sigmoid(y), and its map is that of −y."
            }
        }
    }
}

impl fmt::Display for Scores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scores {
    type Err = String;

    /// Parses what can be chosen: `softmax` or `sigmoid`.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut choices = Self::CHOICES.into_iter();
        let found = choices.find(|scores| scores.id() == text.to_lowercase());
        found.ok_or_else(|| "give softmax or sigmoid".into())
    }
}

/// Softmax, in f64 and shifted by the largest logit, so that it cannot overflow.
#[must_use]
#[allow(clippy::cast_possible_truncation)] // rounded once, at the end
pub fn softmax(logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits
        .iter()
        .map(|&logit| f64::from(logit - largest).exp())
        .collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| (power / sum) as f32).collect()
}

/// `1 / (1 + exp(−logit))`, in f64.
#[must_use]
#[allow(clippy::cast_possible_truncation)] // rounded once, at the end
pub fn sigmoid(logit: f32) -> f32 {
    (1.0 / (1.0 + (-f64::from(logit)).exp())) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_adds_up_and_survives_large_logits() {
        let shares = softmax(&[1000.0, 999.0, -1000.0]);
        assert!((shares.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!((shares[0] - 0.731_058_6).abs() < 1e-6 && shares[2] == 0.0);
    }

    #[test]
    fn sigmoid_is_of_each_logit_alone() {
        let scores = Scores::Sigmoid.of(&[0.0, 1000.0, -1000.0, 2.0]);
        assert_eq!(&scores[..3], [0.5, 1.0, 0.0]);
        assert!((scores[3] - 0.880_797_1).abs() < 1e-7);
        let two = Scores::OneLogit.of(&[-2.0, 2.0]);
        assert!((two[0] + two[1] - 1.0).abs() < 1e-7 && (two[1] - scores[3]).abs() < 1e-7);
    }

    #[test]
    fn a_network_with_one_logit_leaves_no_choice() {
        use Scores::{OneLogit, Sigmoid, Softmax};
        for (own, chosen, now) in [
            (Softmax, None, Softmax),
            (Softmax, Some(Sigmoid), Sigmoid),
            (Sigmoid, Some(Softmax), Softmax),
            (Softmax, Some(OneLogit), Softmax),
            (OneLogit, Some(Softmax), OneLogit),
            (OneLogit, None, OneLogit),
        ] {
            assert_eq!(own.unless(chosen), now);
        }
        for scores in Scores::CHOICES {
            assert_eq!(scores.id().parse(), Ok(scores));
        }
        assert!("one-logit".parse::<Scores>().is_err());
        let written = serde_json::to_string(&OneLogit).unwrap();
        assert_eq!(written, r#""one-logit""#);
    }
}
