//! Long class names that differ only at their end: they must be distinguishable even in little
//! space, and a title must keep its probability.

use egui::Shape;

use super::*;

fn name(class: usize) -> String {
    format!("Melanocytic lesion of the upper back, dermoscopic class, subtype {class}")
}

/// Each text as drawn, without the parts that were cut off.
fn painted(harness: &Harness<App>) -> Vec<String> {
    fn im2col(shape: &Shape, lines: &mut Vec<String>) {
        match shape {
            Shape::Text(text) if text.galley.elided => {
                lines.extend(text.galley.rows.iter().map(|row| row.text()));
            }
            Shape::Text(text) => lines.push(text.galley.text().to_owned()),
            Shape::Vec(shapes) => shapes.iter().for_each(|shape| im2col(shape, lines)),
            _ => {}
        }
    }
    let mut lines = Vec::new();
    for clipped in &harness.output().shapes {
        im2col(&clipped.shape, &mut lines);
    }
    lines
}

/// The lines that name a class; each must identify it.
#[track_caller]
fn naming(harness: &Harness<App>) -> Vec<String> {
    let lines = painted(harness);
    let naming = lines.into_iter().filter(|line| line.contains("Mel"));
    let naming: Vec<String> = naming.collect();
    for line in &naming {
        let tells = (0..3).any(|class| {
            line.contains(&name(class))
                || line.contains('…') && line.contains(&format!("({class})"))
        });
        assert!(tells, "which class is it? {line:?}");
    }
    naming
}

#[test]
fn long_names_can_be_told_apart_wherever_they_are() {
    let (folder, mut harness) = pets();
    harness.set_size(egui::vec2(1400.0, 750.0));
    let names = folder.path().join("names.txt");
    let text: Vec<String> = (0..3).map(name).collect();
    std::fs::write(&names, text.join("\n")).unwrap();
    drop_files(&mut harness, &[names.to_str().unwrap()]);
    harness.run_steps(1);
    let named = |app: &App| {
        let shown = app.state().latest.shown();
        let first = |shown: &camlens::worker::Answer| {
            let labels = &shown.analysis.model.labels;
            labels.name(labels.class(0).unwrap()) == name(0)
        };
        ready(app) && shown.is_some_and(first)
    };
    wait(&mut harness, "the names", named);
    let analysis = analysis(&harness);
    let lines = naming(&harness);
    let percent = camlens::render::legend::percent(analysis.probability(analysis.top()));
    for method in ["Grad-CAM · Mel", "Grad-CAM++ · Mel"] {
        let title = lines.iter().find(|line| line.starts_with(method)).unwrap();
        assert!(title.ends_with(&percent), "{title}");
    }
    // The accessible name is complete, for users who can't see the screen.
    let whole = name(analysis.top().index());
    harness.get_by_role_and_label(Role::RadioButton, &format!("{whole} {percent}"));

    // The menu of the contrast class, and both classes in the titles.
    let other = analysis.ranking[1];
    harness.get_by_label("Why not this class").click();
    harness.run_steps(2);
    let probability = camlens::render::legend::percent(analysis.probability(other));
    let item = format!("{} {probability}", name(other.index()));
    harness.get_by_role_and_label(Role::Button, &item).click();
    harness.run_steps(4);
    let lines = naming(&harness);
    let both = format!("({}) − Mel", analysis.top());
    let titles = lines.iter().filter(|line| line.contains(&both));
    assert_eq!(titles.count(), 2, "{lines:?}");

    // The browser: captions, and the combo box of its filter.
    drop_files(&mut harness, &[COFFEE]);
    wait(&mut harness, "the predictions", |app| {
        shows(app, "coffee.png") && app.state().batch.len() == 2
    });
    let lines = naming(&harness);
    let captions = lines.iter().filter(|line| line.contains(" % Mel"));
    assert_eq!(captions.count(), 2, "{lines:?}");
    harness
        .get_by_label("Predicted class of the photos")
        .click();
    harness.run_steps(2);
    let top = harness.state().state().arrangement.tops[0];
    let item = format!("{} ({})", name(top.0.index()), top.1);
    harness.get_by_role_and_label(Role::Button, &item).click();
    harness.run_steps(4);
    assert_eq!(harness.state().state().filter, Some(top.0));
    naming(&harness);

    // In a window that is tall enough, each class has its bar and its row.
    harness.set_size(egui::vec2(1400.0, 1400.0));
    harness.run_steps(4);
    let lines = naming(&harness);
    for class in 0..3 {
        let index = format!("({class})");
        let found = lines
            .iter()
            .filter(|line| line.starts_with("Mel") && line.ends_with(&index));
        assert!(found.count() >= 2, "class {class} in {lines:?}");
    }
}
