#![allow(clippy::float_cmp)] // exact values are expected
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
    let size = InputSize::square(288, 303).unwrap();
    let crop = Framing::Crop.place(600, 400, size);
    assert_eq!((crop.resized, crop.input), ((454, 303), (288, 288)));
    assert_eq!(crop.offset, (83, 8)); // round(7.5) is 8 in Python
    let down = Framing::Crop.place(600, 400, size.with_rounding_down(true));
    assert_eq!(down.offset, (83, 7));
    assert_eq!(Framing::Whole.place(600, 400, size).input, (448, 288)); // 432 is a tie
    assert_eq!(Framing::Squash.place(600, 400, size).input, (288, 288));
    let boxed = Framing::Letterbox.place(600, 400, size);
    assert_eq!((boxed.resized, boxed.input), ((288, 192), (288, 288)));
    assert_eq!(boxed.offset, (0, -48));
}

/// timm 1.0's evaluation transforms of photos of these sizes for inputs of 192×48 (width ×
/// height) with a `crop_pct` of 0.5, and its `border` mode with one of 1.
#[test]
fn other_inputs_than_squares_are_timms() {
    let size = InputSize::of_part(192, 48, 0.5).unwrap();
    for (photo, resized, offset, boxed, beside) in TIMM {
        let crop = Framing::Crop.place(photo.0, photo.1, size);
        assert_eq!((crop.resized, crop.offset), (resized, offset), "{photo:?}");
        let letterbox = Framing::Letterbox.place(photo.0, photo.1, size);
        assert_eq!((letterbox.resized, letterbox.offset), (boxed, beside));
        assert_eq!((crop.input, letterbox.input), ((192, 48), (192, 48)));
        assert!(crop.hides_something() && !crop.is_padded());
        assert!(!letterbox.hides_something());
        assert_eq!(letterbox.is_padded(), boxed != (192, 48));
        let seen = [0.0, 0.0, photo.0 as f64, photo.1 as f64];
        assert_eq!(letterbox.seen_in_photo(), seen);
    }
}

type Sides = (usize, usize);
type Offset = (isize, isize);

const TIMM: [(Sides, Sides, Offset, Sides, Offset); 7] = [
    ((451, 300), (384, 255), (96, 104), (72, 48), (-60, 0)),
    ((300, 451), (384, 577), (96, 264), (32, 48), (-80, 0)),
    ((1000, 100), (960, 96), (384, 24), (192, 19), (0, -14)),
    ((200, 50), (384, 96), (96, 24), (192, 48), (0, 0)),
    ((64, 300), (384, 1800), (96, 876), (10, 48), (-91, 0)),
    ((7, 5), (384, 274), (96, 113), (67, 48), (-62, 0)),
    ((777, 333), (384, 165), (96, 58), (112, 48), (-40, 0)),
];

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
        let corner = if input.placement.is_padded() { 124 } else { 0 };
        assert_eq!(input.rgb[0], corner);
    }
}

#[test]
fn a_letterbox_is_the_photo_and_its_padding() {
    let rgb: Vec<u8> = (0..3 * 40 * 20).map(|n: u32| n.to_le_bytes()[0]).collect();
    let photo = Photo::from_rgb("ramp", 40, 20, rgb.clone());
    let options = FrameOptions {
        pad: [1, 2, 3],
        ..InputSize::square(40, 40).unwrap().into()
    };
    let input = Framing::Letterbox.frame(&photo, options);
    assert_eq!(input.placement.offset, (0, -10));
    assert_eq!(input.rgb[..3 * 400], [1, 2, 3].repeat(400));
    assert_eq!(input.rgb[3 * 400..3 * 1200], rgb);
    assert_eq!(input.rgb[3 * 1200..], [1, 2, 3].repeat(400));
    let gray = FrameOptions {
        gray: true,
        ..options
    };
    let input = Framing::Letterbox.frame(&photo, gray);
    assert_eq!(input.rgb[..3], [2, 2, 2]);
    assert_eq!(input.rgb[1200..1203], [luma([0, 1, 2]); 3]);
}
