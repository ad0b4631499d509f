//! Photos: bytes of any common format to upright RGB8, or a clear refusal.
//!
//! EXIF orientation is applied, 16-bit samples are scaled to 8, grey is
//! replicated, CMYK converted, alpha composited on white, and of animated files
//! the first frame is taken. Sizes are checked before anything is allocated.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use fast_image_resize as fir;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use libjpeg_turbo_rs::{PixelFormat, ScalingFactor, StreamingDecoder};

/// Largest side accepted, in pixels.
pub const MAX_SIDE: u32 = 32_768;
/// Largest photo accepted, in pixels: 128 megapixels, 384 MB as RGB8.
pub const MAX_PIXELS: u64 = 128_000_000;
/// Largest file read, in bytes.
pub const MAX_FILE_BYTES: u64 = 1 << 30;
/// What shows through transparent parts.
pub const ALPHA_BACKGROUND: [u8; 3] = [255; 3];

/// File name endings of the formats that can be read.
pub const EXTENSIONS: [&str; 17] = [
    "jpg", "jpeg", "jfif", "png", "apng", "webp", "gif", "bmp", "tif", "tiff", "pnm", "pbm", "pgm",
    "ppm", "pam", "tga", "qoi",
];

/// Why a photo could not be read; every message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum PhotoError {
    /// The file could not be read at all.
    #[error("Can't read {name}: {cause}. Check that the file is there and may be read.")]
    Io {
        /// File name as shown.
        name: String,
        /// The system's reason.
        cause: std::io::Error,
    },
    /// A folder was given.
    #[error("{name} is a folder. Give the photos in it instead.")]
    Folder {
        /// Folder name as shown.
        name: String,
    },
    /// A device, a pipe or the like.
    #[error("{name} is not a file. Save the photo as a file and give that.")]
    NotAFile {
        /// Its name as shown.
        name: String,
    },
    /// A format that is known but not read.
    #[error("Can't read {name}: {format} is not supported. Convert it to JPEG or PNG.")]
    Unsupported {
        /// File name as shown.
        name: String,
        /// The format's name.
        format: &'static str,
    },
    /// Not an image, as far as the first bytes tell.
    #[error(
        "Can't read {name}: it is not an image. Give a JPEG, PNG, WebP, GIF, TIFF or BMP file."
    )]
    NotAnImage {
        /// File name as shown.
        name: String,
    },
    /// An empty file.
    #[error("Can't read {name}: the file is empty.")]
    Empty {
        /// File name as shown.
        name: String,
    },
    /// Larger than this program accepts.
    #[error(
        "{name} is too large ({size}). Scale it down to at most 128 megapixels and 32768 pixels a side."
    )]
    TooLarge {
        /// File name as shown.
        name: String,
        /// Its size, in words.
        size: String,
    },
    /// An image, but damaged.
    #[error(
        "Can't read {name}: the file is damaged or cut short ({cause}). Save or download it again."
    )]
    Damaged {
        /// File name as shown.
        name: String,
        /// The decoder's reason.
        cause: String,
    },
}

mod folder;
mod part;

pub use folder::in_folder;
pub use part::Area;

/// RGB8 pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Interleaved, row by row: `3·width·height` bytes.
    pub rgb: Vec<u8>,
}

/// An upright photo.
#[derive(Clone, Debug)]
pub struct Photo {
    /// What to call it on screen: the file name.
    pub name: String,
    /// Where it came from, if it came from a file.
    pub path: Option<PathBuf>,
    /// Width in pixels, at least 1.
    pub width: usize,
    /// Height in pixels, at least 1.
    pub height: usize,
    /// RGB8, interleaved, row by row: `3·width·height` bytes.
    pub rgb: Vec<u8>,
    /// Whether transparent parts were composited on [`ALPHA_BACKGROUND`].
    pub had_alpha: bool,
}

impl Photo {
    /// Reads a photo from a file.
    ///
    /// # Errors
    /// [`PhotoError`] by kind of fault.
    pub fn open(path: &Path) -> Result<Self, PhotoError> {
        Self::open_at_least(path, usize::MAX)
    }

