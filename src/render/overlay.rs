//! Blends photo, heat and colors into pixels. All blending is done here.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::input::framing::Placement;
use crate::input::photo::{Photo, Picture};
use crate::platform::simd::Isa;
use crate::render::colormap;
use crate::render::colormap::Palette;
use crate::render::contour::Line;
use crate::render::heatmap::Heatmap;

/// The brightness of the photo where the network did not look.
pub const DIMMED: f32 = 0.4;
/// The gray behind a photo, and behind heat that is drawn alone.
pub const BEHIND: u8 = 60;
/// Maximum number of pixels of a picture made from a photo: 0.8 GB as RGB. Two overlays of the
/// largest photo allowed by the default [`Limits`](crate::input::photo::Limits) stay below it.
pub const MOST_PIXELS: usize = 1 << 28;
/// Pixels of background between pictures side by side.
const GAP: usize = 8;
/// Neutral gray between pictures side by side.
const GAP_GRAY: u8 = 128;

/// The opacity of the heat over the photo: 0..=1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Opacity(f32);

impl Opacity {
    /// Only the heat is visible.
    pub const FULL: Self = Self(1.0);

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

/// The photo at full size with heat over it: `out = (1−a)·photo + a·color`, the linear blend of the
/// stored values. What the network did not see is dimmed and never colored. Without heat the photo
/// stays unchanged.
///
/// # Panics
/// If the heat was not made for a grid of the photo's size.
#[must_use]
pub fn blend(
    photo: &Photo,
    placement: &Placement,
    heat: Option<&Heatmap>,
    colors: impl Into<Palette>,
    opacity: Opacity,
) -> Picture {
    let colors = colors.into();
    let heats = [heat.map(|heat| (heat, &colors))];
    side_by_side(photo, placement, &heats, opacity)
}

/// The photo once for each heat with its colors, blended as in [`blend`], side by side. It works
/// row by row, so that only the result is kept in memory.
///
/// # Panics
/// If a heat was not made for a grid of the photo's size.
#[must_use]
pub fn side_by_side(
    photo: &Photo,
    placement: &Placement,
    heats: &[Option<(&Heatmap, &Palette)>],
    opacity: Opacity,
) -> Picture {
    let at_size = |(heat, _): &(&Heatmap, &Palette)| heat.size == (photo.width, photo.height);
    assert!(
        heats.iter().flatten().all(at_size),
        "heat at the photo's own size"
    );
    let seen = placement
        .hides_something()
        .then(|| placement.seen_in_photo());
    let count = heats.len();
    let (width, _) = size_of(count, (photo.width, photo.height));
    let mut rgb = vec![GAP_GRAY; 3 * width * photo.height];
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
                if let Some((heat, colors)) = heat {
                    paint(part, y, heat, values, (colors, opacity));
                }
            }
        });
    Picture {
        width,
        height: photo.height,
        rgb,
    }
}

/// Blends heat over row `y` of a photo; `values` is scratch memory.
fn paint(
    row: &mut [u8],
    y: usize,
    heat: &Heatmap,
    values: &mut Vec<f32>,
    (colors, opacity): (&Palette, Opacity),
) {
    let (left, top) = heat.offset;
    let inside = y.checked_sub(top).filter(|line| *line < heat.extent.1);
    let Some(line) = inside else {
        return;
    };
    values.resize(heat.extent.0, 0.0);
    heat.row(line, values);
    for (pixel, &value) in row[3 * left..].chunks_exact_mut(3).zip(&*values) {
        let [red, green, blue, alpha] = colors.0[usize::from(colormap::entry(value))];
        if alpha == 0 {
            continue; // hidden
        }
        for (channel, color) in pixel.iter_mut().zip([red, green, blue]) {
            *channel = mix(*channel, color, opacity.0);
        }
    }
}

