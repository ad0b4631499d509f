//! Which class is explained, and for how long it is kept.

use super::*;

#[test]
fn a_class_is_chosen_by_click_key_and_search() {
    let mut harness = cat();
    let analysis = analysis(&harness);
    let chosen = |harness: &Harness<App>| harness.state().state().class_in(&analysis);
    let second = analysis.model.labels.name(analysis.ranking[1]).to_owned();
    assert_eq!(chosen(&harness), analysis.top());

    harness
        .get_by_role_and_label(Role::RadioButton, "tiger cat 18 %")
        .click();
    harness.run_steps(2);
    assert_eq!(chosen(&harness), analysis.ranking[1]);
    harness.get_by_role_and_label(Role::Image, &format!("Grad-CAM map of {second}, 18 %"));
    let likeness = "with the map of the top class, Egyptian cat";
    assert_eq!(harness.query_all_by_label_contains(likeness).count(), 2);

    harness.key_press(Key::ArrowDown);
    harness.run_steps(2);
    assert_eq!(chosen(&harness), analysis.ranking[2]);

    harness.get_by_label("Search classes").focus();
    harness.run_steps(1);
    harness.get_by_label("Search classes").type_text("bookshop");
    harness.run_steps(2);
    harness.get_by_label("class bookshop").click();
    harness.run_steps(2);
    assert_eq!(analysis.model.labels.name(chosen(&harness)), "bookshop");
    assert!(matches!(
        harness.state().state().class,
        ClassChoice::Chosen(_)
    ));
    // The network was not run again for any of this.
    let now = &harness.state().state().latest.shown().unwrap().analysis;
    assert!(Arc::ptr_eq(now, &analysis));

    harness.get_by_label("Top class").click();
    harness.run_steps(2);
    assert_eq!(chosen(&harness), analysis.top());
    assert!(
        harness.query_by_label("Top class").is_none(),
        "it is explained"
    );
}

#[test]
fn a_class_without_evidence_is_said_in_words() {
    let mut harness = cat();
    crop(&mut harness);
    let shown = harness.state().state().latest.shown().unwrap().clone();
    let analysis = &shown.analysis;
    let without = analysis.ranking.iter().rev().find(|&&class| {
        let map = camlens::explain::cam::explain(
            Method::GradCam,
            &analysis.layer_gradients(class).unwrap(),
        );
        !map.has_positive_evidence()
    });
    let name = analysis
        .model
        .labels
        .name(*without.expect("25 classes have none"))
        .to_owned();
    harness.get_by_label("Search classes").focus();
    harness.run_steps(1);
    harness.get_by_label("Search classes").type_text(&name);
    harness.run_steps(2);
    harness.get_by_label(&format!("class {name}")).click();
    harness.run_steps(2);
    harness.get_by_label(&format!("No positive evidence for {name}."));
}

#[test]
fn the_table_is_sorted_by_its_header() {
    let mut harness = cat();
    harness.get_by_label("Sort by class").click();
    harness.run_steps(2);
    // The table is now sorted by name: the selected class has moved, and the table has not scrolled
    // to it yet.
    harness.get_by_label("class abacus");
    harness.get_by_label("Sort by score").click();
    harness.run_steps(2);
    harness.get_by_label("class Egyptian cat");
}

/// A class is chosen only for the current photo.
#[test]
fn a_new_photo_is_explained_by_its_own_top_class() {
    let mut harness = cat();
    let tiger_cat = "tiger cat 18 %";
    harness
        .get_by_role_and_label(Role::RadioButton, tiger_cat)
        .click();
    harness.run_steps(2);
    drop_files(&mut harness, &[COFFEE]);
    wait(&mut harness, "the coffee", |app| shows(app, "coffee.png"));
    harness.get_by_role_and_label(Role::Image, "Grad-CAM map of espresso, 37 %");
    // Back at the first photo, its own top class is explained again.
    harness.key_press(Key::PageUp);
    harness.run_steps(2);
    wait(&mut harness, "the cat", |app| shows(app, "cat.png"));
    let analysis = analysis(&harness);
    assert_eq!(harness.state().state().class_in(&analysis), analysis.top());
    harness.get_by_role_and_label(Role::RadioButton, tiger_cat);
}

/// If a kept class is improbable for the next photo, the pane says so, and one click switches to
/// the photo's top class.
#[test]
fn a_kept_class_that_is_improbable_is_said_with_a_way_back() {
    let mut harness = cat();
    harness.get_by_label("Keep class for next photos").click();
    harness.run_steps(2);
    let improbable = |harness: &Harness<App>| {
        harness
            .query_all_by_label_contains("here · show espresso 37 %")
            .count()
    };
    assert_eq!(improbable(&harness), 0);
    drop_files(&mut harness, &[COFFEE]);
    wait(&mut harness, "the coffee", |app| shows(app, "coffee.png"));
    assert_eq!(improbable(&harness), 2, "in each map pane");
    harness.get_by_role_and_label(Role::Image, "Grad-CAM map of Egyptian cat, < 0.1 %");
    harness.check_accessibility();
    let back = "Egyptian cat: < 0.1 % here · show espresso 37 % (right map)";
    // The notes move once the last of them is there.
    wait_for_text(&mut harness, "other classes");
    harness.get_by_label_contains(back).click();
    harness.run_steps(4);
    let espresso = "Grad-CAM map of espresso, 37 %";
    harness.get_by_role_and_label(Role::Image, espresso);
    assert_eq!(improbable(&harness), 0);
    assert_eq!(
        harness.state().state().class,
        ClassChoice::Top,
        "no longer kept"
    );

    // A pinned class is marked, and is handled in the same way.
    harness.key_press(Key::PageUp);
    harness.run_steps(2);
    wait(&mut harness, "the cat", |app| shows(app, "cat.png"));
    harness.get_by_label("What the right map shows").click();
    harness.run_steps(2);
    harness.get_by_label("Pin Egyptian cat to this map").click();
    harness.run_steps(2);
    harness.get_by_label_contains("class pinned");
    harness.key_press(Key::PageDown);
    harness.run_steps(2);
    wait(&mut harness, "the coffee", |app| shows(app, "coffee.png"));
    assert_eq!(improbable(&harness), 1);
    // The notes move once the last of them is there.
    wait_for_text(&mut harness, "other classes");
    harness.get_by_label_contains(back).click();
    harness.run_steps(4);
    assert_eq!(harness.state().state().pinned, [None; 2]);
}
