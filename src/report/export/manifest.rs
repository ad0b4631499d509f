//! The manifest of an export: what was shown, and everything needed to compute the same maps again.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::explain::cam::{Method, Variant};
use crate::explain::region::{LONGEST_NAME, MOST_REGIONS, Measure, Region, Shape};
use crate::input::framing::Framing;
use crate::input::photo::WindowLevel;
use crate::labels::ClassId;
use crate::model::cpu::{Isa, Precision};
use crate::model::device::DeviceChoice;
use crate::model::preprocessing::{Preprocessing, PreprocessingSource};
use crate::model::target_layer::LayerChoice;
use crate::model::weights::{hash_file, hex_sha256};
use crate::model::{ModelChoice, Scores, Selection, device};
use crate::platform::small_file;
use crate::render::display_options::DisplayOptions;
use crate::render::heatmap::{Range, Scaling};
use crate::report::export::portable::{portable, portable_choice};
use crate::report::export::{ExportScene, MapView};
use crate::text::printable;

/// The version of the manifest's layout.
const FORMAT: u32 = 1;
/// Maximum size of a manifest; larger files are rejected.
const MAX_BYTES: u64 = 16 << 20;
/// Maximum number of maps in an export: a window shows two, `explain` makes one per method.
const MOST_MAPS: usize = 32;

/// Why a manifest can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It could not be read.
    #[error(
        "Can't read the manifest {}: {}. Use a manifest.json that camlens exported.",
        printable::name(.name), printable::quotation(.cause)
    )]
    Read {
        /// The file's name.
        name: String,
        /// Why.
        cause: String,
    },
    /// Its layout has another version.
    #[error("{name} has format {format}, but this camlens ({version}) only supports format {FORMAT}. Use the version that wrote it.", version = env!("CARGO_PKG_VERSION"))]
    Format {
        /// The file's name.
        name: String,
        /// Its format.
        format: u32,
    },
    /// A file named in the manifest was not found.
    #[error(
        "The {what} {name:?}{sha256} of this export was not found {places}. Put it there, open it in the window before the manifest, or pass it on the command line: camlens explain --manifest FILE {option}."
    )]
    Missing {
        /// What kind of file it is.
        what: &'static str,
        /// Its name.
        name: String,
        /// Its SHA-256, in words.
        sha256: String,
        /// Where it was searched for.
        places: &'static str,
        /// The command-line option that gives it.
        option: &'static str,
    },
}

/// `manifest.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this file's layout.
    pub format: u32,
    /// The version of camlens.
    pub camlens: String,
    /// The photo.
    pub photo: PhotoEntry,
    /// The model.
    pub model: ModelEntry,
    /// The device that ran: `CPU`, `CUDA 0`, `Metal`.
    #[serde(with = "device::as_shown")]
    pub device: DeviceChoice,
    /// On a CPU, the vector instructions that ran.
    pub instructions: Option<String>,
    /// The precision of sums on the CPU.
    pub precision: Precision,
    /// How the photo was fitted to the network's input.
    pub framing: Framing,
    /// The input's width and height in pixels.
    pub input: (usize, usize),
    /// How its pixels were normalized.
    pub preprocessing: Preprocessing,
    /// How logits became probabilities.
    #[serde(default)]
    pub scores: Scores,
    /// Where the preprocessing came from, and whether it is a guess.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preprocessing_from: Option<PreprocessingSource>,
    /// How the maps were drawn.
    #[serde(rename = "look")]
    pub display_options: DisplayOptions,
    /// The maps.
    pub maps: Vec<MapEntry>,
    /// Regions of the photo.
    pub regions: Vec<RegionEntry>,
}

/// The photo.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhotoEntry {
    /// Its name.
    pub name: String,
    /// Its file, or its copy next to the manifest if it had no file: a path relative to the
    /// manifest's folder, or only a name.
    pub file: PathBuf,
    /// SHA-256 of that file, if it could be read.
    pub sha256: Option<String>,
    /// SHA-256 of its upright RGB8 pixels.
    pub pixels_sha256: String,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// The window of a gray photo with many levels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowLevel>,
}

/// The model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelEntry {
    /// The choice of the model; a file's path is stored like the photo's.
    pub choice: ModelChoice,
    /// The file of class names that the user gave; its path is stored like the photo's.
    pub labels: Option<PathBuf>,
    /// Its network.
    pub architecture: String,
    /// Where its weights came from.
    pub origin: String,
    /// SHA-256 of its weights.
    pub sha256: String,
    /// Which network of the file was used, if it holds several or one was chosen.
    #[serde(default, skip_serializing_if = "Selection::is_none")]
    pub network: Selection,
    /// What was assumed about the network because no weight file records it.
    #[serde(default)]
    pub assumed: Option<String>,
}

