//! Opens an export again: its photo, its model, its maps and regions.

use crate::app::state::settings::{PaneSettings, Side, View};
use crate::app::state::{ClassChoice, Latest, MapSpec, State};
use crate::explain::analysis::Analysis;
use crate::explain::cam::{Method, Recipe};
use crate::explain::region::Region;
use crate::model::preprocessing::PreprocessChoice;
use crate::report::export::{ClassEntry, Located, Manifest, MapEntry, cells_sha256};
use crate::worker::{PhotoSource, Plan};

/// A manifest whose answer is pending. Until it arrives, the controls are unchanged.
#[derive(Debug)]
pub struct Restoring {
    photo: u64,
    manifest: Manifest,
    /// The paths of its files.
    located: Located,
    /// The plan of the controls when it was opened.
    base: Plan,
}

impl Restoring {
    /// The plan of the manifest, instead of that of the controls; `None` if the controls were
    /// changed after the manifest was opened.
    pub fn plan_over(&self, by_controls: &Plan) -> Option<Plan> {
        (*by_controls == self.base).then(|| Plan {
            model: self.located.model.clone(),
            labels: self.located.labels.clone(),
            preprocess: PreprocessChoice::Custom(self.manifest.preprocessing),
            scores: Some(self.manifest.scores),
            framing: self.manifest.framing,
            ..self.base.clone()
        })
    }
}

impl State {
    /// Requests what the manifest of an export describes; `located` has the paths of its files.
    /// When the answer is available, settings, classes, regions and locked ranges are restored, and
    /// the maps are compared.
    pub fn restore(&mut self, manifest: Manifest, located: Located) {
        let photo = PhotoSource::File(located.photo.clone());
        let photo = self.open(vec![photo])[0];
        self.set_window(photo, manifest.photo.window);
        let base = self.plan(Some(photo));
        self.restoring = Some(Restoring {
            photo,
            manifest,
            located,
            base,
        });
    }

    /// Restores everything in the manifest, if its answer is available.
    pub(super) fn finish_restoring(&mut self) {
        let Latest::Ready(shown) = &self.latest else {
            return;
        };
        let here = |restoring: &mut Restoring| shown.plan.photo == Some(restoring.photo);
        let Some(Restoring {
            photo, manifest, ..
        }) = self.restoring.take_if(here)
        else {
            return;
        };
        let (plan, analysis) = (shown.plan.clone(), shown.analysis.clone());
        self.settings.adopt_model(&plan);
        self.settings.framing = plan.framing;
        self.adopt_look(&manifest);
        let labels = &analysis.model.labels;
        let class = |map: &MapEntry| labels.class(map.class.index).ok();
        self.pinned = [None; 2];
        if let Some(first) = manifest.maps.first() {
            self.class = class(first).map_or(ClassChoice::Top, ClassChoice::Chosen);
            let contrast_class = first.contrast_class.as_ref();
            self.contrast_class = contrast_class.and_then(|other| labels.class(other.index).ok());
        }
        if let Some(second) = manifest.maps.get(1) {
            let own = class(second);
            self.pinned[1] = own.filter(|own| self.class.class() != Some(*own));
        }
        self.restored = self.pinned;
        let regions = manifest.regions.iter().map(|region| Region {
            name: region.name.clone(),
            shape: region.shape.clone(),
        });
        *self.regions.of_mut(photo) = regions.collect();
        let subjects = Self::restored_subjects(&analysis, &manifest);
        for (map, map_spec) in manifest.maps.iter().zip(&subjects) {
            if let Some(range) = map.range.filter(|_| map.range_locked) {
                self.range_locks
                    .hold(&analysis, *map_spec, map.scaling, range);
            }
        }
        self.compare(&analysis, &manifest, &subjects);
    }

    /// Restores how the maps of the manifest were drawn, and the selection of maps.
    fn adopt_look(&mut self, manifest: &Manifest) {
        let settings = &mut self.settings;
        settings.display_options = manifest.display_options;
        for (pane, map) in settings.panes.iter_mut().zip(&manifest.maps) {
            *pane = PaneSettings {
                method: map.method,
                layer: Some(map.layer.clone()),
            };
        }
        if let Some(map) = manifest.maps.first() {
            settings.layer = map.layer.clone();
        }
        let mut maps = manifest.maps.iter();
        if let Some(map) = maps.find(|map| map.method == Method::GradCamPlusPlus) {
            settings.variant = map.variant;
        }
        settings.view = match manifest.maps.len() {
            1 => View::Single(Side::Left),
            _ => View::SideBySide,
        };
    }

    /// A message about maps of the manifest that the panes can't show.
    fn left_out(&self, analysis: &Analysis, manifest: &Manifest) -> Option<String> {
        let maps = &manifest.maps;
        let subjects = Self::restored_subjects(analysis, manifest);
        let shown = subjects.iter().zip(Side::BOTH);
        let shown = shown.filter(|(map, side)| **map == self.map_spec(*side, analysis));
        let (count, total) = (shown.count(), maps.len());
        (count < total).then(|| {
            format!(
                "The export has {total} maps; the window can show {count} of them as exported. \
                 `camlens explain --manifest` computes all of them."
            )
        })
    }

    /// What each map of the manifest shows.
    fn restored_subjects(analysis: &Analysis, manifest: &Manifest) -> Vec<MapSpec> {
        let labels = &analysis.model.labels;
        let class = |entry: &ClassEntry| labels.class(entry.index).ok();
        let maps = manifest.maps.iter();
        maps.map(|map| MapSpec {
            recipe: Recipe::new(map.method, map.variant),
            layer: analysis.model.layer_or_default(&map.layer),
            class: class(&map.class).unwrap_or_else(|| analysis.top()),
            contrast_class: map.contrast_class.as_ref().and_then(class),
        })
        .collect()
    }

    /// Reports whether the maps at the last layer equal those of the manifest. Maps at earlier
    /// layers arrive later; `camlens explain --manifest` also compares them.
    fn compare(&mut self, analysis: &Analysis, manifest: &Manifest, subjects: &[MapSpec]) {
        let pairs = manifest.maps.iter().zip(subjects);
        let same: Vec<bool> = pairs
            .filter_map(|(entry, map_spec)| {
                let map = self.map(analysis, *map_spec)?;
                Some(cells_sha256(&map.cells) == entry.cells_sha256)
            })
            .collect();
        if same.iter().all(|same| *same) {
            let opened = match same.len() {
                0 => "The export was opened again; its maps are being computed.".into(),
                count => format!("The export was opened again: {count} maps, the same to the bit."),
            };
            self.info = Some(joined(opened, self.left_out(analysis, manifest)));
        } else {
            let why = if manifest.model.sha256 == analysis.model.sha256 {
                "The photo, the device or the version of camlens is different"
            } else {
                "The weights are different"
            };
            let differs = format!(
                "The maps differ from those of the manifest. {why}; `camlens explain --manifest` lists the differences."
            );
            self.error = Some(joined(differs, self.left_out(analysis, manifest)));
        }
    }
}

/// Joins a sentence and an optional second one.
fn joined(first: String, more: Option<String>) -> String {
    match more {
        Some(more) => format!("{first} {more}"),
        None => first,
    }
}
