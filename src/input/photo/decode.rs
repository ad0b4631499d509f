//! Decodes the bytes of a file to upright pixels.

use std::io::Cursor;

use image::error::LimitErrorKind;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader};
use libjpeg_turbo_rs::{DecodeLimits, Decoder, PixelFormat, ScalingFactor};

use crate::input::photo::error::unreadable;
use crate::input::photo::limits::{Limits, MAX_METADATA};
use crate::input::photo::{Photo, PhotoError, dicom, limits};
use crate::platform::panics;

/// Maximum number of scans in a progressive JPEG, the same as in libjpeg-turbo's fuzzers. Each scan
/// covers the whole picture, and a file of a few KB can have thousands. Encoders write about 10.
const MAX_SCANS: usize = 500;

/// Decodes a photo at least `side` pixels long, or at full size if it has fewer.
pub fn decode(name: &str, bytes: &[u8], side: usize, limits: Limits) -> Result<Photo, PhotoError> {
    // Fuzzing finds panics in decoders, always on damaged files (tests/corpus/fuzz).
    panics::caught(|| decode_trustingly(name, bytes, side, limits)).unwrap_or_else(|said| {
        Err(PhotoError::Damaged {
            name: name.to_owned(),
            cause: format!("the decoder failed: {said}"),
        })
    })
}

fn decode_trustingly(
    name: &str,
    bytes: &[u8],
    side: usize,
    limits: Limits,
) -> Result<Photo, PhotoError> {
    let name = name.to_owned();
    if bytes.is_empty() {
        return Err(PhotoError::Empty { name });
    }
    if dicom::is_dicom(bytes) {
        return dicom::decode(&name, bytes, limits);
    }
    let mut reader = ImageReader::new(Cursor::new(bytes));
    match image::guess_format(bytes) {
        Ok(format) => reader.set_format(format),
        // TGA has no signature, so the file name decides.
        Err(_) if name.to_lowercase().ends_with(".tga") => {
            reader.set_format(ImageFormat::Tga);
        }
        Err(_) => return Err(unreadable(name, bytes)),
    }
    let unsupported = reader.format().is_some_and(|f| !f.reading_enabled());
    if unsupported {
        return Err(unreadable(name, bytes));
    }
    let format = reader.format();
    let is_jpeg = format == Some(ImageFormat::Jpeg);
    let metadata = || PhotoError::Metadata {
        name: name.clone(),
        limit: MAX_METADATA / 1_000_000,
    };
    if limits::has_too_much_metadata(bytes) {
        return Err(metadata());
    }
    // Limit for what a decoder reads before the size is known: metadata, palettes.
    reader.limits(at_most(MAX_METADATA));
    let failed = |error: ImageError| match error {
        ImageError::Limits(error) if error.kind() == LimitErrorKind::InsufficientMemory => {
            metadata()
        }
        other => PhotoError::Damaged {
            name: name.clone(),
            cause: other.to_string(),
        },
    };
    let mut decoder = reader.into_decoder().map_err(failed)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    let decoded = if is_jpeg {
        3 * pixels
    } else {
        decoder.total_bytes()
    };
    limits.check_picture(&name, (width, height), decoded)?;
    if format == Some(ImageFormat::Bmp) && pixels_begin_in_palette(bytes) {
        return Err(PhotoError::Damaged {
            name,
            cause: "its pixel data begins within its palette".into(),
        });
    }
    let orientation = orientation(&mut decoder);
    let damaged = |cause: String| PhotoError::Damaged {
        name: name.clone(),
        cause,
    };
    let mut picture = if is_jpeg {
        let divisor = jpeg_divisor(width.max(height) as usize, side);
        decode_jpeg(bytes, divisor).map_err(damaged)?
    } else {
        // Twice the size of the picture: some decoders keep a copy.
        let picture = decoder.set_limits(at_most(2 * decoded + MAX_METADATA));
        let picture = picture.and_then(|()| DynamicImage::from_decoder(decoder));
        picture.map_err(|error| damaged(error.to_string()))?
    };
    if format == Some(ImageFormat::Tga) && has_no_alpha(bytes) {
        picture = DynamicImage::ImageRgb8(picture.into_rgb8());
    }
    picture.apply_orientation(orientation);
    Ok(Photo::from_picture(name, picture))
}

