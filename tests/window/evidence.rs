//! Differences, the probe, regions, quality of maps, and exports.

use super::*;
use egui_kittest::kittest::NodeT;
use std::process::Command;

/// The accessible text of a node.
fn words(node: &egui_kittest::Node) -> String {
    let node = node.accesskit_node();
    node.label().or(node.value()).unwrap_or_default()
}

/// Draws frames until `count` nodes contain some words.
fn wait_for(harness: &mut Harness<App>, words: &str, count: usize) {
    let started = Instant::now();
    while harness.query_all_by_label_contains(words).count() < count {
        assert!(
            started.elapsed() < Duration::from_mins(1),
            "timed out: {words}"
        );
        std::thread::sleep(Duration::from_millis(10));
        harness.run_steps(1);
    }
}

fn map_image(harness: &Harness<App>, words: &str) {
    let found = harness.query_all_by_label_contains(words);
    assert!(found.count() > 0, "no map is called {words:?}");
}

#[test]
fn why_not_another_class() {
    let mut harness = cat();
    harness
        .get_by_role_and_label(Role::ComboBox, "Why not this class")
        .click();
    harness.run_steps(2);
    // The other node with this name is the bar of the class.
    let offered = harness.query_all_by_label("tiger cat 18 %");
    let mut offered = offered.filter(|node| node.accesskit_node().role() != Role::RadioButton);
    offered.next().unwrap().click();
    drop(offered);
    harness.run_steps(3);
    let analysis = analysis(&harness);
    let state = harness.state().state();
    let map_spec = state.map_spec(Side::Left, &analysis);
    assert_eq!(map_spec.contrast_class, Some(analysis.ranking[1]));
    map_image(
        &harness,
        "Grad-CAM map of Egyptian cat minus that of tiger cat",
    );
    let sum = state.map(&analysis, map_spec).unwrap().sum();
    let bar = format!("= {sum:.3}");
    let bars = harness.query_all_by_label_contains(&bar);
    assert!(
        bars.count() > 0,
        "the bar says what the cells add up to: {bar}"
    );
    assert!(harness.query_by_label("positive").is_none(), "it is signed");
    harness.check_accessibility();
}

#[test]
fn the_probe_tells_value_share_heat_and_classes() {
    let mut harness = cat();
    let pane = harness.get_by_label_contains("Grad-CAM map of").rect();
    harness.hover_at(pane.center());
    harness.run_steps(4);
    let text = "speaks most for";
    harness.get_by_label_contains(text);
    let line = words(&harness.get_by_label_contains("logit, "));
    assert!(
        line.contains("heat 0.") && line.contains("cell 4, 6"),
        "{line}"
    );
    harness.remove_cursor();
    harness.run_steps(3);

    // The same by keyboard: a pane has the focus, and arrow keys move from cell to cell.
    harness.get_by_label_contains("Grad-CAM map of").focus();
    harness.run_steps(2);
    harness.key_press(Key::ArrowDown);
    harness.run_steps(3);
    harness.get_by_label_contains("cell 4, 6");
    harness.key_press(Key::ArrowRight);
    harness.run_steps(3);
    harness.get_by_label_contains("cell 4, 7");
    let class = harness.state().state().class;
    assert_eq!(class, ClassChoice::Top, "arrows do not choose classes now");
}

#[test]
fn a_region_is_drawn_measured_and_named() {
    let mut harness = cat();
    harness.key_press(Key::R);
    harness.run_steps(2);
    let pane = harness.get_by_label_contains("Photo cat.png").rect();
    harness.drag_at(pane.center() - egui::vec2(80.0, 40.0));
    harness.run_steps(2);
    harness.hover_at(pane.center() + egui::vec2(60.0, 50.0));
    harness.run_steps(2);
    harness.drop_at(pane.center() + egui::vec2(60.0, 50.0));
    harness.run_steps(3);
    let shown = harness.state().state().latest.shown().unwrap();
    let photo = shown.plan.photo;
    let analysis = shown.analysis.clone();
    let regions = harness.state().state().regions.of(photo).to_vec();
    assert_eq!((regions.len(), &*regions[0].name), (1, "A"));
    let map_spec = harness.state().state().map_spec(Side::Left, &analysis);
    let map = harness.state().state().map(&analysis, map_spec).unwrap();
    let measure = regions[0].shape.measure(&map, &analysis.placement);
    let share = format!("{:.1} %", 100.0 * measure.share.unwrap());
    assert!(harness.query_all_by_label(&share).count() > 0, "{share}");

    // Another photo has its own regions; edges can be typed as well as drawn.
    harness.get_by_label("Regions: rectangle").click();
    harness.run_steps(2);
    harness.get_by_label("Add a rectangle").click();
    harness.run_steps(3);
    harness.get_by_label("Name of region B");
    harness.get_by_role_and_label(Role::SpinButton, "left of region B");
    drop_files(&mut harness, &[COFFEE]);
    wait(&mut harness, "the coffee", |app| shows(app, "coffee.png"));
    assert!(harness.query_by_label("Name of region A").is_none());
    harness.key_press(Key::PageUp);
    harness.run_steps(2);
    wait(&mut harness, "the cat", |app| shows(app, "cat.png"));
    harness.get_by_label("Delete region A").click();
    harness.run_steps(2);
    let left = harness.state().state().regions.of(photo);
    assert_eq!((left.len(), &*left[0].name), (1, "B"));
    harness.check_accessibility();
}

