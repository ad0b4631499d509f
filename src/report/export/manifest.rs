//! The manifest of an export: what was shown, and all that is needed to make the same maps
//! again.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::explain::analysis::Layer;
use crate::explain::cam::{Method, Variant};
use crate::explain::region::{LONGEST_NAME, MOST_REGIONS, Measure, Region, Shape};
use crate::input::framing::Framing;
use crate::labels::ClassId;
use crate::model::cpu::{Isa, Precision};
use crate::model::preprocessing::Preprocessing;
use crate::model::weights::{hash_file, hex_sha256};
use crate::model::{ModelChoice, Selection};
use crate::platform::small_file;
use crate::render::display_options::DisplayOptions;
use crate::render::heatmap::{Range, Scaling};
use crate::report::export::portable::{portable, portable_choice};
use crate::report::export::{ExportScene, MapView};
use crate::text::printable;

/// The version of the manifest's layout.
const FORMAT: u32 = 1;
/// Manifests are small; more is no manifest.
const MAX_BYTES: u64 = 16 << 20;
/// More maps has no export: a window shows two, `explain` makes one for each method.
const MOST_MAPS: usize = 32;

/// Why a manifest can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It could not be read.
    #[error(
        "Can't read the manifest {}: {}. Give a manifest.json that camlens exported.",
        printable::name(.name), printable::quotation(.cause)
    )]
    Read {
        /// The file's name.
        name: String,
        /// Why.
        cause: String,
    },
    /// Another layout.
    #[error("{name} has format {format}, this camlens ({version}) knows format {FORMAT}. Use the version that wrote it.", version = env!("CARGO_PKG_VERSION"))]
    Format {
        /// The file's name.
        name: String,
        /// Its format.
        format: u32,
    },
    /// A file that it names was not found.
    #[error(
        "The {what} {name:?}{sha256} of this export was not found {places}. Put it there, open it in the window before the manifest, or give it: camlens explain --manifest FILE {option}."
    )]
    Missing {
        /// What it is.
        what: &'static str,
        /// Its name.
        name: String,
        /// Its contents, in words.
        sha256: String,
        /// Where it was looked for.
        places: &'static str,
        /// How it can be given.
        option: &'static str,
    },
}

/// `manifest.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The layout of this file.
    pub format: u32,
    /// The version of camlens.
    pub camlens: String,
    /// The photo.
    pub photo: PhotoEntry,
    /// The model.
    pub model: ModelEntry,
    /// The device that ran: `CPU`, `CUDA 0`, `Metal`.
    pub device: String,
    /// On a CPU, the vector instructions that ran.
    pub instructions: Option<String>,
    /// How the CPU added up.
    pub precision: Precision,
    /// How the photo became the input.
    pub framing: Framing,
    /// The input's width and height in pixels.
    pub input: (usize, usize),
    /// What was done to its pixels.
    pub preprocessing: Preprocessing,
    /// How maps were drawn.
    #[serde(rename = "look")]
    pub display_options: DisplayOptions,
    /// The maps.
    pub maps: Vec<MapEntry>,
    /// Regions of the photo.
    pub regions: Vec<RegionEntry>,
}

/// The photo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhotoEntry {
    /// What it was called.
    pub name: String,
    /// Its file, or its copy beside the manifest where it had none: relative to the manifest's
    /// folder, or its name alone.
    pub file: PathBuf,
    /// SHA-256 of that file, if it could be read.
    pub sha256: Option<String>,
    /// SHA-256 of its upright RGB8 pixels.
    pub pixels_sha256: String,
    /// In pixels.
    pub width: usize,
    /// In pixels.
    pub height: usize,
}

/// The model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelEntry {
    /// As it was asked for; a file as the photo's.
    pub choice: ModelChoice,
    /// A file of class names given by hand, as the photo's.
    pub labels: Option<PathBuf>,
    /// Its network.
    pub architecture: String,
    /// Where its weights came from.
    pub origin: String,
    /// SHA-256 of its weights.
    pub sha256: String,
    /// Which network of the file ran, if it holds several or one was chosen.
    #[serde(default, skip_serializing_if = "Selection::is_none")]
    pub network: Selection,
    /// What was taken for granted of the network, which no weight file tells.
    #[serde(default)]
    pub assumed: Option<String>,
}

impl ModelEntry {
    /// The same model again, and the same network of its file, whatever is chosen by rule.
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
    /// Before softmax.
    pub logit: f32,
    /// After softmax, 0..=1.
    pub probability: f32,
    /// The bias of its logit.
    pub bias: f32,
}

