//! Limits on the size of a photo, checked before memory is allocated.

use serde::{Deserialize, Serialize};

use crate::input::photo::PhotoError;
use crate::platform::memory;

/// The maximum size of a photo. A file of a few bytes can claim any size, and a compressed one can
/// expand a thousandfold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Pixels, in millions.
    pub megapixels: u32,
    /// The decoded pixels, in 10⁶ bytes.
    pub decoded_mb: u32,
    /// The file, in 10⁶ bytes.
    pub file_mb: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            megapixels: 100,
            decoded_mb: 512,
            file_mb: 512,
        }
    }
}

/// Longest side, in pixels: the largest that textures and our own resizing were tested with.
pub const MAX_SIDE: u32 = 32_768;
/// Maximum size of metadata (color profile, EXIF and similar), in bytes. Profiles of printers have
/// up to 4 MB, and a JPEG can't hold more than 16 MB.
pub const MAX_METADATA: u64 = 16_000_000;

/// Bytes in a megabyte.
const MB: u64 = 1_000_000;

impl Limits {
    /// Checks the length of a file.
    pub(crate) fn check_file(self, name: &str, bytes: u64) -> Result<(), PhotoError> {
        let megabytes = bytes.div_ceil(MB);
        if megabytes <= self.file_mb.into() {
            return Ok(());
        }
        Err(PhotoError::TooLarge {
            name: name.to_owned(),
            excess: format!("is a file of {megabytes} MB"),
            limit: format!("{} MB", self.file_mb),
            option: format!("--max-file-mb {megabytes}"),
        })
    }

    /// Checks the sides of a picture and its size in bytes when decoded.
    pub(crate) fn check_picture(
        self,
        name: &str,
        (width, height): (u32, u32),
        decoded: u64,
    ) -> Result<(), PhotoError> {
        if width == 0 || height == 0 {
            return Err(PhotoError::Damaged {
                name: name.to_owned(),
                cause: format!("{width}×{height} pixels"),
            });
        }
        let megapixels = (u64::from(width) * u64::from(height)).div_ceil(MB);
        if megapixels > self.megapixels.into() {
            return Err(PhotoError::TooLarge {
                name: name.to_owned(),
                excess: format!("has {megapixels} megapixels ({width}×{height})"),
                limit: format!("{}", self.megapixels),
                option: format!("--max-megapixels {megapixels}"),
            });
        }
        if width.max(height) > MAX_SIDE {
            return Err(PhotoError::TooLong {
                name: name.to_owned(),
                width,
                height,
                limit: MAX_SIDE,
            });
        }
        let megabytes = decoded.div_ceil(MB);
        if megabytes > self.decoded_mb.into() {
            return Err(PhotoError::TooLarge {
                name: name.to_owned(),
                excess: format!("takes {megabytes} MB when decoded ({width}×{height} pixels)"),
                limit: format!("{} MB", self.decoded_mb),
                option: format!("--max-decoded-mb {megabytes}"),
            });
        }
        let needed = 2 * decoded + 3 * u64::from(width) * u64::from(height);
        if !memory::has(needed) {
            return Err(PhotoError::Memory {
                name: name.to_owned(),
                megabytes: needed.div_ceil(MB),
            });
        }
        Ok(())
    }
}

/// Whether a PNG or WebP file has a metadata chunk that is too long. (In JPEG the format limits it,
/// in TIFF the decoder does.)
pub(crate) fn has_too_much_metadata(bytes: &[u8]) -> bool {
    let png = bytes.starts_with(b"\x89PNG\r\n\x1a\n");
    let webp = bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP");
    let mut rest = match (png, webp) {
        (true, _) => &bytes[8..],
        (_, true) => &bytes[12..],
        _ => return false,
    };
    while let Some((head, after)) = rest.split_first_chunk::<8>() {
        let [a, b, c, d, e, f, g, h] = *head;
        let (kind, length, extra) = if png {
            // Length, kind, contents, checksum.
            ([e, f, g, h], u32::from_be_bytes([a, b, c, d]), 4)
        } else {
            // Kind, length, contents, padded to an even length.
            let length = u32::from_le_bytes([e, f, g, h]);
            ([a, b, c, d], length, length % 2)
        };
        let metadata = [
            b"iCCP", b"eXIf", b"iTXt", b"zTXt", b"tEXt", b"ICCP", b"EXIF", b"XMP ",
        ];
        if metadata.contains(&&kind) && u64::from(length) > MAX_METADATA {
            return true;
        }
        let step = u64::from(length) + u64::from(extra);
        let Some(next) = usize::try_from(step)
            .ok()
            .and_then(|step| after.get(step..))
        else {
            return false; // truncated: the decoder reports it
        };
        rest = next;
    }
    false
}
