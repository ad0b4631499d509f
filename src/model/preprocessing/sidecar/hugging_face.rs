//! Hugging Face's `preprocessor_config.json`, as transformers' image processors write it.

use serde::Deserialize;
use serde_json::Value;

use crate::input::framing::{Framing, InputSize};
use crate::input::resample::Resampling;
use crate::model::preprocessing::sidecar::{PREPROCESSOR, Sidecar, channels};
use crate::model::preprocessing::{ChannelOrder, Preprocessing};

/// Its fields. Everything may be missing or `null`: then it is the default of its processor.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Processor {
    image_processor_type: Option<String>,
    // Before version 4.26.
    feature_extractor_type: Option<String>,
    do_resize: Option<bool>,
    size: Option<Value>,
    resample: Option<Value>,
    crop_pct: Option<f64>,
    do_center_crop: Option<bool>,
    crop_size: Option<Value>,
    do_rescale: Option<bool>,
    rescale_factor: Option<f64>,
    rescale_offset: Option<bool>,
    do_normalize: Option<bool>,
    image_mean: Option<Value>,
    image_std: Option<Value>,
    include_top: Option<bool>,
    do_flip_channel_order: Option<bool>,
    do_grayscale: Option<bool>,
    do_pad: Option<bool>,
    do_color_quantize: Option<bool>,
}

/// What a file says, and notices about what camlens does differently.
pub fn parse(text: &str) -> Result<(Sidecar, Vec<String>), String> {
    let processor: Processor = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut notices = Vec::new();
    if processor.do_color_quantize == Some(true) {
        return Err("it turns colors into a palette's indices".into());
    }
    let (size, framing) = processor.geometry(&mut notices)?;
    let (mean, std) = processor.statistics()?;
    if processor.do_pad == Some(true) {
        notices.push(format!(
            "{PREPROCESSOR} pads photos after resizing; camlens does so only with framing letterbox."
        ));
    }
    let gray = processor.do_grayscale == Some(true)
        || processor
            .image_mean
            .as_ref()
            .and_then(Value::as_array)
            .is_some_and(|mean| mean.len() == 1);
    let preprocessing = Preprocessing {
        mean,
        std,
        size: size.with_rounding_down(true),
        order: match processor.do_flip_channel_order {
            _ if gray => ChannelOrder::Gray,
            Some(true) => ChannelOrder::Bgr,
            None if processor.is("MobileViT") => ChannelOrder::Bgr,
            _ => ChannelOrder::Rgb,
        },
        resampling: processor.resampling(&mut notices),
        // `pad` fills with zeros.
        pad: Some([0; 3]),
    };
    preprocessing.check()?;
    let sidecar = Sidecar {
        preprocessing,
        framing: Some(framing),
        file: PREPROCESSOR,
    };
    Ok((sidecar, notices))
}

/// Processors whose `size` as one number is the short side; for the others it is both.
const SHORT_SIDE: [&str; 8] = [
    "CLIP",
    "ChineseCLIP",
    "ConvNext",
    "Levit",
    "MobileNet",
    "MobileViT",
    "PoolFormer",
    "Bit",
];
/// Processors whose default is bicubic.
const BICUBIC: [&str; 9] = [
    "CLIP",
    "ChineseCLIP",
    "DeiT",
    "Beit",
    "Bit",
    "Levit",
    "PoolFormer",
    "Siglip",
    "MobileViT",
];

impl Processor {
    /// Whether it is one of the processors whose names begin so.
    fn is(&self, name: &str) -> bool {
        let kind = self.image_processor_type.as_ref();
        let kind = kind.or(self.feature_extractor_type.as_ref());
        kind.is_some_and(|kind| kind.starts_with(name))
    }

