use std::io::Cursor;

use super::*;
use image::{ImageBuffer, ImageFormat, Luma, Rgb, Rgba};

fn png(picture: &DynamicImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

#[test]
fn sixteen_bits_are_scaled_not_cut() {
    let picture = ImageBuffer::from_pixel(2, 1, Luma([32_896u16])); // 128·257
    let photo = Photo::decode("x.png", &png(&DynamicImage::ImageLuma16(picture))).unwrap();
    assert_eq!(photo.rgb, [128; 6]);
}

#[test]
fn alpha_is_composited_on_white() {
    let picture = ImageBuffer::from_fn(2, 1, |x, _| {
        Rgba([0u8, 0, 100, if x == 0 { 0 } else { 128 }])
    });
    let photo = Photo::decode("x.png", &png(&DynamicImage::ImageRgba8(picture))).unwrap();
    assert_eq!(photo.rgb, [255, 255, 255, 127, 127, 177]);
    assert!(photo.had_alpha);
}

#[test]
fn exif_orientation_is_applied() {
    // A 2×1 JPEG (red, blue) whose EXIF says "rotate 90° clockwise".
    let picture = ImageBuffer::from_fn(16, 8, |x, _| {
        if x < 8 {
            Rgb([255u8, 0, 0])
        } else {
            Rgb([0, 0, 255])
        }
    });
    let mut jpeg = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(picture)
        .write_to(&mut jpeg, ImageFormat::Jpeg)
        .unwrap();
    let jpeg = jpeg.into_inner();
    let mut exif =
        b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    let mut bytes = vec![0xff, 0xd8, 0xff, 0xe1, length[0], length[1]];
    bytes.append(&mut exif);
    bytes.extend(&jpeg[2..]);
    let photo = Photo::decode("x.jpg", &bytes).unwrap();
    assert_eq!((photo.width, photo.height), (8, 16));
    assert!(photo.rgb[0] > 200 && photo.rgb[2] < 60, "red is on top");
}

#[test]
fn refusals_name_the_fault_and_the_way_out() {
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0";
    let png = png(&DynamicImage::new_rgb8(64, 64));
    for (name, bytes, words) in [
        (
            "a.heic",
            &heic[..],
            "HEIC is not supported. Convert it to JPEG or PNG.",
        ),
        ("a.txt", b"hello there", "not an image"),
        ("a.png", b"", "empty"),
        ("a.png", &png[..png.len() / 2], "damaged"),
        ("a.svg", b"<svg xmlns='x'/>", "SVG"),
    ] {
        let message = Photo::decode(name, bytes).unwrap_err().to_string();
        assert!(
            message.contains(words) && message.contains(name),
            "{message}"
        );
    }
    let missing = Photo::open(Path::new("/nowhere/cat.png"))
        .unwrap_err()
        .to_string();
    assert!(missing.contains("Can't read cat.png"), "{missing}");
    let folder = Photo::open(Path::new("/")).unwrap_err().to_string();
    assert!(folder.contains("folder"), "{folder}");
    if cfg!(unix) {
        let device = Photo::open(Path::new("/dev/zero")).unwrap_err().to_string();
        assert!(device.contains("is not a file"), "{device}");
    }
}

#[test]
fn a_header_that_claims_a_huge_picture_is_refused_before_allocation() {
    let mut bomb = b"P6\n32000 32000\n255\n".to_vec();
    bomb.extend([0; 64]);
    let message = Photo::decode("bomb.ppm", &bomb).unwrap_err().to_string();
    assert!(
        message.contains("has 1024 megapixels (32000×32000), and the limit is 100")
            && message.contains("--max-megapixels 1024"),
        "{message}"
    );
}

#[test]
fn scaling_down_keeps_the_aspect_ratio() {
    let photo = Photo::from_rgb("x", 400, 100, vec![90; 3 * 400 * 100]);
    let Picture { width, height, rgb } = photo.scaled_down(100);
    assert_eq!((width, height), (100, 25));
    assert!(rgb.iter().all(|&value| value == 90));
}

/// `tests/golden/README.md` describes how the file was made. Checks every size that a JPEG can be
/// decoded at.
#[test]
fn jpegs_are_decoded_at_a_fraction_of_their_size() {
    let file = Path::new("tests/golden/cat-420-progressive.jpg");
    let whole = Photo::open(file).unwrap();
    let longest = whole.width.max(whole.height);
    let average = |rgb: &[u8]| {
        let sum: u64 = rgb.iter().map(|value| u64::from(*value)).sum();
        sum as f64 / rgb.len() as f64
    };
    for divisor in [8, 4, 2, 1] {
        let small = Photo::open_at_least(file, longest / divisor, Limits::default()).unwrap();
        let size = (
            whole.width.div_ceil(divisor),
            whole.height.div_ceil(divisor),
        );
        assert_eq!((small.width, small.height), size, "1/{divisor}");
        let difference = average(&small.rgb) - average(&whole.rgb);
        assert!(difference.abs() < 1.0, "1/{divisor}: {difference}");
    }
}

#[test]
fn jpegs_are_decoded_to_the_bit_as_pillow_does() {
    let photo = Photo::open(Path::new("tests/golden/cat-420-progressive.jpg")).unwrap();
    assert_eq!((photo.width, photo.height), (227, 151));
    let hex = crate::model::weights::hex_sha256(&photo.rgb);
    assert_eq!(
        hex,
        "73e045eaabab1942c15cb94997a82ecf5a8bc26cfccb7002092e52e97191590e"
    );
}
