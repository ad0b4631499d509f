//! Display options. They never change computed values.

use serde::{Deserialize, Serialize};

use crate::render::colormap::{Colormap, Palette};
use crate::render::heatmap::{Interpolation, Scaling};
use crate::render::overlay::Opacity;

/// Which of photo and heat is drawn.
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
    /// All display modes, in the order of menus.
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

/// Display options for maps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DisplayOptions {
    /// The opacity of the heat over the photo.
    pub opacity: Opacity,
    /// The colormap when only positive evidence is drawn.
    pub colormap: Colormap,
    /// The colormap for signed maps.
    pub diverging: Colormap,
    /// How cell values are scaled to 0..1.
    pub scaling: Scaling,
    /// How values between the centers of cells are drawn.
    pub interpolation: Interpolation,
    /// Heat below this percentage of the range is hidden: 0 to 95. In signed maps the distance from
    /// zero counts.
    pub threshold: u8,
    /// Whether contours of equal heat are drawn.
    pub contours: bool,
    /// Whether the borders of the cells are drawn.
    pub grid: bool,
    /// Which of photo and heat is drawn.
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
    /// The largest threshold, so that something always remains visible.
    pub const MOST_HIDDEN: u8 = 95;

    /// The colormap for a scaling.
    #[must_use]
    pub fn colormap_for(&self, scaling: Scaling) -> Colormap {
        match scaling {
            Scaling::Signed => self.diverging,
            Scaling::Max | Scaling::MinMax => self.colormap,
        }
    }

    /// The colors for a scaling, with heat below the threshold hidden.
    #[must_use]
    pub fn palette(&self, scaling: Scaling) -> Palette {
        let share = f32::from(self.threshold) / 100.0;
        let hidden = |heat: f32| match scaling {
            Scaling::Signed => (2.0 * heat - 1.0).abs() < share,
            Scaling::Max | Scaling::MinMax => heat < share,
        };
        Palette::with_gaps(self.colormap_for(scaling), hidden)
    }

    /// The heat levels of contours: a quarter, a half and three quarters of the range; in signed
    /// maps on both sides of zero.
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