/// Decodes a gray JPEG with 8 bits. The caller has checked the size.
pub fn jpeg_gray(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let decode = || {
        let limits = DecodeLimits {
            max_scans: MAX_SCANS,
            ..DecodeLimits::default()
        };
        let mut decoder = Decoder::new_with_limits(bytes, limits)?;
        decoder.set_output_format(PixelFormat::Grayscale);
        decoder.decode_image()
    };
    let decoded = decode().map_err(|error: libjpeg_turbo_rs::JpegError| error.to_string())?;
    Ok(decoded.data)
}

/// The orientation from EXIF. If the EXIF block is damaged, the picture is not rotated.
fn orientation(decoder: &mut impl ImageDecoder) -> Orientation {
    let exif = decoder.exif_metadata().ok().flatten();
    let found = exif.and_then(|exif| {
        // Some programs also write the prefix into WebP, although only JPEG has it.
        let exif = exif.strip_prefix(b"Exif\0\0").unwrap_or(&exif);
        Orientation::from_exif_chunk(exif)
    });
    found
        .or_else(|| decoder.orientation().ok())
        .unwrap_or(Orientation::NoTransforms)
}

/// Whether a TGA file with 32 bits per pixel declares that it has no alpha.
fn has_no_alpha(bytes: &[u8]) -> bool {
    bytes.get(16) == Some(&32) && bytes.get(17).is_some_and(|about| about % 16 == 0)
}

/// Whether the pixel data of a BMP file begins before its palette ends: palette colors would be
/// decoded as pixels.
fn pixels_begin_in_palette(bytes: &[u8]) -> bool {
    let number = |at: usize| {
        let four = bytes.get(at..at + 4)?;
        Some(u64::from(u32::from_le_bytes(four.try_into().ok()?)))
    };
    let (Some(pixels), Some(header), Some(depth), Some(used)) =
        (number(10), number(14), bytes.get(28), number(46))
    else {
        return false;
    };
    if header < 40 || *depth > 8 {
        return false; // no palette, or another header
    }
    let colors = if used == 0 { 1 << depth } else { used };
    pixels < 14 + header + 4 * colors
}

/// Limits on memory only; we check the sides ourselves.
fn at_most(bytes: u64) -> image::Limits {
    let mut limits = image::Limits::no_limits();
    limits.max_alloc = Some(bytes);
    limits
}

/// The largest divisor with which a JPEG can be decoded so that `side` pixels remain.
fn jpeg_divisor(longest: usize, side: usize) -> u32 {
    let enough = |divisor: &u32| longest / *divisor as usize >= side;
    [8, 4, 2].into_iter().find(enough).unwrap_or(1)
}

/// Decodes a JPEG exactly like libjpeg-turbo, which Pillow and torchvision use. The caller has
/// checked the size.
pub fn decode_jpeg(bytes: &[u8], divisor: u32) -> Result<DynamicImage, String> {
    let decode = || {
        let limits = DecodeLimits {
            max_scans: MAX_SCANS,
            ..DecodeLimits::default()
        };
        let mut decoder = Decoder::new_with_limits(bytes, limits)?;
        decoder.set_output_format(PixelFormat::Rgb);
        if divisor > 1 {
            decoder.set_scale(ScalingFactor::try_new(1, divisor)?);
        }
        decoder.decode_image()
    };
    let decoded = decode().map_err(|error: libjpeg_turbo_rs::JpegError| error.to_string())?;
    let side = |length: usize| u32::try_from(length).ok();
    side(decoded.width)
        .zip(side(decoded.height))
        .and_then(|(width, height)| image::RgbImage::from_raw(width, height, decoded.data))
        .map(DynamicImage::ImageRgb8)
        .ok_or_else(|| "its size does not fit its contents".into())
}
