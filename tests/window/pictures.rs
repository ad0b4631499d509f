//! Snapshots of the window's main states in both themes, so that visual changes are seen in
//! review. `UPDATE_SNAPSHOTS=1 cargo test --test window pictures` writes them again.

use super::*;
use crate::renderer::CpuRenderer;

use egui_kittest::{SnapshotOptions, SnapshotResults};

const THEMES: [(egui::Theme, &str); 2] =
    [(egui::Theme::Light, "light"), (egui::Theme::Dark, "dark")];

fn window_in(theme: egui::Theme, photos: &[&str]) -> Harness<'static, App> {
    let arguments = WindowArgs {
        model: Some(ModelChoice::BuiltIn),
        ..WindowArgs::default()
    };
    let builder = Harness::builder()
        .with_theme(theme)
        .renderer(CpuRenderer::default());
    let mut harness = window_from(
        builder,
        photos,
        arguments,
        picker(None),
        Hub::new("http://127.0.0.1:9", "/nonexistent".into()),
    );
    if !photos.is_empty() {
        wait(&mut harness, "the photo", ready);
        wait_for_text(&mut harness, "other classes: ");
        wait_for_text(&mut harness, "Class-insensitive");
    }
    harness
}

/// Compares the window with its snapshot, except for texts that show durations.
fn compare(mut harness: Harness<App>, name: &str) -> SnapshotResults {
    let times: Vec<egui::Rect> = harness
        .query_all_by(|node| {
            let text = node.label().or(node.value()).unwrap_or_default();
            text.contains(" ms ")
        })
        // Whatever the length of the text is.
        .map(|node| node.rect().with_max_x(10_000.0))
        .collect();
    for rect in times {
        harness.mask(rect);
    }
    // Machines round differently in the last bit; a control that moved changes more.
    let options = SnapshotOptions::new().threshold(2.0).max_failed_pixels(20);
    harness.snapshot_options(name, &options);
    harness.take_snapshot_results()
}

#[test]
fn the_start_screen() {
    let mut results = SnapshotResults::new();
    for (theme, name) in THEMES {
        let mut harness = window_in(theme, &[]);
        wait(&mut harness, "the samples", |app| {
            let state = app.state();
            state.samples.iter().all(|made| *made)
                && state.model.is_some()
                && !matches!(state.latest, Latest::Working { .. })
        });
        results.extend(compare(harness, &format!("start_{name}")));
    }
}

#[test]
fn a_photo_with_its_maps() {
    let mut results = SnapshotResults::new();
    for (theme, name) in THEMES {
        let harness = window_in(theme, &[CAT]);
        results.extend(compare(harness, &format!("maps_{name}")));
    }
}

#[test]
fn signed_maps_of_two_classes() {
    let mut results = SnapshotResults::new();
    for (theme, name) in THEMES {
        let mut harness = window_in(theme, &[CAT]);
        harness.key_press(Key::S);
        harness.run_steps(2);
        results.extend(compare(harness, &format!("signed_{name}")));
    }
}

#[test]
fn several_photos() {
    let mut results = SnapshotResults::new();
    for (theme, name) in THEMES {
        let mut harness = window_in(theme, &[CAT, COFFEE]);
        wait(&mut harness, "the thumbnails", |app| {
            let state = app.state();
            state.photos.iter().all(|item| {
                let predicted = state.batch.get(item.id).is_some();
                predicted && matches!(item.thumbnail, Thumbnail::Made(..))
            })
        });
        results.extend(compare(harness, &format!("photos_{name}")));
    }
}

#[test]
fn an_error() {
    let mut results = SnapshotResults::new();
    for (theme, name) in THEMES {
        let mut harness = window_in(theme, &[CAT]);
        drop_files(&mut harness, &["tests/corpus/0x0.png"]);
        wait(&mut harness, "the error", |app| {
            let state = app.state();
            let predicted = |item: &PhotoItem| state.batch.get(item.id).is_some();
            state.error.is_some() && state.photos.iter().all(predicted)
        });
        results.extend(compare(harness, &format!("error_{name}")));
    }
}