    /// The size of the input, and how photos are fitted to it.
    fn geometry(&self, notices: &mut Vec<String>) -> Result<(InputSize, Framing), String> {
        let size = self.size.as_ref().map(|size| self.read_size(size));
        let size = size.transpose()?;
        let crops = self.do_center_crop.unwrap_or(self.crop_size.is_some());
        let crop = self.crop_size.as_ref().filter(|_| crops);
        let crop = crop.map(rectangle).transpose()?;
        let crop = crop.or_else(|| crops.then_some(size?.sides()));
        if self.do_resize == Some(false) {
            notices.push(format!(
                "{PREPROCESSOR} does not resize photos; camlens does."
            ));
        }
        let part = |part: f64| {
            let possible = (0.1..=1.0).contains(&part);
            possible
                .then_some(part)
                .ok_or(format!("its crop_pct is {part}"))
        };
        match (size, crop) {
            (Some(Size::Short(side)), _) if self.is("ConvNext") => {
                // From 384 on, photos are squashed.
                if side >= 384 {
                    return Ok((InputSize::square(side, side)?, Framing::Squash));
                }
                let part = part(self.crop_pct.unwrap_or(0.875))?;
                Ok((InputSize::of_part(side, side, part)?, Framing::Crop))
            }
            (Some(Size::Short(side)), Some((width, height))) => {
                let short = match self.crop_pct {
                    Some(percent) => InputSize::of_part(side, side, part(percent)?)?.short,
                    // int((256 / 224) * size)
                    None if self.is("Levit") => side.saturating_mul(256) / 224,
                    None => side,
                };
                if width != height {
                    notices.push(format!(
                        "{PREPROCESSOR} cuts {width}×{height} pixels out of a photo of any shape; camlens scales the photo until it covers them."
                    ));
                }
                Ok((InputSize::new(width, height, short)?, Framing::Crop))
            }
            (Some(Size::Short(side)), None) => Ok((InputSize::square(side, side)?, Framing::Whole)),
            (Some(Size::Both(sides)), Some((width, height))) if sides != (width, height) => {
                notices.push(format!(
                    "{PREPROCESSOR} squashes photos to {}×{} and then cuts out {width}×{height} pixels; camlens does not crop after framing squash, so it sees a little more of the photo.",
                    sides.0, sides.1
                ));
                Ok((InputSize::of_sides(width, height)?, Framing::Squash))
            }
            (Some(Size::Both((width, height))), _) => Ok((
                InputSize::new(width, height, width.min(height))?,
                Framing::Squash,
            )),
            (None, Some((width, height))) => {
                Ok((InputSize::of_sides(width, height)?, Framing::Crop))
            }
            (None, None) => Err("it does not say the size of the input".into()),
        }
    }

    fn read_size(&self, size: &Value) -> Result<Size, String> {
        if let Some(side) = side(Some(size)) {
            let short = SHORT_SIDE.iter().any(|name| self.is(name));
            return Ok(if short {
                Size::Short(side)
            } else {
                Size::Both((side, side))
            });
        }
        match side(size.get("shortest_edge")) {
            Some(side) => Ok(Size::Short(side)),
            None => rectangle(size).map(Size::Both),
        }
    }

    /// Mean and standard deviation for values in 0..=1.
    #[allow(clippy::cast_possible_truncation)] // as stored
    fn statistics(&self) -> Result<([f32; 3], [f32; 3]), String> {
        let normalizes = self.do_normalize.unwrap_or(self.image_mean.is_some());
        // MobileViT's processor ignores mean and standard deviation.
        let (mean, std) = if normalizes && !self.is("MobileViT") {
            let read = |value: &Option<Value>| value.as_ref().and_then(channels);
            match (read(&self.image_mean), read(&self.image_std)) {
                (Some(mean), Some(std)) => (mean, std),
                _ => {
                    return Err(
                        "its image_mean and image_std are not numbers for 1 or 3 channels".into(),
                    );
                }
            }
        } else {
            ([0.0; 3], [1.0; 3])
        };
        // It scales bytes by a factor, and may subtract 1.
        let factor = match self.do_rescale {
            Some(false) => 255.0,
            _ => 255.0 * self.rescale_factor.unwrap_or(1.0 / 255.0),
        };
        let offset = if self.rescale_offset == Some(true) {
            1.0
        } else {
            0.0
        };
        // EfficientNet's processor divides by the standard deviation once more.
        let twice = self.is("EfficientNet") && normalizes && self.include_top != Some(false);
        let of = |channel: usize| {
            let std = if twice {
                std[channel] * std[channel]
            } else {
                std[channel]
            };
            ((offset + mean[channel]) / factor, std / factor)
        };
        let both: [(f64, f64); 3] = std::array::from_fn(of);
        Ok((
            both.map(|(mean, _)| mean as f32),
            both.map(|(_, std)| std as f32),
        ))
    }

