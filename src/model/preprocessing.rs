//! How a photo becomes numbers for a network: the size of its input, resizing, the order of
//! channels, and normalization.

mod sidecar;
mod source;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::input::framing::{FrameOptions, InputSize, luma};
use crate::input::resample::Resampling;
use crate::model::architecture::{Architecture, LiteNames};

pub use crate::model::preprocessing::sidecar::Config;
pub use crate::model::preprocessing::source::{
    InputNeeds, PreprocessingSource, SettledPreprocessing,
};

/// How a photo becomes a network's input, apart from its framing. The value of a channel is `x =
/// (byte / 255 − mean) / std`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preprocessing {
    /// Red, green, blue, whatever the order of channels is. A network with one channel uses the
    /// average of the three.
    pub mean: [f32; 3],
    /// Red, green, blue, as the mean; never 0.
    pub std: [f32; 3],
    /// The size of the input.
    pub size: InputSize,
    /// The channels that the network gets.
    #[serde(default)]
    pub order: ChannelOrder,
    /// How the photo is resized.
    #[serde(default)]
    pub resampling: Resampling,
    /// The color beside a photo in a letterbox: red, green, blue. `None` for the mean.
    #[serde(default)]
    pub pad: Option<[u8; 3]>,
}

/// The channels that a network gets.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum ChannelOrder {
    /// Red, green, blue.
    #[default]
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// Luma, as Pillow's `convert("L")`: once, or three times if the network has three channels.
    Gray,
}

impl ChannelOrder {
    /// All orders, in the order of menus.
    pub const ALL: [Self; 3] = [Self::Rgb, Self::Bgr, Self::Gray];

    /// The name in menus.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rgb => "RGB",
            Self::Bgr => "BGR",
            Self::Gray => "gray",
        }
    }
}

/// Named means, standard deviations and orders of channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// ImageNet's statistics, as torchvision and most of timm use them.
    Imagenet,
    /// Values in 0..=1 without mean and standard deviation, as in a common tutorial.
    Tutorial,
    /// Mean 0.5 and standard deviation 0.5: −1..=1.
    Half,
    /// Values in 0..=255, as the bytes are.
    Bytes,
    /// Blue, green, red in 0..=255, less Caffe's mean: Keras's ResNet and VGG, and networks from
    /// Caffe.
    CaffeBgr,
}

/// Caffe's mean of ImageNet, for bytes: red, green, blue.
const CAFFE_MEAN: [f64; 3] = [123.68, 116.779, 103.939];
/// The standard deviation that keeps bytes as they are.
#[allow(clippy::cast_possible_truncation)]
const ONE_BYTE: f32 = (1.0 / 255.0) as f32;

impl Preset {
    /// All presets, in the order of menus.
    pub const ALL: [Self; 5] = [
        Self::Imagenet,
        Self::Tutorial,
        Self::Half,
        Self::Bytes,
        Self::CaffeBgr,
    ];

    /// The name in menus.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Imagenet => "ImageNet",
            Self::Tutorial => "0 to 1",
            Self::Half => "−1 to 1",
            Self::Bytes => "0 to 255",
            Self::CaffeBgr => "Caffe BGR",
        }
    }

    /// A description in one line.
    #[must_use]
    pub fn summary(self) -> &'static str {
        match self {
            Self::Imagenet => {
                "ImageNet's mean and standard deviation: torchvision, most of timm, many others"
            }
            Self::Tutorial => {
                "No normalization: Ultralytics, networks that normalize by themselves"
            }
            Self::Half => {
                "Mean and standard deviation 0.5: TensorFlow's MobileNet and Inception, ViT"
            }
            Self::Bytes => "Bytes as they are: Keras's EfficientNet and MobileNetV3",
            Self::CaffeBgr => "Blue, green, red, less Caffe's mean: Keras's ResNet and VGG",
        }
    }

    /// Mean and standard deviation.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // as stored
    pub fn statistics(self) -> ([f32; 3], [f32; 3]) {
        match self {
            // torchvision's ImageNet statistics.
            Self::Imagenet => ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
            Self::Tutorial => ([0.0; 3], [1.0; 3]),
            Self::Half => ([0.5; 3], [0.5; 3]),
            Self::Bytes => ([0.0; 3], [ONE_BYTE; 3]),
            Self::CaffeBgr => (CAFFE_MEAN.map(|mean| (mean / 255.0) as f32), [ONE_BYTE; 3]),
        }
    }

    /// The order of channels of networks that take colors.
    #[must_use]
    pub fn order(self) -> ChannelOrder {
        match self {
            Self::CaffeBgr => ChannelOrder::Bgr,
            _ => ChannelOrder::Rgb,
        }
    }

    /// The preset with the same mean, standard deviation and order of channels.
    #[must_use]
    pub fn of(preprocessing: &Preprocessing) -> Option<Self> {
        let same = |preset: &Self| preset.over(*preprocessing) == *preprocessing;
        Self::ALL.into_iter().find(same)
    }

    /// This preset's mean, standard deviation and order of channels; the rest from another
    /// preprocessing. Gray stays gray.
    #[must_use]
    pub fn over(self, own: Preprocessing) -> Preprocessing {
        let (mean, std) = self.statistics();
        let order = match own.order {
            ChannelOrder::Gray => ChannelOrder::Gray,
            _ => self.order(),
        };
        Preprocessing {
            mean,
            std,
            order,
            ..own
        }
    }
}

