//! Snapshots of the window's main states in both themes, so that visual changes are seen in
//! review. `UPDATE_SNAPSHOTS=1 cargo test --test window pictures` writes them again.

use super::*;
use crate::renderer::CpuRenderer;

use egui_kittest::SnapshotOptions;

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
        wait_for_text(&mut harness, "other classes");
    }
    harness
}

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

/// Compares the window with its snapshot, except for texts that show durations.
fn compare(harness: &mut Harness<App>, name: &str) {
    let times: Vec<egui::Rect> = harness
        .query_all_by(|node| {
            let text = node.label().or(node.value()).unwrap_or_default();
            text.contains(" ms ")
        })
        .map(|node| node.rect())
        .collect();
    for rect in times {
        harness.mask(rect);
    }
    // Machines round differently in the last bit; a control that moved changes more.
    let options = SnapshotOptions::new().threshold(2.0);
    harness.snapshot_options(name, &options);
}

#[test]
fn the_start_screen() {
    for (theme, name) in THEMES {
        let mut harness = window_in(theme, &[]);
        wait(&mut harness, "the samples", |app| {
            let state = app.state();
            state.samples.iter().all(|made| *made)
                && state.model.is_some()
                && !matches!(state.latest, Latest::Working { .. })
        });
        compare(&mut harness, &format!("start_{name}"));
    }
}

#[test]
fn a_photo_with_its_maps() {
    for (theme, name) in THEMES {
        let mut harness = window_in(theme, &[CAT]);
        compare(&mut harness, &format!("maps_{name}"));
    }
}

#[test]
fn signed_maps_of_two_classes() {
    for (theme, name) in THEMES {
        let mut harness = window_in(theme, &[CAT]);
        harness.key_press(Key::S);
        harness.run_steps(2);
        compare(&mut harness, &format!("signed_{name}"));
    }
}

#[test]
fn several_photos() {
    for (theme, name) in THEMES {
        let mut harness = window_in(theme, &[CAT, COFFEE]);
        wait(&mut harness, "the thumbnails", |app| {
            let state = app.state();
            state.photos.iter().all(|item| {
                let predicted = state.batch.get(item.id).is_some();
                predicted && matches!(item.thumbnail, Thumbnail::Made(..))
            })
        });
        compare(&mut harness, &format!("photos_{name}"));
    }
}

#[test]
fn an_error() {
    for (theme, name) in THEMES {
        let mut harness = window_in(theme, &[CAT]);
        drop_files(&mut harness, &["tests/corpus/0x0.png"]);
        wait(&mut harness, "the error", |app| app.state().error.is_some());
        compare(&mut harness, &format!("error_{name}"));
    }
}
