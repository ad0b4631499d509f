//! Photos, and the browser.

use camlens::input::photo::Limits;
use egui_kittest::kittest::NodeT;

use super::*;
use crate::stress::world::BROKEN;

pub const PHOTOS: [&str; 4] = [
    CAT,
    COFFEE,
    "assets/samples/rocket.png",
    "tests/corpus/1x20000.png",
];

/// A photo; most have a name of their own, some were opened before.
pub fn a_photo(s: &mut Session) -> String {
    let photo = s.dice.deal("photos", &PHOTOS);
    match s.dice.roll(4) {
        0 => photo.into(),
        _ => s.world.copy(photo),
    }
}

pub fn drop_photo(s: &mut Session) -> Option<String> {
    let photo = a_photo(s);
    s.drop_photos(&[&photo], 1);
    s.world.opened(&[&photo]);
    Some(format!("drop {photo}"))
}

pub fn drop_photos(s: &mut Session) -> Option<String> {
    let (first, last) = (a_photo(s), a_photo(s));
    let files = [&*first, s.dice.of(&BROKEN), &*last];
    s.drop_photos(&files, 3);
    s.world.opened(&files);
    Some(format!("drop {files:?}"))
}

/// What was there stays, and it is said why.
pub fn drop_broken(s: &mut Session) -> Option<String> {
    let file = s.dice.deal("broken", &BROKEN);
    let waits = s.dice.roll(2) == 0;
    if waits {
        s.rest("before the broken photo");
    }
    let before = s.state().wanted();
    s.drop_photos(&[file], 1);
    s.world.opened(&[file]);
    if waits {
        let name = Path::new(file).file_name().unwrap().to_string_lossy();
        assert!(s.said(&name), "{name} is refused");
        s.rest("the broken photo");
        assert_eq!(s.state().wanted(), before);
    }
    Some(format!("drop {file}"))
}

pub fn gray_levels(s: &mut Session) -> Option<String> {
    let scan = "tests/dicom/ct.dcm";
    s.drop_photos(&[scan], 1);
    s.world.opened(&[scan]);
    s.rest("the scan");
    if s.state().latest.shown()?.photo.name != "ct.dcm" {
        return None;
    }
    s.roomy();
    let own = s.state().latest.shown()?.photo.window();
    s.click("Whole range");
    s.rest("the whole range");
    assert_ne!(s.state().latest.shown()?.photo.window(), own);
    s.click("As in file");
    s.rest("its own window");
    assert_eq!(s.state().latest.shown()?.photo.window(), own);
    Some("gray levels".into())
}

pub fn open_photos(s: &mut Session) -> Option<String> {
    let photo = a_photo(s);
    s.roomy();
    s.answer(Path::new(&photo));
    let before = s.state().photos.len();
    s.click("Open…");
    s.until("the photo", |app| app.state().photos.len() == before + 1);
    s.world.opened(&[&photo]);
    Some(format!("open {photo}"))
}

pub fn open_folder(s: &mut Session) -> Option<String> {
    s.roomy();
    let folder = s.world.folder.path().join("photos");
    s.answer(&folder);
    let before = s.state().photos.len();
    s.click("Folder…");
    s.until("the folder", |app| app.state().photos.len() == before + 3);
    s.world
        .opened(&["a-cat.png", "b-coffee.png", "c-broken.jpg"]);
    Some("open a folder".into())
}

pub fn paste(s: &mut Session) -> Option<String> {
    s.roomy();
    let text = s
        .dice
        .deal("pasted", &["/nowhere/x.png", CAT, "no path", ""]);
    let before = s.state().photos.len();
    s.harness.event(Event::Paste(text.into()));
    if text == CAT {
        s.until("the pasted path", |app| {
            app.state().photos.len() == before + 1
        });
        s.world.opened(&[CAT]);
    }
    Some(format!("paste {text:?}"))
}

pub fn photo_keys(s: &mut Session) -> Option<String> {
    let (key, by) = s
        .dice
        .deal("photo keys", &[(Key::PageUp, -1), (Key::PageDown, 1)]);
    let by_name = s.world.order == PhotoOrder::Name;
    let is_fixed = (by_name || s.world.order == PhotoOrder::Opened) && s.state().filter.is_none();
    s.harness.key_press(key);
    s.step(1);
    if is_fixed {
        let mut order: Vec<usize> = (0..s.world.photos.len()).collect();
        if by_name {
            order.sort_by_cached_key(|&index| s.world.photos[index].to_lowercase());
        }
        let number = |index: usize| index as u64 + 1;
        s.world.plans.change(|plan| {
            let here = |index: &usize| Some(number(*index)) == plan.photo;
            let there = match order.iter().position(here) {
                Some(here) => here.checked_add_signed(by),
                None => Some(0),
            };
            if let Some(index) = there.and_then(|there| order.get(there)) {
                plan.photo = Some(number(*index));
            }
        });
    } else {
        // Which photo is next is what the predictions say.
        let asked = s.state().current;
        s.world.plans.change(|plan| plan.photo = asked);
    }
    Some(format!("{key:?}"))
}

