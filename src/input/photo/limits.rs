//! How large a photo may be: checked before anything is allocated.

use serde::{Deserialize, Serialize};

use crate::input::photo::PhotoError;
use crate::platform::memory;

/// What a photo may be at most. A file of a few bytes can claim any size, and
/// a compressed one can grow a thousandfold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Pixels, in millions.
    pub megapixels: u32,
    /// Its pixels as the decoder gives them, in 10⁶ bytes.
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

/// Longest side, in pixels: what a texture and our own resizing are tried with.
pub const MAX_SIDE: u32 = 32_768;
/// Most that a color profile, EXIF and the like may take, in bytes: profiles of
/// printers have up to 4 MB, a JPEG can't hold more than 16 MB.
pub const MAX_METADATA: u64 = 16_000_000;

/// Bytes in a megabyte.
const MB: u64 = 1_000_000;

impl Limits {
    /// Whether a file may be so long.
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

    /// Whether a picture may have these sides and, decoded, so many bytes.
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

/// Whether a PNG or WebP file names a chunk of metadata that is too long. (A JPEG's are
/// bounded by its format, a TIFF's by its decoder.)
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
            return false; // it is cut short, which its decoder tells
        };
        rest = next;
    }
    false
}
