//! `camlens explain --manifest`: the maps of an export once more.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{anyhow, bail};
use serde::Serialize;

use crate::cli::ExplainArgs;
use crate::cli::explain::existing;
use crate::explain::analysis::{Analysis, Layer};
use crate::explain::cam;
use crate::explain::cam::{Map, Recipe};
use crate::explain::engine::Engine;
use crate::explain::region::Region;
use crate::input::photo::{Limits, Photo};
use crate::labels::ClassId;
use crate::model::device::DeviceChoice;
use crate::model::preprocessing::PreprocessChoice;
use crate::report::export;
use crate::report::export::{ClassEntry, ExportScene, Manifest, MapEntry, MapView, cells_sha256};
use crate::text::printable;

/// What came of it; field names are those of the JSON object.
#[derive(Debug, Serialize)]
struct Reproduction {
    /// Whether every bit of every map is the same.
    same: bool,
    /// What differs from the manifest: photo, model, device, ….
    differences: Vec<String>,
    /// One for each map.
    maps: Vec<MapReproduction>,
}

#[derive(Debug, Serialize)]
struct MapReproduction {
    method: &'static str,
    class: String,
    layer: String,
    same: bool,
    /// The largest difference of a cell from the exported ones, if they are beside the
    /// manifest and of the same shape.
    #[serde(skip_serializing_if = "Option::is_none")]
    largest_difference: Option<f32>,
}

/// Makes the maps of a manifest again, of the same photo or of the one given; gives what to
/// print.
///
/// # Errors
/// If they can't be made, or are not the same: then with what differs.
pub fn reproduce(path: &Path, arguments: &ExplainArgs) -> anyhow::Result<String> {
    let manifest = Manifest::read(path)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let photo = match &arguments.photo {
        Some(photo) => photo.clone(),
        None => manifest.locate_photo(folder, &[])?,
    };
    let limits = arguments.limits.over(Limits::default());
    let photo = Arc::new(Photo::open_within(&photo, limits)?);
    let choice = match &arguments.model {
        Some(choice) => choice.clone(),
        None => manifest.locate_model(folder, &[])?,
    };
    // Those of the manifest name the classes of its own model.
    let labels = match (&arguments.labels, &arguments.model) {
        (Some(labels), _) => Some(labels.clone()),
        (None, Some(_)) => None,
        (None, None) => manifest.locate_labels(folder, &[])?,
    };
    let device = match arguments.device {
        Some(device) => device,
        None => manifest
            .device
            .to_lowercase()
            .replace(' ', ":")
            .parse::<DeviceChoice>()
            .map_err(|error| {
                anyhow!(
                    "The manifest names the device {:?}: {error}",
                    manifest.device
                )
            })?,
    };
    let mut engine = Engine::open_with(&choice, labels.as_deref(), device, None)?;
    engine.preprocess(PreprocessChoice::Custom(manifest.preprocessing));
    engine.run_in(manifest.precision);
    let analysis = engine.analyze(&photo, manifest.framing)?;
    for notice in engine.notices() {
        crate::cli::say(&notice);
    }
    let mut panes = Vec::new();
    for entry in &manifest.maps {
        panes.push(pane(&mut engine, &analysis, entry)?);
    }
    let scene = ExportScene {
        photo,
        analysis: Arc::new(analysis),
        model: choice,
        labels,
        panes,
        display_options: manifest.display_options,
        regions: manifest
            .regions
            .iter()
            .map(|region| Region {
                name: region.name.clone(),
                shape: region.shape.clone(),
            })
            .collect(),
    };
    let found = compare(&manifest, &scene, folder);
    if let Some(folder) = &arguments.export {
        export::write_folder(&scene, folder, existing(arguments), &|| true)?;
    }
    let text = if arguments.json {
        serde_json::to_string(&found)? + "\n"
    } else {
        words(&found)
    };
    if found.same {
        return Ok(text);
    }
    // The answer is what was asked for, and belongs on stdout all the same. Whoever does not
    // read it still gets the status.
    let _ = crate::cli::print(&text);
    bail!(
        "The maps are not those of the manifest{}",
        match &found.differences[..] {
            [] => ". Nothing else differs: please report it.".to_owned(),
            differences => format!(": {}", differences.join("; ")),
        }
    )
}

