//! Exports what is on screen to files or to the clipboard.

use std::path::PathBuf;

use crate::app::pane::pane_view::Copied;
use crate::app::state::settings::Side;
use crate::app::window::App;
use crate::render::rendered_map::{RenderedMap, Rendering};
use crate::report::export::{ExportScene, MapView};

impl App {
    /// Everything on screen, each map with the range of its pane; `None` while a map is still being
    /// computed.
    fn scene(&self, sides: &[Side]) -> Option<ExportScene> {
        let shown = self.state.latest.shown()?;
        let analysis = &shown.analysis;
        let panes = sides.iter().map(|&side| {
            let map_spec = self.state.map_spec(side, analysis);
            let scaling = self.state.scaling(map_spec);
            let map = self.state.map(analysis, map_spec)?;
            let how = Rendering {
                scaling,
                range: self.state.range_locks.locked(analysis, map_spec, scaling),
                display_options: &self.state.settings.display_options,
                placement: &analysis.placement,
                grid: analysis.placement.photo,
            };
            Some(MapView {
                rendered: RenderedMap::new(map, &how),
                class: map_spec.class,
                contrast_class: map_spec.contrast_class,
            })
        });
        Some(ExportScene {
            photo: shown.photo.clone(),
            analysis: analysis.clone(),
            model: shown.plan.model.clone(),
            labels: shown.plan.labels.clone(),
            panes: panes.collect::<Option<_>>()?,
            display_options: self.state.settings.display_options,
            regions: self.state.regions.of(shown.plan.photo).to_vec(),
        })
    }

    fn exhibit_or_say(&mut self, sides: &[Side]) -> Option<ExportScene> {
        let scene = self.scene(sides);
        if scene.is_none() && self.state.latest.shown().is_some() {
            self.state.error =
                Some("The maps are not ready yet. Try again once they are on screen.".into());
        }
        scene
    }

    /// Writes everything on screen to a new folder in `parent`.
    pub(super) fn export(&mut self, parent: PathBuf) {
        let sides = self.state.settings.view.sides();
        if let Some(scene) = self.exhibit_or_say(sides) {
            self.tasks.export(scene, parent);
        }
    }

    /// Copies a pane as drawn, at the photo's full size.
    pub(super) fn copy(&mut self, what: Copied) {
        match what {
            Copied::Photo => {
                if let Some(shown) = self.state.latest.shown() {
                    self.tasks.copy_photo(shown.photo.clone());
                }
            }
            Copied::Map(side) => {
                if let Some(scene) = self.exhibit_or_say(&[side]) {
                    self.tasks.copy_panes(scene);
                }
            }
        }
    }
}