/// Grid steps per cell: enough that what the graphics card interpolates between two steps lies
/// within a few entries of the colormap.
const STEPS: usize = 32;
/// Minimum and maximum length of the grid's longer side: each class change colors the grid again.
const SCREEN_SIDE: (usize, usize) = (512, 768);

/// The grid (width, height) on which a map of `cells` (width, height) is drawn on screen: in the
/// photo's proportions, fine enough for the cells, and independent of the photo's size.
#[must_use]
pub fn screen_grid(placement: &Placement, cells: (usize, usize)) -> (usize, usize) {
    let (shortest, most) = SCREEN_SIDE;
    grid_of(
        placement,
        (STEPS * cells.0.max(cells.1)).clamp(shortest, most),
    )
}

/// A grid (width, height) in the photo's proportions, with `longest` on its longer side.
#[must_use]
pub fn grid_of(placement: &Placement, longest: usize) -> (usize, usize) {
    let (width, height) = placement.photo;
    let side = |length: usize| (length * longest).div_ceil(width.max(height));
    (side(width), side(height))
}

/// The width and height of the result of [`side_by_side`] for `count` pictures of this size.
#[must_use]
pub fn size_of(count: usize, (width, height): (usize, usize)) -> (usize, usize) {
    (count * width + GAP * count.saturating_sub(1), height)
}

/// The column where a picture begins in [`side_by_side`], for photos of this width.
#[must_use]
pub fn left_of(width: usize, index: usize) -> usize {
    index * (width + GAP)
}

/// The colors of the part with heat, row-major: the screen draws them over the photo with the
/// chosen opacity. `table` holds the colors of a [`Palette`] in the format of the screen.
#[must_use]
pub fn colors<T: Copy>(heat: &Heatmap, table: &[T; 256]) -> Vec<T> {
    let (width, height) = heat.extent;
    let mut pixels = Vec::with_capacity(width * height);
    let (mut values, mut entries) = (vec![0.0; width], vec![0; width]);
    let level = Isa::chosen();
    for row in 0..height {
        heat.row(row, &mut values);
        colormap::entries(level, &values, &mut entries);
        pixels.extend(entries.iter().map(|entry| table[usize::from(*entry)]));
    }
    pixels
}

/// The heat alone, as RGBA at the grid's size: transparent where the network did not look and where
/// heat is hidden.
#[must_use]
pub fn heat_alone(heat: &Heatmap, colors: &Palette) -> Vec<[u8; 4]> {
    let (width, height) = heat.size;
    let mut pixels = vec![[0; 4]; width * height];
    let ((left, top), (columns, rows)) = (heat.offset, heat.extent);
    let own = self::colors(heat, &colors.0);
    let lines = pixels.chunks_exact_mut(width).skip(top).take(rows);
    for (line, own) in lines.zip(own.chunks_exact(columns.max(1))) {
        line[left..][..columns].copy_from_slice(own);
    }
    pixels
}

/// Draws lines over the part of a picture that begins at column `left` and has this `size` (width,
/// height). The lines are white with a dark rim, so that they are visible on every color. Positions
/// are shares of that part, 0..1.
pub fn draw_lines(picture: &mut Picture, left: usize, size: (usize, usize), lines: &[Line]) {
    // The line is 1/600 of the longer side: about as wide as on screen.
    let half = (size.0.max(size.1) as f32 / 1200.0).max(0.5);
    for (half, gray) in [(2.0 * half, 0), (half, 255)] {
        // Where lines cross, each pixel is painted only once.
        let mut cover = vec![0u8; size.0 * size.1];
        for line in lines {
            cover_line(&mut cover, size, line, half);
        }
        let rows = picture.rgb.chunks_exact_mut(3 * picture.width);
        for (row, cover) in rows.zip(cover.chunks_exact(size.0)) {
            for (pixel, cover) in row[3 * left..].chunks_exact_mut(3).zip(cover) {
                let share = f32::from(*cover) / 255.0;
                for channel in pixel {
                    *channel = mix(*channel, gray, share);
                }
            }
        }
    }
}

