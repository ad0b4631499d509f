//! Tests of the window without a display: every control is used by its name.

// Panics are fine in tests.
#![allow(clippy::unwrap_used)]

mod actions;
mod basics;
mod classes;
#[path = "../common/mod.rs"]
mod common;
mod evidence;
mod faults;
mod layers;
mod models;
mod names;
mod pictures;
mod renderer;
mod stress;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use camlens::app::{
    App, ClassChoice, Latest, Launch, PhotoItem, Picker, Server, Side, Thumbnail, View,
};
use camlens::cli::WindowArgs;
use camlens::explain::analysis::Analysis;
use camlens::explain::cam::Method;
use camlens::input::framing::Framing;
use camlens::model::ModelChoice;
use camlens::model::device::DeviceChoice;
use camlens::model::hub::Hub;
use camlens::model::target_layer::LayerChoice;
use camlens::render::colormap::Colormap;
use camlens::render::heatmap::Scaling;
use common::resnet;
use eframe::egui;
use eframe::egui::accesskit::Role;
use eframe::egui::{Event, Key};
use egui_kittest::kittest::Queryable;
use egui_kittest::{Harness, HarnessBuilder};

const CAT: &str = "assets/samples/cat.png";
const COFFEE: &str = "assets/samples/coffee.png";

/// A file picker that always answers with these paths.
fn picker(paths: Option<Vec<PathBuf>>) -> Picker {
    Arc::new(move |_| {
        let paths = paths.clone();
        Box::pin(async move { paths })
    })
}

fn window_with(photos: &[&str], picker: Picker) -> Harness<'static, App> {
    let arguments = WindowArgs {
        model: Some(ModelChoice::BuiltIn),
        ..WindowArgs::default()
    };
    window_of(photos, arguments, picker)
}

fn window_of(photos: &[&str], arguments: WindowArgs, picker: Picker) -> Harness<'static, App> {
    let hub = Hub::new("http://127.0.0.1:9", "/nonexistent".into());
    window_at(photos, arguments, picker, hub)
}

fn window_at(
    photos: &[&str],
    arguments: WindowArgs,
    picker: Picker,
    hub: Hub,
) -> Harness<'static, App> {
    window_from(Harness::builder(), photos, arguments, picker, hub)
}

fn window_from(
    builder: HarnessBuilder<App>,
    photos: &[&str],
    arguments: WindowArgs,
    picker: Picker,
    hub: Hub,
) -> Harness<'static, App> {
    let launch = Launch {
        overrides: WindowArgs {
            photos: photos.iter().map(PathBuf::from).collect(),
            device: Some(DeviceChoice::Cpu),
            ..arguments
        },
        picker,
        remember: false,
        hub,
        server: Server::Other,
        started: std::time::Instant::now(),
    };
    let mut harness = builder
        .with_size([1100.0, 750.0])
        .build_eframe(|cc| App::new(cc, launch).unwrap());
    harness.run_steps(2);
    harness
}

fn window(photos: &[&str]) -> Harness<'static, App> {
    window_with(photos, picker(None))
}

/// Draws frames until a condition is met.
fn wait(harness: &mut Harness<App>, what: &str, so: impl Fn(&App) -> bool) {
    let started = Instant::now();
    while !so(harness.state()) {
        assert!(
            started.elapsed() < Duration::from_mins(1),
            "timed out: {what}"
        );
        std::thread::sleep(Duration::from_millis(5));
        harness.run_steps(1);
    }
    harness.run_steps(2);
}

/// Draws frames until a text is on screen.
fn wait_for_text(harness: &mut Harness<App>, text: &str) {
    let started = Instant::now();
    while harness.query_all_by_label_contains(text).next().is_none() {
        let waited = started.elapsed();
        assert!(
            waited < Duration::from_mins(1),
            "timed out waiting for: {text}"
        );
        harness.run_steps(1);
    }
}

fn ready(app: &App) -> bool {
    matches!(app.state().latest, Latest::Ready(_))
}

/// A window that shows the cat and its maps.
fn cat() -> Harness<'static, App> {
    let mut harness = window(&[CAT]);
    wait(&mut harness, "the cat", ready);
    harness
}

fn shows(app: &App, name: &str) -> bool {
    ready(app)
        && app
            .state()
            .latest
            .shown()
            .is_some_and(|shown| shown.photo.name == name)
}

/// The answer that is on screen.
fn analysis(harness: &Harness<App>) -> Arc<Analysis> {
    let shown = harness.state().state().latest.shown();
    shown.unwrap().analysis.clone()
}

/// Chooses the framing `crop` and waits for its maps.
fn crop(harness: &mut Harness<App>) {
    harness.get_by_label("crop").click();
    harness.run_steps(2);
    wait(harness, "the crop", |app| {
        let shown = app.state().latest.shown();
        ready(app) && shown.is_some_and(|shown| shown.analysis.framing == Framing::Crop)
    });
}

#[derive(Debug)]
struct Drop(PathBuf);

impl egui::DroppedFile for Drop {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        std::fs::read(&self.0).map_err(|error| error.to_string())
    }
}

fn drop_files(harness: &mut Harness<App>, paths: &[&str]) {
    for path in paths {
        harness
            .input_mut()
            .dropped_files
            .push(Arc::new(Drop(path.into())));
    }
    harness.run_steps(1);
}

/// A ResNet-18 for three classes with made-up weights, and its folder.
fn made_up_resnet() -> (tempfile::TempDir, PathBuf) {
    made_up_resnet_times(1.0)
}

/// Like [`made_up_resnet`], but the weights of the first convolutions are multiplied by a factor.
fn made_up_resnet_times(factor: f32) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pets.safetensors");
    let shapes = resnet::shapes(resnet::RESNET18, false, 3);
    let mut seed = 1u32;
    let mut noise = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as f32 / (1 << 24) as f32
    };
    let values = |name: &str, shape: &[usize]| -> Vec<f32> {
        let fan_in: usize = shape.iter().skip(1).product();
        let first = ["conv1.weight", "layer1.0.conv1.weight"].contains(&name);
        let factor = if first { factor } else { 1.0 };
        let scale = factor * 2.0 * (3.0 / fan_in as f32).sqrt();
        let value = |u: f32| {
            if shape.len() == 1 && !name.ends_with("bias") {
                0.5 + u
            } else {
                scale * (u - 0.5)
            }
        };
        let count: usize = shape.iter().product();
        (0..count).map(|_| value(noise())).collect()
    };
    std::fs::write(&path, resnet::file_of(&shapes, values)).unwrap();
    (folder, path)
}

/// A weight file as the choice of a model.
fn file_model(path: &Path) -> ModelChoice {
    path.to_str().unwrap().parse().unwrap()
}

/// A window with that network and the cat.
fn pets() -> (tempfile::TempDir, Harness<'static, App>) {
    let (folder, path) = made_up_resnet();
    let arguments = WindowArgs {
        model: Some(file_model(&path)),
        ..WindowArgs::default()
    };
    let mut harness = window_of(&[CAT], arguments, picker(None));
    wait(&mut harness, "the cat", ready);
    (folder, harness)
}

/// Whether a pane shows its map at the layer with this name.
fn map_at(side: Side, layer: &str) -> impl Fn(&App) -> bool {
    let choice = LayerChoice::from(layer);
    move |app| {
        let state = app.state();
        state.latest.shown().is_some_and(|shown| {
            let map_spec = state.map_spec(side, &shown.analysis);
            let layer = shown.analysis.model.find_layer(&choice);
            Some(map_spec.layer) == layer && state.map(&shown.analysis, map_spec).is_some()
        })
    }
}
