//! Colormaps with 256 entries each.

use pulp::{Simd, WithSimd};
use serde::{Deserialize, Serialize};

use crate::platform::simd::Isa;

/// The colors of heat. The tables are matplotlib's, rounded to 8 bits (`tools/colormaps.py`); turbo
/// is Google's (Mikhailov 2019), viridis, inferno and magma are by Smith, van der Walt and Firing
/// (CC0); those for signed maps are `ColorBrewer`'s (Apache-2.0).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Colormap {
    /// Blue, green, red: the most detail.
    #[default]
    Turbo,
    /// Dark blue to yellow; even steps, also in grayscale print.
    Viridis,
    /// Black, red, yellow.
    Inferno,
    /// Black, purple, white.
    Magma,
    /// The classic; its uneven steps suggest edges that are not there.
    Jet,
    /// Black to white. "grey" in settings and manifests, as in earlier versions.
    #[serde(rename = "grey", alias = "gray")]
    #[value(alias = "grey")]
    Gray,
    /// For signed maps: blue against, white at zero, red for the class.
    #[value(name = "rdbu")]
    RdBu,
    /// For signed maps: purple against, white at zero, orange for the class.
    #[value(name = "puor")]
    PuOr,
}

impl Colormap {
    /// The sequential colormaps, in the order of menus.
    pub const SEQUENTIAL: [Self; 6] = [
        Self::Turbo,
        Self::Viridis,
        Self::Inferno,
        Self::Magma,
        Self::Jet,
        Self::Gray,
    ];
    /// The diverging colormaps for signed maps, whose middle is zero.
    pub const DIVERGING: [Self; 2] = [Self::RdBu, Self::PuOr];

    /// The name used on the command line and in menus.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Turbo => "turbo",
            Self::Viridis => "viridis",
            Self::Inferno => "inferno",
            Self::Magma => "magma",
            Self::Jet => "jet",
            Self::Gray => "gray",
            Self::RdBu => "rdbu",
            Self::PuOr => "puor",
        }
    }

    /// A description in one line.
    #[must_use]
    pub fn summary(self) -> &'static str {
        match self {
            Self::Turbo => "The most detail; nearly even steps",
            Self::Viridis => "Even steps, also in grayscale print and for color-blind readers",
            Self::Inferno => "Even steps, strong contrast",
            Self::Magma => "Even steps, from black to white",
            Self::Jet => "Misleading: suggests edges that are not there",
            Self::Gray => "From black to white",
            Self::RdBu => "Red for the class, blue against it",
            Self::PuOr => "Orange for the class, purple against it",
        }
    }

    /// The 256 colors, from lowest to highest heat.
    #[must_use]
    pub fn table(self) -> [[u8; 3]; 256] {
        let bytes: &[u8; 768] = match self {
            Self::Turbo => include_bytes!("../../assets/colormaps/turbo.rgb"),
            Self::Viridis => include_bytes!("../../assets/colormaps/viridis.rgb"),
            Self::Inferno => include_bytes!("../../assets/colormaps/inferno.rgb"),
            Self::Magma => include_bytes!("../../assets/colormaps/magma.rgb"),
            Self::Jet => include_bytes!("../../assets/colormaps/jet.rgb"),
            Self::RdBu => include_bytes!("../../assets/colormaps/RdBu_r.rgb"),
            Self::PuOr => include_bytes!("../../assets/colormaps/PuOr_r.rgb"),
            #[allow(clippy::cast_possible_truncation)] // 256 entries
            Self::Gray => return std::array::from_fn(|level| [level as u8; 3]),
        };
        std::array::from_fn(|entry| [0, 1, 2].map(|channel| bytes[3 * entry + channel]))
    }
}

/// 256 colors as RGBA. Hidden entries have an alpha of 0, all others 255.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Palette(pub [[u8; 4]; 256]);