impl ModelEntry {
    /// The choice that loads the same model and the same network of its file again, independent of
    /// the rules for choosing one.
    #[must_use]
    pub fn again(&self) -> ModelChoice {
        let choice = self.choice.clone();
        match &choice {
            ModelChoice::File(path) if !self.network.is_none() => {
                ModelChoice::Within(path.clone(), Box::new(self.network.clone()))
            }
            _ => choice,
        }
    }
}

/// A class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassEntry {
    /// Its index in the model's output.
    pub index: usize,
    /// Its name.
    pub label: String,
    /// Before softmax or sigmoid.
    pub logit: f32,
    /// By the manifest's `scores`, 0..=1.
    pub probability: f32,
    /// The bias of its logit, if a linear layer gives the logits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias: Option<f32>,
}

/// A map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MapEntry {
    /// Its method.
    pub method: Method,
    /// The formula of Grad-CAM++.
    pub variant: Variant,
    /// Its layer.
    pub layer: LayerChoice,
    /// Its layer's name in the network.
    pub layer_name: String,
    /// Its class.
    pub class: ClassEntry,
    /// The class whose map was subtracted.
    #[serde(rename = "against")]
    pub contrast_class: Option<ClassEntry>,
    /// `logit` or `relative`.
    pub unit: String,
    /// Rows of cells.
    pub height: usize,
    /// Columns of cells.
    pub width: usize,
    /// The sum of all cells.
    pub sum: f32,
    /// Whether the map depends on rounding errors: the method divides by sums that nearly cancel.
    #[serde(default)]
    pub unstable: bool,
    /// The smallest cell.
    pub min: f32,
    /// The largest cell.
    pub max: f32,
    /// SHA-256 of the cells as little-endian f32, row-major: equal if and only if every bit is
    /// equal.
    pub cells_sha256: String,
    /// How cell values were scaled to heat.
    pub scaling: Scaling,
    /// The values drawn as no heat and as full heat; `None` if there was nothing to draw.
    pub range: Option<Range>,
    /// Whether that range was locked for several maps.
    #[serde(rename = "range_held")]
    pub range_locked: bool,
    /// The prefix of this map's file names.
    pub files: String,
}

/// A region, and its measures in each map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegionEntry {
    /// Its name.
    pub name: String,
    /// Its shape, in photo pixels.
    pub shape: Shape,
    /// One for each map.
    pub measures: Vec<Measure>,
}

impl Manifest {
    /// The manifest of an export into `folder`; `copy` is the photo's copy there if it has no file
    /// of its own.
    #[must_use]
    pub fn new(scene: &ExportScene, folder: &Path, copy: Option<&Path>) -> Self {
        let ExportScene {
            photo, analysis, ..
        } = scene;
        let file = match &photo.path {
            Some(path) => portable(path, folder),
            None => copy.unwrap_or(Path::new("")).to_owned(),
        };
        let on_cpu = analysis.device == DeviceChoice::Cpu;
        Self {
            format: FORMAT,
            camlens: env!("CARGO_PKG_VERSION").into(),
            photo: PhotoEntry {
                name: photo.name.clone(),
                sha256: photo.path.as_deref().and_then(file_sha256),
                file,
                pixels_sha256: hex_sha256(&photo.rgb),
                width: photo.width,
                height: photo.height,
                window: photo.window(),
            },
            model: ModelEntry {
                choice: portable_choice(&scene.model, folder),
                labels: scene.labels.as_deref().map(|file| portable(file, folder)),
                architecture: analysis.model.architecture.clone(),
                origin: analysis.model.short_origin(),
                sha256: analysis.model.sha256.clone(),
                network: analysis.model.network.clone(),
                assumed: analysis.model.assumed.clone(),
            },
            device: analysis.device,
            instructions: on_cpu.then(|| Isa::chosen().name().to_owned()),
            precision: analysis.precision,
            framing: analysis.framing,
            input: analysis.placement.input,
            preprocessing: analysis.preprocessing,
            scores: analysis.scores,
            preprocessing_from: Some(analysis.preprocessing_from.clone()),
            display_options: scene.display_options,
            maps: scene
                .named()
                .map(|(name, pane)| MapEntry::new(scene, pane, name))
                .collect(),
            regions: scene
                .regions
                .iter()
                .map(|region| RegionEntry::new(scene, region))
                .collect(),
        }
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// [`ManifestError`] if the file is not a manifest, or has another version.
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let name = path.display().to_string();
        let fail = |cause: String| ManifestError::Read {
            name: name.clone(),
            cause,
        };
        let text = small_file::read_text(path, MAX_BYTES).map_err(fail)?;
        let version: Version =
            serde_json::from_str(&text).map_err(|error| fail(error.to_string()))?;
        if version.format != FORMAT {
            let format = version.format;
            return Err(ManifestError::Format { name, format });
        }
        let manifest: Self =
            serde_json::from_str(&text).map_err(|error| fail(error.to_string()))?;
        match manifest.fault() {
            Some(fault) => Err(fail(fault)),
            None => Ok(manifest),
        }
    }

