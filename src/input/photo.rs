//! Photos: bytes of any common format become upright RGB8, or a clear error.
//!
//! EXIF orientation is applied, 16-bit samples are scaled to 8 bits (gray ones by a window that can
//! be chosen), gray is replicated, CMYK is
//! converted, and alpha is composited on white. Animated files give their first frame. Sizes are
//! checked before memory is allocated.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fast_image_resize as fir;
use image::DynamicImage;

use crate::input::resample;

/// The background behind transparent parts.
pub const ALPHA_BACKGROUND: [u8; 3] = [255; 3];

/// Maximum number of pixels of a photo with 16 bits whose levels are kept for a choice of the
/// window: they take four bytes each.
const MOST_LEVELS: usize = 32_000_000;

/// File name extensions of the formats that can be read.
pub const EXTENSIONS: [&str; 19] = [
    "jpg", "jpeg", "jfif", "png", "apng", "webp", "gif", "bmp", "tif", "tiff", "pnm", "pbm", "pgm",
    "ppm", "pam", "tga", "qoi", "dcm", "dicom",
];

mod decode;
mod dicom;
mod error;
mod folder;
mod limits;
mod tile;
mod tones;

pub use crate::input::photo::error::PhotoError;
pub use crate::input::photo::folder::in_folder;
pub use crate::input::photo::limits::{Limits, MAX_METADATA, MAX_SIDE};
pub use crate::input::photo::tile::Area;
pub use crate::input::photo::tones::{Curve, Tones, WindowLevel};

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
    /// The name shown on screen: the file name.
    pub name: String,
    /// The file it came from, if any.
    pub path: Option<PathBuf>,
    /// Width in pixels, at least 1.
    pub width: usize,
    /// Height in pixels, at least 1.
    pub height: usize,
    /// RGB8, interleaved, row by row: `3·width·height` bytes.
    pub rgb: Vec<u8>,
    /// Whether transparent parts were composited on [`ALPHA_BACKGROUND`].
    pub had_alpha: bool,
    /// The levels of a gray photo with more than 256 of them.
    pub tones: Option<Arc<Tones>>,
    /// Notices about this photo for the user.
    pub notices: Vec<String>,
}

impl Photo {
    /// Reads a photo from a file, within the default [`Limits`].
    ///
    /// # Errors
    /// [`PhotoError`] by kind of fault.
    pub fn open(path: &Path) -> Result<Self, PhotoError> {
        Self::open_within(path, Limits::default())
    }

    /// Reads a photo from a file.
    ///
    /// # Errors
    /// [`PhotoError`] by kind of fault.
    pub fn open_within(path: &Path, limits: Limits) -> Result<Self, PhotoError> {
        Self::open_at_least(path, usize::MAX, limits)
    }

    /// Like [`Photo::open_within`], but the photo may be smaller where that saves work: at least
    /// `side` pixels on its longer side, or full size if it has fewer. A JPEG is decoded at an
    /// eighth, a quarter or half its size.
    ///
    /// # Errors
    /// [`PhotoError`] by kind of fault.
    pub fn open_at_least(path: &Path, side: usize, limits: Limits) -> Result<Self, PhotoError> {
        let name = display_name(path);
        let bytes = read(path, &name, limits)?;
        let mut photo = Self::decode_at_least(&name, &bytes, side, limits)?;
        photo.path = Some(path.to_owned());
        Ok(photo)
    }

    /// Decodes a photo from the bytes of a file, within the default [`Limits`].
    ///
    /// # Errors
    /// [`PhotoError`] by kind of fault.
    pub fn decode(name: &str, bytes: &[u8]) -> Result<Self, PhotoError> {
        Self::decode_at_least(name, bytes, usize::MAX, Limits::default())
    }

    /// Like [`Photo::open_at_least`], from the bytes of a file.
    ///
    /// # Errors
    /// [`PhotoError`] by kind of fault.
    pub fn decode_at_least(
        name: &str,
        bytes: &[u8],
        side: usize,
        limits: Limits,
    ) -> Result<Self, PhotoError> {
        decode::decode(name, bytes, side, limits)
    }

