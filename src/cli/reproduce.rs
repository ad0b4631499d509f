//! `camlens explain --manifest`: computes the maps of an export again.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{anyhow, bail};
use serde::Serialize;

use crate::cli::ExplainArgs;
use crate::cli::explain::existing;
use crate::explain::analysis::Analysis;
use crate::explain::cam;
use crate::explain::cam::{Map, Recipe};
use crate::explain::engine::Engine;
use crate::explain::region::Region;
use crate::input::photo::{Limits, Photo};
use crate::labels::ClassId;
use crate::model::preprocessing::PreprocessChoice;
use crate::render::display_options::DisplayOptions;
use crate::render::rendered_map::{RenderedMap, Rendering};
use crate::report::export;
use crate::report::export::{ClassEntry, ExportScene, Manifest, MapEntry, MapView, cells_sha256};
use crate::text::printable;

/// The result; field names are those of the JSON object.
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
    /// The largest difference from the exported cells, if their file is next to the manifest and
    /// has the same shape.
    #[serde(skip_serializing_if = "Option::is_none")]
    largest_difference: Option<f32>,
}

/// Computes the maps of a manifest again, for the same photo or for the given one; returns the text
/// to print.
///
/// # Errors
/// If the maps can't be computed, or if they differ: a message that lists the differences.
pub fn reproduce(path: &Path, arguments: &ExplainArgs) -> anyhow::Result<String> {
    let manifest = Manifest::read(path)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let photo = match &arguments.photo {
        Some(photo) => photo.clone(),
        None => manifest.locate_photo(folder, &[])?,
    };
    let limits = arguments.limits.over(Limits::default());
    let photo = Arc::new(Photo::open_within(&photo, limits)?).with_window(manifest.photo.window);
    let choice = match &arguments.model {
        Some(choice) => choice.clone(),
        None => manifest.locate_model(folder, &[])?,
    };
    // The names in the manifest are for the classes of its own model.
    let labels = match (&arguments.labels, &arguments.model) {
        (Some(labels), _) => Some(labels.clone()),
        (None, Some(_)) => None,
        (None, None) => manifest.locate_labels(folder, &[])?,
    };
    let device = arguments.device.unwrap_or(manifest.device);
    let mut engine = Engine::open_with(&choice, labels.as_deref(), device, None)?;
    engine.preprocess(PreprocessChoice::Custom(manifest.preprocessing));
    engine.score(Some(manifest.scores));
    engine.run_in(manifest.precision);
    let analysis = engine.analyze(&photo, manifest.framing)?;
    for notice in engine.notices() {
        crate::cli::say(&notice);
    }
    let mut panes = Vec::new();
    for entry in &manifest.maps {
        panes.push(pane(
            &mut engine,
            &analysis,
            &manifest.display_options,
            entry,
        )?);
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
    // The result belongs on stdout, even if the maps differ. A failure to print it must not change
    // the exit status.
    let _ = crate::cli::print(&text);
    bail!(
        "The maps are not those of the manifest{}",
        match &found.differences[..] {
            [] => ". Nothing else differs: please report this.".to_owned(),
            differences => format!(": {}", differences.join("; ")),
        }
    )
}

/// One map of the manifest, computed again.
fn pane(
    engine: &mut Engine,
    analysis: &Analysis,
    display_options: &DisplayOptions,
    entry: &MapEntry,
) -> anyhow::Result<MapView> {
    let recipe = Recipe::new(entry.method, entry.variant);
    let layer = analysis.model.need_layer(&entry.layer);
    let layer = layer.map_err(|problem| anyhow!(problem))?;
    let mut make = |class: ClassId| -> anyhow::Result<Map> {
        let closed = analysis.layer_gradients(class);
        Ok(
            match closed.filter(|layer_gradients| layer_gradients.layer.id == layer) {
                Some(layer_gradients) => cam::explain(recipe, &layer_gradients),
                None => cam::explain(recipe, &engine.layer_gradients(class, &[layer])?[0]),
            },
        )
    };
    let find = |class: &ClassEntry| analysis.model.labels.class(class.index);
    let class = find(&entry.class)?;
    let contrast_class = entry.contrast_class.as_ref().map(find).transpose()?;
    let mut map = make(class)?;
    if let Some(other) = contrast_class {
        map = map.minus(&make(other)?);
    }
    let how = Rendering {
        scaling: entry.scaling,
        // Without a locked range, each map has its own.
        range: entry.range.filter(|_| entry.range_locked),
        display_options,
        placement: &analysis.placement,
        grid: analysis.placement.photo,
    };
    let mut rendered = RenderedMap::new(map, &how);
    // For a map without evidence, a manifest says that the range is locked, but not which range.
    rendered.range_locked = entry.range_locked;
    Ok(MapView {
        rendered,
        class,
        contrast_class,
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
    check(
        "the device",
        &manifest.device.to_string(),
        &now.device.to_string(),
    );
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
                same: entry.cells_sha256 == cells_sha256(&pane.rendered.map.cells),
                largest_difference: largest_difference(folder, entry, &pane.rendered.map),
            }
        })
        .collect();
    Reproduction {
        same: maps.iter().all(|map| map.same),
        differences,
        maps,
    }
}

/// Maximum size of a file of cells: a map has only some thousands of cells.
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
