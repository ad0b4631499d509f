//! Models as they are asked for, and what the user should know of one that runs.

use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::preprocessing::Preprocessing;
use super::{Architecture, hub};
use crate::labels::Labels;

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
    /// Weights from the hub, by their name in the [catalogue](hub::CATALOGUE).
    Hub(String),
    /// A weight file.
    File(PathBuf),
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
    /// The weight file that it is, if it is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            _ => None,
        }
    }

    /// The same weight file at another place; other choices as they are.
    #[must_use]
    pub fn at(self, path: PathBuf) -> Self {
        match self {
            Self::File(_) => Self::File(path),
            other => other,
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
                None => crate::photo::display_name(path),
            },
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
    /// What the user should know about this file.
    pub notices: Vec<String>,
}

impl ModelInfo {
    /// Where the weights came from, in few words: a file's name, or the catalogue's.
    #[must_use]
    pub fn short_origin(&self) -> String {
        let path = Path::new(&self.origin);
        match hub::of_file(path) {
            Some(known) => known.name.into(),
            None => crate::photo::display_name(path),
        }
    }
}

impl fmt::Display for ModelInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.architecture.name(), self.origin)
    }
}
