//! Exports what is shown: overlays and heat at the photo's full size, the panes as one figure, the
//! cells, and a manifest from which the same maps can be computed again.

mod figure;
mod folder;
mod manifest;
mod places;
mod portable;
mod write;

use std::path::PathBuf;
use std::sync::Arc;

use crate::explain::analysis::Analysis;
use crate::explain::region::Region;
use crate::input::photo::{Photo, Picture};
use crate::labels::ClassId;
use crate::model::ModelChoice;
use crate::render::contour::Line;
use crate::render::display_options::{Display, DisplayOptions};
use crate::render::rendered_map::RenderedMap;
use crate::render::{contour, overlay};

pub use crate::report::export::figure::Figure;
pub use crate::report::export::folder::{Existing, MANIFEST, new_folder, write_folder};
pub use crate::report::export::manifest::{
    ClassEntry, Manifest, ManifestError, MapEntry, RegionEntry, cells_sha256,
};
pub use crate::report::export::places::Located;
pub use crate::report::export::write::{ExportError, write_atomically, write_npy, write_png};

/// One map as a pane shows it.
#[derive(Clone, Debug)]
pub struct MapView {
    /// The map, with its heat at the photo's full size.
    pub rendered: RenderedMap,
    /// Its class.
    pub class: ClassId,
    /// The class whose map was subtracted.
    pub contrast_class: Option<ClassId>,
}

/// Everything that is exported.
#[derive(Clone, Debug)]
pub struct ExportScene {
    /// The photo.
    pub photo: Arc<Photo>,
    /// The answer.
    pub analysis: Arc<Analysis>,
    /// The choice of the model, so that it can be loaded again.
    pub model: ModelChoice,
    /// The file of class names given by the user.
    pub labels: Option<PathBuf>,
    /// The maps.
    pub panes: Vec<MapView>,
    /// How they are drawn.
    pub display_options: DisplayOptions,
    /// Regions of the photo.
    pub regions: Vec<Region>,
}

impl ExportScene {
    /// Checks that the pictures of `count` panes side by side, at the photo's size, are not too
    /// large. To be called before memory is allocated.
    ///
    /// # Errors
    /// [`ExportError::TooLarge`] above [`overlay::MOST_PIXELS`].
    pub fn check_size(&self, count: usize) -> Result<(), ExportError> {
        let (width, height) = overlay::size_of(count, (self.photo.width, self.photo.height));
        let pixels = width.saturating_mul(height);
        if pixels <= overlay::MOST_PIXELS {
            return Ok(());
        }
        Err(ExportError::TooLarge {
            what: "The picture",
            megapixels: pixels / 1_000_000,
            most: overlay::MOST_PIXELS / 1_000_000,
        })
    }

    /// The photo at full size with each pane's heat over it; several panes are side by side.
    /// Contours, cells and regions are drawn as on screen.
    ///
    /// # Errors
    /// [`ExportError::TooLarge`], by [`ExportScene::check_size`].
    pub fn overlays(&self, panes: &[MapView]) -> Result<Picture, ExportError> {
        self.check_size(panes.len())?;
        let palettes = panes
            .iter()
            .map(|pane| self.display_options.palette(pane.rendered.scaling));
        let palettes: Vec<_> = palettes.collect();
        let heats: Vec<_> = panes
            .iter()
            .zip(&palettes)
            .map(|(pane, palette)| {
                let heat = pane.rendered.heat.as_ref();
                let heat = heat.filter(|_| self.display_options.display != Display::Photo);
                heat.map(|heat| (heat, palette))
            })
            .collect();
        let placement = &self.analysis.placement;
        let (photo, opacity) = (&self.photo, self.display_options.opacity);
        let mut picture = match self.display_options.display {
            Display::Overlay | Display::Photo => {
                overlay::side_by_side(photo, placement, &heats, opacity)
            }
            Display::Heat => {
                let gray = Photo::from_rgb(
                    &photo.name,
                    photo.width,
                    photo.height,
                    vec![overlay::BEHIND; 3 * photo.width * photo.height],
                );
                let opaque = overlay::Opacity::FULL;
                overlay::side_by_side(&gray, placement, &heats, opaque)
            }
        };
        for (index, pane) in panes.iter().enumerate() {
            let left = overlay::left_of(photo.width, index);
            let mut lines = self.lines(pane);
            lines.extend(self.outlines());
            if !lines.is_empty() {
                overlay::draw_lines(&mut picture, left, (photo.width, photo.height), &lines);
            }
        }
        Ok(picture)
    }

    /// The outlines of the regions.
    fn outlines(&self) -> impl Iterator<Item = Line> {
        let placement = &self.analysis.placement;
        let regions = self.regions.iter();
        regions.flat_map(|region| contour::outline(&region.shape, placement))
    }

    /// The lines over a pane: contours and cell borders.
    #[must_use]
    pub fn lines(&self, pane: &MapView) -> Vec<Line> {
        let placement = &self.analysis.placement;
        let mut lines = Vec::new();
        if self.display_options.contours && self.display_options.display != Display::Photo {
            lines.clone_from(&pane.rendered.contours);
        }
        if self.display_options.grid {
            lines.extend(contour::cells(placement, pane.rendered.map.grid()));
        }
        lines
    }
}
