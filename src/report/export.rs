//! What is shown is what is exported: overlays and heat at the photo's full size, the panes
//! as one figure, the cells, and a manifest from which the same maps can be made again.

mod figure;
mod folder;
mod manifest;
mod places;
mod portable;
mod write;

use std::path::PathBuf;
use std::sync::Arc;

use crate::explain::analysis::Analysis;
use crate::explain::cam::Map;
use crate::explain::region::Region;
use crate::input::photo::{Photo, Picture};
use crate::labels::ClassId;
use crate::model::ModelChoice;
use crate::render::contour::Line;
use crate::render::display_options::{Display, DisplayOptions};
use crate::render::heatmap::{Heatmap, Range, Scaling};
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
    /// The map.
    pub map: Map,
    /// Its class.
    pub class: ClassId,
    /// The class whose map was taken away from it.
    pub contrast_class: Option<ClassId>,
    /// How its cells become 0..1.
    pub scaling: Scaling,
    /// The values that are drawn as no and full heat; none where there is nothing to draw.
    pub range: Option<Range>,
    /// Whether that range is held for several maps.
    pub locked: bool,
}

/// All that is exported.
#[derive(Clone, Debug)]
pub struct ExportScene {
    /// The photo.
    pub photo: Arc<Photo>,
    /// The answer.
    pub analysis: Arc<Analysis>,
    /// The model as it was asked for, to ask for it again.
    pub model: ModelChoice,
    /// A file of class names given by hand.
    pub labels: Option<PathBuf>,
    /// The maps.
    pub panes: Vec<MapView>,
    /// How they are drawn.
    pub display_options: DisplayOptions,
    /// Regions of the photo.
    pub regions: Vec<Region>,
}

impl ExportScene {
    /// The heat of a pane at the photo's size; none where there is nothing to draw.
    #[must_use]
    pub fn heat(&self, pane: &MapView) -> Option<Heatmap> {
        self.heat_on(pane, (self.photo.width, self.photo.height))
    }

    fn heat_on(&self, pane: &MapView, size: (usize, usize)) -> Option<Heatmap> {
        let placement = &self.analysis.placement;
        let interpolation = self.display_options.interpolation;
        pane.range
            .map(|range| Heatmap::in_range(&pane.map, range, placement, size, interpolation))
    }

    /// Whether the pictures of so many panes side by side, at the photo's size, can be made:
    /// asked before anything is allocated.
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

    /// The photo at full size with each pane's heat over it, side by side if there are
    /// several. Contours, cells and regions are drawn as on screen.
    ///
    /// # Errors
    /// [`ExportError::TooLarge`], by [`ExportScene::check_size`].
    pub fn overlays(&self, panes: &[MapView]) -> Result<Picture, ExportError> {
        self.check_size(panes.len())?;
        let heats: Vec<_> = panes
            .iter()
            .map(|pane| {
                let heat = self
                    .heat(pane)
                    .filter(|_| self.display_options.display != Display::Photo);
                heat.map(|heat| (heat, self.display_options.palette(pane.scaling)))
            })
            .collect();
        let heats: Vec<_> = heats
            .iter()
            .map(|heat| heat.as_ref().map(|(heat, palette)| (heat, palette)))
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

    /// The lines over a pane: contours and the borders of cells.
    #[must_use]
    pub fn lines(&self, pane: &MapView) -> Vec<Line> {
        let placement = &self.analysis.placement;
        let mut lines = Vec::new();
        if self.display_options.contours && self.display_options.display != Display::Photo {
            let grid = overlay::grid_of(placement, contour::SIDE);
            let heat = self.heat_on(pane, grid);
            lines = heat.map_or(lines, |heat| {
                contour::lines(&heat, DisplayOptions::levels(pane.scaling))
            });
        }
        if self.display_options.grid {
            lines.extend(contour::cells(placement, (pane.map.width, pane.map.height)));
        }
        lines
    }
}
