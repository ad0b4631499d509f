//! Normalization of pixels before the network, and the size of its input.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;
use std::{fmt, fs, io};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::input::framing::InputSize;
use crate::model::architecture::{Architecture, LiteNames};
use crate::model::declared::Declared;
use crate::platform::small_file;

/// Mean and standard deviation of each channel, for values in 0..=1, and the size of the input: `x
/// = (byte / 255 − mean) / std`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preprocessing {
    /// Red, green, blue.
    pub mean: [f32; 3],
    /// Red, green, blue; never 0.
    pub std: [f32; 3],
    /// The size of the input.
    pub size: InputSize,
}

/// Named means and standard deviations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// ImageNet's statistics, as torchvision and most of timm use them.
    Imagenet,
    /// Values in 0..=1 without mean and standard deviation.
    Tutorial,
    /// Mean 0.5 and standard deviation 0.5: −1..=1.
    Half,
}

impl Preset {
    /// All presets, in the order of menus.
    pub const ALL: [Self; 3] = [Self::Imagenet, Self::Tutorial, Self::Half];

    /// The name in menus.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Imagenet => "ImageNet",
            Self::Tutorial => "Tutorial (no normalization)",
            Self::Half => "0.5 / 0.5",
        }
    }

    /// Mean and standard deviation.
    #[must_use]
    pub fn statistics(self) -> ([f32; 3], [f32; 3]) {
        match self {
            // torchvision's ImageNet statistics.
            Self::Imagenet => ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
            Self::Tutorial => ([0.0; 3], [1.0; 3]),
            Self::Half => ([0.5; 3], [0.5; 3]),
        }
    }
}

/// The user's choice of preprocessing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum PreprocessChoice {
    /// From a `config.json` next to the weights, otherwise what the network is usually trained
    /// with.
    #[default]
    Model,
    /// A preset's mean and standard deviation, with the model's input size.
    Preset(Preset),
    /// All values are set by the user.
    Custom(Preprocessing),
}

impl PreprocessChoice {
    /// The preprocessing to use, given the model's own.
    #[must_use]
    pub fn over(self, own: Preprocessing) -> Preprocessing {
        match self {
            Self::Model => own,
            Self::Preset(preset) => {
                let (mean, std) = preset.statistics();
                Preprocessing { mean, std, ..own }
            }
            Self::Custom(custom) => custom,
        }
    }
}

impl Preprocessing {
    /// The preprocessing that a network is usually trained with.
    #[must_use]
    pub fn usual(architecture: Architecture, names: LiteNames) -> Self {
        let (mean, std) = match (architecture, names) {
            // TensorFlow's constants for the Lite models: (byte − 127) / 128.
            (Architecture::EfficientNetLite0, LiteNames::Source) => {
                ([127.0 / 255.0; 3], [128.0 / 255.0; 3])
            }
            // timm's for the same weights.
            (Architecture::EfficientNetLite0, LiteNames::TimmFromTensorFlow) => {
                Preset::Half.statistics()
            }
            _ => Preset::Imagenet.statistics(),
        };
        Self {
            mean,
            std,
            size: InputSize::default(),
        }
    }

    /// Checks that a network can be given such an input.
    ///
    /// # Errors
    /// A message that says what is wrong.
    pub fn check(&self) -> Result<(), String> {
        let Self { mean, std, size } = *self;
        InputSize::new(size.crop, size.short)?;
        if mean.iter().any(|value| !value.is_finite()) {
            return Err("The mean must be a number for each channel.".into());
        }
        if std.iter().any(|value| !value.is_finite() || *value < 1e-4) {
            return Err("The standard deviation must be above 0 for each channel.".into());
        }
        Ok(())
    }

    /// The normalized value of each of the 256 bytes of a channel.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // rounded once, at the end
    pub fn table(&self, channel: usize) -> [f32; 256] {
        let (mean, std) = (f64::from(self.mean[channel]), f64::from(self.std[channel]));
        std::array::from_fn(|byte| ((byte as f64 / 255.0 - mean) / std) as f32)
    }
}

impl fmt::Display for Preprocessing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |values: [f32; 3]| values.map(|value| format!("{value:.3}")).join(", ");
        write!(
            f,
            "mean {}; std {}; input {}",
            list(self.mean),
            list(self.std),
            self.size.crop
        )
    }
}

/// Three numbers, or one for all channels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Channels(pub [f32; 3]);

impl FromStr for Channels {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Result<Vec<f32>, _> =
            text.split(',').map(|part| part.trim().parse()).collect();
        match numbers.as_deref() {
            Ok([r, g, b]) => Ok(Self([*r, *g, *b])),
            Ok([all]) => Ok(Self([*all; 3])),
            _ => Err("use one number, or three numbers separated by commas".into()),
        }
    }
}

/// The contents of a timm `config.json`.
#[derive(Debug, Default)]
pub struct Config {
    /// What it says about the network.
    pub declared: Declared,
    /// Mean, standard deviation, input size.
    pub preprocessing: Option<Preprocessing>,
    /// The names of the classes.
    pub labels: Option<Vec<String>>,
    /// What it requires that camlens does differently.
    pub notices: Vec<String>,
}

#[derive(Deserialize)]
struct TimmConfig {
    pretrained_cfg: Option<TimmInput>,
    label_names: Option<Vec<String>>,
    // From Hugging Face transformers.
    id2label: Option<BTreeMap<usize, String>>,
    // Older files have these fields at the top level.
    #[serde(flatten)]
    input: TimmInput,
}

#[derive(Clone, Default, Deserialize)]
struct TimmInput {
    mean: Option<[f32; 3]>,
    std: Option<[f32; 3]>,
    // A list that other programs use in other ways.
    input_size: Option<Value>,
    crop_pct: Option<f64>,
    interpolation: Option<String>,
}