    /// A photo from RGB8 pixels.
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
            tones: None,
            notices: Vec::new(),
        }
    }

    /// The photo with another window, or its own window without one. A photo without levels has no
    /// window.
    #[must_use]
    pub fn with_window(self: Arc<Self>, window: Option<WindowLevel>) -> Arc<Self> {
        let Some(tones) = &self.tones else {
            return self;
        };
        let wanted = window.unwrap_or(tones.own);
        if tones.now == wanted {
            return self;
        }
        let tones = Tones {
            now: wanted,
            ..(**tones).clone()
        };
        Arc::new(Self {
            name: self.name.clone(),
            path: self.path.clone(),
            rgb: tones.rgb(),
            tones: Some(Arc::new(tones)),
            notices: self.notices.clone(),
            ..*self
        })
    }

    /// The window that was applied, for a photo with levels.
    #[must_use]
    pub fn window(&self) -> Option<WindowLevel> {
        self.tones.as_ref().map(|tones| tones.now)
    }

    /// A photo from RGBA8 pixels with straight alpha, as clipboards hold them; `None` if there are
    /// no pixels, or their number does not match the sides.
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
        let tones = match &picture {
            DynamicImage::ImageLuma16(gray) if width * height <= MOST_LEVELS => {
                Some(tones_of(gray))
            }
            _ => None,
        };
        let notices = tones.iter().filter_map(darkness).collect();
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
            tones: tones.map(Arc::new),
            notices,
        }
    }

    /// The photo scaled down to at most `max_side` pixels on its longer side, for thumbnails. It is
    /// never enlarged. The network's input comes from [`crate::input::framing`] instead.
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
                resample::bilinear(&self.rgb, (self.width, self.height), (width, height))
            });
        Picture { width, height, rgb }
    }
}

/// The levels of a gray picture with 16 bits, from 0 to 65535.
fn tones_of(gray: &image::ImageBuffer<image::Luma<u16>, Vec<u16>>) -> Tones {
    let levels = gray.as_raw().iter().map(|level| f32::from(*level));
    let whole = WindowLevel::between(0.0, u16::MAX.into());
    Tones::new(levels.collect(), whole, Curve::Exact, false)
}

/// The notice for a picture of 16 bits that uses few of them, such as one of 12 bits.
fn darkness(tones: &Tones) -> Option<String> {
    let (_, high) = tones.range;
    (high < f32::from(u16::MAX) / 8.0).then(|| {
        format!(
            "Its brightest gray level is {high} of 65535, so it is dark: choose its own range as the window."
        )
    })
}

/// Reads a file, after checking its type and size.
fn read(path: &Path, name: &str, limits: Limits) -> Result<Vec<u8>, PhotoError> {
    let name = || name.to_owned();
    let io = |cause| PhotoError::Io {
        name: name(),
        cause,
    };
    let metadata = fs::metadata(path).map_err(io)?;
    if metadata.is_dir() {
        return Err(PhotoError::Folder { name: name() });
    }
    // Reading a pipe or a device may block forever.
    if !metadata.is_file() {
        return Err(PhotoError::NotAFile { name: name() });
    }
    limits.check_file(&name(), metadata.len())?;
    let mut bytes = Vec::new();
    let length = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    if bytes.try_reserve_exact(length).is_err() {
        return Err(PhotoError::Memory {
            name: name(),
            megabytes: metadata.len().div_ceil(1_000_000),
        });
    }
    // The file may grow while it is read.
    let most = u64::from(limits.file_mb) * 1_000_000 + 1;
    let file = fs::File::open(path).map_err(io)?;
    file.take(most).read_to_end(&mut bytes).map_err(io)?;
    limits.check_file(&name(), bytes.len() as u64)?;
    Ok(bytes)
}

/// Antialiased downscaling by `fast_image_resize`; `None` if it fails.
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

/// The name of a file as shown on screen.
#[must_use]
pub fn display_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests;