impl From<Colormap> for Palette {
    fn from(colormap: Colormap) -> Self {
        Self(colormap.table().map(|[r, g, b]| [r, g, b, 255]))
    }
}

impl Palette {
    /// A colormap without the entries whose heat (at the middle of the entry, 0..1) is hidden.
    #[must_use]
    pub fn with_gaps(colormap: Colormap, hidden: impl Fn(f32) -> bool) -> Self {
        let mut palette = Self::from(colormap);
        for (entry, color) in palette.0.iter_mut().enumerate() {
            if hidden((entry as f32 + 0.5) / 256.0) {
                *color = [0; 4];
            }
        }
        palette
    }
}

/// The entry for a heat of 0..=1: equal bins, as in matplotlib. The result is `(heat * 256.0) as
/// u8`, but the compiler can't vectorize that expression.
#[inline(always)]
#[must_use]
#[allow(clippy::cast_possible_truncation)] // the lowest byte is meant
pub fn entry(heat: f32) -> u8 {
    // An f32 from 2²³ to 2²⁴ has no fraction, and its lowest bits count up by one.
    const WHOLE: f32 = 8_388_608.0;
    let scaled = (heat * 256.0).clamp(0.0, 255.0);
    let nearest = (scaled + WHOLE) - WHOLE;
    let below = if nearest > scaled {
        nearest - 1.0
    } else {
        nearest
    };
    (below + WHOLE).to_bits() as u8
}

/// [`entry`] of many heats, with the vector instructions of `level`.
///
/// # Panics
/// If there are not as many entries as heat values.
pub fn entries(level: Isa, heats: &[f32], out: &mut [u8]) {
    assert_eq!(heats.len(), out.len(), "an entry for each heat");
    level.run(Entries { heats, out });
}

/// The loop of [`entries`], which the compiler vectorizes.
struct Entries<'a> {
    heats: &'a [f32],
    out: &'a mut [u8],
}

impl WithSimd for Entries<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (out, heat) in self.out.iter_mut().zip(self.heats) {
            *out = entry(*heat);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_gives_the_same_entries() {
        let heats: Vec<f32> = (0..1009u16).map(|n| f32::from(n) / 1007.0).collect();
        let expected: Vec<u8> = heats.iter().map(|heat| entry(*heat)).collect();
        for level in Isa::available() {
            let mut found = vec![0; heats.len()];
            entries(level, &heats, &mut found);
            assert_eq!(found, expected, "{}", level.name());
        }
    }

    #[test]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
    fn entries_are_the_whole_parts() {
        let near = |bin: u32| {
            let edge = (bin as f32 / 256.0).to_bits();
            (edge.saturating_sub(3)..edge + 4).map(f32::from_bits)
        };
        let spread = (0..0x3f90_0000).step_by(4093).map(f32::from_bits);
        let odd = [f32::NAN, -1.0, -0.0, 2.0, f32::INFINITY, f32::NEG_INFINITY];
        for heat in (0..=256).flat_map(near).chain(spread).chain(odd) {
            assert_eq!(entry(heat), (heat * 256.0) as u8, "{heat}");
        }
    }

    /// `255 * matplotlib.colormaps[NAME](x)`, rounded, at x = 0, 0.5, 1 (matplotlib 3.11).
    #[test]
    fn colors_are_matplotlibs() {
        for (map, ends) in [
            (Colormap::Turbo, [[48, 18, 59], [164, 252, 60], [122, 4, 3]]),
            (
                Colormap::Viridis,
                [[68, 1, 84], [33, 145, 140], [253, 231, 37]],
            ),
            (Colormap::Jet, [[0, 0, 128], [125, 255, 122], [128, 0, 0]]),
            (Colormap::Gray, [[0; 3], [128; 3], [255; 3]]),
        ] {
            let table = map.table();
            let at = [0.0, 0.5, 1.0].map(|heat| table[usize::from(entry(heat))]);
            assert_eq!(at, ends, "{map:?}");
        }
    }
}