    /// As [`Photo::open`], and smaller where that saves work: at least `side` pixels on its
    /// longer side, or whole if it has fewer. A JPEG is decoded at an eighth, a quarter or
    /// half its size.
    ///
    /// # Errors
    /// [`PhotoError`] by kind of fault.
    pub fn open_at_least(path: &Path, side: usize) -> Result<Self, PhotoError> {
        let name = display_name(path);
        let io = |cause| PhotoError::Io {
            name: name.clone(),
            cause,
        };
        let metadata = fs::metadata(path).map_err(io)?;
        if metadata.is_dir() {
            return Err(PhotoError::Folder { name });
        }
        // Reading a pipe or a device may never end.
        if !metadata.is_file() {
            return Err(PhotoError::NotAFile { name });
        }
        if metadata.len() > MAX_FILE_BYTES {
            let size = format!("{} MB", metadata.len() / 1_000_000);
            return Err(PhotoError::TooLarge { name, size });
        }
        let bytes = fs::read(path).map_err(io)?;
        let mut photo = Self::decode_at_least(&name, &bytes, side)?;
        photo.path = Some(path.to_owned());
        Ok(photo)
    }

    /// Decodes a photo from the bytes of a file.
    ///
    /// # Errors
    /// [`PhotoError`] by kind of fault.
    pub fn decode(name: &str, bytes: &[u8]) -> Result<Self, PhotoError> {
        Self::decode_at_least(name, bytes, usize::MAX)
    }

    fn decode_at_least(name: &str, bytes: &[u8], side: usize) -> Result<Self, PhotoError> {
        let name = name.to_owned();
        if bytes.is_empty() {
            return Err(PhotoError::Empty { name });
        }
        let mut reader = ImageReader::new(Cursor::new(bytes));
        match image::guess_format(bytes) {
            Ok(format) => reader.set_format(format),
            // TGA has no signature: only its name tells.
            Err(_) if name.to_lowercase().ends_with(".tga") => {
                reader.set_format(ImageFormat::Tga);
            }
            Err(_) => return Err(unreadable(name, bytes)),
        }
        let unsupported = reader.format().is_some_and(|f| !f.reading_enabled());
        if unsupported {
            return Err(unreadable(name, bytes));
        }
        let is_jpeg = reader.format() == Some(ImageFormat::Jpeg);
        let damaged = |cause: image::ImageError| PhotoError::Damaged {
            name: name.clone(),
            cause: cause.to_string(),
        };
        let mut limits = Limits::default();
        limits.max_image_width = Some(MAX_SIDE);
        limits.max_image_height = Some(MAX_SIDE);
        // Up to 8 bytes a pixel while decoding (16-bit RGBA).
        limits.max_alloc = Some(MAX_PIXELS * 8);
        reader.limits(limits);
        let mut decoder = reader.into_decoder().map_err(|e| match e {
            image::ImageError::Limits(_) => PhotoError::TooLarge {
                name: name.clone(),
                size: format!("a side above {MAX_SIDE} pixels"),
            },
            other => damaged(other),
        })?;
        let (width, height) = decoder.dimensions();
        if u64::from(width) * u64::from(height) > MAX_PIXELS || width.max(height) > MAX_SIDE {
            let size = format!("{width}×{height} pixels");
            return Err(PhotoError::TooLarge { name, size });
        }
        if width == 0 || height == 0 {
            return Err(PhotoError::Damaged {
                name,
                cause: format!("{width}×{height} pixels"),
            });
        }
        // A photo whose EXIF block is damaged is shown as it lies.
        let orientation = decoder
            .orientation()
            .unwrap_or(image::metadata::Orientation::NoTransforms);
        let mut picture = if is_jpeg {
            let divisor = jpeg_divisor(width.max(height) as usize, side);
            decode_jpeg(bytes, divisor).map_err(|cause| PhotoError::Damaged {
                name: name.clone(),
                cause,
            })?
        } else {
            DynamicImage::from_decoder(decoder).map_err(damaged)?
        };
        picture.apply_orientation(orientation);
        Ok(Self::from_picture(name, picture))
    }

    /// A photo from pixels that are RGB8 already.
    ///
    /// # Panics
    /// If `rgb` does not hold `3·width·height` bytes, or a side is 0.
    #[must_use]
    pub fn from_rgb(name: &str, width: usize, height: usize, rgb: Vec<u8>) -> Self {
        assert_eq!(rgb.len(), 3 * width * height, "RGB8 of this size");
        assert!(!rgb.is_empty(), "at least one pixel");
        Self {
            name: name.to_owned(),
            path: None,
            width,
            height,
            rgb,
            had_alpha: false,
        }
    }

    /// A photo from RGBA8 pixels with straight alpha, as clipboards hold them;
    /// `None` if there are no pixels, or not as many as the sides say.
    #[must_use]
    pub fn from_rgba(name: &str, width: usize, height: usize, rgba: Vec<u8>) -> Option<Self> {
        let side = |length: usize| u32::try_from(length).ok().filter(|length| *length > 0);
        let pixels = image::RgbaImage::from_raw(side(width)?, side(height)?, rgba)?;
        Some(Self::from_picture(
            name.to_owned(),
            DynamicImage::ImageRgba8(pixels),
        ))
    }