/// How much of each pixel is covered by a line with this half width, in 255ths.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped to the picture
fn cover_line(cover: &mut [u8], (width, height): (usize, usize), line: &Line, half: f32) {
    let at = |(x, y): (f32, f32)| (x * width as f32, y * height as f32);
    let ((ax, ay), (bx, by)) = (at(line.from), at(line.to));
    let (dx, dy) = (bx - ax, by - ay);
    let length = (dx * dx + dy * dy).max(1e-12);
    let reach = half + 1.0;
    let span = |a: f32, b: f32, side: usize| {
        let first = (a.min(b) - reach).max(0.0) as usize;
        first..((a.max(b) + reach).ceil().max(0.0) as usize).min(side)
    };
    for y in span(ay, by, height) {
        for x in span(ax, bx, width) {
            let (px, py) = (x as f32 + 0.5 - ax, y as f32 + 0.5 - ay);
            let along = ((px * dx + py * dy) / length).clamp(0.0, 1.0);
            let (ex, ey) = (px - along * dx, py - along * dy);
            let share = (half + 0.5 - (ex * ex + ey * ey).sqrt()).clamp(0.0, 1.0);
            let pixel = &mut cover[y * width + x];
            *pixel = (*pixel).max((share * 255.0) as u8);
        }
    }
}

/// `(1−share)·under + share·over`, rounded.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a mean of two bytes
fn mix(under: u8, over: u8, share: f32) -> u8 {
    ((1.0 - share) * f32::from(under) + share * f32::from(over) + 0.5) as u8
}

/// Dims every pixel of row `y` whose center lies outside the part that the network saw (in photo
/// pixels).
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
    use crate::input::framing::{Framing, InputSize};
    use crate::render::colormap::Colormap;

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
            blend(&photo, &placement, Some(&heat), Colormap::Gray, opacity).rgb
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
        let picture = blend(&photo, &placement, Some(&heat), Colormap::Gray, opacity);
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
        let gray = Colormap::Gray.into();
        let heats = [None, Some((&heat, &gray))];
        let both = side_by_side(&photo, &placement, &heats, opacity);
        assert_eq!((both.width, both.height), (10, 2));
        for (row, bare) in both.rgb.chunks_exact(30).zip([1, 3]) {
            assert_eq!(
                (row[0], row[3], row[26], row[27]),
                (bare, GAP_GRAY, GAP_GRAY, 255)
            );
        }
    }

    #[test]
    fn heat_that_is_left_out_shows_the_photo() {
        let photo = Photo::from_rgb("x", 2, 1, vec![10, 100, 200, 0, 255, 30]);
        let placement = Framing::Squash.place(2, 1, InputSize::default());
        let (heat, opacity) = (flat(2, 1, 0.3), Opacity::new(1.0).unwrap());
        for (hidden, red) in [(false, 76), (true, 10)] {
            let palette = Palette::with_gaps(Colormap::Gray, |heat| hidden && heat < 0.5);
            let picture = blend(&photo, &placement, Some(&heat), palette.clone(), opacity);
            assert_eq!(picture.rgb[0], red);
            let alone = heat_alone(&heat, &palette);
            assert_eq!(alone[1][3] == 0, hidden);
        }
    }

    #[test]
    fn lines_are_drawn_where_they_are_and_nowhere_else() {
        let mut picture = Picture {
            width: 40,
            height: 10,
            rgb: vec![100; 3 * 400],
        };
        let line = Line {
            from: (0.0, 0.55),
            to: (1.0, 0.55),
        };
        draw_lines(&mut picture, 20, (20, 10), &[line]);
        let at = |x: usize, y: usize| picture.rgb[3 * (40 * y + x)];
        assert_eq!((at(30, 5), at(39, 5)), (255, 255));
        assert!(at(30, 4) < 60, "the rim is dark");
        assert_eq!((at(30, 1), at(19, 5)), (100, 100));
    }
}
