//! The compressions of DICOM pixels that can be read: RLE and JPEG.

use libjpeg_turbo_rs::precision::{decompress_12bit, decompress_lossless_arbitrary};

use crate::input::photo::decode;

/// Decodes one frame of PS3.5 annex G: each byte of each sample is a segment of its own, the most
/// significant byte first. The result has samples of `bytes` little-endian bytes, interleaved.
pub fn run_length(
    fragment: &[u8],
    pixels: usize,
    samples: usize,
    bytes: usize,
) -> Result<Vec<u8>, String> {
    let number = |index: usize| {
        let four = fragment.get(4 * index..4 * index + 4);
        let four: [u8; 4] = four?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(four)).ok()
    };
    let damaged = || "its RLE segments are damaged".to_owned();
    let count = number(0).ok_or_else(damaged)?;
    if count != samples * bytes || count > 15 {
        return Err(damaged());
    }
    let mut decoded = vec![0; pixels * samples * bytes];
    for segment in 0..count {
        let start = number(segment + 1).ok_or_else(damaged)?;
        let end = match segment + 1 {
            next if next < count => number(next + 1).ok_or_else(damaged)?,
            _ => fragment.len(),
        };
        let packed = fragment.get(start..end).ok_or_else(damaged)?;
        let (sample, byte) = (segment / bytes, bytes - 1 - segment % bytes);
        let first = sample * bytes + byte;
        let written = unpack(packed, &mut decoded[first..], samples * bytes, pixels);
        if written != pixels {
            return Err(damaged());
        }
    }
    Ok(decoded)
}

/// Unpacks one segment (`PackBits`) to every `step`-th byte; returns the number of bytes written, at
/// most `most`.
fn unpack(mut packed: &[u8], out: &mut [u8], step: usize, most: usize) -> usize {
    let mut written = 0;
    while let Some((&control, rest)) = packed.split_first() {
        packed = rest;
        #[allow(clippy::comparison_chain)] // three kinds of runs
        let run = if control < 128 {
            let length = usize::from(control) + 1;
            let Some((literal, rest)) = packed.split_at_checked(length) else {
                return written;
            };
            packed = rest;
            literal
                .iter()
                .copied()
                .take(most - written)
                .for_each(|value| {
                    out[written * step] = value;
                    written += 1;
                });
            continue;
        } else if control == 128 {
            continue;
        } else {
            257 - usize::from(control)
        };
        let Some((&value, rest)) = packed.split_first() else {
            return written;
        };
        packed = rest;
        for _ in 0..run.min(most - written) {
            out[written * step] = value;
            written += 1;
        }
    }
    written
}

/// A decoded JPEG frame.
pub enum Jpeg {
    /// 8 bits, RGB.
    Rgb(Vec<u8>),
    /// One sample for each pixel.
    Gray(Vec<u16>),
}

/// The size, precision and number of components that a JPEG stream declares, and whether it is
/// lossless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JpegFrame {
    pub size: (usize, usize),
    pub bits: u8,
    pub components: u8,
    pub lossless: bool,
}

impl JpegFrame {
    /// Finds the header of the frame.
    pub fn of(stream: &[u8]) -> Option<Self> {
        let mut rest = stream.strip_prefix(b"\xff\xd8")?;
        loop {
            let marker = match rest {
                [0xff, 0xff, ..] => {
                    rest = &rest[1..];
                    continue;
                }
                [0xff, marker, ..] => *marker,
                _ => return None,
            };
            let length = usize::from(u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]));
            let body = rest.get(4..2 + length)?;
            if matches!(marker, 0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf) {
                let [bits, h1, h0, w1, w0, components, ..] = *body else {
                    return None;
                };
                let side = |high, low| usize::from(u16::from_be_bytes([high, low]));
                return Some(Self {
                    size: (side(w1, w0), side(h1, h0)),
                    bits,
                    components,
                    lossless: matches!(marker, 0xc3 | 0xc7 | 0xcb | 0xcf),
                });
            }
            rest = rest.get(2 + length..)?;
        }
    }
}

/// Decodes a JPEG stream of the declared size. The caller has checked the size.
pub fn jpeg(stream: &[u8], size: (usize, usize), rgb: bool) -> Result<Jpeg, String> {
    let frame = JpegFrame::of(stream).ok_or("its JPEG stream is damaged")?;
    if frame.size != size {
        return Err("its JPEG stream has another size than the file says".into());
    }
    match (frame.components, frame.lossless) {
        (1, true) => {
            let image = decompress_lossless_arbitrary(stream).map_err(|e| e.to_string())?;
            Ok(Jpeg::Gray(image.data))
        }
        (3, true) if frame.bits == 8 && rgb => {
            let image = decompress_lossless_arbitrary(stream).map_err(|e| e.to_string())?;
            let samples = image.data.into_iter().map(u8::try_from);
            let rgb: Result<Vec<u8>, _> = samples.collect();
            rgb.map(Jpeg::Rgb)
                .map_err(|_| "its JPEG stream is damaged".into())
        }
        (1, false) if frame.bits > 8 => {
            let image = decompress_12bit(stream).map_err(|e| e.to_string())?;
            let samples = image.data.iter();
            Ok(Jpeg::Gray(samples.map(|s| s.cast_unsigned()).collect()))
        }
        (1, false) => {
            let gray = decode::jpeg_gray(stream)?;
            Ok(Jpeg::Gray(gray.into_iter().map(u16::from).collect()))
        }
        (3, false) if frame.bits == 8 => {
            // The stream itself tells by its markers whether its colors are transformed.
            if rgb && !says_rgb(stream) {
                return Err("its JPEG stream does not say that its colors are RGB".into());
            }
            let picture = decode::decode_jpeg(stream, 1)?;
            Ok(Jpeg::Rgb(picture.into_rgb8().into_raw()))
        }
        _ => Err(format!(
            "its JPEG stream has {} components of {} bits",
            frame.components, frame.bits
        )),
    }
}

/// Whether a JPEG stream has Adobe's marker, or components called R, G and B.
fn says_rgb(stream: &[u8]) -> bool {
    let start = &stream[..stream.len().min(1 << 16)];
    start.windows(5).any(|five| five == b"Adobe")
        || start
            .windows(13)
            .any(|part| part[0] == 0xff && matches!(part[1], 0xc0..=0xc2) && part[10] == b'R')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_unpacked_within_their_bounds() {
        // Three literal bytes, a run of two, a pause.
        let packed = [2, 7, 8, 9, 255, 5, 128];
        let mut out = [0; 5];
        assert_eq!(unpack(&packed, &mut out, 1, 5), 5);
        assert_eq!(out, [7, 8, 9, 5, 5]);
        assert_eq!(unpack(&packed, &mut out, 1, 2), 2);
        assert_eq!(unpack(&[200], &mut out, 1, 5), 0);
        assert_eq!(unpack(&[9, 1], &mut out, 1, 5), 0);
    }

    #[test]
    fn damaged_segments_are_refused() {
        assert!(run_length(&[], 4, 1, 1).is_err());
        assert!(run_length(&[0xff; 64], 4, 1, 1).is_err());
        let mut good = vec![0; 64];
        (good[0], good[4]) = (1, 64);
        good.extend([253, 3]);
        assert_eq!(run_length(&good, 4, 1, 1).unwrap(), [3; 4]);
        assert!(run_length(&good, 5, 1, 1).is_err());
    }
}
