//! How a photo becomes the network's input, and how positions map back.
//!
//! [`Framing::frame`] returns an [`Input`]: the RGB8 pixels that the network sees, and a
//! [`Placement`] that maps input pixels to photo pixels, so that evidence is drawn in the right
//! place. Coordinates are continuous: pixel `i` covers `i..i+1`, its center is `i + 0.5`.

mod cells;
mod gray;
mod placement;
mod size;

use std::borrow::Cow;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::input::photo::Photo;
use crate::input::resample;
use crate::input::resample::Resampling;

pub use crate::input::framing::cells::{CellAxis, CellGrid};
pub use crate::input::framing::gray::luma;
pub use crate::input::framing::placement::Placement;
pub use crate::input::framing::size::InputSize;

/// `whole` rounds both sides to multiples of this: the stride of the networks' last layer.
const STRIDE: usize = 32;
/// The largest aspect ratio of `whole`; longer photos are squeezed to it.
const MAX_ASPECT: usize = 3;

/// What the pixels of an input depend on, besides its [`Framing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameOptions {
    /// The size of the input.
    pub size: InputSize,
    /// How the photo is resized.
    pub resampling: Resampling,
    /// The color beside a photo that does not fill the input: red, green, blue.
    pub pad: [u8; 3],
    /// Whether the photo is made gray before it is resized.
    pub gray: bool,
}

impl From<InputSize> for FrameOptions {
    /// In color, with bilinear resizing, and ImageNet's mean beside the photo.
    fn from(size: InputSize) -> Self {
        Self {
            size,
            resampling: Resampling::Bilinear,
            pad: [124, 116, 104],
            gray: false,
        }
    }
}

/// How the photo becomes the network's input.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Framing {
    /// The whole photo at its aspect ratio: short side usually 256, sides rounded to multiples of
    /// 32, at most 3:1.
    #[default]
    Whole,
    /// torchvision's evaluation: short side 256, center 224×224.
    Crop,
    /// The whole photo resized to 224×224, without keeping its aspect ratio.
    Squash,
    /// The whole photo at its aspect ratio in the middle of 224×224, with one color beside it.
    Letterbox,
}

impl Framing {
    /// Every framing, in the order of menus.
    pub const ALL: [Self; 4] = [Self::Whole, Self::Crop, Self::Squash, Self::Letterbox];

    /// The name on the command line and in menus.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Crop => "crop",
            Self::Squash => "squash",
            Self::Letterbox => "letterbox",
        }
    }

    /// A description in one line.
    #[must_use]
    pub fn summary(self) -> &'static str {
        match self {
            Self::Whole => "The whole photo at its own aspect ratio; nothing is hidden.",
            Self::Crop => "The center, as in torchvision's evaluation; the rest is not seen.",
            Self::Squash => "The whole photo squashed to the input; shapes are distorted.",
            Self::Letterbox => {
                "The whole photo at its own aspect ratio, with one color beside it; the network also sees that color."
            }
        }
    }

    /// Where the input lies on a photo of `width`×`height` pixels.
    #[must_use]
    pub fn place(self, width: usize, height: usize, size: InputSize) -> Placement {
        let photo = (width, height);
        let input = (size.width, size.height);
        match self {
            Self::Whole => Placement::uncropped(photo, whole_size(width, height, size.short)),
            Self::Squash => Placement::uncropped(photo, input),
            Self::Crop => {
                let resized = covering(photo, size);
                Placement {
                    photo,
                    resized,
                    offset: (
                        centered(resized.0, input.0, size.rounds_down),
                        centered(resized.1, input.1, size.rounds_down),
                    ),
                    input,
                }
            }
            Self::Letterbox => {
                let resized = fitting(photo, input);
                Placement {
                    photo,
                    resized,
                    offset: (-beside(resized.0, input.0), -beside(resized.1, input.1)),
                    input,
                }
            }
        }
    }

    /// Resizes a photo to the network's input, and crops or pads it.
    #[must_use]
    pub fn frame(self, photo: &Photo, options: impl Into<FrameOptions>) -> Input {
        let options = options.into();
        let placement = self.place(photo.width, photo.height, options.size);
        let ((left, top), (width, height)) = (placement.offset, placement.input);
        let pixels: Cow<[u8]> = if options.gray {
            gray::in_gray(&photo.rgb).into()
        } else {
            Cow::Borrowed(&photo.rgb)
        };
        let columns = visible(left, width, placement.resized.0);
        let rows = visible(top, height, placement.resized.1);
        let (across, down) = (columns.len(), rows.len());
        let part = resample::resize_part(
            options.resampling,
            &pixels,
            placement.photo,
            placement.resized,
            columns,
            rows,
        );
        if (across, down) == (width, height) {
            let rgb = part;
            return Input { placement, rgb };
        }
        let pad = if options.gray {
            [luma(options.pad); 3]
        } else {
            options.pad
        };
        let mut rgb = pad.repeat(width * height);
        let (left, top) = (left.min(0).unsigned_abs(), top.min(0).unsigned_abs());
        let lines = rgb.chunks_exact_mut(3 * width).skip(top);
        for (line, row) in lines.zip(part.chunks_exact(3 * across)) {
            line[3 * left..][..row.len()].copy_from_slice(row);
        }
        Input { placement, rgb }
    }
}

