//! Photos, classes, display options, keys, window sizes.

use super::*;
use camlens::model::preprocessing::PreprocessChoice;

#[test]
fn the_start_screen_says_what_to_do_and_a_sample_opens() {
    let mut harness = window(&[]);
    harness.get_by_label("Drop a photo here");
    harness.get_by_label("Open a photo…");
    harness.get_by_label("or paste an image or a path with Ctrl+V");
    wait(&mut harness, "the thumbnails", |app| {
        app.state().samples.iter().all(|made| *made)
    });
    harness.check_accessibility();
    harness.get_by_label("sample coffee.png").click();
    harness.run_steps(2);
    wait(&mut harness, "the sample", |app| shows(app, "coffee.png"));
    harness.get_by_role_and_label(Role::Image, "Grad-CAM map of espresso, 37 %");
    harness.get_by_role_and_label(Role::Image, "Grad-CAM++ map of espresso, 37 %");
    harness.get_by_role_and_label(Role::Image, "Photo coffee.png");
    harness.check_accessibility();
}

/// If the photo on the command line can't be read, the samples are offered with thumbnails as
/// usual.
#[test]
fn samples_are_offered_after_a_photo_that_is_not_there() {
    let mut harness = window(&["assets/samples/no-such-photo.png"]);
    wait(&mut harness, "the thumbnails", |app| {
        app.state().samples.iter().all(|made| *made)
    });
    harness.get_by_label_contains("Can't read no-such-photo.png");
}

#[test]
fn the_window_says_which_model_runs_and_how_good_it_is() {
    let harness = cat();
    harness.get_by_label_contains("built in; 1000 classes; 75.1 % top-1");
    harness.get_by_role_and_label(Role::ComboBox, "Model");
    harness.get_by_role_and_label(Role::ComboBox, "Device");
    let model = harness.state().state().model.as_ref().unwrap();
    assert_eq!((model.device, model.notices.len()), (DeviceChoice::Cpu, 0));
}

#[test]
fn a_dropped_photo_opens_and_further_ones_wait_in_the_strip() {
    let mut harness = cat();
    drop_files(&mut harness, &[COFFEE, "assets/samples/rocket.png"]);
    wait(&mut harness, "the dropped photo", |app| {
        shows(app, "coffee.png")
    });
    assert_eq!(harness.state().state().photos.len(), 3);
    wait(&mut harness, "thumbnails", |app| {
        app.state()
            .photos
            .iter()
            .all(|item| matches!(item.thumbnail, Thumbnail::Made(Ok(()))))
    });
    harness.check_accessibility();
    harness.get_by_label_contains("photo rocket.png").click();
    harness.run_steps(2);
    wait(&mut harness, "the clicked photo", |app| {
        shows(app, "rocket.png")
    });
    harness.key_press(Key::PageUp);
    harness.run_steps(2);
    wait(&mut harness, "the previous photo", |app| {
        shows(app, "coffee.png")
    });
}

#[test]
fn a_broken_photo_is_reported_and_the_old_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.png");
    std::fs::write(&broken, b"this is no photo").unwrap();
    let mut harness = cat();
    drop_files(&mut harness, &[broken.to_str().unwrap()]);
    wait(&mut harness, "the error", |app| app.state().error.is_some());
    harness.get_by_label_contains("Can't read broken.png: it is not an image");
    assert!(shows(harness.state(), "cat.png"));
    harness.get_by_label("Dismiss").click();
    harness.run_steps(2);
    assert!(harness.state().state().error.is_none());
    assert!(shows(harness.state(), "cat.png"));
}

#[test]
fn a_broken_model_is_reported_and_the_running_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    let weights = folder.path().join("mine.safetensors");
    std::fs::write(&weights, b"no weights at all").unwrap();
    let mut harness = cat();
    drop_files(&mut harness, &[weights.to_str().unwrap()]);
    harness.run_steps(2);
    wait(&mut harness, "the error", |app| app.state().error.is_some());
    harness.get_by_label_contains("mine.safetensors is not a weight file that can be read");
    assert_eq!(harness.state().state().settings.model, ModelChoice::BuiltIn);
    assert!(shows(harness.state(), "cat.png"));
}

