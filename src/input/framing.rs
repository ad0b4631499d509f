//! How a photo becomes the network's input, and how positions map back.
//!
//! [`Framing::frame`] returns an [`Input`]: the RGB8 pixels that the network sees, and a
//! [`Placement`] that maps input pixels to photo pixels, so that evidence is drawn in the right
//! place. Coordinates are continuous: pixel `i` covers `i..i+1`, its center is `i + 0.5`.

mod cells;

use crate::input::resample;
use serde::{Deserialize, Serialize};

use crate::input::photo::Photo;

pub use crate::input::framing::cells::{CellAxis, CellGrid};

/// `whole` rounds both sides to multiples of this: the stride of the networks' last layer.
const STRIDE: usize = 32;
/// The largest aspect ratio of `whole`; longer photos are squeezed to it.
const MAX_ASPECT: usize = 3;

/// The size of the network's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InputSize {
    /// Side of the square input of `crop` and `squash`.
    pub crop: usize,
    /// Short side of the resized photo, out of which `crop` cuts the center; `whole` uses the
    /// nearest multiple of 32.
    pub short: usize,
}

impl Default for InputSize {
    /// torchvision's evaluation size. For `whole`, 256 measured best of 224, 256 and 320 on 500
    /// labeled photos.
    fn default() -> Self {
        Self {
            crop: 224,
            short: 256,
        }
    }
}

impl InputSize {
    /// The allowed sides: from one cell of the last layer to the largest that is practical.
    pub const SIDES: std::ops::RangeInclusive<usize> = 32..=1024;

    /// A square input cut from a photo whose short side is `short`.
    ///
    /// # Errors
    /// A message that says what is wrong with these sides.
    pub fn new(crop: usize, short: usize) -> Result<Self, String> {
        if !Self::SIDES.contains(&crop) || short < crop || short > 2 * crop {
            return Err(format!(
                "an input of {crop} from a short side of {short} is not possible: use a side from {} to {}",
                Self::SIDES.start(),
                Self::SIDES.end()
            ));
        }
        Ok(Self { crop, short })
    }

    /// A square input with this side, and a short side in torchvision's proportion of 256 to 224.
    ///
    /// # Errors
    /// As [`InputSize::new`].
    pub fn of_side(crop: usize) -> Result<Self, String> {
        Self::new(crop, (crop * 8 + 3) / 7)
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
}

impl Framing {
    /// Every framing, in the order of menus.
    pub const ALL: [Self; 3] = [Self::Whole, Self::Crop, Self::Squash];

    /// The name on the command line and in menus.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Crop => "crop",
            Self::Squash => "squash",
        }
    }

    /// A description in one line.
    #[must_use]
    pub fn summary(self) -> &'static str {
        match self {
            Self::Whole => "The whole photo at its own aspect ratio; nothing is hidden.",
            Self::Crop => {
                "The center square, as in torchvision's evaluation; the rest is not seen."
            }
            Self::Squash => "The whole photo squashed to a square; shapes are distorted.",
        }
    }

    /// Where the input lies on a photo of `width`×`height` pixels.
    #[must_use]
    pub fn place(self, width: usize, height: usize, size: InputSize) -> Placement {
        let photo = (width, height);
        let InputSize { crop, short } = size;
        match self {
            Self::Whole => Placement::uncropped(photo, whole_size(width, height, short)),
            Self::Squash => Placement::uncropped(photo, (crop, crop)),
            Self::Crop => {
                // int(short·long/short), as torchvision truncates it.
                let resized = if width <= height {
                    (short, short * height / width)
                } else {
                    (short * width / height, short)
                };
                Placement {
                    photo,
                    resized,
                    offset: (centered(resized.0, crop), centered(resized.1, crop)),
                    input: (crop, crop),
                }
            }
        }
    }

    /// Resizes and crops a photo to the network's input.
    #[must_use]
    pub fn frame(self, photo: &Photo, size: InputSize) -> Input {
        let placement = self.place(photo.width, photo.height, size);
        let ((left, top), (width, height)) = (placement.offset, placement.input);
        let rgb = resample::bilinear_part(
            &photo.rgb,
            placement.photo,
            placement.resized,
            left..left + width,
            top..top + height,
        );
        Input { placement, rgb }
    }
}

