//! How a model is requested.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::model::architecture::Architecture;
use crate::model::file_selection::Selection;
use crate::model::hub;

/// The user's choice of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ModelChoice {
    /// ResNet-18 if its weights are found, otherwise the built-in model.
    #[default]
    Auto,
    /// EfficientNet-Lite0, which is part of the program.
    BuiltIn,
    /// ResNet-18, from one of the searched folders.
    ResNet18,
    /// Weights from the hub, by their name in the [catalog](hub::CATALOG).
    Hub(String),
    /// A weight file. If it holds several networks, rules select one.
    File(PathBuf),
    /// A weight file, and which of its networks.
    Within(PathBuf, Box<Selection>),
}

impl FromStr for ModelChoice {
    type Err = Infallible;

    /// Parses the name of a model, or else a path.
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
    /// The path of the chosen weight file, if a file was chosen.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) | Self::Within(path, _) => Some(path),
            _ => None,
        }
    }

    /// The same choice with the weight file at another path; other choices are unchanged.
    #[must_use]
    pub fn at(self, path: PathBuf) -> Self {
        match self {
            Self::File(_) => Self::File(path),
            Self::Within(_, selection) => Self::Within(path, selection),
            other => other,
        }
    }

    /// The same file with a selected network.
    ///
    /// # Errors
    /// If the choice is not a file, a message that says what to do.
    pub fn within(self, selection: Selection) -> Result<Self, String> {
        if selection.is_none() {
            return Ok(self);
        }
        match self {
            Self::File(path) | Self::Within(path, _) => Ok(Self::Within(path, Box::new(selection))),
            _ => Err("--key, --prefix, --head and --output select a network in a file: give its path with --model.".into()),
        }
    }

    /// The name in menus.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Auto => "Automatic".into(),
            Self::BuiltIn => format!("{} (built in)", Architecture::EfficientNetLite0.name()),
            Self::ResNet18 => Architecture::ResNet18.name().into(),
            Self::Hub(name) => name.clone(),
            // In the hub's cache, every file is named model.safetensors.
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
