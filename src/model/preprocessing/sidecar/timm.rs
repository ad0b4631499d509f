//! timm's `config.json`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::input::framing::{Framing, InputSize};
use crate::input::resample::Resampling;
use crate::model::preprocessing::sidecar::{CONFIG, Sidecar, channels, resampling};
use crate::model::preprocessing::{ChannelOrder, Preprocessing};
use crate::text::printable;

/// timm's default if the configuration does not set it.
const USUAL_CROP: f64 = 0.875;

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
    // Lists that other programs use in other ways.
    mean: Option<Value>,
    std: Option<Value>,
    input_size: Option<Value>,
    crop_pct: Option<f64>,
    interpolation: Option<String>,
    crop_mode: Option<String>,
}

/// What a file says.
#[derive(Debug)]
pub struct Parsed {
    pub preprocessing: Option<Sidecar>,
    pub labels: Option<Vec<String>>,
    pub notices: Vec<String>,
}

pub fn parse(text: &str) -> Result<Parsed, String> {
    let config: TimmConfig = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let input = config.pretrained_cfg.unwrap_or(config.input);
    let mut notices = Vec::new();
    Ok(Parsed {
        preprocessing: preprocessing(&input, &mut notices)?,
        labels: config.label_names.or(config.id2label.and_then(by_index)),
        notices,
    })
}

#[allow(clippy::cast_possible_truncation)] // as stored
fn preprocessing(input: &TimmInput, notices: &mut Vec<String>) -> Result<Option<Sidecar>, String> {
    let (Some(mean), Some(std)) = (&input.mean, &input.std) else {
        if input.crop_mode.is_some() || input.crop_pct.is_some() || input.interpolation.is_some() {
            notices.push(format!(
                "{CONFIG} says how photos are resized, but not their mean and std: it was not used for the input."
            ));
        }
        return Ok(None);
    };
    let (Some(mean), Some(std)) = (channels(mean), channels(std)) else {
        return Err("its mean and std are not numbers for 1 or 3 channels".into());
    };
    let declared = input.input_size.as_ref().and_then(sides);
    let usual = InputSize::default();
    let (count, height, width) = declared.unwrap_or((3, usual.height, usual.width));
    let part = input.crop_pct.unwrap_or(USUAL_CROP);
    if !(0.1..=1.0).contains(&part) {
        return Err(format!("its crop_pct is {part}"));
    }
    let mode = input.crop_mode.as_deref().unwrap_or("center");
    let framing = match mode {
        "center" => Framing::Crop,
        "squash" => Framing::Squash,
        "border" => Framing::Letterbox,
        other => {
            return Err(format!("its crop_mode is {}", printable::quotation(other)));
        }
    };
    if framing != Framing::Crop && part < 1.0 {
        notices.push(format!(
            "{CONFIG} asks for crop_mode {mode} with crop_pct {part}: camlens does not crop after framing {}, so it sees a little more of the photo.",
            framing.name()
        ));
    }
    let long = width.max(height);
    let size = InputSize::of_part(width, height, part)?;
    // timm divides both sides by crop_pct, and rounds each down.
    let exact = (long as f64 / part).floor();
    let ours = long * size.short / width.min(height);
    if framing == Framing::Crop && (exact - ours as f64).abs() > 0.5 {
        notices.push(format!(
            "{CONFIG} crops an input that is not a square with crop_pct {part}: camlens scales the photo differently by up to {} pixels.",
            long / width.min(height)
        ));
    }
    let kind = input.interpolation.as_deref().unwrap_or("bilinear");
    let preprocessing = Preprocessing {
        mean: mean.map(|value| value as f32),
        std: std.map(|value| value as f32),
        size,
        order: if count == 1 {
            ChannelOrder::Gray
        } else {
            ChannelOrder::Rgb
        },
        resampling: match kind {
            "random" => Resampling::Bilinear,
            kind => resampling(CONFIG, &printable::name(kind), notices),
        },
        pad: None,
    };
    preprocessing.check()?;
    Ok(Some(Sidecar {
        preprocessing,
        framing: Some(framing),
        file: CONFIG,
    }))
}