/// The user's choice of preprocessing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum PreprocessChoice {
    /// From a file next to the weights or from the model's own file, otherwise what the network is
    /// usually trained with.
    #[default]
    Model,
    /// A preset's mean, standard deviation and order of channels, with the model's input size.
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
            Self::Preset(preset) => preset.over(own),
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
            ..Self::default()
        }
    }

    /// Checks that a network can be given such an input.
    ///
    /// # Errors
    /// A message that says what is wrong.
    pub fn check(&self) -> Result<(), String> {
        let Self {
            mean, std, size, ..
        } = *self;
        InputSize::new(size.width, size.height, size.short)?;
        if mean.iter().any(|value| !value.is_finite()) {
            return Err("The mean must be a number for each channel.".into());
        }
        if std.iter().any(|value| !value.is_finite() || *value < 1e-4) {
            return Err("The standard deviation must be above 0 for each channel.".into());
        }
        Ok(())
    }

    /// What the pixels of the input depend on.
    #[must_use]
    pub fn frame_options(&self) -> FrameOptions {
        FrameOptions {
            size: self.size,
            resampling: self.resampling,
            pad: self.pad_color(),
            gray: self.order == ChannelOrder::Gray,
        }
    }

    /// The color beside a photo in a letterbox: red, green, blue.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
    pub fn pad_color(&self) -> [u8; 3] {
        let byte = |mean: f32| {
            (255.0 * f64::from(mean))
                .round_ties_even()
                .clamp(0.0, 255.0) as u8
        };
        self.pad.unwrap_or(self.mean.map(byte))
    }

    /// The normalized value of each of the 256 bytes of a channel: red, green or blue.
    #[must_use]
    pub fn table(&self, channel: usize) -> [f32; 256] {
        normalized(f64::from(self.mean[channel]), self.std[channel])
    }

    /// The same for the only channel of a network without colors.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // exact for three equal values
    fn table_of_gray(&self) -> [f32; 256] {
        let average = |values: [f32; 3]| values.map(f64::from).iter().sum::<f64>() / 3.0;
        normalized(average(self.mean), average(self.std) as f32)
    }

    /// The values of interleaved RGB8 pixels for a network with `channels` channels, 1 or 3:
    /// interleaved as well. It uses tables, since a byte has only 256 values.
    ///
    /// # Errors
    /// A message if there are other numbers of channels.
    pub fn values(&self, rgb: &[u8], channels: usize) -> Result<Vec<f32>, String> {
        let pixels = rgb.as_chunks::<3>().0;
        match channels {
            1 => {
                let table = self.table_of_gray();
                let gray = |pixel: &[u8; 3]| table[usize::from(luma(*pixel))];
                Ok(pixels.iter().map(gray).collect())
            }
            3 => {
                let tables: [[f32; 256]; 3] = std::array::from_fn(|channel| self.table(channel));
                let mut values = vec![0.0; rgb.len()];
                let outs = values.as_chunks_mut::<3>().0.iter_mut().zip(pixels);
                match self.order {
                    ChannelOrder::Rgb => {
                        for (out, pixel) in outs {
                            for channel in 0..3 {
                                out[channel] = tables[channel][usize::from(pixel[channel])];
                            }
                        }
                    }
                    ChannelOrder::Bgr => {
                        for (out, pixel) in outs {
                            for channel in 0..3 {
                                out[2 - channel] = tables[channel][usize::from(pixel[channel])];
                            }
                        }
                    }
                    ChannelOrder::Gray => {
                        for (out, pixel) in outs {
                            let gray = usize::from(luma(*pixel));
                            for channel in 0..3 {
                                out[channel] = tables[channel][gray];
                            }
                        }
                    }
                }
                Ok(values)
            }
            _ => Err(format!(
                "its input has {channels} channels, and a photo has 1 or 3"
            )),
        }
    }
}

/// `(byte / 255 − mean) / std` of each byte.
#[allow(clippy::cast_possible_truncation)] // rounded once, at the end
fn normalized(mean: f64, std: f32) -> [f32; 256] {
    std::array::from_fn(|byte| {
        if std.to_bits() == ONE_BYTE.to_bits() {
            // Not the rounded 1/255: bytes stay as they are.
            return (byte as f64 - 255.0 * mean) as f32;
        }
        ((byte as f64 / 255.0 - mean) / f64::from(std)) as f32
    })
}

impl Default for Preprocessing {
    /// As torchvision evaluates: ImageNet's statistics, 256 to 224, bilinear.
    fn default() -> Self {
        let (mean, std) = Preset::Imagenet.statistics();
        Self {
            mean,
            std,
            size: InputSize::default(),
            order: ChannelOrder::Rgb,
            resampling: Resampling::Bilinear,
            pad: None,
        }
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
            self.size
        )?;
        if self.order != ChannelOrder::Rgb {
            write!(f, "; {}", self.order.name())?;
        }
        if self.resampling != Resampling::Bilinear {
            write!(f, "; {} resizing", self.resampling.name())?;
        }
        Ok(())
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

#[cfg(test)]
mod tests;