#[test]
fn photos_come_from_the_file_dialog() {
    let picked = picker(Some(vec![COFFEE.into()]));
    let mut harness = window_with(&[CAT], picked);
    wait(&mut harness, "the cat", ready);
    harness.get_by_label("Open…").click();
    harness.run_steps(2);
    wait(&mut harness, "the picked photo", |app| {
        shows(app, "coffee.png")
    });
}

#[test]
fn a_missing_file_dialog_is_said_and_other_ways_are_named() {
    let mut harness = cat();
    harness.key_press_modifiers(egui::Modifiers::COMMAND, Key::O);
    harness.run_steps(2);
    wait(&mut harness, "the message", |app| {
        app.state().error.is_some()
    });
    harness.get_by_label_contains("no file dialog on this system");
}

#[test]
fn images_and_paths_are_pasted() {
    let mut harness = cat();
    let pixels = egui::ColorImage::filled([40, 30], egui::Color32::from_rgb(200, 10, 10));
    harness.event(Event::PasteImage(Arc::new(pixels)));
    harness.run_steps(2);
    wait(&mut harness, "the pasted image", |app| {
        shows(app, "pasted image")
    });
    assert_eq!(
        harness.state().state().latest.shown().unwrap().photo.rgb[..3],
        [200, 10, 10]
    );
    let path = std::fs::canonicalize(COFFEE).unwrap();
    harness.event(Event::Paste(format!("file://{}\n", path.display())));
    harness.run_steps(2);
    wait(&mut harness, "the pasted path", |app| {
        shows(app, "coffee.png")
    });
    harness.event(Event::Paste("just words".into()));
    harness.run_steps(2);
    harness.get_by_label_contains("neither an image nor the path");
    assert!(shows(harness.state(), "coffee.png"));
}

#[test]
fn sliders_menus_and_switches_change_the_look_without_a_new_run() {
    let mut harness = cat();
    let analysis = analysis(&harness);
    harness
        .get_by_role_and_label(Role::Slider, "Opacity")
        .set_value_accesskit(25.0);
    harness.run_steps(2);
    harness.get_by_label("min-max").click();
    harness.run_steps(2);
    harness
        .get_by_role_and_label(Role::ComboBox, "Colors")
        .click();
    harness.run_steps(2);
    harness.get_by_label("viridis").click();
    harness.run_steps(2);
    let state = harness.state().state();
    let display_options = state.settings.display_options;
    assert!((display_options.opacity.share() - 0.25).abs() < 1e-3);
    assert_eq!(
        (display_options.colormap, display_options.scaling),
        (Colormap::Viridis, Scaling::MinMax)
    );
    assert!(Arc::ptr_eq(
        &state.latest.shown().unwrap().analysis,
        &analysis
    ));
}

#[test]
fn keys_switch_the_view_and_space_flips_the_methods() {
    let mut harness = cat();
    let view = |harness: &Harness<App>| harness.state().state().settings.view;
    for (key, wanted) in [
        (Key::Num2, View::Single(Side::Left)),
        (Key::Num3, View::Single(Side::Right)),
        (Key::Space, View::Single(Side::Left)),
        (Key::Space, View::Single(Side::Right)),
        (Key::Num1, View::SideBySide),
    ] {
        harness.key_press(key);
        harness.run_steps(2);
        assert_eq!(view(&harness), wanted, "{key:?}");
    }
    harness.get_by_role_and_label(Role::Image, "Photo cat.png");
    harness.key_press(Key::F1);
    harness.run_steps(2);
    harness.get_by_label("Flip between the two maps");
}