/// Maximum size of a `config.json`. timm's have 2 kB; with 20,000 class names they have 500 kB.
const MAX_CONFIG: u64 = 1 << 20;
/// timm's default if the configuration does not set it.
const USUAL_CROP: f64 = 0.875;

impl Config {
    /// Reads the `config.json` next to a weight file, if it is timm's.
    #[must_use]
    pub fn beside(weights: &Path) -> Self {
        let path = weights.with_file_name("config.json");
        if fs::metadata(&path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return Self::default();
        }
        let text = small_file::read_text(&path, MAX_CONFIG);
        let declared = text.as_deref().map(Declared::read).unwrap_or_default();
        match text.and_then(|text| Self::parse(&text)) {
            Ok(config) => config,
            Err(problem) => Self {
                notices: vec![format!(
                    "config.json next to the weights was not used: {problem}."
                )],
                // What it says about the network is still used.
                declared,
                ..Self::default()
            },
        }
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked below
    fn parse(text: &str) -> Result<Self, String> {
        let config: TimmConfig = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let input = config.pretrained_cfg.unwrap_or(config.input);
        let mut notices = Vec::new();
        let preprocessing = match (input.mean, input.std) {
            (Some(mean), Some(std)) => {
                let crop = input.input_size.as_ref().and_then(side);
                let crop = crop.unwrap_or(InputSize::default().crop);
                let percent = input.crop_pct.unwrap_or(USUAL_CROP);
                if !(0.1..=1.0).contains(&percent) {
                    return Err(format!("its crop_pct is {percent}"));
                }
                // timm: scale_size = floor(img_size / crop_pct).
                let short = (crop as f64 / percent).floor() as usize;
                let size = InputSize::new(crop, short)?;
                let preprocessing = Preprocessing { mean, std, size };
                preprocessing.check()?;
                Some(preprocessing)
            }
            _ => None,
        };
        if let Some(kind) = input.interpolation.filter(|kind| kind != "bilinear") {
            notices.push(format!(
                "config.json asks for {kind} resizing; camlens uses bilinear resizing, which changes scores slightly."
            ));
        }
        Ok(Self {
            declared: Declared::read(text),
            preprocessing,
            labels: config.label_names.or(config.id2label.and_then(by_index)),
            notices,
        })
    }
}

/// The side in an `input_size`: timm puts the channels first, others put them last or omit them.
fn side(size: &Value) -> Option<usize> {
    let sides: Vec<usize> = size
        .as_array()?
        .iter()
        .map(|side| side.as_u64().and_then(|side| side.try_into().ok()))
        .collect::<Option<_>>()?;
    match sides[..] {
        [1 | 3 | 4, side, _] | [side, _, 1 | 3 | 4] | [side, _] => Some(side),
        _ => None,
    }
}

/// Names in the order of their indices, if the indices are 0, 1, 2, … and the names are not just
/// `LABEL_0`, `LABEL_1`, ….
fn by_index(names: BTreeMap<usize, String>) -> Option<Vec<String>> {
    let numbered = names
        .iter()
        .all(|(index, name)| *name == format!("LABEL_{index}"));
    let complete = names.keys().copied().eq(0..names.len());
    (complete && !numbered).then(|| names.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_presets_do_what_their_names_say() {
        let own = Preprocessing::usual(Architecture::ResNet18, LiteNames::Source);
        for (preset, black, white) in [
            (Preset::Imagenet, -0.485 / 0.229, (1.0 - 0.485) / 0.229),
            (Preset::Tutorial, 0.0, 1.0),
            (Preset::Half, -1.0, 1.0),
        ] {
            let table = PreprocessChoice::Preset(preset).over(own).table(0);
            assert!((table[0] - black).abs() < 1e-6 && (table[255] - white).abs() < 1e-6);
        }
        let lite = Preprocessing::usual(Architecture::EfficientNetLite0, LiteNames::Source);
        assert!((lite.table(2)[255] - 1.0).abs() < 1e-6 && lite.table(1)[127].abs() < 1e-6);
    }

    #[test]
    fn timms_config_is_read() {
        let config = Config::parse(
            r#"{"architecture": "resnet50", "num_classes": 2, "label_names": ["a", "b"],
                "pretrained_cfg": {"input_size": [3, 288, 288], "crop_pct": 0.95, "interpolation": "bicubic",
                                   "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.2], "first_conv": "conv1"}}"#,
        )
        .unwrap();
        let preprocessing = config.preprocessing.unwrap();
        assert_eq!(
            (preprocessing.size.crop, preprocessing.size.short),
            (288, 303)
        );
        assert!((preprocessing.mean[1] - 0.4).abs() < 1e-6);
        assert_eq!(config.labels.unwrap(), ["a", "b"]);
        assert_eq!(config.declared.architecture, "resnet50");
        assert!(config.notices[0].contains("bicubic"));
        // From Hugging Face transformers.
        for (names, expected) in [
            (
                r#"{"1": "b", "0": "a"}"#,
                Some(vec!["a".into(), "b".into()]),
            ),
            (r#"{"0": "LABEL_0", "1": "LABEL_1"}"#, None),
            (r#"{"0": "a", "2": "b"}"#, None),
        ] {
            let config = Config::parse(&format!(r#"{{"id2label": {names}}}"#)).unwrap();
            assert_eq!(config.labels, expected);
        }
        // From some other program.
        assert!(
            Config::parse(r#"{"model_type": "bert"}"#)
                .unwrap()
                .preprocessing
                .is_none()
        );
        for broken in ["[]", "{", r#"{"mean": [0, 0, 0], "std": [0, 1, 1]}"#] {
            assert!(Config::parse(broken).is_err(), "{broken}");
        }
    }
}
