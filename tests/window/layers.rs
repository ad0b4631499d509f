//! Layers, methods, and what each pane holds.

use super::*;

#[test]
fn small_multiples_choose_the_layer_and_the_network_is_not_run_again() {
    let (_folder, mut harness) = pets();
    let before = analysis(&harness);
    harness.get_by_label_contains("layer4: coarse, but closest to the class");
    for name in ["layer2", "layer1"] {
        harness.get_by_label(&format!("layer {name}")).click();
        harness.run_steps(2);
        wait(&mut harness, name, map_at(Side::Left, name));
        harness.get_by_label_contains("little meaning for this class");
        let top = before.model.labels.name(before.top());
        let percent = format!("{:.0} %", 100.0 * before.probability(before.top()));
        harness.get_by_role_and_label(
            Role::Image,
            &format!("Grad-CAM map of {top}, {percent} at {name}"),
        );
    }
    assert!(Arc::ptr_eq(&before, &analysis(&harness)));
    harness.key_press(Key::CloseBracket);
    harness.run_steps(2);
    wait(
        &mut harness,
        "the next layer",
        map_at(Side::Right, "layer2"),
    );
    harness.run();
}

#[test]
fn a_class_change_at_an_earlier_layer_makes_its_maps() {
    let (_folder, mut harness) = pets();
    harness.get_by_label("layer layer3").click();
    harness.run_steps(2);
    for _ in 0..2 {
        harness.key_press(Key::ArrowDown);
        harness.run_steps(2);
        wait(&mut harness, "the maps", map_at(Side::Left, "layer3"));
    }
    let state = harness.state().state();
    let analysis = analysis(&harness);
    assert_eq!(
        state.map_spec(Side::Left, &analysis).class,
        analysis.ranking[2]
    );
    // The similarity of the maps is also shown at an earlier layer.
    wait(&mut harness, "the map of the top class", |app| {
        let shown = app.state().latest.shown().unwrap();
        app.state().layers.get(shown.analysis.top()).is_some()
    });
    let likeness = "with the map of the top class, class";
    assert_eq!(harness.query_all_by_label_contains(likeness).count(), 2);
}

#[test]
fn each_pane_may_hold_its_own_method_layer_and_class() {
    let (_folder, mut harness) = pets();
    let open = |harness: &mut Harness<App>| {
        harness.get_by_label("What the right map shows").click();
        harness.run_steps(2);
    };
    open(&mut harness);
    harness.get_by_label("LayerCAM").click();
    harness.run_steps(2);
    open(&mut harness);
    harness
        .get_by_role_and_label(Role::RadioButton, "layer3")
        .click();
    harness.run_steps(2);
    open(&mut harness);
    harness.get_by_label_contains("Pin class").click();
    harness.run_steps(2);
    harness.key_press(Key::ArrowDown);
    harness.run_steps(2);
    wait(
        &mut harness,
        "layer3 on the right",
        map_at(Side::Right, "layer3"),
    );
    let analysis = analysis(&harness);
    let state = harness.state().state();
    let [left, right] = Side::BOTH.map(|side| state.map_spec(side, &analysis));
    assert_eq!(
        (left.recipe.method, left.layer),
        (Method::GradCam, analysis.model.default_layer)
    );
    assert_eq!(
        (right.recipe.method, right.layer),
        (
            Method::LayerCam,
            analysis.model.need_layer(&"layer3".into()).unwrap()
        )
    );
    assert_eq!(
        (left.class, right.class),
        (analysis.ranking[1], analysis.top())
    );
    // The toolbar names the methods of the panes.
    harness.get_by_label("LayerCAM");
    harness.check_accessibility();
}

#[test]
fn the_tutorials_settings_are_one_click() {
    let (_folder, mut harness) = pets();
    harness.get_by_label("Advanced").click();
    harness.run_steps(8);
    harness.get_by_label("Set all as in the tutorial").click();
    harness.run_steps(2);
    wait(&mut harness, "the tutorial's map", |app| {
        ready(app) && map_at(Side::Right, "last-conv")(app)
    });
    let shown = harness.state().state().latest.shown().unwrap().clone();
    assert_eq!(shown.analysis.framing, Framing::Squash);
    assert!(shown.analysis.preprocessing.mean.iter().all(|m| *m == 0.0));
    harness.get_by_label_contains("formula: tutorial");
}

/// The status line names the layers that the panes show.
#[test]
fn the_status_line_names_the_layers_of_the_maps() {
    let (_folder, mut harness) = pets();
    harness.get_by_label_contains("ms · layer4, 8×12 cells · CPU");
    harness.key_press(Key::OpenBracket);
    harness.run_steps(2);
    for side in Side::BOTH {
        wait(&mut harness, "layer3", map_at(side, "layer3"));
    }
    harness.get_by_label_contains("ms · layer3, 16×24 cells · CPU");
    assert_eq!(
        harness.query_all_by_label_contains("layer4, 8×12").count(),
        0
    );
    harness.get_by_label("What the right map shows").click();
    harness.run_steps(2);
    harness
        .get_by_role_and_label(Role::RadioButton, "layer4")
        .click();
    harness.run_steps(3);
    harness.get_by_label_contains("ms · layer3, 16×24 cells and layer4, 8×12 cells · CPU");
    harness.run();
}

/// The whole title of a map is a button, including the triangle at its end.
#[test]
fn the_triangle_at_a_title_opens_its_menu() {
    let mut harness = cat();
    let title = harness.get_by_label("What the left map shows").rect();
    let triangle = title.right_center() - egui::vec2(8.0, 0.0);
    harness.hover_at(triangle);
    harness.run_steps(1);
    harness.drag_at(triangle);
    harness.run_steps(1);
    harness.drop_at(triangle);
    harness.run_steps(3);
    harness.get_by_label("HiResCAM");
}