#[test]
fn the_theme_is_chosen_or_the_systems() {
    let mut harness = cat();
    let theme = |harness: &Harness<App>| harness.ctx.options(|options| options.theme_preference);
    harness.get_by_label("View").click();
    harness.run_steps(2);
    for (name, wanted) in [
        ("light", egui::ThemePreference::Light),
        ("as the system", egui::ThemePreference::System),
    ] {
        harness.get_by_label(name).click();
        harness.run_steps(2);
        assert_eq!(theme(&harness), wanted);
    }
}

#[test]
fn the_framing_runs_the_network_once_more() {
    let mut harness = cat();
    crop(&mut harness);
    harness.get_by_label_contains("seen cropped to 224×224");
    // In the status line and in both panes.
    assert_eq!(harness.query_all_by_label_contains("7×7 cells").count(), 3);
}

#[test]
fn quick_changes_of_mind_end_with_the_last_one() {
    let mut harness = cat();
    for name in ["squash", "whole", "crop", "whole", "squash"] {
        harness.get_by_label(name).click();
        harness.run_steps(1);
    }
    harness.run_steps(2);
    wait(&mut harness, "the last framing", |app| {
        ready(app) && app.state().latest.shown().unwrap().analysis.framing == Framing::Squash
    });
}

#[test]
fn windows_of_every_size_can_be_drawn() {
    // With the browser and a region, so that all panels are shown.
    let mut harness = window(&[CAT, COFFEE]);
    wait(&mut harness, "the cat", ready);
    harness.get_by_label("Regions").click();
    harness.run_steps(2);
    harness.get_by_label("Add a rectangle").click();
    harness.run_steps(2);
    for size in [
        [480.0, 360.0],
        [800.0, 600.0],
        [3000.0, 400.0],
        [500.0, 2000.0],
        [60.0, 40.0],
    ] {
        harness.set_size(size.into());
        harness.run_steps(3);
    }
    harness.set_size([800.0, 600.0].into());
    harness.run_steps(3);
    let window = egui::Rect::from_min_size(egui::Pos2::ZERO, egui::vec2(800.0, 600.0));
    for name in [
        "Open…",
        "Folder…",
        "Grad-CAM++",
        "View",
        "Regions",
        "Fit",
        "Export…",
        "?",
    ] {
        assert!(
            window.contains_rect(harness.get_by_label(name).rect()),
            "{name} is cut off"
        );
    }
}

#[test]
fn an_idle_window_asks_for_no_frames() {
    let mut harness = cat();
    // `run` panics if the window keeps requesting frames.
    harness.run();
    harness.run();
}

#[test]
fn settings_are_stored_and_taken_over() {
    #[derive(Default)]
    struct Memory(Mutex<std::collections::HashMap<String, String>>);
    impl eframe::Storage for Memory {
        fn get_string(&self, key: &str) -> Option<String> {
            self.0.lock().unwrap().get(key).cloned()
        }
        fn set_string(&mut self, key: &str, value: String) {
            self.0.lock().unwrap().insert(key.into(), value);
        }
        fn remove_string(&mut self, key: &str) {
            self.0.lock().unwrap().remove(key);
        }
        fn flush(&mut self) {}
    }

    let mut harness = cat();
    harness.key_press(Key::Num3);
    harness.run_steps(1);
    harness
        .get_by_role_and_label(Role::Slider, "Opacity")
        .set_value_accesskit(30.0);
    harness.run_steps(2);
    harness.get_by_label("Class names and input").click();
    harness.run_steps(8);
    harness
        .get_by_role_and_label(Role::ComboBox, "Preprocessing")
        .click();
    harness.run_steps(2);
    harness.get_by_label("−1 to 1").click();
    harness.run_steps(2);
    let mut memory = Memory::default();
    eframe::App::save(harness.state_mut(), &mut memory);
    let stored: camlens::app::Settings = eframe::get_value(&memory, "settings").unwrap();
    assert_eq!(
        stored.display_options,
        harness.state().state().settings.display_options
    );
    // The window was started with `--model` and `--device`, which apply only to this session.
    assert_eq!(
        (stored.model, stored.device),
        (ModelChoice::Auto, DeviceChoice::Auto)
    );
    // Preprocessing chosen for that model is not stored for another one.
    assert_eq!(stored.preprocess, PreprocessChoice::Model);
    assert_eq!(stored.view, View::Single(Side::Right));
}