    /// The first invalid value, described in words.
    fn fault(&self) -> Option<String> {
        if self.maps.len() > MOST_MAPS {
            let count = self.maps.len();
            return Some(format!("it has {count} maps, and the limit is {MOST_MAPS}"));
        }
        if self.regions.len() > MOST_REGIONS {
            let count = self.regions.len();
            return Some(format!(
                "it has {count} regions, and the limit is {MOST_REGIONS}"
            ));
        }
        let is_long = |region: &RegionEntry| region.name.chars().nth(LONGEST_NAME).is_some();
        if self.regions.iter().any(is_long) {
            return Some(format!(
                "the name of a region is longer than {LONGEST_NAME} characters"
            ));
        }
        if let Some(region) = self.regions.iter().find(|region| !region.shape.is_sound()) {
            return Some(format!("the region {:?} is empty", region.name));
        }
        if self
            .maps
            .iter()
            .any(|map| map.range.is_some_and(|range| !range.is_sound()))
        {
            return Some("the upper end of a range is below its lower end".into());
        }
        if self.display_options.threshold > DisplayOptions::MOST_HIDDEN {
            return Some(format!(
                "a threshold of {} % is not possible",
                self.display_options.threshold
            ));
        }
        if crate::render::overlay::Opacity::new(self.display_options.opacity.share()).is_none() {
            return Some("an opacity is not between 0 and 1".into());
        }
        let window = self.photo.window;
        if window.is_some_and(|window| WindowLevel::new(window.center, window.width).is_none()) {
            return Some("the window of its gray levels is not possible".into());
        }
        self.preprocessing.check().err()
    }
}

impl ExportScene {
    /// The panes, and the prefixes of their file names.
    pub(crate) fn named(&self) -> impl Iterator<Item = (String, &MapView)> {
        let panes = self.panes.iter().enumerate();
        panes.map(|(index, pane)| {
            (
                format!("{}-{}", index + 1, pane.rendered.map.recipe.method.id()),
                pane,
            )
        })
    }
}

impl MapEntry {
    fn new(scene: &ExportScene, pane: &MapView, files: String) -> Self {
        let analysis = &scene.analysis;
        let class = |class: ClassId| ClassEntry {
            index: class.index(),
            label: analysis.model.labels.full(class).to_owned(),
            logit: analysis.logit(class),
            probability: analysis.probability(class),
            bias: analysis.bias(class),
        };
        let map = &pane.rendered.map;
        Self {
            method: map.recipe.method,
            variant: map.recipe.variant,
            layer: analysis.model.choice_of(map.layer.id),
            layer_name: analysis.model.layer_name(map.layer.id).into(),
            class: class(pane.class),
            contrast_class: pane.contrast_class.map(class),
            unit: map.unit().into(),
            height: map.height,
            width: map.width,
            sum: map.sum(),
            unstable: map.is_unstable(),
            min: map.min(),
            max: map.max(),
            cells_sha256: cells_sha256(&map.cells),
            scaling: pane.rendered.scaling,
            range: pane.rendered.range,
            range_locked: pane.rendered.range_locked,
            files,
        }
    }
}

impl RegionEntry {
    fn new(scene: &ExportScene, region: &Region) -> Self {
        let placement = &scene.analysis.placement;
        let measures = scene.panes.iter();
        Self {
            name: region.name.clone(),
            shape: region.shape.clone(),
            measures: measures
                .map(|pane| region.shape.measure(&pane.rendered.map, placement))
                .collect(),
        }
    }
}

/// SHA-256 of cells as little-endian f32, in hexadecimal.
#[must_use]
pub fn cells_sha256(cells: &[f32]) -> String {
    let bytes: Vec<u8> = cells.iter().flat_map(|cell| cell.to_le_bytes()).collect();
    hex_sha256(&bytes)
}

/// SHA-256 of a file, if it can be read.
pub fn file_sha256(path: &Path) -> Option<String> {
    hash_file(path).ok()
}

#[cfg(test)]
mod tests;
