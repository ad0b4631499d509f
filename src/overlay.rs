//! The only place that blends: photo, heat and colours to pixels.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::colormap::{self, Colormap};
use crate::framing::Placement;
use crate::heatmap::Heatmap;
use crate::photo::{Photo, Picture};

/// How much of the photo's light is left where the network did not look.
pub const DIMMED: f32 = 0.4;
/// Pixels of background between pictures side by side.
const GAP: usize = 8;
/// Neutral grey between pictures side by side.
const GAP_GREY: u8 = 128;

/// The share of the heat's colour in the picture: 0..=1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Opacity(f32);

impl Opacity {
    /// From a share, `None` outside 0..=1.
    #[must_use]
    pub fn new(share: f32) -> Option<Self> {
        (0.0..=1.0).contains(&share).then_some(Self(share))
    }

    /// The share, 0..=1.
    #[must_use]
    pub fn share(self) -> f32 {
        self.0
    }
}

impl Default for Opacity {
    fn default() -> Self {
        Self(0.55)
    }
}

/// The photo at full size with heat over it: `out = (1−a)·photo + a·colour`, the
/// plain linear blend of the stored values. What the network did not see is
/// dimmed and never painted. Without heat the photo stays as it is.
///
/// # Panics
/// If the heat was not made for a grid of the photo's size.
#[must_use]
pub fn blend(
    photo: &Photo,
    placement: &Placement,
    heat: Option<&Heatmap>,
    colormap: Colormap,
    opacity: Opacity,
) -> Picture {
    side_by_side(photo, placement, &[heat], colormap, opacity)
}

/// The photo once for each heat, as [`blend`] makes it, next to each other. Row by row, so
/// that nothing is in memory but the result.
///
/// # Panics
/// If a heat was not made for a grid of the photo's size.
#[must_use]
pub fn side_by_side(
    photo: &Photo,
    placement: &Placement,
    heats: &[Option<&Heatmap>],
    colormap: Colormap,
    opacity: Opacity,
) -> Picture {
    let at_size = |heat: &&Heatmap| heat.size == (photo.width, photo.height);
    assert!(
        heats.iter().flatten().all(at_size),
        "heat at the photo's own size"
    );
    let table = colormap.table();
    let seen = placement
        .hides_something()
        .then(|| placement.seen_in_photo());
    let count = heats.len();
    let width = count * photo.width + GAP * count.saturating_sub(1);
    let mut rgb = vec![GAP_GREY; 3 * width * photo.height];
    let rows = photo.rgb.par_chunks_exact(3 * photo.width);
    rgb.par_chunks_exact_mut((3 * width).max(1))
        .zip(rows)
        .enumerate()
        .for_each_init(Vec::new, |values, (y, (out, row))| {
            let parts = out.chunks_mut(3 * (photo.width + GAP));
            for (part, heat) in parts.zip(heats) {
                let part = &mut part[..row.len()];
                part.copy_from_slice(row);
                if let Some(seen) = seen {
                    dim_outside(part, y, seen);
                }
                if let Some(heat) = heat {
                    paint(part, y, heat, values, (&table, opacity));
                }
            }
        });
    Picture {
        width,
        height: photo.height,
        rgb,
    }
}

/// Lays heat over row `y` of a photo; `values` is scratch memory.
fn paint(
    row: &mut [u8],
    y: usize,
    heat: &Heatmap,
    values: &mut Vec<f32>,
    (table, opacity): (&[[u8; 3]; 256], Opacity),
) {
    let (left, top) = heat.offset;
    let inside = y.checked_sub(top).filter(|line| *line < heat.extent.1);
    let Some(line) = inside else {
        return;
    };
    values.resize(heat.extent.0, 0.0);
    heat.row(line, values);
    for (pixel, &value) in row[3 * left..].chunks_exact_mut(3).zip(&*values) {
        let colour = table[usize::from(colormap::entry(value))];
        for channel in 0..3 {
            pixel[channel] = mix(pixel[channel], colour[channel], opacity.0);
        }
    }
}

/// Steps of the grid in a cell, so that what the graphics card mixes between two steps
/// lies within a few entries of the colour map.
const STEPS: usize = 32;
/// Shortest and longest side of the grid: a class change colours it anew.
const SCREEN_SIDE: (usize, usize) = (512, 768);

/// The grid (width, height) on which a map of `cells` (width, height) is drawn on screen:
/// the photo's proportions, fine enough for the cells, whatever the photo's size.
#[must_use]
pub fn screen_grid(placement: &Placement, cells: (usize, usize)) -> (usize, usize) {
    let (width, height) = placement.photo;
    let (shortest, most) = SCREEN_SIDE;
    let grid = (STEPS * cells.0.max(cells.1)).clamp(shortest, most);
    let longest = width.max(height);
    let side = |length: usize| (length * grid).div_ceil(longest);
    (side(width), side(height))
}

