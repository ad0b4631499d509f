//! The size of a network's input.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The size of the network's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "StoredSize")]
pub struct InputSize {
    /// Width of the input of all framings but `whole`, in pixels.
    pub width: usize,
    /// Height of that input in pixels.
    pub height: usize,
    /// What its shorter side becomes where `crop` scales the photo to cover more than the input,
    /// out of which it cuts the center. For a square input, this is the short side of the resized
    /// photo. `whole` uses the nearest multiple of 32 as its short side.
    pub short: usize,
    /// Whether the corner of `crop` is rounded down, as in Hugging Face's processors, and not to the
    /// nearest pixel, as in torchvision.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub rounds_down: bool,
}

/// As in settings and manifests; earlier versions had square inputs with a side called `crop`.
#[derive(Deserialize)]
struct StoredSize {
    #[serde(alias = "crop")]
    width: usize,
    #[serde(default)]
    height: usize,
    short: usize,
    #[serde(default)]
    rounds_down: bool,
}

impl From<StoredSize> for InputSize {
    fn from(stored: StoredSize) -> Self {
        let StoredSize {
            width,
            height,
            short,
            rounds_down,
        } = stored;
        Self {
            width,
            height: if height == 0 { width } else { height },
            short,
            rounds_down,
        }
    }
}

impl Default for InputSize {
    /// torchvision's evaluation size. For `whole`, 256 measured best of 224, 256 and 320 on 500
    /// labeled photos.
    fn default() -> Self {
        Self {
            width: 224,
            height: 224,
            short: 256,
            rounds_down: false,
        }
    }
}

impl InputSize {
    /// The allowed sides, and short sides.
    pub const SIDES: std::ops::RangeInclusive<usize> = 8..=4096;
    /// How many times the shorter side of the input the photo may be scaled to at most.
    const MOST_SHORT: usize = 4;

    /// The allowed short sides for an input with this shorter side.
    #[must_use]
    pub fn shorts(least: usize) -> std::ops::RangeInclusive<usize> {
        least
            ..=least
                .saturating_mul(Self::MOST_SHORT)
                .min(*Self::SIDES.end())
    }

    /// An input of this width and height, cut from a photo that covers it when its shorter side is
    /// `short`.
    ///
    /// # Errors
    /// A message that says what is wrong with these sides.
    pub fn new(width: usize, height: usize, short: usize) -> Result<Self, String> {
        let least = width.min(height);
        let possible = Self::SIDES.contains(&width) && Self::SIDES.contains(&height);
        if !possible || !Self::shorts(least).contains(&short) {
            return Err(format!(
                "an input of {width}×{height} pixels from a short side of {short} is not possible: use sides from {} to {}, and a short side of one to {} times the shorter one",
                Self::SIDES.start(),
                Self::SIDES.end(),
                Self::MOST_SHORT
            ));
        }
        Ok(Self {
            width,
            height,
            short,
            rounds_down: false,
        })
    }

    /// The same size, with the corner of `crop` rounded down or not.
    #[must_use]
    pub fn with_rounding_down(self, rounds_down: bool) -> Self {
        Self {
            rounds_down,
            ..self
        }
    }

    /// A square input.
    ///
    /// # Errors
    /// As [`InputSize::new`].
    pub fn square(side: usize, short: usize) -> Result<Self, String> {
        Self::new(side, side, short)
    }

    /// A square input with this side, and a short side in torchvision's proportion of 256 to 224.
    ///
    /// # Errors
    /// As [`InputSize::new`].
    pub fn of_side(side: usize) -> Result<Self, String> {
        Self::of_sides(side, side)
    }

    /// An input of this width and height, and a short side in torchvision's proportion of 256 to
    /// 224.
    ///
    /// # Errors
    /// As [`InputSize::new`].
    pub fn of_sides(width: usize, height: usize) -> Result<Self, String> {
        let least = width.min(height);
        let short = least.saturating_mul(8).saturating_add(3) / 7;
        Self::new(width, height, short.min(*Self::SIDES.end()))
    }

    /// An input of this width and height, of which a photo covers the share `part` of each side:
    /// timm's `crop_pct`.
    ///
    /// # Errors
    /// As [`InputSize::new`].
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
    pub fn of_part(width: usize, height: usize, part: f64) -> Result<Self, String> {
        // timm: scale_size = floor(img_size / crop_pct).
        let short = (width.min(height) as f64 / part).floor();
        Self::new(width, height, short as usize)
    }

    /// With other sides in the same proportion to the short side.
    ///
    /// # Errors
    /// As [`InputSize::new`].
    pub fn resized(self, width: usize, height: usize) -> Result<Self, String> {
        let (before, now) = (self.width.min(self.height), width.min(height));
        // As `of_side`, which keeps 256 for 224.
        let short = now.saturating_mul(self.short).saturating_add(before / 2) / before.max(1);
        let size = Self::new(width, height, short.min(*Self::SIDES.end()))?;
        Ok(size.with_rounding_down(self.rounds_down))
    }

    /// The part of the scaled photo's short side that `crop` keeps, in percent, rounded: timm's
    /// `crop_pct`.
    #[must_use]
    pub fn percent_kept(self) -> f64 {
        let exact = 100.0 * self.width.min(self.height) as f64 / self.short as f64;
        (10.0 * exact).round() / 10.0
    }

    /// Width and height that the resized photo must cover for `crop`.
    pub(super) fn covered(self) -> (usize, usize) {
        let least = self.width.min(self.height);
        (
            self.width * self.short / least,
            self.height * self.short / least,
        )
    }
}

impl fmt::Display for InputSize {
    /// The side of a square input, or width and height.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.width == self.height {
            write!(f, "{}", self.width)
        } else {
            write!(f, "{}×{}", self.width, self.height)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_earlier_versions_are_read() {
        let read = |text: &str| serde_json::from_str::<InputSize>(text).unwrap();
        let old = read(r#"{"crop": 288, "short": 303}"#);
        assert_eq!(Ok(old), InputSize::square(288, 303));
        let size = InputSize::new(192, 48, 50).unwrap();
        let size = size.with_rounding_down(true);
        assert_eq!(read(&serde_json::to_string(&size).unwrap()), size);
    }

    #[test]
    fn impossible_sizes_are_refused() {
        assert_eq!(InputSize::of_side(224), Ok(InputSize::default()));
        assert_eq!(
            InputSize::of_part(224, 224, 0.875),
            Ok(InputSize::default())
        );
        for (side, short) in [(0, 0), (4, 5), (224, 200), (5000, 5000), (224, 1000)] {
            assert!(InputSize::square(side, short).is_err());
        }
        assert!(InputSize::of_sides(usize::MAX, usize::MAX).is_err());
        assert_eq!(InputSize::of_side(4096), InputSize::square(4096, 4096));
        assert!(InputSize::square(4096, 4097).is_err());
        assert!(InputSize::of_part(224, 224, 1e-300).is_err());
        assert!(InputSize::default().resized(usize::MAX, 7).is_err());
    }

    #[test]
    fn other_sides_keep_the_proportion() {
        let size = InputSize::default();
        assert_eq!(size.resized(448, 448), InputSize::square(448, 512));
        assert_eq!(size.resized(224, 224), Ok(size));
        assert_eq!(size.resized(192, 48).unwrap().short, 55);
        assert!((size.percent_kept() - 87.5).abs() < 1e-9);
        assert_eq!(InputSize::new(192, 48, 96).unwrap().covered(), (384, 96));
    }
}