#[test]
fn class_insensitive_maps_are_called_so() {
    let mut harness = cat();
    wait_for(&mut harness, "with the maps of 50 other classes", 2);
    let found = harness.query_all_by_label_contains("with the maps of 50 other classes");
    let labels: Vec<String> = found.map(|node| words(&node)).collect();
    assert_eq!(labels.len(), 2);
    let insensitive = labels
        .iter()
        .filter(|label| label.contains("Class-insensitive"));
    let insensitive: Vec<_> = insensitive.collect();
    assert_eq!(insensitive.len(), 1, "{labels:?}");
    assert!(insensitive[0].contains("right map"), "Grad-CAM++");
}

#[test]
fn earlier_layers_have_a_meter_too() {
    let (_folder, mut harness) = pets();
    harness.get_by_label("layer layer3").click();
    harness.run_steps(2);
    wait(&mut harness, "the map", map_at(Side::Left, "layer3"));
    wait_for(&mut harness, "with the maps of 2 other classes", 2);
}

/// Checks that `camlens explain --manifest` reports both maps as identical.
fn made_again(manifest: &Path, arguments: &[&str]) {
    let again = Command::new(env!("CARGO_BIN_EXE_camlens"))
        .args(["explain", "--manifest"])
        .arg(manifest)
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&again.stdout).into_owned();
    let errors = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(again.status.success(), "{text}{errors}");
    assert_eq!(text.matches("the same, to the bit").count(), 2, "{text}");
}

/// The window ran the network in f32, and then in f64 for the gradients.
#[test]
fn an_export_of_an_earlier_layer_can_be_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let (_weights, path) = made_up_resnet();
    let arguments = WindowArgs {
        model: Some(file_model(&path)),
        ..WindowArgs::default()
    };
    let picker = picker(Some(vec![folder.path().to_owned()]));
    let mut harness = window_of(&[CAT], arguments, picker);
    wait(&mut harness, "the cat", ready);
    harness.get_by_label("layer layer2").click();
    harness.run_steps(2);
    wait(&mut harness, "a map", map_at(Side::Left, "layer2"));
    wait(&mut harness, "a map", map_at(Side::Right, "layer2"));
    harness.get_by_label("Export…").click();
    harness.run_steps(2);
    wait(&mut harness, "the files", |app| app.state().info.is_some());
    let manifest = folder.path().join("cat-camlens/manifest.json");
    made_again(&manifest, &[CAT, "--model", path.to_str().unwrap()]);
}

/// An export from the window can be reproduced without the window.
#[test]
fn what_is_shown_is_exported_and_can_be_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let photo = folder.path().join("cat.png");
    std::fs::copy(CAT, &photo).unwrap();
    let picker = picker(Some(vec![folder.path().to_owned()]));
    let mut harness = window_with(&[photo.to_str().unwrap()], picker);
    wait(&mut harness, "the cat", ready);
    harness.key_press(Key::S); // signed
    harness.key_press(Key::ArrowDown); // the second class
    harness.run_steps(2);
    harness
        .get_by_label("Lock the range of the left map")
        .click();
    harness.run_steps(2);
    for name in ["cat-camlens", "cat-camlens-2"] {
        harness.key_press_modifiers(egui::Modifiers::COMMAND, Key::S);
        harness.run_steps(2);
        wait(&mut harness, "the files", |app| {
            let said = app.state().info.as_deref();
            said.is_some_and(|said| said.ends_with(&format!("{name}.")))
        });
        let manifest = folder.path().join(name).join("manifest.json");
        made_again(&manifest, &[]);
        let text = std::fs::read_to_string(&manifest).unwrap();
        assert!(text.contains("\"scaling\": \"signed\"") && text.contains("\"range_held\": true"));
    }

    // The window can open the export again.
    let mut harness = window(&[COFFEE]);
    wait(&mut harness, "the coffee", ready);
    let manifest = folder.path().join("cat-camlens/manifest.json");
    drop_files(&mut harness, &[manifest.to_str().unwrap()]);
    harness.run_steps(2);
    wait(&mut harness, "the cat", |app| shows(app, "cat.png"));
    harness.get_by_label_contains("opened again: 2 maps, the same to the bit");
    let analysis = analysis(&harness);
    let state = harness.state().state();
    assert_eq!(state.class_in(&analysis), analysis.ranking[1]);
    assert_eq!(state.settings.display_options.scaling, Scaling::Signed);
    let held = harness.query_all_by_label_contains("range locked");
    assert_eq!(held.count(), 1, "the left map's");
}

