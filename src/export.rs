//! Overlays at the photo's full size, composed and written as PNG.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use serde::{Deserialize, Serialize};

use crate::analysis::Analysis;
use crate::cam::Map;
use crate::colormap::Colormap;
use crate::heatmap::{Heatmap, Range, Scaling};
use crate::overlay::{self, Opacity};
use crate::photo::{Photo, Picture};

/// How maps are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Look {
    /// The share of the heat's colour in the picture.
    pub opacity: Opacity,
    /// The heat's colours where only positive evidence is drawn.
    pub colormap: Colormap,
    /// And for signed maps.
    pub diverging: Colormap,
    /// How cells become 0..1.
    pub scaling: Scaling,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            opacity: Opacity::default(),
            colormap: Colormap::default(),
            diverging: Colormap::RdBu,
            scaling: Scaling::default(),
        }
    }
}

impl Look {
    /// The colours for the scaling.
    #[must_use]
    pub fn colours(&self) -> Colormap {
        match self.scaling {
            Scaling::Signed => self.diverging,
            Scaling::Max | Scaling::MinMax => self.colormap,
        }
    }
}

/// The photo with each map over it, drawn in its range, side by side if there are several.
/// Where there is no range (no evidence to draw) the photo stays bare.
#[must_use]
pub fn compose(
    photo: &Photo,
    analysis: &Analysis,
    maps: &[(&Map, Option<Range>)],
    look: Look,
) -> Picture {
    let size = (photo.width, photo.height);
    let placement = &analysis.placement;
    let heats: Vec<Option<Heatmap>> = maps
        .iter()
        .map(|(map, range)| range.map(|range| Heatmap::in_range(map, range, placement, size)))
        .collect();
    let heats: Vec<Option<&Heatmap>> = heats.iter().map(Option::as_ref).collect();
    overlay::side_by_side(photo, placement, &heats, look.colours(), look.opacity)
}

/// Why a picture was not written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The name does not end in `.png`.
    #[error("Can't write {0}: pictures are written as PNG. Give a name that ends in .png.")]
    NotPng(String),
    /// It would replace the photo itself.
    #[error("{0} is the photo itself. Give another name for the overlay.")]
    IsThePhoto(String),
    /// The file could not be written.
    #[error("Can't write {name}: {cause}. Give a folder that exists and may be written.")]
    Write {
        /// The file's name.
        name: String,
        /// The system's reason.
        cause: String,
    },
}

/// Writes a picture as PNG.
///
/// # Errors
/// [`ExportError`] by kind of fault; `photo` is never overwritten.
pub fn write_png(picture: &Picture, path: &Path, photo: Option<&Path>) -> Result<(), ExportError> {
    let name = path.display().to_string();
    if !path
        .extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("png"))
    {
        return Err(ExportError::NotPng(name));
    }
    let same = |photo: &Path| photo.canonicalize().ok() == path.canonicalize().ok();
    if path.exists() && photo.is_some_and(same) {
        return Err(ExportError::IsThePhoto(name));
    }
    let write = || -> Result<(), image::ImageError> {
        let file = BufWriter::new(File::create(path)?);
        let side = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        PngEncoder::new_with_quality(file, CompressionType::Fast, FilterType::Adaptive).write_image(
            &picture.rgb,
            side(picture.width),
            side(picture.height),
            ExtendedColorType::Rgb8,
        )
    };
    write().map_err(|error| ExportError::Write {
        name,
        cause: match error {
            image::ImageError::IoError(io) => io.to_string(),
            other => other.to_string(),
        },
    })
}
