//! Gray photos with more than 256 levels: which levels are black and white.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Which levels of a gray photo become black and white: those half a width around the center.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowLevel {
    /// The level in the middle between black and white.
    pub center: f32,
    /// The number of levels from black to white, at least 1.
    pub width: f32,
}

impl WindowLevel {
    /// A window; `None` unless both are finite and the width is at least 1.
    #[must_use]
    pub fn new(center: f32, width: f32) -> Option<Self> {
        let is_sound = center.is_finite() && width.is_finite() && width >= 1.0;
        is_sound.then_some(Self { center, width })
    }

    /// The window from the darkest to the brightest level.
    #[must_use]
    pub fn between(low: f32, high: f32) -> Self {
        Self {
            center: f32::midpoint(low, high),
            width: (high - low).max(1.0),
        }
    }
}

impl fmt::Display for WindowLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "center {}, width {}", self.center, self.width)
    }
}

impl FromStr for WindowLevel {
    type Err = String;

    /// Parses `CENTER,WIDTH`.
    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once(',');
        let numbers = numbers.and_then(|(center, width)| {
            let [center, width] = [center, width].map(|part| part.trim().parse().ok());
            Self::new(center?, width?)
        });
        numbers.ok_or_else(|| {
            "give the center and the width, such as 40,400; the width is at least 1".into()
        })
    }
}

/// How a window maps levels to gray values: DICOM PS3.3, C.11.2.1.2 and C.11.2.1.3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Curve {
    /// DICOM's linear function, from `center − 0.5 − (width − 1)/2` to
    /// `center − 0.5 + (width − 1)/2`.
    #[default]
    Linear,
    /// From `center − width/2` to `center + width/2`.
    Exact,
    /// A sigmoid.
    Sigmoid,
}

/// The levels of a gray photo.
#[derive(Clone, Debug, PartialEq)]
pub struct Tones {
    /// Levels, row by row: `[height, width]`.
    pub levels: Arc<Vec<f32>>,
    /// Whether high levels are dark.
    pub inverted: bool,
    /// How the window is applied.
    pub curve: Curve,
    /// The window that the file asks for, or the whole range of its numbers.
    pub own: WindowLevel,
    /// The window that was applied.
    pub now: WindowLevel,
    /// The lowest and the highest level.
    pub range: (f32, f32),
}

impl Tones {
    /// Levels with the window to begin with.
    #[must_use]
    pub fn new(levels: Vec<f32>, own: WindowLevel, curve: Curve, inverted: bool) -> Self {
        let low = levels.iter().copied().fold(f32::INFINITY, f32::min);
        let high = levels.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        Self {
            levels: Arc::new(levels),
            inverted,
            curve,
            own,
            now: own,
            range: (low, high),
        }
    }

    /// The window from the lowest to the highest level.
    #[must_use]
    pub fn whole(&self) -> WindowLevel {
        let whole = WindowLevel::between(self.range.0, self.range.1);
        match self.curve {
            // Its ends are half a level further in.
            Curve::Linear => WindowLevel {
                center: whole.center + 0.5,
                width: whole.width + 1.0,
            },
            Curve::Exact | Curve::Sigmoid => whole,
        }
    }

    /// RGB8 of these levels, interleaved.
    #[must_use]
    pub fn rgb(&self) -> Vec<u8> {
        let mut rgb = Vec::with_capacity(3 * self.levels.len());
        for level in self.levels.iter() {
            rgb.extend([self.byte(*level); 3]);
        }
        rgb
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 to 255
    fn byte(&self, level: f32) -> u8 {
        let share = self.share(level.into()).clamp(0.0, 1.0);
        let share = if self.inverted { 1.0 - share } else { share };
        (255.0 * share).round() as u8
    }

    /// 0 for black, 1 for white, and beyond.
    fn share(&self, level: f64) -> f64 {
        let (center, width) = (f64::from(self.now.center), f64::from(self.now.width));
        match self.curve {
            Curve::Linear if width <= 1.0 => {
                if level <= center - 0.5 {
                    0.0
                } else {
                    1.0
                }
            }
            Curve::Linear => (level - (center - 0.5)) / (width - 1.0) + 0.5,
            Curve::Exact => (level - center) / width + 0.5,
            Curve::Sigmoid => 1.0 / (1.0 + (-4.0 * (level - center) / width).exp()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_from_text() {
        let lung = WindowLevel::new(-600.0, 1500.0).unwrap();
        assert_eq!("-600, 1500".parse(), Ok(lung));
        for text in ["", "40", "40,0", "a,b", "nan,400", "40,inf", "1,2,3"] {
            assert!(text.parse::<WindowLevel>().is_err(), "{text}");
        }
    }

    /// The values of the formulas in the standard.
    #[test]
    fn levels_become_gray_values_as_the_standard_says() {
        let with = |curve, center, width, inverted| {
            let own = WindowLevel { center, width };
            let levels = vec![-1000.0, 0.0, 100.0, 127.0, 128.0, 255.0, 4000.0];
            let rgb = Tones::new(levels, own, curve, inverted).rgb();
            rgb.iter().step_by(3).copied().collect::<Vec<u8>>()
        };
        // 8 bits stay as they are.
        let same = [0, 0, 100, 127, 128, 255, 255];
        assert_eq!(with(Curve::Linear, 128.0, 256.0, false), same);
        assert_eq!(with(Curve::Exact, 127.5, 255.0, false), same);
        assert_eq!(
            with(Curve::Linear, 128.0, 256.0, true),
            same.map(|value| 255 - value)
        );
        let step = with(Curve::Linear, 128.0, 1.0, false);
        assert_eq!(step, [0, 0, 0, 0, 255, 255, 255]);
        let sigmoid = with(Curve::Sigmoid, 128.0, 256.0, false);
        assert_eq!((sigmoid[4], sigmoid[6]), (128, 255));
    }

    #[test]
    fn the_whole_range_is_from_black_to_white() {
        for curve in [Curve::Linear, Curve::Exact] {
            let own = WindowLevel::between(0.0, 1.0);
            let mut tones = Tones::new(vec![-3.0, 5.0, 1.0], own, curve, false);
            tones.now = tones.whole();
            let rgb = tones.rgb();
            assert_eq!((rgb[0], rgb[3]), (0, 255), "{curve:?}");
        }
    }
}