/// The positions of a resized side that lie on the input.
fn visible(offset: isize, input: usize, resized: usize) -> Range<usize> {
    let end = offset.saturating_add_unsigned(input).max(0).unsigned_abs();
    offset.max(0).unsigned_abs()..end.min(resized)
}

/// The size of a photo that covers what `crop` cuts its center from.
fn covering((width, height): (usize, usize), size: InputSize) -> (usize, usize) {
    if size.width == size.height {
        // int(short·long/short), as torchvision truncates it.
        let short = size.short;
        return if width <= height {
            (short, short * height / width)
        } else {
            (short * width / height, short)
        };
    }
    // As timm's `ResizeKeepRatio`.
    let (across, down) = size.covered();
    let ratio = (width as f64 / across as f64).min(height as f64 / down as f64);
    (
        scaled(width, ratio).max(size.width),
        scaled(height, ratio).max(size.height),
    )
}

/// The largest size of a photo that fits in the input at its aspect ratio.
fn fitting((width, height): (usize, usize), input: (usize, usize)) -> (usize, usize) {
    let ratio = (width as f64 / input.0 as f64).max(height as f64 / input.1 as f64);
    (
        scaled(width, ratio).clamp(1, input.0),
        scaled(height, ratio).clamp(1, input.1),
    )
}

/// A side made smaller by a ratio, rounded as Python rounds.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // about the input's size
fn scaled(side: usize, ratio: f64) -> usize {
    (side as f64 / ratio).round_ties_even() as usize
}

/// The padding before a photo in the middle of the input; after it, there is the same or one more.
fn beside(resized: usize, input: usize) -> isize {
    ((input - resized) / 2).cast_signed()
}

/// `round((side − crop)/2)` with ties to even, as Python rounds, or rounded down.
fn centered(side: usize, crop: usize, rounds_down: bool) -> isize {
    let twice = side - crop;
    let half = twice / 2;
    (half + usize::from(!rounds_down && twice % 2 == 1 && half % 2 == 1)).cast_signed()
}

/// Input size of `whole`: both sides are multiples of the stride (ties to even), the long side is
/// in proportion and at most three times the short side.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a few thousand
fn whole_size(width: usize, height: usize, short_side: usize) -> (usize, usize) {
    let rounded = |side: f64| STRIDE * (side / STRIDE as f64).round_ties_even().max(1.0) as usize;
    let short_side = rounded(short_side as f64);
    let long = |long: usize, short: usize| {
        let exact = short_side as f64 * long as f64 / short as f64;
        rounded(exact.min((MAX_ASPECT * short_side) as f64))
    };
    if width <= height {
        (short_side, long(height, width))
    } else {
        (long(width, height), short_side)
    }
}

/// What the network sees.
#[derive(Clone, Debug)]
pub struct Input {
    /// Where it lies on the photo, and its size.
    pub placement: Placement,
    /// RGB8, interleaved, row by row: `3·width·height` bytes.
    pub rgb: Vec<u8>,
}

#[cfg(test)]
mod tests;