/// Channels, height and width of an `input_size`: timm puts the channels first, others put them
/// last or omit them.
fn sides(size: &Value) -> Option<(usize, usize, usize)> {
    let sides: Vec<usize> = size
        .as_array()?
        .iter()
        .map(|side| side.as_u64().and_then(|side| side.try_into().ok()))
        .collect::<Option<_>>()?;
    match sides[..] {
        [channels @ (1 | 3 | 4), height, width] | [height, width, channels @ (1 | 3 | 4)] => {
            Some((channels, height, width))
        }
        [height, width] => Some((3, height, width)),
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
    fn timms_config_is_read() {
        let config = parse(
            r#"{"architecture": "resnet50", "num_classes": 2, "label_names": ["a", "b"],
                "pretrained_cfg": {"input_size": [3, 288, 288], "crop_pct": 0.95, "interpolation": "bicubic",
                                   "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.2], "first_conv": "conv1"}}"#,
        )
        .unwrap();
        let found = config.preprocessing.unwrap();
        assert_eq!(Ok(found.preprocessing.size), InputSize::square(288, 303));
        assert!((found.preprocessing.mean[1] - 0.4).abs() < 1e-6);
        assert_eq!(found.preprocessing.resampling, Resampling::Bicubic);
        assert_eq!(found.framing, Some(Framing::Crop));
        assert_eq!(config.labels.unwrap(), ["a", "b"]);
        assert!(config.notices.is_empty());
        // From Hugging Face transformers.
        for (names, expected) in [
            (
                r#"{"1": "b", "0": "a"}"#,
                Some(vec!["a".into(), "b".into()]),
            ),
            (r#"{"0": "LABEL_0", "1": "LABEL_1"}"#, None),
            (r#"{"0": "a", "2": "b"}"#, None),
        ] {
            let config = parse(&format!(r#"{{"id2label": {names}}}"#)).unwrap();
            assert_eq!(config.labels, expected);
        }
        // From some other program.
        let other = parse(r#"{"model_type": "bert"}"#).unwrap();
        assert!(other.preprocessing.is_none() && other.notices.is_empty());
        let half = parse(r#"{"crop_mode": "squash"}"#).unwrap();
        assert!(half.preprocessing.is_none() && half.notices[0].contains("not their mean"));
        for broken in [
            "[]",
            "{",
            r#"{"mean": [0, 0, 0], "std": [0, 1, 1]}"#,
            r#"{"mean": [0, 0], "std": [1, 1]}"#,
            r#"{"mean": 0, "std": 1, "crop_mode": "round"}"#,
            r#"{"mean": 0, "std": 1, "crop_pct": 0}"#,
            r#"{"mean": 0, "std": 1, "input_size": [3, 18446744073709551615, 9]}"#,
        ] {
            assert!(parse(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn other_modes_sizes_and_channels_are_read() {
        let read = |text: &str| {
            let parsed = parse(text).unwrap();
            (parsed.preprocessing.unwrap(), parsed.notices)
        };
        let (found, notices) = read(
            r#"{"mean": [0.5], "std": [0.25], "input_size": [1, 48, 192], "crop_pct": 1.0,
                "crop_mode": "squash", "interpolation": "lanczos"}"#,
        );
        assert_eq!(found.framing, Some(Framing::Squash));
        assert_eq!(found.preprocessing.order, ChannelOrder::Gray);
        assert_eq!(Ok(found.preprocessing.size), InputSize::new(192, 48, 48));
        assert_eq!(found.preprocessing.resampling, Resampling::Lanczos);
        assert!(notices.is_empty());
        let (found, notices) = read(
            r#"{"mean": 0.5, "std": 0.25, "crop_pct": 0.9, "crop_mode": "border", "interpolation": "box"}"#,
        );
        assert_eq!(found.framing, Some(Framing::Letterbox));
        assert!(notices[0].contains("crop_pct 0.9") && notices[1].contains("box resizing"));
    }
}
