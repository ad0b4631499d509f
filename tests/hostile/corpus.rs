//! `tests/corpus`: the expected result of each file.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use camlens::input::photo::{Limits, Photo, PhotoError};
use sha2::{Digest, Sha256};

/// Timeout for each file.
const PATIENCE: Duration = Duration::from_secs(5);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

/// The lines of `expected.txt`, split into fields.
fn expected() -> Vec<Vec<String>> {
    let text = fs::read_to_string(folder().join("expected.txt")).unwrap();
    let fields = |line: &str| line.split('\t').map(str::to_owned).collect();
    text.lines().map(fields).collect()
}

fn open(name: &str) -> Result<Photo, PhotoError> {
    let started = Instant::now();
    let photo = Photo::open(&folder().join(name));
    assert!(started.elapsed() < PATIENCE, "{name} took too long");
    photo
}

fn sha256(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(bytes) {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

/// The mean difference of two pictures, in gray levels.
fn difference(one: &Photo, other: &Photo) -> f64 {
    assert_eq!(one.rgb.len(), other.rgb.len());
    let pairs = one.rgb.iter().zip(&other.rgb);
    let sum: u64 = pairs.map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / one.rgb.len() as f64
}

#[test]
fn each_file_gives_its_picture_or_says_why_not() {
    let mut faults = Vec::new();
    for fields in expected() {
        let [name, kind, about, ..] = &fields[..] else {
            panic!("{fields:?}");
        };
        let found = open(name);
        let size = |photo: &Photo| format!("{}x{}", photo.width, photo.height);
        let fault = match (kind.as_str(), found) {
            ("refused", Err(error)) => {
                let message = error.to_string();
                let well = message.contains(about.as_str()) && message.contains(name.as_str());
                (!well).then(|| format!("{message:?} instead of {about:?}"))
            }
            ("refused", Ok(photo)) => Some(format!("opened as {}", size(&photo))),
            (_, Err(error)) => Some(error.to_string()),
            (_, Ok(photo)) if size(&photo) != *about => Some(size(&photo)),
            ("exact", Ok(photo)) => {
                (sha256(&photo.rgb) != fields[3]).then(|| "other pixels".to_owned())
            }
            (_, Ok(photo)) => {
                let difference = difference(&photo, &open(&fields[3]).unwrap());
                (difference > 4.0).then(|| format!("{difference} gray levels from {}", fields[3]))
            }
        };
        faults.extend(fault.map(|fault| format!("{name}: {fault}")));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A photo with a missing part would be explained as if it were complete.
#[test]
fn a_file_that_is_cut_short_is_refused_or_complete() {
    let mut faults = Vec::new();
    for fields in expected() {
        let [name, kind, ..] = &fields[..] else {
            panic!("{fields:?}");
        };
        if kind == "refused" {
            continue;
        }
        let bytes = fs::read(folder().join(name)).unwrap();
        let whole = open(name).unwrap();
        for tenths in 0..10 {
            let started = Instant::now();
            let cut = Photo::decode(name, &bytes[..bytes.len() * tenths / 10]);
            assert!(started.elapsed() < PATIENCE, "{name} took too long");
            match cut {
                Ok(photo) if photo.rgb == whole.rgb => {}
                Ok(_) => faults.push(format!("{name} at {tenths}0 %: another picture")),
                Err(error) => {
                    let message = error.to_string();
                    let words = ["damaged or cut short", "empty", "not an image"];
                    if !words.iter().any(|words| message.contains(words)) {
                        faults.push(format!("{name} at {tenths}0 %: {message}"));
                    }
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The message names the option that raises the limit.
#[test]
fn limits_can_be_raised() {
    let path = folder().join("upright.png");
    let within = |megapixels, decoded_mb, file_mb| {
        let limits = Limits {
            megapixels,
            decoded_mb,
            file_mb,
        };
        Photo::open_within(&path, limits).map_err(|error| error.to_string())
    };
    assert!(within(1, 1, 1).is_ok());
    for (result, option) in [
        (within(0, 1, 1), "--max-megapixels 1"),
        (within(1, 0, 1), "--max-decoded-mb 1"),
        (within(1, 1, 0), "--max-file-mb 1"),
    ] {
        let message = result.unwrap_err();
        assert!(
            message.contains(option) && message.contains("View › Limits"),
            "{message}"
        );
    }
}