#[test]
fn a_pane_is_copied_as_it_is_drawn() {
    let mut harness = cat();
    harness.event(Event::Copy);
    harness.run_steps(2);
    wait(&mut harness, "the copy", |app| app.state().info.is_some());
    harness.get_by_label_contains("Copied 451×300 pixels");
}

#[test]
fn panes_are_drawn_in_other_ways() {
    let mut harness = cat();
    harness.get_by_label("View").click();
    harness.run_steps(2);
    harness.get_by_label("heat").click();
    harness.get_by_label("Contours (O)").click();
    harness.run_steps(2);
    harness.get_by_label("Swap the maps (X)").click();
    harness.run_steps(3);
    let settings = &harness.state().state().settings;
    assert_eq!(
        settings.display_options.display,
        camlens::render::display_options::Display::Heat
    );
    assert!(settings.display_options.contours);
    assert_eq!(settings.panes[0].method, Method::GradCamPlusPlus);
    for key in [Key::C, Key::G, Key::O, Key::K, Key::I] {
        harness.key_press(key);
        harness.run_steps(2);
    }
    let display_options = harness.state().state().settings.display_options;
    assert!(display_options.grid && !display_options.contours);
    harness.get_by_label_contains("384×256 pixels (framing whole)");
    harness
        .get_by_role_and_label(Role::Slider, "Threshold")
        .set_value_accesskit(40.0);
    harness.run_steps(2);
    assert_eq!(
        harness.state().state().settings.display_options.threshold,
        40
    );
    harness.check_accessibility();
}

#[test]
fn a_folder_is_opened_classified_sorted_and_filtered() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["cat", "coffee", "rocket", "two-cats"] {
        let from = format!("assets/samples/{name}.png");
        std::fs::copy(from, folder.path().join(format!("{name}.png"))).unwrap();
    }
    std::fs::write(folder.path().join("broken.jpg"), b"no photo").unwrap();
    std::fs::write(folder.path().join("notes.txt"), b"no photo at all").unwrap();
    let table = folder.path().join("table.csv");
    let paths = [folder.path().to_owned(), table.clone()];
    let answers = Arc::new(Mutex::new(paths.to_vec()));
    let picker: Picker = Arc::new(move |_| {
        let next = answers.lock().unwrap().remove(0);
        Box::pin(async move { Some(vec![next]) })
    });
    let mut harness = window_with(&[], picker);
    harness.get_by_label("Folder…").click();
    harness.run_steps(2);
    wait(&mut harness, "the predictions", |app| {
        app.state().batch.len() == 5
    });
    assert_eq!(harness.state().state().photos.len(), 5);
    harness.get_by_label_contains("photo coffee.png, 37 % espresso");
    harness.get_by_label_contains("photo broken.jpg, can't be read");
    harness.check_accessibility();

    harness
        .get_by_role_and_label(Role::ComboBox, "Order of the photos")
        .click();
    harness.run_steps(2);
    harness.get_by_label("most confident").click();
    harness.run_steps(3);
    let state = harness.state().state();
    let order = &state.arrangement.order;
    let names: Vec<String> = order
        .iter()
        .map(|&index| state.photos[index].source.name())
        .collect();
    assert_eq!(names[4], "broken.jpg");
    let confidence = |name: &String| {
        let item = state.photos.iter().find(|item| item.source.name() == *name);
        let answer = state.batch.get(item.unwrap().id).unwrap();
        let found = answer.as_ref().unwrap();
        found.probability(found.top)
    };
    assert!(names[..4].is_sorted_by(|a, b| confidence(a) >= confidence(b)));

    // The right arrow key shows the next photo in that order.
    harness
        .get_by_label_contains(&format!("photo {},", names[0]))
        .click();
    harness.run_steps(2);
    wait(&mut harness, "the first", |app| shows(app, &names[0]));
    harness.key_press(Key::ArrowRight);
    harness.run_steps(2);
    wait(&mut harness, "the second", |app| shows(app, &names[1]));

    harness
        .get_by_role_and_label(Role::ComboBox, "Predicted class of the photos")
        .click();
    harness.run_steps(2);
    harness.get_by_label("espresso (1)").click();
    harness.run_steps(3);
    harness.get_by_label("1 of 5 photos");
    harness.get_by_label("CSV…").click();
    harness.run_steps(2);
    wait(&mut harness, "the table", |app| app.state().info.is_some());
    let text = std::fs::read_to_string(&table).unwrap();
    assert_eq!(text.lines().count(), 2);
    assert!(
        text.contains("coffee.png,") && text.contains("espresso"),
        "{text}"
    );
}