    /// Pillow's number of a filter.
    fn resampling(&self, notices: &mut Vec<String>) -> Resampling {
        let Some(value) = &self.resample else {
            let bicubic = BICUBIC.iter().any(|name| self.is(name));
            return if bicubic {
                Resampling::Bicubic
            } else {
                Resampling::Bilinear
            };
        };
        match value.as_u64() {
            Some(0) => Resampling::Nearest,
            Some(1) => Resampling::Lanczos,
            Some(2) => Resampling::Bilinear,
            Some(3) => Resampling::Bicubic,
            _ => {
                notices.push(format!(
                    "{PREPROCESSOR} asks for the filter number {value}; camlens uses bilinear resizing, which changes scores slightly."
                ));
                Resampling::Bilinear
            }
        }
    }
}

/// A size before cropping.
#[derive(Clone, Copy)]
enum Size {
    /// The short side.
    Short(usize),
    /// Width and height.
    Both((usize, usize)),
}

impl Size {
    fn sides(self) -> (usize, usize) {
        match self {
            Self::Short(side) => (side, side),
            Self::Both(sides) => sides,
        }
    }
}

/// Width and height.
fn rectangle(size: &Value) -> Result<(usize, usize), String> {
    if let Some(side) = side(Some(size)) {
        return Ok((side, side));
    }
    match (side(size.get("width")), side(size.get("height"))) {
        (Some(width), Some(height)) => Ok((width, height)),
        _ => Err("its size is neither a short side nor height and width".into()),
    }
}

