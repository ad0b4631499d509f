//! Errors from reading a photo.

use std::io;

use crate::text::printable;

/// Why a photo could not be read; every message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum PhotoError {
    /// The file could not be read at all.
    #[error(
        "Can't read {}: {}. Check that the file exists and that you may read it.",
        printable::name(.name), printable::quotation(&.cause.to_string())
    )]
    Io {
        /// File name as shown.
        name: String,
        /// The system's reason.
        cause: io::Error,
    },
    /// A folder was given.
    #[error(
        "{} is a folder. Give the photos in it instead.",
        printable::name(.name)
    )]
    Folder {
        /// Folder name as shown.
        name: String,
    },
    /// A device, a pipe or similar.
    #[error(
        "{} is not a file. Save the photo as a file and give that.",
        printable::name(.name)
    )]
    NotAFile {
        /// Its name as shown.
        name: String,
    },
    /// A format that is known but not read.
    #[error(
        "Can't read {}: {format} is not supported. Convert it to JPEG or PNG.",
        printable::name(.name)
    )]
    Unsupported {
        /// File name as shown.
        name: String,
        /// The format's name.
        format: &'static str,
    },
    /// A DICOM file that can't be read.
    #[error(
        "Can't read the DICOM file {}: {}.",
        printable::name(.name), printable::quotation(.what)
    )]
    Dicom {
        /// File name as shown.
        name: String,
        /// What is wrong with it.
        what: String,
    },
    /// Not an image, as far as the first bytes tell.
    #[error(
        "Can't read {}: it is not an image. Give a JPEG, PNG, WebP, GIF, TIFF, BMP or DICOM file.",
        printable::name(.name)
    )]
    NotAnImage {
        /// File name as shown.
        name: String,
    },
    /// An empty file.
    #[error(
        "Can't read {}: the file is empty.",
        printable::name(.name)
    )]
    Empty {
        /// File name as shown.
        name: String,
    },
    /// Beyond a limit that can be raised.
    #[error(
        "{} {excess}, and the limit is {limit}. Scale it down, or raise the limit: View › Limits in the window, {option} on the command line.",
        printable::name(.name)
    )]
    TooLarge {
        /// File name as shown.
        name: String,
        /// The size, in words: `has 144 megapixels (12000×12000)`.
        excess: String,
        /// The limit, in words.
        limit: String,
        /// The option that raises the limit.
        option: String,
    },
    /// A side is longer than this program supports.
    #[error(
        "{} is {width}×{height} pixels, and a side may have {limit} at most. Crop it or scale it down.",
        printable::name(.name)
    )]
    TooLong {
        /// File name as shown.
        name: String,
        /// Its width in pixels.
        width: u32,
        /// Its height in pixels.
        height: u32,
        /// The maximum length of a side.
        limit: u32,
    },
    /// The metadata is too large to be plausible.
    #[error(
        "Can't read {}: it has more than {limit} MB of metadata (color profile, EXIF). Save it again without metadata.",
        printable::name(.name)
    )]
    Metadata {
        /// File name as shown.
        name: String,
        /// The limit in megabytes.
        limit: u64,
    },
    /// Not enough memory.
    #[error(
        "Can't read {}: not enough memory, decoding needs {megabytes} MB. Close other programs, or scale the photo down.",
        printable::name(.name)
    )]
    Memory {
        /// File name as shown.
        name: String,
        /// The memory needed, in megabytes.
        megabytes: u64,
    },
    /// An image, but damaged.
    #[error(
        "Can't read {}: the file is damaged or cut short ({}). Save or download it again.",
        printable::name(.name), printable::quotation(.cause)
    )]
    Damaged {
        /// File name as shown.
        name: String,
        /// The decoder's reason.
        cause: String,
    },
}

/// The error for bytes that no decoder accepts, with the name of the format if the first bytes
/// identify it.
pub(crate) fn unreadable(name: String, bytes: &[u8]) -> PhotoError {
    let starts = |prefix: &[u8]| bytes.starts_with(prefix);
    let brand = bytes.get(4..12).filter(|b| b.starts_with(b"ftyp"));
    let format = match brand.map(|b| &b[4..]) {
        Some(b"heic" | b"heix" | b"hevc" | b"heim" | b"heis" | b"mif1" | b"msf1") => Some("HEIC"),
        Some(b"avif" | b"avis") => Some("AVIF"),
        Some(_) => Some("video (MP4)"),
        None if starts(b"%PDF") => Some("PDF"),
        None if starts(b"8BPS") => Some("Photoshop (PSD)"),
        None if starts(b"\xff\x0a") || starts(b"\0\0\0\x0cJXL ") => Some("JPEG XL"),
        None if starts(b"\0\0\0\x0cjP  ") => Some("JPEG 2000"),
        None if starts(b"\0\0\x01\0") => Some("ICO"),
        None if starts(b"DDS ") => Some("DDS"),
        None if starts(b"#?RADIANCE") => Some("Radiance HDR"),
        None if starts(b"\x76\x2f\x31\x01") => Some("OpenEXR"),
        None if starts(b"<svg") || starts(b"<?xml") => Some("SVG or XML"),
        None => None,
    };
    match format {
        Some(format) => PhotoError::Unsupported { name, format },
        None => PhotoError::NotAnImage { name },
    }
}
