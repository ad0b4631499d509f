//! Files that pydicom wrote (`tools/dicom_fixtures.py`), against what it reads from them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::*;

const FOLDER: &str = "tests/dicom";

fn open(name: &str) -> Result<Photo, PhotoError> {
    Photo::open(&Path::new(FOLDER).join(format!("{name}.dcm")))
}

#[test]
fn files_are_shown_as_pydicom_reads_them() {
    let text = fs::read_to_string(Path::new(FOLDER).join("expected.json")).unwrap();
    let expected: BTreeMap<String, Option<Vec<u8>>> = serde_json::from_str(&text).unwrap();
    assert_eq!(expected.len(), 10);
    for (name, expected) in expected {
        let Some(expected) = expected else {
            let message = open(&name).unwrap_err().to_string();
            assert!(message.contains("compressed by JPEG 2000"), "{message}");
            assert!(message.contains("gdcmconv"), "{message}");
            continue;
        };
        let photo = open(&name).unwrap();
        assert_eq!((photo.width, photo.height), (24, 16), "{name}");
        let found: Vec<u8> = if photo.tones.is_some() {
            photo.rgb.iter().copied().step_by(3).collect()
        } else {
            photo.rgb.clone()
        };
        // Levels halfway between two gray values may be rounded to either.
        assert_eq!(found.len(), expected.len(), "{name}");
        let mut pairs = found.iter().zip(&expected);
        assert!(pairs.all(|(a, b)| a.abs_diff(*b) <= 1), "{name}: {found:?}");
        let notices = photo.notices.join(" ");
        assert_eq!(notices.contains("first of its 3 frames"), name == "frames");
    }
}

#[test]
fn the_window_can_be_changed_and_taken_back() {
    let photo = Arc::new(open("ct").unwrap());
    let own = WindowLevel::new(40.0, 400.0).unwrap();
    assert_eq!(photo.window(), Some(own));
    let tones = photo.tones.clone().unwrap();
    assert_eq!(tones.range, (-1124.0, 1976.0));
    let lung = WindowLevel::new(-600.0, 1500.0);
    let changed = photo.clone().with_window(lung);
    assert_eq!(changed.window(), lung);
    assert!(changed.rgb != photo.rgb && changed.name == photo.name);
    // The levels are not copied.
    assert!(Arc::ptr_eq(
        &changed.tones.clone().unwrap().levels,
        &tones.levels
    ));
    assert_eq!(changed.with_window(None).rgb, photo.rgb);
    let whole = photo.clone().with_window(Some(tones.whole()));
    assert_eq!((whole.rgb[0], whole.rgb[whole.rgb.len() - 1]), (0, 255));
    assert!(Arc::ptr_eq(&photo.clone().with_window(Some(own)), &photo));
    // Colors have no window.
    let color = Arc::new(open("rgb-planar").unwrap());
    assert!(Arc::ptr_eq(&color.clone().with_window(lung), &color));
}

/// A file in explicit little-endian form around compressed pixels.
fn encapsulated(syntax: &str, bits: u16, fragment: &[u8]) -> Vec<u8> {
    let mut file = vec![0; 128];
    file.extend(b"DICM");
    let mut put = |tag: u32, kind: &[u8; 2], value: &[u8]| {
        let (group, element) = (tag >> 16, tag & 0xffff);
        for half in [group, element] {
            file.extend(u16::try_from(half).unwrap().to_le_bytes());
        }
        file.extend(kind);
        file.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
        file.extend(value);
    };
    put(tag::TRANSFER_SYNTAX, b"UI", syntax.as_bytes());
    put(tag::SAMPLES_PER_PIXEL, b"US", &1u16.to_le_bytes());
    put(tag::PHOTOMETRIC, b"CS", b"MONOCHROME2 ");
    put(tag::ROWS, b"US", &4u16.to_le_bytes());
    put(tag::COLUMNS, b"US", &6u16.to_le_bytes());
    put(tag::BITS_ALLOCATED, b"US", &16u16.to_le_bytes());
    put(tag::BITS_STORED, b"US", &bits.to_le_bytes());
    put(tag::HIGH_BIT, b"US", &(bits - 1).to_le_bytes());
    put(tag::CENTER, b"DS", b"2048");
    put(tag::WIDTH, b"DS", b"4096");
    file.extend([0xe0, 0x7f, 0x10, 0, b'O', b'B', 0, 0, 255, 255, 255, 255]);
    file.extend([0xfe, 0xff, 0, 0xe0, 0, 0, 0, 0]);
    file.extend([0xfe, 0xff, 0, 0xe0]);
    file.extend(u32::try_from(fragment.len()).unwrap().to_le_bytes());
    file.extend(fragment);
    file.extend([0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0]);
    file
}

#[test]
fn lossless_jpeg_keeps_every_level() {
    use libjpeg_turbo_rs::precision::compress_lossless_arbitrary;

    let samples: Vec<u16> = (0..24).map(|index| index * 170).collect();
    let stream = compress_lossless_arbitrary(&samples, 6, 4, 1, 12, 1, 0).unwrap();
    let file = encapsulated("1.2.840.10008.1.2.4.70", 12, &stream);
    let photo = Photo::decode("x.dcm", &file).unwrap();
    let levels: Vec<f32> = samples.iter().map(|sample| f32::from(*sample)).collect();
    assert_eq!(*photo.tones.unwrap().levels, levels);
    let cut = encapsulated("1.2.840.10008.1.2.4.70", 12, &stream[..stream.len() / 2]);
    assert!(Photo::decode("x.dcm", &cut).is_err());
}

#[test]
fn what_is_not_read_is_refused_in_words() {
    for (syntax, words) in [
        ("1.2.840.10008.1.2.4.80", "compressed by JPEG-LS"),
        ("1.2.840.10008.1.2.4.100", "compressed by video"),
        ("1.2.3", "a way that camlens does not know"),
        ("", "does not say its transfer syntax"),
        (
            "1.2.840.10008.1.2.1",
            "not stored as its transfer syntax says",
        ),
        ("1.2.840.10008.1.2.4.70", "JPEG stream is damaged"),
        ("1.2.840.10008.1.2.5", "RLE segments are damaged"),
    ] {
        let file = encapsulated(syntax, 12, b"nothing!");
        let message = Photo::decode("x.dcm", &file).unwrap_err().to_string();
        assert!(
            message.contains(words) && message.contains("x.dcm"),
            "{message}"
        );
    }
}

/// Damaged files are refused or read, without a panic and without an allocation that they do not
/// justify: the limits on memory are checked first, and values are parts of the file.
#[test]
fn damaged_files_do_no_harm() {
    let mut seed = 7u32;
    let mut next = move || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as usize
    };
    for entry in fs::read_dir(FOLDER).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "dcm") {
            continue;
        }
        let good = fs::read(&path).unwrap();
        for round in 0..400 {
            let mut bad = good.clone();
            for _ in 0..=next() % 4 {
                let at = 132 + next() % (bad.len() - 132);
                bad[at] = match next() % 4 {
                    0 => 0xff,
                    1 => 0,
                    2 => bad[at] ^ (1 << (next() % 8)),
                    _ => u8::try_from(next() % 256).unwrap(),
                };
            }
            if round % 5 == 0 {
                bad.truncate(132 + next() % (bad.len() - 132));
            }
            let limits = Limits::default();
            // Not through the function that catches panics.
            if let Ok(photo) = decode("x.dcm", &bad, limits) {
                assert_eq!(photo.rgb.len(), 3 * photo.width * photo.height);
            }
        }
    }
}