/// The heat's own colours for the part that has heat, row-major: what the screen lays
/// over the photo at the chosen opacity. `table` has the colour map's colours
/// ([`Colormap::table`]) as the screen wants them.
#[must_use]
pub fn colours<T: Copy>(heat: &Heatmap, table: &[T; 256]) -> Vec<T> {
    let (width, height) = heat.extent;
    let mut pixels = Vec::with_capacity(width * height);
    let (mut values, mut entries) = (vec![0.0; width], vec![0; width]);
    for row in 0..height {
        heat.row(row, &mut values);
        colormap::entries(&values, &mut entries);
        pixels.extend(entries.iter().map(|entry| table[usize::from(*entry)]));
    }
    pixels
}

/// `(1−share)·under + share·over`, rounded.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a mean of two bytes
fn mix(under: u8, over: u8, share: f32) -> u8 {
    ((1.0 - share) * f32::from(under) + share * f32::from(over) + 0.5) as u8
}

/// Dims every pixel of row `y` whose centre lies outside the part seen (photo pixels).
fn dim_outside(row: &mut [u8], y: usize, [left, top, right, bottom]: [f64; 4]) {
    let row_seen = (top..=bottom).contains(&(y as f64 + 0.5));
    for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
        if !(row_seen && (left..=right).contains(&(x as f64 + 0.5))) {
            for value in pixel {
                *value = mix(0, *value, DIMMED);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::{Framing, InputSize};

    fn flat(width: usize, height: usize, value: f32) -> Heatmap {
        Heatmap::flat(value, (width, height), (0, 0), (width, height))
    }

    #[test]
    fn the_blend_is_linear_and_its_ends_are_exact() {
        let photo = Photo::from_rgb("x", 2, 1, vec![10, 100, 200, 0, 255, 30]);
        let placement = Framing::Squash.place(2, 1, InputSize::default());
        let heat = flat(2, 1, 1.0);
        let at = |share| {
            let opacity = Opacity::new(share).unwrap();
            blend(&photo, &placement, Some(&heat), Colormap::Grey, opacity).rgb
        };
        assert_eq!(at(0.0), photo.rgb);
        assert_eq!(at(1.0), [255; 6]);
        assert_eq!(at(0.5), [133, 178, 228, 128, 255, 143]); // (10 + 255)/2 = 132.5, …
        assert_eq!(at(0.2), [59, 131, 211, 51, 255, 75]);
    }

    #[test]
    fn without_heat_the_photo_stays() {
        let photo = Photo::from_rgb("x", 2, 1, vec![10, 100, 200, 0, 255, 30]);
        let placement = Framing::Squash.place(2, 1, InputSize::default());
        let picture = blend(
            &photo,
            &placement,
            None,
            Colormap::Turbo,
            Opacity::default(),
        );
        assert_eq!(picture.rgb, photo.rgb);
    }

    #[test]
    fn outside_a_crop_the_photo_is_dimmed_and_not_painted() {
        let photo = Photo::from_rgb("x", 512, 256, vec![100; 3 * 512 * 256]);
        let placement = Framing::Crop.place(512, 256, InputSize::default());
        let heat = Heatmap::flat(1.0, (512, 256), (144, 16), (224, 224));
        let opacity = Opacity::new(1.0).unwrap();
        let picture = blend(&photo, &placement, Some(&heat), Colormap::Grey, opacity);
        let at = |x: usize, y: usize| picture.rgb[3 * (y * 512 + x)];
        assert_eq!(
            (at(143, 100), at(144, 100), at(367, 100), at(368, 100)),
            (40, 255, 255, 40)
        );
        assert_eq!(
            (at(200, 15), at(200, 16), at(200, 239), at(200, 240)),
            (40, 255, 255, 40)
        );
    }

    #[test]
    fn opacity_outside_its_range_is_refused() {
        assert!(Opacity::new(-0.1).is_none() && Opacity::new(1.1).is_none());
        assert!(Opacity::new(f32::NAN).is_none());
    }

    #[test]
    fn pictures_stand_side_by_side_with_a_gap() {
        let photo = Photo::from_rgb("x", 1, 2, vec![1, 1, 1, 3, 3, 3]);
        let placement = Framing::Squash.place(1, 2, InputSize::default());
        let (heat, opacity) = (flat(1, 2, 1.0), Opacity::new(1.0).unwrap());
        let heats = [None, Some(&heat)];
        let both = side_by_side(&photo, &placement, &heats, Colormap::Grey, opacity);
        assert_eq!((both.width, both.height), (10, 2));
        for (row, bare) in both.rgb.chunks_exact(30).zip([1, 3]) {
            assert_eq!(
                (row[0], row[3], row[26], row[27]),
                (bare, GAP_GREY, GAP_GREY, 255)
            );
        }
    }
}
