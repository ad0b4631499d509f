//! Which class is explained.

use camlens::labels::ClassId;
use camlens::render::legend::percent;
use egui_kittest::kittest::NodeT;

use super::models::use_built_in;
use super::*;

pub fn choose_class(s: &mut Session) -> Option<String> {
    s.rest("before the class");
    s.roomy();
    let analysis = s.analysis()?;
    let class = analysis.ranking[s.dice.roll(3)];
    let name = analysis.model.labels.name(class);
    let bar = format!("{name} {}", percent(analysis.probability(class)));
    s.click_a(Role::RadioButton, &bar);
    assert_eq!(s.state().class_in(&analysis), class);
    Some(format!("class {name}"))
}

/// Types into the search field, and gives the names of the rows that are there then.
fn type_search(s: &mut Session, text: &str) -> Vec<String> {
    let field = |s: &Session| {
        s.harness
            .get_by_role_and_label(Role::TextInput, "Search classes")
            .focus();
    };
    field(s);
    s.step(2);
    s.harness
        .get_by_role_and_label(Role::TextInput, "Search classes")
        .type_text(text);
    s.step(2);
    assert_eq!(s.state().search, text);
    let rows = s.harness.query_all_by_label_contains("class ");
    rows.filter_map(|node| {
        let node = node.accesskit_node();
        let is_row = node.role() == Role::Button;
        let label = node.label().filter(|label| label.starts_with("class "));
        label.filter(|_| is_row)
    })
    .collect()
}

/// Clicks a row of the table.
fn click_row(s: &mut Session, row: &str) {
    let mut rows = s.harness.query_all_by_role_and_label(Role::Button, row);
    rows.next().unwrap().click_accesskit();
    drop(rows);
    s.step(2);
}

pub fn search(s: &mut Session) -> Option<String> {
    s.rest("before the search");
    s.roomy();
    s.analysis()?;
    let text = s
        .dice
        .deal("search", &["cat", "o", "dog", "no such class", "a"]);
    let rows = type_search(s, text);
    if text == "no such class" {
        assert!(rows.is_empty(), "{rows:?}");
        s.harness.get_by_label_contains("No class is called");
    }
    if !rows.is_empty() {
        s.watch.class_key = true;
        let row = s.dice.of(&rows);
        click_row(s, &row);
        let analysis = s.analysis()?;
        let chosen = analysis.model.labels.name(s.state().class_in(&analysis));
        assert_eq!(row, format!("class {chosen}"));
    }
    Some(format!("search {text:?}"))
}

/// A class that the network hardly considers is explained, and then the most probable one, by the
/// remark that says so in a pane.
pub fn improbable(s: &mut Session) -> Option<String> {
    let analysis = use_built_in(s)?;
    s.roomy();
    s.watch.class_key = true;
    for _ in 0..10 {
        // The arrows walk through what the search found, also where the table is out of view.
        let row = s
            .dice
            .deal("improbable", &["volcano", "sock", "violin", "piano"]);
        type_search(s, row);
        s.harness.key_press(Key::ArrowDown);
        s.step(2);
        s.roomy();
        s.rest("an improbable class");
        for side in s.state().settings.view.sides() {
            let words = format!("({} map): The network gives", side.name());
            let remarks = s.harness.query_all_by_label_contains(&words);
            let mut remarks = remarks.filter(|node| node.accesskit_node().role() == Role::Button);
            let Some(remark) = remarks.next() else {
                continue;
            };
            remark.click_accesskit();
            drop(remarks);
            s.step(2);
            let map_spec = s.state().map_spec(*side, &analysis);
            assert_eq!(map_spec.class, analysis.top(), "{row}");
            s.watch.pinned = s.state().pinned;
            return Some(format!("{row}, and back in the {} map", side.name()));
        }
    }
    None
}

pub fn keep_class(s: &mut Session) -> Option<String> {
    s.analysis()?;
    // Another photo may arrive while the class is still kept, and use it after it is no longer
    // kept.
    s.watch.class_key = true;
    s.roomy();
    s.click_a(Role::CheckBox, "Keep class for next photos");
    Some("keep the class, or no longer".into())
}

pub fn top_class(s: &mut Session) -> Option<String> {
    s.roomy();
    let analysis = s.analysis()?;
    if s.state().class_in(&analysis) == analysis.top() {
        assert!(!s.has(Role::Button, "Top class"));
        return None;
    }
    s.harness.get_by_label("Top class").click_accesskit();
    s.step(1);
    Some("the top class".into())
}

/// Compares with another class, or with none.
pub fn compare_with(s: &mut Session, analysis: &Analysis, other: Option<ClassId>) -> String {
    let chosen = s.state().class_in(analysis);
    let name = |class| analysis.model.labels.name(class);
    let item = match other {
        Some(class) => format!("{} {}", name(class), percent(analysis.probability(class))),
        None => format!("– (the map of {})", name(chosen)),
    };
    s.click_a(Role::ComboBox, "Why not this class");
    let items = s.harness.query_all_by_label(&item);
    // The other node with this name is the bar of the class.
    let mut items = items.filter(|node| node.accesskit_node().role() != Role::RadioButton);
    items.next().expect(&item).click_accesskit();
    drop(items);
    s.step(2);
    assert_eq!(s.state().contrast_class(analysis, chosen), other);
    item
}

pub fn why_not(s: &mut Session) -> Option<String> {
    s.rest("before the other class");
    s.roomy();
    let analysis = s.analysis()?;
    let chosen = s.state().class_in(&analysis);
    let others: Vec<ClassId> = analysis.ranking[..3]
        .iter()
        .copied()
        .filter(|class| *class != chosen)
        .collect();
    let other = (s.dice.roll(3) > 0).then(|| s.dice.of(&others));
    let item = compare_with(s, &analysis, other);
    Some(format!("why not {item}"))
}

pub fn order(s: &mut Session) -> Option<String> {
    s.analysis()?;
    s.roomy();
    // Where a search has found nothing there is no table.
    s.harness.query_by_label("Sort by class")?;
    let button = s
        .dice
        .deal("class order", &["Sort by class", "Sort by score"]);
    let before = s.state().settings.order;
    s.click(button);
    assert_ne!(s.state().settings.order, before);
    Some(button.into())
}

pub fn layer_and_class_keys(s: &mut Session) -> Option<String> {
    s.watch.class_key = true;
    let keys = [
        Key::OpenBracket,
        Key::CloseBracket,
        Key::ArrowUp,
        Key::ArrowDown,
    ];
    let key = s.dice.deal("layer and class keys", &keys);
    s.harness.key_press(key);
    s.step(1);
    Some(format!("{key:?}"))
}