    fn from_picture(name: String, picture: DynamicImage) -> Self {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let mut had_alpha = false;
        let rgb = if picture.color().has_alpha() {
            let rgba = picture.into_rgba8().into_raw();
            had_alpha = rgba.chunks_exact(4).any(|pixel| pixel[3] < 255);
            composite(&rgba)
        } else {
            picture.into_rgb8().into_raw()
        };
        Self {
            name,
            path: None,
            width,
            height,
            rgb,
            had_alpha,
        }
    }

    /// The photo at most `max_side` pixels on its longer side,
    /// for thumbnails.
    /// Never enlarged; what the network sees comes from [`crate::framing`].
    #[must_use]
    pub fn scaled_down(&self, max_side: usize) -> Picture {
        let longest = self.width.max(self.height);
        if longest <= max_side {
            return Picture {
                width: self.width,
                height: self.height,
                rgb: self.rgb.clone(),
            };
        }
        let side = |length: usize| (length * max_side / longest).max(1);
        let (width, height) = (side(self.width), side(self.height));
        let rgb =
            shrink(&self.rgb, (self.width, self.height), (width, height)).unwrap_or_else(|| {
                crate::framing::resize_like_pillow(
                    &self.rgb,
                    (self.width, self.height),
                    (width, height),
                )
            });
        Picture { width, height, rgb }
    }
}

/// The largest number by which a JPEG's decoder can divide the size so that `side` pixels
/// are left.
fn jpeg_divisor(longest: usize, side: usize) -> u32 {
    let enough = |divisor: &u32| longest / *divisor as usize >= side;
    [8, 4, 2].into_iter().find(enough).unwrap_or(1)
}

/// Decodes a JPEG as libjpeg-turbo does, which Pillow and torchvision use. Its size
/// has been checked.
fn decode_jpeg(bytes: &[u8], divisor: u32) -> Result<DynamicImage, String> {
    let decode = || {
        if divisor == 1 {
            return libjpeg_turbo_rs::decompress_to(bytes, PixelFormat::Rgb);
        }
        let mut decoder = StreamingDecoder::new(bytes)?;
        decoder.set_output_format(PixelFormat::Rgb);
        decoder.set_scale(ScalingFactor::try_new(1, divisor)?);
        decoder.decode()
    };
    let decoded = decode().map_err(|error| error.to_string())?;
    let side = |length: usize| u32::try_from(length).ok();
    side(decoded.width)
        .zip(side(decoded.height))
        .and_then(|(width, height)| image::RgbImage::from_raw(width, height, decoded.data))
        .map(DynamicImage::ImageRgb8)
        .ok_or_else(|| "its size does not fit its contents".into())
}

/// Antialiased shrinking by `fast_image_resize`; `None` if it refuses.
fn shrink(rgb: &[u8], from: (usize, usize), to: (usize, usize)) -> Option<Vec<u8>> {
    let side = |length: usize| u32::try_from(length).ok();
    let source =
        fir::images::ImageRef::new(side(from.0)?, side(from.1)?, rgb, fir::PixelType::U8x3);
    let mut target = fir::images::Image::new(side(to.0)?, side(to.1)?, fir::PixelType::U8x3);
    fir::Resizer::new()
        .resize(&source.ok()?, &mut target, None)
        .ok()?;
    Some(target.into_vec())
}

/// RGBA8 (straight alpha) to RGB8 on [`ALPHA_BACKGROUND`].
fn composite(rgba: &[u8]) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(rgba.len() / 4 * 3);
    for pixel in rgba.chunks_exact(4) {
        let alpha = u32::from(pixel[3]);
        for channel in 0..3 {
            let over = u32::from(pixel[channel]) * alpha;
            let under = u32::from(ALPHA_BACKGROUND[channel]) * (255 - alpha);
            #[allow(clippy::cast_possible_truncation)] // a mean of two bytes
            rgb.push(((over + under + 127) / 255) as u8);
        }
    }
    rgb
}

/// What a path is called on screen.
#[must_use]
pub fn display_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

/// The refusal for bytes that no decoder takes, with the format's name where
/// the first bytes tell it.
fn unreadable(name: String, bytes: &[u8]) -> PhotoError {
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
        None if bytes.get(128..132) == Some(b"DICM") => Some("DICOM"),
        None if starts(b"<svg") || starts(b"<?xml") => Some("SVG or XML"),
        None => None,
    };
    match format {
        Some(format) => PhotoError::Unsupported { name, format },
        None => PhotoError::NotAnImage { name },
    }
}

#[cfg(test)]
mod tests;
