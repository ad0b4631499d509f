//! Selects one network of a weight file that holds several.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which network of a file that holds several, which of its linear layers is the classifier, and
/// which of its outputs is explained. Fields that are `None` are chosen automatically.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Selection {
    /// The key of the dictionary that holds its tensors (`state_dict_ema`); for nested
    /// dictionaries, the keys are joined with dots. An empty key is the outermost dictionary.
    pub key: Option<String>,
    /// The prefix of its tensor names (`teacher.`).
    pub prefix: Option<String>,
    /// The linear layer that is its classifier (`head2`).
    pub head: Option<String>,
    /// The output that is explained, for a network with several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

impl Selection {
    /// Whether nothing is selected.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether both select the same network, even if their classifiers differ.
    #[must_use]
    pub fn is_of_same_network(&self, other: &Self) -> bool {
        self.key == other.key && self.prefix == other.prefix
    }

    /// The command-line options with the same effect.
    #[must_use]
    pub fn options(&self) -> String {
        let options = [
            ("--key", &self.key),
            ("--prefix", &self.prefix),
            ("--head", &self.head),
            ("--output", &self.output),
        ];
        let given = options.iter().filter_map(|(option, value)| {
            let value = value.as_ref()?;
            Some(if value.is_empty() {
                format!("{option} \"\"")
            } else {
                // The dot at the end of a prefix is optional.
                format!("{option} {}", value.trim_end_matches('.'))
            })
        });
        given.collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Display for Selection {
    /// A short description: `state_dict_ema, teacher.`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [&self.key, &self.prefix, &self.head, &self.output];
        let parts = parts.into_iter().flatten().filter(|part| !part.is_empty());
        let parts: Vec<&str> = parts.map(String::as_str).collect();
        match parts[..] {
            [] => f.write_str("without a prefix"),
            _ => f.write_str(&parts.join(", ")),
        }
    }
}