/// One map of the manifest, made anew.
fn pane(engine: &mut Engine, analysis: &Analysis, entry: &MapEntry) -> anyhow::Result<MapView> {
    let recipe = Recipe::new(entry.method, entry.variant);
    let mut make = |class: ClassId| -> anyhow::Result<Map> {
        Ok(match entry.layer {
            Layer::Last => cam::explain(recipe, &analysis.layer_gradients(class)),
            layer => cam::explain(recipe, &engine.layer_gradients(class, &[layer])?[0]),
        })
    };
    let find = |class: &ClassEntry| analysis.model.labels.class(class.index);
    let class = find(&entry.class)?;
    let contrast_class = entry.contrast_class.as_ref().map(find).transpose()?;
    let mut map = make(class)?;
    if let Some(other) = contrast_class {
        map = map.minus(&make(other)?);
    }
    Ok(MapView {
        // Without a held range each map has its own.
        range: match entry.range.filter(|_| entry.range_locked) {
            Some(locked) => entry.scaling.range(&map).map(|_| locked),
            None => entry.scaling.range(&map),
        },
        map,
        class,
        contrast_class,
        scaling: entry.scaling,
        locked: entry.range_locked,
    })
}

fn compare(manifest: &Manifest, scene: &ExportScene, folder: &Path) -> Reproduction {
    let now = Manifest::new(scene, folder, Some(&manifest.photo.file));
    let mut differences = Vec::new();
    let mut check = |what: &str, before: &str, now: &str| {
        if before != now {
            differences.push(format!("{what}: {before} then, {now} now"));
        }
    };
    check(
        "the photo's pixels (SHA-256)",
        &manifest.photo.pixels_sha256,
        &now.photo.pixels_sha256,
    );
    check(
        "the weights (SHA-256)",
        &manifest.model.sha256,
        &now.model.sha256,
    );
    check("the device", &manifest.device, &now.device);
    let level = |manifest: &Manifest| {
        manifest
            .instructions
            .clone()
            .unwrap_or_else(|| "none".into())
    };
    check("the vector instructions", &level(manifest), &level(&now));
    check("the version of camlens", &manifest.camlens, &now.camlens);
    let maps: Vec<MapReproduction> = manifest
        .maps
        .iter()
        .zip(&scene.panes)
        .map(|(entry, pane)| {
            let name = |class: ClassId| scene.analysis.model.labels.name(class).to_owned();
            let class = match pane.contrast_class {
                Some(other) => format!("{} − {}", name(pane.class), name(other)),
                None => name(pane.class),
            };
            MapReproduction {
                method: entry.method.id(),
                class,
                layer: entry.layer_name.clone(),
                same: entry.cells_sha256 == cells_sha256(&pane.map.cells),
                largest_difference: largest_difference(folder, entry, &pane.map),
            }
        })
        .collect();
    Reproduction {
        same: maps.iter().all(|map| map.same),
        differences,
        maps,
    }
}

/// The largest file of cells that is read: a map has some thousands of them.
const MAX_CELLS: u64 = 64 << 20;

fn largest_difference(folder: &Path, entry: &MapEntry, map: &Map) -> Option<f32> {
    let path = folder.join(format!("{}-cells.npy", entry.files));
    let bytes = crate::platform::small_file::read(&path, MAX_CELLS).ok()?;
    let array = npyz::NpyFile::new(&bytes[..]).ok()?;
    let same_shape = array.shape() == [map.height as u64, map.width as u64];
    let cells: Vec<f32> = same_shape.then(|| array.into_vec().ok()).flatten()?;
    let apart = cells.iter().zip(&map.cells).map(|(a, b)| (a - b).abs());
    Some(apart.fold(0.0, f32::max))
}

fn words(found: &Reproduction) -> String {
    let mut text = String::new();
    for difference in &found.differences {
        let _ = writeln!(text, "Differs: {}", printable::message(difference));
    }
    for map in &found.maps {
        let verdict = match (map.same, map.largest_difference) {
            (true, _) => "the same, to the bit".to_owned(),
            (false, Some(apart)) => format!("not the same: cells differ by up to {apart:e}"),
            (false, None) => "not the same".to_owned(),
        };
        let _ = writeln!(
            text,
            "{} of {} at {}: {verdict}",
            map.method,
            printable::name(&map.class),
            printable::name(&map.layer)
        );
    }
    text
}
