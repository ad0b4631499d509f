//! Files next to a weight file that say how its photos were preprocessed: Hugging Face's
//! `preprocessor_config.json`, and timm's `config.json`.

mod hugging_face;
mod timm;

use std::path::Path;
use std::{fs, io};

use serde_json::Value;

use crate::input::framing::Framing;
use crate::input::resample::Resampling;
use crate::model::declared::Declared;
use crate::model::preprocessing::Preprocessing;
use crate::platform::small_file;

/// Maximum size of either file. timm's have 2 kB; with 20,000 class names they have 500 kB.
const MAX_CONFIG: u64 = 1 << 20;
/// timm's file, which Hugging Face's transformers write as well.
const CONFIG: &str = "config.json";
/// Hugging Face's file.
const PREPROCESSOR: &str = "preprocessor_config.json";

/// What the files next to a weight file say.
#[derive(Debug, Default)]
pub struct Config {
    /// What `config.json` says about the network.
    pub declared: Declared,
    /// How photos are preprocessed, and which file says so.
    pub preprocessing: Option<Sidecar>,
    /// The names of the classes.
    pub labels: Option<Vec<String>>,
    /// What they require that camlens does differently.
    pub notices: Vec<String>,
}

/// How a file says that photos are preprocessed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sidecar {
    /// Sizes, resizing, channels and normalization.
    pub preprocessing: Preprocessing,
    /// How photos are fitted to the input, if the file says it.
    pub framing: Option<Framing>,
    /// The file's name.
    pub file: &'static str,
}

impl Config {
    /// Reads the files next to a weight file.
    #[must_use]
    pub fn beside(weights: &Path) -> Self {
        let mut config = Self::default();
        match read(weights, CONFIG) {
            None => {}
            Some(Err(problem)) => config.notices.push(not_used(CONFIG, &problem)),
            Some(Ok(text)) => {
                // What it says about the network is used even if the rest is wrong.
                config.declared = Declared::read(&text);
                match timm::parse(&text) {
                    Ok(found) => {
                        config.preprocessing = found.preprocessing;
                        config.labels = found.labels;
                        config.notices = found.notices;
                    }
                    Err(problem) => config.notices.push(not_used(CONFIG, &problem)),
                }
            }
        }
        match read(weights, PREPROCESSOR) {
            None => {}
            Some(text) => match text.and_then(|text| hugging_face::parse(&text)) {
                Ok((sidecar, mut notices)) => {
                    if config.preprocessing.is_some() {
                        // timm's notices are about its own preprocessing.
                        config.notices.retain(|notice| !notice.starts_with(CONFIG));
                    }
                    config.preprocessing = Some(sidecar);
                    config.notices.append(&mut notices);
                }
                Err(problem) => config.notices.push(not_used(PREPROCESSOR, &problem)),
            },
        }
        config
    }
}

/// The text of a file next to the weights; `None` if there is no such file.
fn read(weights: &Path, file: &str) -> Option<Result<String, String>> {
    let path = weights.with_file_name(file);
    let missing = fs::metadata(&path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    (!missing).then(|| small_file::read_text(&path, MAX_CONFIG))
}

fn not_used(file: &str, problem: &str) -> String {
    format!("{file} next to the weights was not used: {problem}.")
}

/// One number for all channels, or one for each.
fn channels(value: &Value) -> Option<[f64; 3]> {
    if let Some(all) = value.as_f64() {
        return Some([all; 3]);
    }
    let values: Vec<f64> = value
        .as_array()?
        .iter()
        .map(Value::as_f64)
        .collect::<Option<_>>()?;
    match values[..] {
        [all] => Some([all; 3]),
        [red, green, blue] => Some([red, green, blue]),
        _ => None,
    }
}

/// A resampling by its name, or bilinear with a notice.
fn resampling(file: &str, name: &str, notices: &mut Vec<String>) -> Resampling {
    let known = Resampling::ALL.into_iter().find(|how| how.name() == name);
    known.unwrap_or_else(|| {
        notices.push(format!(
            "{file} asks for {name} resizing; camlens uses bilinear resizing, which changes scores slightly."
        ));
        Resampling::Bilinear
    })
}
