//! How maps are drawn: what the user chooses of it, which no number depends on.

use serde::{Deserialize, Serialize};

use crate::render::colormap::{Colormap, Palette};
use crate::render::heatmap::{Interpolation, Scaling};
use crate::render::overlay::Opacity;

/// What of photo and heat is drawn.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Display {
    /// The heat over the photo.
    #[default]
    Overlay,
    /// The heat alone.
    Heat,
    /// The photo alone.
    Photo,
}

impl Display {
    /// Each of them, in the order of menus.
    pub const ALL: [Self; 3] = [Self::Overlay, Self::Heat, Self::Photo];

    /// The name in menus.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Overlay => "overlay",
            Self::Heat => "heat",
            Self::Photo => "photo",
        }
    }
}

/// How maps are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DisplayOptions {
    /// The share of the heat's color in the picture.
    pub opacity: Opacity,
    /// The heat's colors where only positive evidence is drawn.
    pub colormap: Colormap,
    /// And for signed maps.
    pub diverging: Colormap,
    /// How cells become 0..1.
    pub scaling: Scaling,
    /// What is drawn between the cells' centers.
    pub interpolation: Interpolation,
    /// Heat below this percentage of the range is not drawn: 0 to 95. Signed maps count
    /// from zero to both sides.
    pub threshold: u8,
    /// Whether lines of equal heat are drawn.
    pub contours: bool,
    /// Whether the borders of the cells are drawn.
    pub grid: bool,
    /// What of photo and heat is drawn.
    pub display: Display,
}

impl Default for DisplayOptions {
    fn default() -> Self {
        Self {
            opacity: Opacity::default(),
            colormap: Colormap::default(),
            diverging: Colormap::RdBu,
            scaling: Scaling::default(),
            interpolation: Interpolation::default(),
            threshold: 0,
            contours: false,
            grid: false,
            display: Display::default(),
        }
    }
}

impl DisplayOptions {
    /// The largest threshold: something is always left.
    pub const MOST_HIDDEN: u8 = 95;

    /// The color map for a scaling.
    #[must_use]
    pub fn colormap_for(&self, scaling: Scaling) -> Colormap {
        match scaling {
            Scaling::Signed => self.diverging,
            Scaling::Max | Scaling::MinMax => self.colormap,
        }
    }

    /// The colors for a scaling, with what lies below the threshold left out.
    #[must_use]
    pub fn palette(&self, scaling: Scaling) -> Palette {
        let share = f32::from(self.threshold) / 100.0;
        let hidden = |heat: f32| match scaling {
            Scaling::Signed => (2.0 * heat - 1.0).abs() < share,
            Scaling::Max | Scaling::MinMax => heat < share,
        };
        Palette::with_gaps(self.colormap_for(scaling), hidden)
    }

    /// The heats at which lines are drawn: a quarter, a half and three quarters of the
    /// range, for signed maps to both sides of zero.
    #[must_use]
    pub fn levels(scaling: Scaling) -> &'static [f32] {
        match scaling {
            Scaling::Max | Scaling::MinMax => &[0.25, 0.5, 0.75],
            Scaling::Signed => &[0.125, 0.25, 0.375, 0.625, 0.75, 0.875],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_leaves_out_what_lies_below() {
        let display_options = DisplayOptions {
            threshold: 50,
            ..DisplayOptions::default()
        };
        let shown = |scaling: Scaling| -> Vec<usize> {
            let palette = display_options.palette(scaling);
            let there = |entry: &usize| palette.0[*entry][3] == 255;
            (0..256).filter(there).collect()
        };
        assert_eq!(shown(Scaling::Max), (128..256).collect::<Vec<_>>());
        let both_ends: Vec<usize> = (0..64).chain(192..256).collect();
        assert_eq!(shown(Scaling::Signed), both_ends);
        assert_eq!(
            DisplayOptions::default().palette(Scaling::Max),
            Colormap::Turbo.into()
        );
    }
}