fn side(value: Option<&Value>) -> Option<usize> {
    value?.as_u64()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Sidecar, Vec<String>) {
        parse(text).unwrap()
    }

    /// As transformers 5 writes them.
    #[test]
    fn processors_are_read() {
        for (text, size, framing, resampling, notices) in [
            (
                r#"{"do_normalize": true, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "image_processor_type": "ViTImageProcessor",
                    "resample": 2, "rescale_factor": 0.00392156862745098, "size": {"height": 224, "width": 320}}"#,
                InputSize::new(320, 224, 224),
                Framing::Squash,
                Resampling::Bilinear,
                0,
            ),
            (
                r#"{"crop_pct": 0.875, "image_processor_type": "ConvNextImageProcessor", "resample": 3, "size": {"shortest_edge": 224}}"#,
                Ok(InputSize::default()),
                Framing::Crop,
                Resampling::Bicubic,
                0,
            ),
            (
                r#"{"feature_extractor_type": "ConvNextFeatureExtractor", "size": 384}"#,
                InputSize::square(384, 384),
                Framing::Squash,
                Resampling::Bilinear,
                0,
            ),
            (
                r#"{"crop_size": {"height": 224, "width": 224}, "do_center_crop": true, "image_processor_type": "MobileNetV2ImageProcessor", "size": {"shortest_edge": 256}}"#,
                Ok(InputSize::default()),
                Framing::Crop,
                Resampling::Bilinear,
                0,
            ),
            (
                r#"{"crop_size": 224, "do_center_crop": true, "image_processor_type": "DeiTImageProcessor", "size": 256, "resample": 1}"#,
                Ok(InputSize::default()),
                Framing::Squash,
                Resampling::Lanczos,
                1,
            ),
            (
                r#"{"crop_size": {"height": 224, "width": 224}, "do_center_crop": false, "image_processor_type": "BeitImageProcessor", "size": {"height": 224, "width": 224}, "resample": 0}"#,
                InputSize::square(224, 224),
                Framing::Squash,
                Resampling::Nearest,
                0,
            ),
            (
                r#"{"crop_pct": 0.9, "crop_size": {"height": 224, "width": 224}, "do_center_crop": true, "image_processor_type": "PoolFormerImageProcessor", "size": {"shortest_edge": 224}, "resample": 5}"#,
                InputSize::square(224, 248),
                Framing::Crop,
                Resampling::Bilinear,
                1,
            ),
            (
                r#"{"crop_size": {"height": 224, "width": 224}, "image_processor_type": "LevitImageProcessor", "size": {"shortest_edge": 224}}"#,
                Ok(InputSize::default()),
                Framing::Crop,
                Resampling::Bicubic,
                0,
            ),
            (
                r#"{"size": {"shortest_edge": 224}, "do_pad": true, "do_resize": false}"#,
                InputSize::square(224, 224),
                Framing::Whole,
                Resampling::Bilinear,
                2,
            ),
        ] {
            let (found, said) = read(text);
            let size = size.map(|size| size.with_rounding_down(true));
            assert_eq!(Ok(found.preprocessing.size), size, "{text}");
            assert_eq!(found.framing, Some(framing), "{text}");
            assert_eq!(found.preprocessing.resampling, resampling, "{text}");
            assert_eq!(said.len(), notices, "{text}: {said:?}");
        }
    }

    #[test]
    fn bytes_become_what_the_processor_makes_of_them() {
        for (text, black, white) in [
            (
                r#""do_normalize": true, "image_mean": 0.5, "image_std": [0.25, 0.25, 0.25]"#,
                -2.0,
                2.0,
            ),
            (
                r#""do_normalize": false, "image_mean": [0.5, 0.5, 0.5]"#,
                0.0,
                1.0,
            ),
            (r#""do_rescale": false"#, 0.0, 255.0),
            (
                r#""rescale_factor": 0.00784313725490196, "rescale_offset": true"#,
                -1.0,
                1.0,
            ),
            (
                r#""image_processor_type": "EfficientNetImageProcessor", "image_mean": [0.5], "image_std": [0.5], "include_top": true"#,
                -2.0,
                2.0,
            ),
            (
                r#""image_processor_type": "MobileViTImageProcessor", "image_mean": [0.5], "image_std": [0.5]"#,
                0.0,
                1.0,
            ),
        ] {
            let (found, _) = read(&format!(r#"{{"size": 224, {text}}}"#));
            let table = found.preprocessing.table(1);
            assert!((table[0] - black).abs() < 1e-5, "{text}: {}", table[0]);
            assert!((table[255] - white).abs() < 1e-5, "{text}: {}", table[255]);
        }
        let order = |text: &str| read(text).0.preprocessing.order;
        assert_eq!(
            order(r#"{"size": 224, "do_flip_channel_order": true}"#),
            ChannelOrder::Bgr
        );
        assert_eq!(
            order(r#"{"size": 224, "image_mean": [0.1], "image_std": [0.3]}"#),
            ChannelOrder::Gray
        );
    }

    #[test]
    fn what_can_not_be_done_is_an_error() {
        for text in [
            "[]",
            "{}",
            r#"{"size": "large"}"#,
            r#"{"size": {"longest_edge": 224}}"#,
            r#"{"size": 0}"#,
            r#"{"size": 18446744073709551615}"#,
            r#"{"size": {"shortest_edge": 18446744073709551615}, "crop_size": 224, "image_processor_type": "LevitImageProcessor"}"#,
            r#"{"size": {"shortest_edge": 224}, "crop_size": 256}"#,
            r#"{"size": 224, "do_color_quantize": true}"#,
            r#"{"size": 224, "image_mean": [1, 2]}"#,
            r#"{"size": 224, "image_mean": 0, "image_std": 0}"#,
            r#"{"size": 224, "rescale_factor": 0}"#,
            r#"{"size": {"shortest_edge": 224}, "crop_pct": -1, "crop_size": 224}"#,
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
