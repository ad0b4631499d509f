//! An export, opened again: its photo, its model, its maps and regions.

use std::path::Path;

use super::{ClassChoice, Latest, State, Subject};
use crate::analysis::Analysis;
use crate::app::settings::{PaneSettings, Side, View};
use crate::cam::{Method, Recipe};
use crate::export::{Manifest, MapEntry, cells_sha256};
use crate::model::preprocessing::PreprocessChoice;
use crate::region::Region;
use crate::worker::PhotoSource;

/// A manifest whose answer is on its way.
#[derive(Debug)]
pub struct Restoring {
    photo: u64,
    manifest: Manifest,
}

impl State {
    /// Asks for what the manifest of an export in `folder` describes. Classes, regions and
    /// held ranges follow when the answer is there, and whether the maps are the same.
    pub fn restore(&mut self, manifest: Manifest, folder: &Path) {
        let located = match manifest.locate(folder) {
            Ok(located) => located,
            Err(error) => {
                self.error = Some(error.to_string());
                return;
            }
        };
        let settings = &mut self.settings;
        settings.model = located.model;
        settings.labels = located.labels;
        settings.preprocess = PreprocessChoice::Custom(manifest.preprocessing);
        settings.framing = manifest.framing;
        settings.look = manifest.look;
        for (pane, map) in settings.panes.iter_mut().zip(&manifest.maps) {
            *pane = PaneSettings {
                method: map.method,
                layer: Some(map.layer),
            };
        }
        if let Some(map) = manifest.maps.first() {
            settings.layer = map.layer;
        }
        let mut maps = manifest.maps.iter();
        if let Some(map) = maps.find(|map| map.method == Method::GradCamPlusPlus) {
            settings.variant = map.variant;
        }
        settings.view = match manifest.maps.len() {
            1 => View::Single(Side::Left),
            _ => View::SideBySide,
        };
        let photo = PhotoSource::File(located.photo);
        let photo = self.open(vec![photo])[0];
        self.restoring = Some(Restoring { photo, manifest });
    }

    /// Takes over what needs the answer, if it is the one that was waited for.
    pub(super) fn finish_restoring(&mut self) {
        let Latest::Ready(shown) = &self.latest else {
            return;
        };
        let here = |restoring: &mut Restoring| shown.plan.photo == Some(restoring.photo);
        let Some(Restoring { photo, manifest }) = self.restoring.take_if(here) else {
            return;
        };
        let analysis = shown.analysis.clone();
        let labels = &analysis.model.labels;
        let class = |map: &MapEntry| labels.class(map.class.index).ok();
        self.held = [None; 2];
        if let Some(first) = manifest.maps.first() {
            self.class = class(first).map_or(ClassChoice::Top, ClassChoice::Fixed);
            let against = first.against.as_ref();
            self.against = against.and_then(|other| labels.class(other.index).ok());
        }
        if let Some(second) = manifest.maps.get(1) {
            let own = class(second);
            self.held[1] = own.filter(|own| self.class != ClassChoice::Fixed(*own));
        }
        let regions = manifest.regions.iter().map(|region| Region {
            name: region.name.clone(),
            shape: region.shape.clone(),
        });
        *self.regions.of_mut(photo) = regions.collect();
        let subjects = self.restored_subjects(&analysis, &manifest);
        for (map, subject) in manifest.maps.iter().zip(&subjects) {
            if let Some(range) = map.range.filter(|_| map.range_held) {
                self.scales.hold(&analysis, *subject, map.scaling, range);
            }
        }
        self.compare(&analysis, &manifest, &subjects);
    }

    fn restored_subjects(&self, analysis: &Analysis, manifest: &Manifest) -> Vec<Subject> {
        let sides = Side::BOTH.iter().zip(&manifest.maps);
        sides
            .map(|(&side, map)| Subject {
                recipe: Recipe::new(map.method, map.variant),
                ..self.subject(side, analysis)
            })
            .collect()
    }

    /// Says whether the maps at the last layer are those of the manifest. Those at earlier
    /// layers come later: `camlens explain --manifest` compares them, too.
    fn compare(&mut self, analysis: &Analysis, manifest: &Manifest, subjects: &[Subject]) {
        let pairs = manifest.maps.iter().zip(subjects);
        let same: Vec<bool> = pairs
            .filter_map(|(entry, subject)| {
                let map = self.map(analysis, *subject)?;
                Some(cells_sha256(&map.cells) == entry.cells_sha256)
            })
            .collect();
        if same.iter().all(|same| *same) {
            self.info = Some(match same.len() {
                0 => "The export was opened again; its maps are being made.".into(),
                count => format!("The export was opened again: {count} maps, the same to the bit."),
            });
        } else {
            let why = if manifest.model.sha256 == analysis.model.sha256 {
                "The photo, the device or the version of camlens is another"
            } else {
                "The weights are others"
            };
            self.error = Some(format!(
                "The maps are not those of the manifest. {why}; `camlens explain --manifest` tells what differs."
            ));
        }
    }
}
