//! Models as they are asked for, and what the user should know of one that runs.

use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::labels::Labels;
use crate::model::preprocessing::Preprocessing;
use crate::model::{Architecture, hub};

/// A model as the user asks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ModelChoice {
    /// ResNet-18 if its weights are found, else the built-in model.
    #[default]
    Auto,
    /// EfficientNet-Lite0, which is part of the program.
    BuiltIn,
    /// ResNet-18 from the folders looked in.
    ResNet18,
    /// Weights from the hub, by their name in the [catalog](hub::CATALOG).
    Hub(String),
    /// A weight file. Which of several networks in it is decided by rule.
    File(PathBuf),
    /// A weight file, and which network in it.
    Within(PathBuf, Box<Selection>),
}

/// Which network of a file that holds several, and which of its linear layers is the
/// classifier. What is none is decided by rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Selection {
    /// The key of the dictionary that holds its tensors (`state_dict_ema`); of dictionaries
    /// within dictionaries with dots between them. Nothing is the outermost dictionary.
    pub key: Option<String>,
    /// What the names of its tensors begin with (`teacher.`).
    pub prefix: Option<String>,
    /// The linear layer that is its classifier (`head2`).
    pub head: Option<String>,
}

impl Selection {
    /// Whether nothing is selected.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether both select the same network, whatever its classifier is.
    #[must_use]
    pub fn is_of_same_network(&self, other: &Self) -> bool {
        self.key == other.key && self.prefix == other.prefix
    }

    /// The options of the command line that select the same.
    #[must_use]
    pub fn options(&self) -> String {
        let options = [
            ("--key", &self.key),
            ("--prefix", &self.prefix),
            ("--head", &self.head),
        ];
        let given = options.iter().filter_map(|(option, value)| {
            let value = value.as_ref()?;
            Some(if value.is_empty() {
                format!("{option} \"\"")
            } else {
                // The dot at the end of a prefix need not be given.
                format!("{option} {}", value.trim_end_matches('.'))
            })
        });
        given.collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Display for Selection {
    /// In few words: `state_dict_ema, teacher.`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [&self.key, &self.prefix, &self.head];
        let parts = parts.into_iter().flatten().filter(|part| !part.is_empty());
        let parts: Vec<&str> = parts.map(String::as_str).collect();
        match parts[..] {
            [] => f.write_str("without a prefix"),
            _ => f.write_str(&parts.join(", ")),
        }
    }
}

impl FromStr for ModelChoice {
    type Err = Infallible;

    /// A model's name, or else a path.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.to_lowercase().as_str() {
            "auto" => Self::Auto,
            "built-in" | "builtin" | "efficientnet-lite0" | "efficientnet_lite0" => Self::BuiltIn,
            "resnet18" | "resnet-18" => Self::ResNet18,
            name => match hub::find(name) {
                Some(known) => Self::Hub(known.name.into()),
                None => Self::File(text.into()),
            },
        })
    }
}

impl ModelChoice {
    /// The weight file chosen by its path, if one is.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) | Self::Within(path, _) => Some(path),
            _ => None,
        }
    }

    /// The same weight file at another place; other choices as they are.
    #[must_use]
    pub fn at(self, path: PathBuf) -> Self {
        match self {
            Self::File(_) => Self::File(path),
            Self::Within(_, selection) => Self::Within(path, selection),
            other => other,
        }
    }

    /// The same file, and which network in it.
    ///
    /// # Errors
    /// If it is not a file: what to do.
    pub fn within(self, selection: Selection) -> Result<Self, String> {
        if selection.is_none() {
            return Ok(self);
        }
        match self {
            Self::File(path) | Self::Within(path, _) => Ok(Self::Within(path, Box::new(selection))),
            _ => Err("--key, --prefix and --head choose within a weight file: give its path with --model.".into()),
        }
    }

    /// What to call it in a menu.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Auto => "Automatic".into(),
            Self::BuiltIn => format!("{} (built in)", Architecture::EfficientNetLite0.name()),
            Self::ResNet18 => Architecture::ResNet18.name().into(),
            Self::Hub(name) => name.clone(),
            // In the hub's cache every file is called model.safetensors.
            Self::File(path) => match hub::of_file(path) {
                Some(known) => known.name.into(),
                None => crate::input::photo::display_name(path),
            },
            Self::Within(path, selection) => {
                format!("{} ({selection})", crate::input::photo::display_name(path))
            }
        }
    }
}

/// What the user should know about a model.
#[derive(Clone, Debug)]
pub struct ModelInfo {
    /// Its network.
    pub architecture: Architecture,
    /// Where the weights came from: "built in", or a path.
    pub origin: String,
    /// What is known about its accuracy.
    pub accuracy: String,
    /// SHA-256 of the weight file, in hexadecimal.
    pub sha256: String,
    /// Its classes.
    pub labels: Labels,
    /// Where their names came from.
    pub labels_from: String,
    /// The model's own preprocessing.
    pub preprocessing: Preprocessing,
    /// Where it came from.
    pub preprocessing_from: String,
    /// What was taken for granted of the network, in a sentence: what no weight file tells.
    /// None where nothing had to be.
    pub assumed: Option<String>,
    /// Which network of the file runs.
    pub network: Selection,
    /// The networks in the file, if it holds several that can be told apart.
    pub networks: Vec<Selection>,
    /// What the user should know about this file.
    pub notices: Vec<String>,
}

impl ModelInfo {
    /// Where the weights came from, in few words: a file's name, or the catalog's.
    #[must_use]
    pub fn short_origin(&self) -> String {
        let path = Path::new(&self.origin);
        match hub::of_file(path) {
            Some(known) => known.name.into(),
            None => crate::input::photo::display_name(path),
        }
    }
}

impl fmt::Display for ModelInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.architecture.name(), self.origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_of_older_versions_are_read() {
        for (text, choice) in [
            (r#"{"File":"a/b.pth"}"#, ModelChoice::File("a/b.pth".into())),
            (r#""Auto""#, ModelChoice::Auto),
            (
                r#"{"Within":["b.pth",{"key":"ema"}]}"#,
                ModelChoice::Within(
                    "b.pth".into(),
                    Box::new(Selection {
                        key: Some("ema".into()),
                        ..Selection::default()
                    }),
                ),
            ),
        ] {
            assert_eq!(serde_json::from_str::<ModelChoice>(text).unwrap(), choice);
            let written = serde_json::to_string(&choice).unwrap();
            let read: ModelChoice = serde_json::from_str(&written).unwrap();
            assert_eq!(read, choice);
        }
    }

    #[test]
    fn a_network_is_chosen_within_a_file_only() {
        let teacher = Selection {
            prefix: Some("teacher.".into()),
            ..Selection::default()
        };
        let file = ModelChoice::File("b.pth".into());
        assert_eq!(file.clone().within(Selection::default()), Ok(file.clone()));
        let within = file.within(teacher.clone()).unwrap();
        assert_eq!(within.label(), "b.pth (teacher.)");
        assert_eq!(within.file(), Some(Path::new("b.pth")));
        assert_eq!(teacher.options(), "--prefix teacher");
        let with_head = Selection {
            head: Some("fc2".into()),
            ..teacher.clone()
        };
        assert!(with_head.is_of_same_network(&teacher));
        assert!(!with_head.is_of_same_network(&Selection::default()));
        let problem = ModelChoice::Auto.within(teacher).unwrap_err();
        assert!(problem.contains("give its path"), "{problem}");
    }
}
