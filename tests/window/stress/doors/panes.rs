//! What each pane shows, ranges, and regions.

use camlens::explain::cam::Variant;
use egui_kittest::kittest::NodeT;

use super::models::{advanced, use_pets};
use super::*;

/// Opens the menu of a pane that is on screen.
fn open_menu(s: &mut Session) -> Side {
    let sides = s.state().settings.view.sides();
    let side = s.dice.of(sides);
    s.click(&format!("What the {} map shows", side.name()));
    s.step(1);
    side
}

pub fn pane_menu(s: &mut Session) -> Option<String> {
    s.rest("before the menu");
    s.roomy();
    let analysis = s.analysis()?;
    let side = open_menu(s);
    let item = match s.dice.deal("pane menu", &[0, 0, 1, 2]) {
        0 => s.dice.of(&Method::ALL).name().to_owned(),
        1 => {
            let state = s.state();
            let held = state.pinned[side.index()];
            let pinned = held.unwrap_or_else(|| state.class_in(&analysis));
            format!("Pin {} to this map", analysis.model.labels.name(pinned))
        }
        _ => {
            let class = s.state().class_in(&analysis);
            format!("As for all ({})", analysis.model.labels.name(class))
        }
    };
    s.click_a(Role::RadioButton, &item);
    s.watch.pinned[side.index()] = s.state().pinned[side.index()];
    s.roomy();
    Some(format!("{} map: {item}", side.name()))
}

const LAYERS: [&str; 4] = ["layer1", "layer2", "layer3", "layer4"];

pub fn pane_layer(s: &mut Session) -> Option<String> {
    use_pets(s)?;
    s.roomy();
    let side = open_menu(s);
    let layer = s.dice.deal("pane layers", &LAYERS);
    s.click_a(Role::RadioButton, layer);
    s.roomy();
    s.rest("the layer of a pane");
    let (analysis, state) = (s.analysis()?, s.state());
    let shown = state.map_spec(side, &analysis).layer;
    assert_eq!(analysis.model.layer_name(shown), layer);
    Some(format!("{} map: {layer}", side.name()))
}

pub fn layer(s: &mut Session) -> Option<String> {
    let analysis = use_pets(s)?;
    s.roomy();
    let layer = s.dice.deal("layers", &LAYERS);
    s.click(&format!("layer {layer}"));
    let chosen = s.state().layer_in(&analysis);
    assert_eq!(analysis.model.layer_name(chosen), layer);
    Some(layer.into())
}

pub fn formula(s: &mut Session) -> Option<String> {
    s.rest("before the formula");
    s.analysis()?;
    advanced(s);
    let formulas = [
        ("Eq. 19 of the paper", Variant::Eq19),
        ("As the grad-cam package", Variant::PytorchGradCam),
        ("As a common tutorial", Variant::TutorialSum),
    ];
    let (name, variant) = s.dice.deal("formula", &formulas);
    s.click_a(Role::RadioButton, name);
    assert_eq!(s.state().settings.variant, variant);
    Some(name.into())
}

pub fn lock(s: &mut Session) -> Option<String> {
    s.rest("before the lock");
    s.roomy();
    s.analysis()?;
    let sides = s.state().settings.view.sides();
    let side = s.dice.of(sides);
    let lock = format!("Lock the range of the {} map", side.name());
    if !s.has(Role::Button, &lock) {
        return None; // there is nothing to draw
    }
    s.click(&lock);
    Some(lock)
}

/// The regions of the photo on screen.
fn regions(s: &Session) -> usize {
    s.state().regions.of(s.state().current).len()
}

pub fn draw_region(s: &mut Session) -> Option<String> {
    s.rest("before the region");
    s.roomy();
    let shown = s.state().latest.shown()?;
    let photo = printable::name(&shown.photo.name);
    let before = regions(s);
    let how = s.dice.deal("regions", &["rectangle", "lasso", "menu"]);
    if how == "menu" {
        s.click("Regions");
        s.click("Add a rectangle");
    } else {
        s.harness.key_press(Key::Num1);
        s.harness
            .key_press(if how == "lasso" { Key::L } else { Key::R });
        s.harness.key_press(Key::F);
        s.step(3);
        let name = format!("Photo {photo}");
        let pane = s.harness.get_by_role_and_label(Role::Image, &name).rect();
        let center = pane.center();
        s.harness.drag_at(center);
        s.step(2);
        for by in [(20.0, 4.0), (24.0, 30.0), (6.0, 26.0)] {
            s.harness.hover_at(center + egui::Vec2::from(by));
            s.step(2);
        }
        s.harness.drop_at(center + egui::vec2(6.0, 26.0));
        s.step(3);
        s.harness.remove_cursor();
        s.roomy();
    }
    // A lasso on a photo of one column may enclose nothing.
    let is_new = regions(s) == before + 1;
    assert!(is_new || how == "lasso", "no region by {how} on {photo}");
    is_new.then(|| format!("a region by {how}"))
}

pub fn change_region(s: &mut Session) -> Option<String> {
    s.rest("before the region");
    if regions(s) == 0 {
        draw_region(s)?;
    }
    s.roomy();
    let before = regions(s);
    let all = s.state().regions.of(s.state().current);
    let name = all.first()?.name.clone();
    let what = s.dice.deal("region", &["delete", "name", "edge"]);
    let edge = format!("right of region {name}");
    if what == "name" || (what == "edge" && !s.has(Role::SpinButton, &edge)) {
        let field = format!("Name of region {name}");
        s.harness
            .get_by_role_and_label(Role::TextInput, &field)
            .focus();
        s.step(2);
        s.harness
            .get_by_role_and_label(Role::TextInput, &field)
            .type_text("x");
        s.step(2);
        let all = s.state().regions.of(s.state().current);
        assert!(all[0].name.contains('x') && all[0].name != name);
        s.roomy();
    } else if what == "edge" {
        let node = s.harness.get_by_role_and_label(Role::SpinButton, &edge);
        let now = node.accesskit_node().numeric_value().unwrap();
        s.set(Role::SpinButton, &edge, now - 1.0);
    } else {
        s.click(&format!("Delete region {name}"));
        assert_eq!(regions(s), before - 1);
    }
    Some(format!("region {name}: {what}"))
}
