//! `camlens devices`.

use std::fmt::Write as _;
use std::time::Instant;

use crate::explain::cam;
use crate::explain::cam::{Map, Recipe};
use crate::explain::engine::Engine;
use crate::input::framing::Framing;
use crate::input::photo::Photo;
use crate::model::target_layer::LayerId;
use crate::model::{ModelChoice, device};
use crate::report::answer::milliseconds;

/// Lists the devices.
pub fn list() -> String {
    device::list()
        .iter()
        .map(|status| match &status.unusable {
            None => format!("{}: usable\n", status.choice),
            Some(reason) => format!("{}: not usable: {reason}\n", status.choice),
        })
        .collect()
}

/// Runs a photo on every usable device, and compares the maps with those of the CPU.
///
/// # Errors
/// If the photo or the model can't be loaded.
pub fn check(model: &ModelChoice) -> anyhow::Result<String> {
    const PHOTO: &[u8] = include_bytes!("../../assets/samples/cat.png");
    let photo = Photo::decode("cat.png", PHOTO)?;
    let mut text = String::new();
    let mut reference: Option<Vec<Map>> = None;
    for status in device::list() {
        let device = status.choice;
        if let Some(reason) = status.unusable {
            let _ = writeln!(text, "{device}: not usable: {reason}");
            continue;
        }
        let mut engine = Engine::open(model, device)?;
        if engine.device() != device {
            let _ = writeln!(text, "{device}: failed: {}", engine.notices().join(" "));
            continue;
        }
        // Warm-up: the first forward and the first backward pass of a process are slower.
        engine.analyze(&photo, Framing::Crop)?;
        let analysis = engine.analyze(&photo, Framing::Crop)?;
        let layers: Vec<LayerId> = analysis.model.layer_ids().collect();
        engine.layer_gradients(analysis.top(), &layers)?;
        let started = Instant::now();
        let layer_gradients = engine.layer_gradients(analysis.top(), &layers)?;
        let back = milliseconds(started.elapsed());
        let maps = layer_gradients.iter().flat_map(|layer_gradients| {
            Recipe::all().map(move |recipe| cam::explain(recipe, layer_gradients))
        });
        let maps: Vec<Map> = maps.collect();
        let difference = match &reference {
            None => "the reference".into(),
            Some(reference) => format!(
                "maps differ by at most {:.1e} of their largest cell",
                largest_difference(reference, &maps)
            ),
        };
        let _ = writeln!(
            text,
            "{device}: {} forward {:.1} ms, backward ({} layers) {back:.1} ms; {difference}",
            analysis.model.architecture,
            milliseconds(analysis.timings.forward),
            layers.len(),
        );
        reference.get_or_insert(maps);
    }
    Ok(text)
}

/// The largest difference of two cells, as a share of the largest cell of its map.
fn largest_difference(reference: &[Map], maps: &[Map]) -> f32 {
    let of_map = |(a, b): (&Map, &Map)| {
        let largest = a
            .cells
            .iter()
            .fold(f32::MIN_POSITIVE, |m, v| m.max(v.abs()));
        let pairs = a.cells.iter().zip(&b.cells);
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / largest
    };
    reference.iter().zip(maps).map(of_map).fold(0.0, f32::max)
}