pub fn browser(s: &mut Session) -> Option<String> {
    s.roomy();
    let names = s.world.photos.clone();
    let named = |label: &str| {
        let rest = label.strip_prefix("photo ")?;
        let is_name = |name: &&String| {
            let after = rest.strip_prefix(name.as_str());
            after.is_some_and(|after| after.is_empty() || after.starts_with(", "))
        };
        let index = names.iter().position(|name| is_name(&name))?;
        let is_alone = names.iter().filter(|name| **name == names[index]).count() == 1;
        is_alone.then_some(index)
    };
    let nodes = s.harness.query_all_by_label_contains("photo ");
    let labels = nodes.filter_map(|node| {
        let node = node.accesskit_node();
        node.label().filter(|_| node.role() == Role::Button)
    });
    let photos: Vec<usize> = labels.filter_map(|label| named(&label)).collect();
    if photos.is_empty() {
        return None;
    }
    let index = s.dice.of(&photos);
    let name = format!("photo {}", names[index]);
    let nodes = s.harness.query_all_by_label_contains(&name);
    let mut nodes = nodes.filter(|node| {
        let label = node.accesskit_node().label();
        label.and_then(|label| named(&label)) == Some(index)
    });
    nodes.next().unwrap().click_accesskit();
    drop(nodes);
    s.step(1);
    s.world
        .plans
        .change(|plan| plan.photo = Some(index as u64 + 1));
    Some(format!("click {name}"))
}

pub fn limits(s: &mut Session) -> Option<String> {
    s.roomy();
    s.click("View");
    // A message may also contain this word.
    let items = s.harness.query_all_by_label_contains("Limits");
    let mut items = items.filter(|node| node.accesskit_node().role() == Role::Button);
    items.next().expect("the limits").click_accesskit();
    drop(items);
    s.step(2);
    if s.dice.roll(4) == 0 {
        s.click("Reset to defaults");
        s.world.limits = Limits::default();
    } else {
        let megapixels = 100 + u32::try_from(s.dice.roll(10)).unwrap();
        s.set(Role::SpinButton, "Pixels", f64::from(megapixels));
        s.world.limits.megapixels = megapixels;
    }
    assert_eq!(s.state().settings.limits, s.world.limits);
    s.roomy();
    Some(format!("{:?}", s.world.limits))
}

pub fn order(s: &mut Session) -> Option<String> {
    if s.world.photos.len() < 2 {
        return None;
    }
    s.roomy();
    let order = s.dice.deal("photo order", &PhotoOrder::ALL);
    s.choose("Order of the photos", order.name());
    s.world.order = order;
    assert_eq!(s.state().order, order);
    Some(order.name().into())
}

pub fn filter(s: &mut Session) -> Option<String> {
    let state = s.state();
    if state.photos.len() < 2 || (state.arrangement.tops.is_empty() && state.filter.is_none()) {
        return None;
    }
    let item = match (state.arrangement.tops.first(), state.filter) {
        (Some(&(class, count)), None) => format!("{} ({count})", state.class_name(class)),
        _ => "all classes".into(),
    };
    s.roomy();
    s.click_a(Role::ComboBox, "Predicted class of the photos");
    // Predictions arrive in the meantime: the count may change, and a new model may not have the
    // class.
    let name = item.split(" (").next().unwrap();
    let of_another_model = item != "all classes" && {
        let state = s.state();
        let mut tops = state.arrangement.tops.iter();
        !tops.any(|(class, _)| state.class_name(*class) == name)
    };
    let items = s.harness.query_all_by_label_contains(name);
    // Thumbnails also name the class.
    let is_item = |node: &egui_kittest::Node| {
        let label = node.accesskit_node().label().unwrap_or_default();
        let counted = label
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(" (") && rest.ends_with(')'));
        counted || (name == "all classes" && label == name)
    };
    let found = items.rev().find(is_item);
    let is_found = found.is_some();
    if let Some(found) = found {
        found.click_accesskit();
    }
    s.step(2);
    s.roomy();
    assert!(is_found || of_another_model, "no item {item:?}");
    is_found.then(|| format!("only {item}"))
}

pub fn stop_predictions(s: &mut Session) -> Option<String> {
    if s.world.photos.len() < 6 {
        return None;
    }
    s.rest("before classifying");
    s.roomy();
    let was_stopped = s.state().batch.is_stopped();
    // In another framing all photos are classified anew.
    let now = s.state().settings.framing;
    let others: Vec<_> = Framing::ALL.into_iter().filter(|f| *f != now).collect();
    let framing = s.dice.of(&others);
    s.click(framing.name());
    s.world.plans.change(|plan| plan.framing = framing);
    let button = if was_stopped {
        "Classify the rest"
    } else {
        "Stop"
    };
    let started = Instant::now();
    while !s.has(Role::Button, button) {
        let state = s.state();
        if quiet(s.harness.state()) && state.batch.len() == state.photos.len() {
            return None; // the computer was too fast
        }
        assert!(started.elapsed() < PATIENCE, "no button {button:?}");
        s.step(1);
    }
    s.click(button);
    assert_eq!(s.state().batch.is_stopped(), !was_stopped);
    if !was_stopped {
        let frames = s.dice.roll(8);
        s.step(frames);
        if s.has(Role::Button, "Classify the rest") {
            s.click("Classify the rest");
            assert!(!s.state().batch.is_stopped());
        }
    }
    Some(button.into())
}