/// `round((side − crop)/2)` with ties to even, as Python rounds.
fn centered(side: usize, crop: usize) -> usize {
    let twice = side - crop;
    let half = twice / 2;
    half + usize::from(twice % 2 == 1 && half % 2 == 1)
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

/// Where the network's input lies on the photo. Sizes are (width, height).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The photo, in its own pixels.
    pub photo: (usize, usize),
    /// The photo after resizing, in input pixels.
    pub resized: (usize, usize),
    /// Top left corner of the input on the resized photo, in input pixels.
    pub offset: (usize, usize),
    /// The network's input, in input pixels.
    pub input: (usize, usize),
}

impl Placement {
    fn uncropped(photo: (usize, usize), input: (usize, usize)) -> Self {
        Self {
            photo,
            resized: input,
            offset: (0, 0),
            input,
        }
    }

    /// The photo position of an input position (x, y).
    #[must_use]
    pub fn photo_from_input(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let axis = |position: f64, offset: usize, photo: usize, resized: usize| {
            (position + offset as f64) * photo as f64 / resized as f64
        };
        (
            axis(x, self.offset.0, self.photo.0, self.resized.0),
            axis(y, self.offset.1, self.photo.1, self.resized.1),
        )
    }

    /// The input position of a photo position (x, y); outside the input where the network did not
    /// look.
    #[must_use]
    pub fn input_from_photo(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let axis = |position: f64, offset: usize, photo: usize, resized: usize| {
            position * resized as f64 / photo as f64 - offset as f64
        };
        (
            axis(x, self.offset.0, self.photo.0, self.resized.0),
            axis(y, self.offset.1, self.photo.1, self.resized.1),
        )
    }

    /// The position in cells of a photo position (x, y): cell `i` covers `i..i+1`. `None` outside the
    /// input.
    #[must_use]
    pub fn cells_from_photo(&self, position: (f64, f64), grid: CellGrid) -> Option<(f64, f64)> {
        let (x, y) = self.input_from_photo(position);
        let seen = |position: f64, input: usize| (0.0..=input as f64).contains(&position);
        let (columns, rows) = self.cell_axes(grid);
        (seen(x, self.input.0) && seen(y, self.input.1))
            .then(|| (columns.cell_from_input(x), rows.cell_from_input(y)))
    }

    /// The photo position of a position in cells: the inverse of [`Placement::cells_from_photo`].
    #[must_use]
    pub fn photo_from_cells(&self, (x, y): (f64, f64), grid: CellGrid) -> (f64, f64) {
        let (columns, rows) = self.cell_axes(grid);
        self.photo_from_input((columns.input_from_cell(x), rows.input_from_cell(y)))
    }

    /// Where the cells of a layer lie on the input.
    #[must_use]
    pub fn cell_axes(&self, grid: CellGrid) -> (CellAxis, CellAxis) {
        (
            CellAxis::new(self.input.0, grid.columns, grid.stride.0),
            CellAxis::new(self.input.1, grid.rows, grid.stride.1),
        )
    }

    /// The same placement on the photo scaled to another size (width, height).
    #[must_use]
    pub fn on_photo_of(&self, photo: (usize, usize)) -> Self {
        Self { photo, ..*self }
    }

    /// The part of the photo that the network saw: left, top, right, bottom in
    /// photo pixels.
    #[must_use]
    pub fn seen_in_photo(&self) -> [f64; 4] {
        let (left, top) = self.photo_from_input((0.0, 0.0));
        let (right, bottom) = self.photo_from_input((self.input.0 as f64, self.input.1 as f64));
        [left, top, right, bottom]
    }