/// A map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MapEntry {
    /// Its method.
    pub method: Method,
    /// Which formula of Grad-CAM++.
    pub variant: Variant,
    /// Its layer.
    pub layer: Layer,
    /// Its layer's name in the network.
    pub layer_name: String,
    /// Its class.
    pub class: ClassEntry,
    /// The class whose map was taken away from it.
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
    /// Whether it depends on rounding: the method divides by sums that nearly cancel.
    #[serde(default)]
    pub unstable: bool,
    /// The smallest cell.
    pub min: f32,
    /// The largest cell.
    pub max: f32,
    /// SHA-256 of the cells as little-endian f32, row-major: equal where every bit is.
    pub cells_sha256: String,
    /// How cells became heat.
    pub scaling: Scaling,
    /// The values drawn as no and as full heat; none where there was nothing to draw.
    pub range: Option<Range>,
    /// Whether that range was held for several maps.
    #[serde(rename = "range_held")]
    pub range_locked: bool,
    /// What the files of this map begin with.
    pub files: String,
}

/// A region, and what each map says of it.
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
    /// Of an export into `folder`; `copy` is the photo's copy there where it has no file of its
    /// own.
    #[must_use]
    pub fn new(scene: &ExportScene, folder: &Path, copy: Option<&Path>) -> Self {
        let ExportScene {
            photo, analysis, ..
        } = scene;
        let file = match &photo.path {
            Some(path) => portable(path, folder),
            None => copy.unwrap_or(Path::new("")).to_owned(),
        };
        let on_cpu = analysis.device == crate::model::device::DeviceChoice::Cpu.to_string();
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
            },
            model: ModelEntry {
                choice: portable_choice(&scene.model, folder),
                labels: scene.labels.as_deref().map(|file| portable(file, folder)),
                architecture: analysis.model.architecture.name().into(),
                origin: analysis.model.short_origin(),
                sha256: analysis.model.sha256.clone(),
                network: analysis.model.network.clone(),
                assumed: analysis.model.assumed.clone(),
            },
            device: analysis.device.clone(),
            instructions: on_cpu.then(|| Isa::chosen().name().to_owned()),
            precision: analysis.precision,
            framing: analysis.framing,
            input: analysis.placement.input,
            preprocessing: analysis.preprocessing,
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

    /// Reads one.
    ///
    /// # Errors
    /// [`ManifestError`] if it is none, or of another version.
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

    /// What can't be so.
    fn fault(&self) -> Option<String> {
        if self.maps.len() > MOST_MAPS {
            let count = self.maps.len();
            return Some(format!("{count} maps, and {MOST_MAPS} are possible"));
        }
        if self.regions.len() > MOST_REGIONS {
            let count = self.regions.len();
            return Some(format!("{count} regions, and {MOST_REGIONS} are possible"));
        }
        let is_long = |region: &RegionEntry| region.name.chars().nth(LONGEST_NAME).is_some();
        if self.regions.iter().any(is_long) {
            return Some(format!(
                "the name of a region has more than {LONGEST_NAME} letters"
            ));
        }
        if let Some(region) = self.regions.iter().find(|region| !region.shape.is_sound()) {
            return Some(format!("the region {:?} encloses nothing", region.name));
        }
        if self
            .maps
            .iter()
            .any(|map| map.range.is_some_and(|range| !range.is_sound()))
        {
            return Some("a range ends before it begins".into());
        }
        if self.display_options.threshold > DisplayOptions::MOST_HIDDEN {
            return Some(format!(
                "a threshold of {} %",
                self.display_options.threshold
            ));
        }
        if crate::render::overlay::Opacity::new(self.display_options.opacity.share()).is_none() {
            return Some("an opacity outside 0 to 1".into());
        }
        self.preprocessing.check().err()
    }
}

impl ExportScene {
    /// The panes, and what their files begin with.
    pub(crate) fn named(&self) -> impl Iterator<Item = (String, &MapView)> {
        let panes = self.panes.iter().enumerate();
        panes.map(|(index, pane)| {
            (
                format!("{}-{}", index + 1, pane.map.recipe.method.id()),
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
        let map = &pane.map;
        Self {
            method: map.recipe.method,
            variant: map.recipe.variant,
            layer: map.layer,
            layer_name: analysis.model.architecture.layer_name(map.layer).into(),
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
            scaling: pane.scaling,
            range: pane.range,
            range_locked: pane.locked,
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
                .map(|pane| region.shape.measure(&pane.map, placement))
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