/// A signed map has its own colors, and a bar from below zero to above zero, in logit units that
/// add up to the logit minus its bias.
#[test]
fn a_signed_map_says_what_its_colors_stand_for() {
    let mut harness = cat();
    let top = analysis(&harness).top();
    let bars = harness.query_all_by_label_contains("Colors from 0 to ");
    assert_eq!(bars.count(), 2);
    harness.get_by_label("signed").click();
    harness.run_steps(3);
    assert_eq!(
        harness.state().state().settings.display_options.scaling,
        Scaling::Signed
    );
    let answer = analysis(&harness);
    let map =
        camlens::explain::cam::explain(Method::GradCam, &answer.layer_gradients(top).unwrap());
    let (logit, sum) = (answer.logit(top), map.sum());
    let meaning = format!(
        "logit − bias = {logit:.3} − ({:.3}) = {sum:.3}.",
        logit - sum
    );
    harness.get_by_label_contains(&meaning);
    let reaches = map.max().max(-map.min());
    harness.get_by_label_contains(&format!(
        "Colors from −{reaches:.3} to +{reaches:.3} logit."
    ));
    // Grad-CAM++ is not a share of the logit, and the pane says so.
    harness.get_by_label_contains(" relative. Relative units");
    harness
        .get_by_role_and_label(Role::ComboBox, "Colors")
        .click();
    harness.run_steps(2);
    harness.get_by_label("puor").click();
    harness.run_steps(2);
    let display_options = harness.state().state().settings.display_options;
    assert_eq!(
        (
            display_options.colormap_for(Scaling::Signed),
            display_options.colormap
        ),
        (Colormap::PuOr, Colormap::Turbo)
    );
    harness.get_by_label("positive").click();
    harness.run_steps(2);
    let display_options = harness.state().state().settings.display_options;
    assert_eq!(
        (
            display_options.colormap_for(display_options.scaling),
            display_options.scaling
        ),
        (Colormap::Turbo, Scaling::Max)
    );
    harness.check_accessibility();
}

/// A locked range stays while classes and photos change, in every pane with the same unit; a map
/// that goes beyond the range is marked.
#[test]
fn a_held_range_stays_for_all_maps_of_its_unit() {
    let mut harness = cat();
    let analysis = analysis(&harness);
    let highest = |class| {
        camlens::explain::cam::explain(Method::GradCam, &analysis.layer_gradients(class).unwrap())
            .max()
    };
    let own = |class| format!("Colors from 0 to {:.3} logit", highest(class));
    let lock = "Lock the range of the left map";
    harness.get_by_label_contains(&own(analysis.top()));
    harness.get_by_label(lock).click();
    harness.run_steps(3);
    harness.get_by_label_contains("range locked");

    let second = analysis.ranking[1];
    harness
        .get_by_role_and_label(Role::RadioButton, "tiger cat 18 %")
        .click();
    harness.run_steps(3);
    let beyond = highest(second) > highest(analysis.top());
    let (held, sign) = (highest(analysis.top()), if beyond { "≥" } else { "" });
    harness.get_by_label_contains(&format!("Colors from 0 to {sign}{held:.3} logit"));
    // Grad-CAM++ has another unit, so it has its own range.
    assert_eq!(
        harness.query_all_by_label_contains("range locked").count(),
        1
    );

    harness.get_by_label(lock).click();
    harness.run_steps(3);
    harness.get_by_label_contains(&own(second));
    assert_eq!(
        harness.query_all_by_label_contains("range locked").count(),
        0
    );
    harness.check_accessibility();
}