    /// Whether part of the photo was cut away before the network saw it.
    #[must_use]
    pub fn hides_something(&self) -> bool {
        self.resized != self.input
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
mod tests {
    use super::*;

    #[test]
    fn whole_keeps_the_aspect_ratio_in_steps_of_32() {
        for (photo, input) in [
            ((451, 300), (384, 256)),
            ((300, 451), (256, 384)),
            ((512, 512), (256, 256)),
            ((600, 400), (384, 256)),
            ((4000, 3000), (352, 256)), // 341.3, nearest multiple 352
            ((10_000, 100), (768, 256)),
            ((1, 1), (256, 256)),
            ((1, 5000), (256, 768)),
        ] {
            let placement = Framing::Whole.place(photo.0, photo.1, InputSize::default());
            assert_eq!(placement.input, input, "{photo:?}");
            assert!(!placement.hides_something());
        }
    }

    #[test]
    fn other_input_sizes_keep_the_rules() {
        let size = InputSize::new(288, 303).unwrap();
        let crop = Framing::Crop.place(600, 400, size);
        assert_eq!((crop.resized, crop.input), ((454, 303), (288, 288)));
        assert_eq!(crop.offset, (83, 8)); // round(7.5) is 8 in Python
        assert_eq!(Framing::Whole.place(600, 400, size).input, (448, 288)); // 432 is a tie
        assert_eq!(Framing::Squash.place(600, 400, size).input, (288, 288));
        assert_eq!(InputSize::of_side(224), Ok(InputSize::default()));
        for (crop, short) in [(0, 0), (16, 20), (224, 200), (2000, 2300), (224, 1000)] {
            assert!(InputSize::new(crop, short).is_err());
        }
    }

    #[test]
    fn crop_is_torchvisions() {
        for (photo, resized, offset) in [
            ((451, 300), (384, 256), (80, 16)),
            ((300, 451), (256, 384), (16, 80)),
            ((512, 512), (256, 256), (16, 16)),
            ((257, 256), (257, 256), (16, 16)), // round(16.5) is 16 in Python
            ((259, 256), (259, 256), (18, 16)), // round(17.5) is 18
        ] {
            let placement = Framing::Crop.place(photo.0, photo.1, InputSize::default());
            assert_eq!((placement.resized, placement.offset), (resized, offset));
            assert_eq!(placement.input, (224, 224));
        }
    }

    #[test]
    fn positions_survive_the_round_trip() {
        for framing in Framing::ALL {
            for photo in [(451, 300), (300, 451), (4000, 3000), (37, 900)] {
                let placement = framing.place(photo.0, photo.1, InputSize::default());
                for x in [0.0, 0.5, 17.25, 223.5] {
                    for y in [0.0, 31.5, 200.0] {
                        let there = placement.photo_from_input((x, y));
                        let back = placement.input_from_photo(there);
                        assert!((back.0 - x).abs() < 1e-9 && (back.1 - y).abs() < 1e-9);
                        let cells = CellGrid {
                            columns: placement.input.0 / 32,
                            rows: placement.input.1 / 32,
                            stride: (32.0, 32.0),
                        };
                        if let Some(at) = placement.cells_from_photo(there, cells) {
                            let (again_x, again_y) = placement.photo_from_cells(at, cells);
                            assert!((again_x - there.0).abs() < 1e-6);
                            assert!((again_y - there.1).abs() < 1e-6);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_center_of_the_crop_is_the_center_of_the_photo() {
        let placement = Framing::Crop.place(1024, 512, InputSize::default());
        let (x, y) = placement.photo_from_input((112.0, 112.0));
        assert!((x - 512.0).abs() < 1e-9 && (y - 256.0).abs() < 1e-9);
        let [left, top, right, bottom] = placement.seen_in_photo();
        assert_eq!((left, right), (288.0, 736.0));
        assert_eq!((top, bottom), (32.0, 480.0));
    }

    /// Resized completely, this photo would take 6 GB.
    #[test]
    fn a_crop_of_a_very_long_photo_costs_no_more_than_it_shows() {
        let photo = Photo::from_rgb("thread", 1, 32_768, vec![77; 3 * 32_768]);
        let input = Framing::Crop.frame(&photo, InputSize::default());
        assert_eq!(input.rgb, vec![77; 3 * 224 * 224]);
    }

    /// A bright block in the photo must be bright at the mapped position.
    #[test]
    fn pixels_land_where_the_placement_says() {
        let (width, height) = (640, 480);
        let mut rgb = vec![0; 3 * width * height];
        for y in 200..260 {
            for x in 300..360 {
                rgb[3 * (y * width + x)] = 255;
            }
        }
        let photo = Photo::from_rgb("block", width, height, rgb);
        for framing in Framing::ALL {
            let input = framing.frame(&photo, InputSize::default());
            let (x, y) = input.placement.input_from_photo((330.0, 230.0));
            let lit = |column: usize, row: usize| {
                input.rgb[3 * (row * input.placement.input.0 + column)] == 255
            };
            let near = |line: usize, at: f64| (line as f64 + 0.5 - at).abs() <= 0.5;
            let (width, height) = input.placement.input;
            let column = (0..width).find(|&column| near(column, x)).unwrap();
            let row = (0..height).find(|&row| near(row, y)).unwrap();
            assert!(lit(column, row), "{framing:?}");
            assert_eq!(input.rgb[0], 0);
        }
    }
}
