//! Everything a user can do, each with its control. The test fails if a control is missing.

// All actions have the same type.
#![allow(clippy::unnecessary_wraps)]

use camlens::app::PhotoOrder;
use camlens::model::preprocessing::{PreprocessChoice, Preset};
use camlens::render::legend::percent;
use camlens::report::export::Manifest;
use egui_kittest::kittest::NodeT;

use super::world::World;
use super::*;

const PHOTOS: [&str; 4] = [
    CAT,
    COFFEE,
    "assets/samples/rocket.png",
    "tests/corpus/1x20000.png",
];
const BROKEN: [&str; 4] = [
    "tests/corpus/60000x60000.png",
    "tests/corpus/zero-bytes.png",
    "tests/corpus/text.jpg",
    "/nowhere/gone.png",
];
const ROOMY: (f32, f32) = (1100.0, 750.0);
const SIZES: [(f32, f32); 4] = [(480.0, 360.0), (800.0, 600.0), ROOMY, (2000.0, 300.0)];

/// Performs an action and returns a description; `None` if it is not possible now.
type Act = fn(&mut Harness<App>, &mut Dice, &mut World, &mut Watch) -> Option<String>;

/// An action of the user.
pub struct Action {
    /// Its name.
    pub name: &'static str,
    /// How often it is performed, relative to the others.
    pub weight: usize,
    /// Performs it.
    pub act: Act,
}

const fn action(weight: usize, name: &'static str, act: Act) -> Action {
    Action { name, weight, act }
}

/// All actions.
pub const ACTIONS: [Action; 32] = [
    action(8, "drop a photo", drop_photo),
    action(3, "drop photos, one of them broken", drop_photos),
    action(3, "drop a broken photo", drop_broken),
    action(3, "drop weights", drop_weights),
    action(2, "drop weights that are none", drop_garbage),
    action(
        2,
        "drop a photo and weights that are none",
        drop_photo_and_garbage,
    ),
    action(2, "drop class names", drop_names),
    action(2, "drop class names for another model", drop_wrong_names),
    action(6, "the usual class names", usual_names),
    action(1, "open a folder", open_folder),
    action(2, "paste", paste),
    action(3, "the built-in model", built_in),
    action(1, "the recent model", recent_model),
    action(6, "framing", framing),
    action(3, "preprocessing", preprocessing),
    action(2, "a mean by hand", mean_by_hand),
    action(5, "the model's own preprocessing", reset_preprocessing),
    action(2, "device", device),
    action(4, "choose a class", choose_class),
    action(2, "keep the class", keep_class),
    action(4, "the top class", top_class),
    action(3, "why not another class", why_not),
    action(2, "what a pane shows", pane_menu),
    action(2, "limits", limits),
    action(2, "order of the photos", order),
    action(2, "filter of the photos", filter),
    action(1, "export", export),
    action(2, "drop a manifest", drop_manifest),
    action(2, "window size", resize),
    action(6, "photo keys", photo_keys),
    action(8, "layer and class keys", layer_and_class_keys),
    action(8, "look keys", look_keys),
];

/// Draws frames until a condition is met.
fn until(harness: &mut Harness<App>, watch: &mut Watch, what: &str, so: impl Fn(&App) -> bool) {
    let started = Instant::now();
    while !so(harness.state()) {
        assert!(started.elapsed() < PATIENCE, "timed out: {what}");
        std::thread::sleep(Duration::from_millis(1));
        harness.run_steps(1);
        watch.check(harness.state());
    }
}

/// Drops files, a number of them photos, and waits until the photos are in the browser.
fn drop_and_wait(harness: &mut Harness<App>, watch: &mut Watch, files: &[&str], photos: usize) {
    let before = harness.state().state().photos.len();
    drop_files(harness, files);
    until(harness, watch, "dropped files", |app| {
        app.state().photos.len() == before + photos
    });
}

/// Makes the window large enough for every control, with no menu open.
fn roomy(harness: &mut Harness<App>) {
    harness.set_size(ROOMY.into());
    for _ in 0..2 {
        harness.key_press(Key::Escape);
        harness.run_steps(2);
    }
}

fn click(harness: &mut Harness<App>, role: Role, label: &str) {
    harness.get_by_role_and_label(role, label).click_accesskit();
    harness.run_steps(2);
}

/// Opens a menu by its name, and selects an item.
fn choose(harness: &mut Harness<App>, menu: &str, item: &str) {
    click(harness, Role::ComboBox, menu);
    harness.get_by_label(item).click_accesskit();
    harness.run_steps(2);
    harness.key_press(Key::Escape);
    harness.run_steps(1);
}

fn press(harness: &mut Harness<App>, key: Key) -> String {
    harness.key_press(key);
    format!("{key:?}")
}

fn drop_photo(
    harness: &mut Harness<App>,
    dice: &mut Dice,
    world: &mut World,
    watch: &mut Watch,
) -> Option<String> {
    let photo = dice.of(&PHOTOS);
    drop_and_wait(harness, watch, &[photo], 1);
    world.expect_photo(photo);
    Some(format!("drop {photo}"))
}

fn drop_photos(
    harness: &mut Harness<App>,
    dice: &mut Dice,
    world: &mut World,
    watch: &mut Watch,
) -> Option<String> {
    let files = [dice.of(&PHOTOS), dice.of(&BROKEN), dice.of(&PHOTOS)];
    drop_and_wait(harness, watch, &files, 3);
    world.expect_photo(files[0]);
    Some(format!("drop {files:?}"))
}

fn drop_broken(
    harness: &mut Harness<App>,
    dice: &mut Dice,
    world: &mut World,
    watch: &mut Watch,
) -> Option<String> {
    let file = dice.of(&BROKEN);
    let was_quiet = world.was_quiet(harness);
    drop_and_wait(harness, watch, &[file], 1);
    world.expect_photo_refused(was_quiet);
    Some(format!("drop {file}"))
}

fn drop_weights(
    harness: &mut Harness<App>,
    _: &mut Dice,
    world: &mut World,
    _: &mut Watch,
) -> Option<String> {
    world.was_quiet(harness);
    drop_files(harness, &[world.pets.to_str().unwrap()]);
    world.expect_model(file_model(&world.pets));
    Some("drop pets".into())
}

fn drop_garbage(
    harness: &mut Harness<App>,
    _: &mut Dice,
    world: &mut World,
    _: &mut Watch,
) -> Option<String> {
    let was_quiet = world.was_quiet(harness);
    drop_files(harness, &[world.garbage.to_str().unwrap()]);
    world.expect_refusal(was_quiet);
    Some("drop garbage.pth".into())
}

fn drop_photo_and_garbage(
    harness: &mut Harness<App>,
    dice: &mut Dice,
    world: &mut World,
    watch: &mut Watch,
) -> Option<String> {
    let was_quiet = world.was_quiet(harness);
    let photo = dice.of(&PHOTOS);
    let garbage = world.garbage.to_str().unwrap().to_owned();
    drop_and_wait(harness, watch, &[&garbage, photo], 1);
    world.expect_refusal(was_quiet);
    world.expect_photo(photo);
    Some(format!("drop garbage.pth and {photo}"))
}

fn drop_names(
    harness: &mut Harness<App>,
    _: &mut Dice,
    world: &mut World,
    watch: &mut Watch,
) -> Option<String> {
    rest(harness, watch, "before names");
    let has_three = analysis_of(harness)?.logits.len() == 3;
    drop_files(harness, &[world.names.to_str().unwrap()]);
    if has_three {
        world.was_quiet(harness);
        let names = world.names.clone();
        world.refusal = false;
        world.expect_of_model(|plan| plan.labels = Some(names));
    } else {
        world.expect_refusal(true);
    }
    Some("drop names.txt".into())
}

fn drop_wrong_names(
    harness: &mut Harness<App>,
    _: &mut Dice,
    world: &mut World,
    _: &mut Watch,
) -> Option<String> {
    let was_quiet = world.was_quiet(harness);
    drop_files(harness, &[world.wrong_names.to_str().unwrap()]);
    world.expect_refusal(was_quiet);
    Some("drop wrong.txt".into())
}

/// Opens the section with class names and preprocessing.
fn input_section(harness: &mut Harness<App>) {
    roomy(harness);
    let open = |harness: &Harness<App>| {
        harness
            .query_by_role_and_label(Role::ComboBox, "Preprocessing")
            .is_some()
    };
    if !open(harness) {
        harness
            .get_by_label("Class names and input")
            .click_accesskit();
        harness.run_steps(12);
    }
    assert!(open(harness));
}

fn usual_names(
    harness: &mut Harness<App>,
    _: &mut Dice,
    world: &mut World,
    _: &mut Watch,
) -> Option<String> {
    world.was_quiet(harness);
    harness.state().state().settings.labels.as_ref()?;
    input_section(harness);
    harness.state().state().settings.labels.as_ref()?; // it may have been rejected in the meantime
    harness.get_by_label("Use default names").click_accesskit();
    world.expect_of_model(|plan| plan.labels = None);
    Some("without the file".into())
}

fn open_folder(
    harness: &mut Harness<App>,
    _: &mut Dice,
    world: &mut World,
    watch: &mut Watch,
) -> Option<String> {
    roomy(harness);
    *world.answer.lock().unwrap() = world.folder.path().join("photos");
    let before = harness.state().state().photos.len();
    harness.get_by_label("Folder…").click_accesskit();
    until(harness, watch, "the folder", |app| {
        app.state().photos.len() == before + 3
    });
    world.expect_photo("a-cat.png");
    Some("open a folder".into())
}

fn paste(
    harness: &mut Harness<App>,
    dice: &mut Dice,
    world: &mut World,
    watch: &mut Watch,
) -> Option<String> {
    let text = dice.of(&["/nowhere/x.png", CAT, "no path", ""]);
    let before = harness.state().state().photos.len();
    harness.event(Event::Paste(text.into()));
    if text == CAT {
        until(harness, watch, "the pasted path", |app| {
            app.state().photos.len() == before + 1
        });
        world.expect_photo(CAT);
    }
    Some(format!("paste {text:?}"))
}

fn built_in(
    harness: &mut Harness<App>,
    _: &mut Dice,
    world: &mut World,
    _: &mut Watch,
) -> Option<String> {
    world.was_quiet(harness);
    roomy(harness);
    choose(harness, "Model", "EfficientNet-Lite0 (built in)");
    world.expect_model(ModelChoice::BuiltIn);
    Some("the built-in model".into())
}

fn recent_model(
    harness: &mut Harness<App>,
    _: &mut Dice,
    world: &mut World,
    _: &mut Watch,
) -> Option<String> {
    world.was_quiet(harness);
    if harness.state().state().settings.recent.is_empty() {
        return None;
    }
    roomy(harness);
    choose(harness, "Model", "pets.safetensors");
    world.expect_model(file_model(&world.pets));
    Some("the recent model".into())
}

fn framing(
    harness: &mut Harness<App>,
    dice: &mut Dice,
    world: &mut World,
    _: &mut Watch,
) -> Option<String> {
    world.was_quiet(harness);
    roomy(harness);
    let framing = dice.of(&Framing::ALL);
    harness.get_by_label(framing.name()).click_accesskit();
    harness.run_steps(1);
    world.expect(|plan| plan.framing = framing);
    Some(framing.name().into())
}

fn preprocessing(
    harness: &mut Harness<App>,
    dice: &mut Dice,
    world: &mut World,
    watch: &mut Watch,
) -> Option<String> {
    rest(harness, watch, "before preprocessing");
    world.was_quiet(harness);
    input_section(harness);
    let preset = dice.of(&Preset::ALL);
    choose(harness, "Preprocessing", preset.name());
    world.expect_of_model(|plan| plan.preprocess = PreprocessChoice::Preset(preset));
    Some(preset.name().into())
}

fn mean_by_hand(
    harness: &mut Harness<App>,
    dice: &mut Dice,
    world: &mut World,
    watch: &mut Watch,
) -> Option<String> {
    rest(harness, watch, "before the mean");
    world.was_quiet(harness);
    let shown = analysis_of(harness)?.preprocessing;
    input_section(harness);
    let mean = 0.31 + 0.01 * dice.roll(40) as f32;
    harness
        .get_by_role_and_label(Role::SpinButton, "mean red")
        .set_value_accesskit(f64::from(mean));
    harness.run_steps(1);
    let chosen = harness.state().state().settings.preprocess;
    let PreprocessChoice::Custom(now) = chosen else {
        panic!("{chosen:?} is not by hand");
    };
    assert!((now.mean[0] - mean).abs() < 1e-4);
    let mut back = now;
    back.mean[0] = shown.mean[0];
    assert_eq!(back, shown, "nothing else is changed");
    world.expect_of_model(|plan| plan.preprocess = chosen);
    Some(format!("mean {mean}"))
}

fn reset_preprocessing(
    harness: &mut Harness<App>,
    _: &mut Dice,
    world: &mut World,
    watch: &mut Watch,
) -> Option<String> {
    rest(harness, watch, "before the reset");
    world.was_quiet(harness);
    let analysis = analysis_of(harness)?;
    if analysis.preprocessing == analysis.model.preprocessing {
        assert!(harness.query_by_label("Reset").is_none());
        return None;
    }
    roomy(harness);
    harness.get_by_label("Reset").click_accesskit();
    harness.run_steps(1);
    world.expect_of_model(|plan| plan.preprocess = PreprocessChoice::Model);
    Some("the model's own preprocessing".into())
}

fn device(
    harness: &mut Harness<App>,
    dice: &mut Dice,
    world: &mut World,
    watch: &mut Watch,
) -> Option<String> {
    world.was_quiet(harness);
    roomy(harness);
    let (name, choice) = dice.of(&[
        ("Automatic", DeviceChoice::Auto),
        ("CPU", DeviceChoice::Cpu),
    ]);
    click(harness, Role::ComboBox, "Device");
    let started = Instant::now();
    // The list of devices is found by a thread.
    while harness.query_by_label(name).is_none() {
        assert!(started.elapsed() < PATIENCE, "no device {name}");
        harness.run_steps(1);
        watch.check(harness.state());
    }
    harness.get_by_label(name).click_accesskit();
    harness.run_steps(1);
    world.expect_of_model(|plan| plan.device = choice);
    Some(format!("device {name}"))
}

fn analysis_of(harness: &Harness<App>) -> Option<Arc<Analysis>> {
    let shown = harness.state().state().latest.shown();
    shown.map(|shown| shown.analysis.clone())
}

fn choose_class(
    harness: &mut Harness<App>,
    dice: &mut Dice,
    _: &mut World,
    watch: &mut Watch,
) -> Option<String> {
    rest(harness, watch, "before the class");
    roomy(harness);
    let analysis = analysis_of(harness)?;
    let class = analysis.ranking[dice.roll(3)];
    let name = analysis.model.labels.name(class);
    let bar = format!("{name} {}", percent(analysis.probability(class)));
    click(harness, Role::RadioButton, &bar);
    assert_eq!(harness.state().state().class_in(&analysis), class);
    Some(format!("class {name}"))
}

fn keep_class(
    harness: &mut Harness<App>,
    _: &mut Dice,
    _: &mut World,
    watch: &mut Watch,
) -> Option<String> {
    analysis_of(harness)?;
    // Another photo may arrive while the class is still kept, and use it after it is no longer
    // kept.
    watch.class_key = true;
    roomy(harness);
    click(harness, Role::CheckBox, "Keep class for next photos");
    Some("keep the class, or no longer".into())
}

fn top_class(
    harness: &mut Harness<App>,
    _: &mut Dice,
    _: &mut World,
    _: &mut Watch,
) -> Option<String> {
    roomy(harness);
    let analysis = analysis_of(harness)?;
    if harness.state().state().class_in(&analysis) == analysis.top() {
        assert!(harness.query_by_label("Top class").is_none());
        return None;
    }
    harness.get_by_label("Top class").click_accesskit();
    harness.run_steps(1);
    Some("the top class".into())
}

fn why_not(
    harness: &mut Harness<App>,
    dice: &mut Dice,
    _: &mut World,
    watch: &mut Watch,
) -> Option<String> {
    rest(harness, watch, "before the other class");
    roomy(harness);
    let analysis = analysis_of(harness)?;
    let state = harness.state().state();
    let chosen = state.class_in(&analysis);
    let others = analysis.ranking[..3]
        .iter()
        .filter(|class| **class != chosen);
    let others: Vec<ClassId> = others.copied().collect();
    let name = |class| analysis.model.labels.name(class);
    let other = (dice.roll(3) > 0).then(|| dice.of(&others));
    let item = match other {
        Some(class) => format!("{} {}", name(class), percent(analysis.probability(class))),
        None => format!("– (the map of {})", name(chosen)),
    };
    click(harness, Role::ComboBox, "Why not this class");
    let items = harness.query_all_by_label(&item);
    // The other node with this name is the bar of the class.
    let mut items = items.filter(|node| node.accesskit_node().role() != Role::RadioButton);
    items.next().expect(&item).click_accesskit();
    drop(items);
    harness.run_steps(2);
    assert_eq!(
        harness.state().state().contrast_class(&analysis, chosen),
        other
    );
    Some(format!("why not {item}"))
}

fn pane_menu(
    harness: &mut Harness<App>,
    dice: &mut Dice,
    _: &mut World,
    watch: &mut Watch,
) -> Option<String> {
    rest(harness, watch, "before the menu");
    roomy(harness);
    let analysis = analysis_of(harness)?;
    let side = dice.of(harness.state().state().settings.view.sides());
    let menu = format!("What the {} map shows", side.name());
    harness.get_by_label(&menu).click_accesskit();
    harness.run_steps(3);
    let state = harness.state().state();
    let held = state.pinned[side.index()];
    let item = match dice.roll(4) {
        0 | 1 => dice.of(&Method::ALL).name().to_owned(),
        2 => {
            let pinned = held.unwrap_or_else(|| state.class_in(&analysis));
            format!("Pin {} to this map", analysis.model.labels.name(pinned))
        }
        _ => {
            let class = state.class_in(&analysis);
            format!("As for all ({})", analysis.model.labels.name(class))
        }
    };
    click(harness, Role::RadioButton, &item);
    watch.pinned[side.index()] = harness.state().state().pinned[side.index()];
    roomy(harness);
    Some(format!("{} map: {item}", side.name()))
}

fn limits(
    harness: &mut Harness<App>,
    dice: &mut Dice,
    _: &mut World,
    _: &mut Watch,
) -> Option<String> {
    roomy(harness);
    harness.get_by_label("View").click_accesskit();
    harness.run_steps(2);
    // A message may also contain this word.
    let items = harness.query_all_by_label_contains("Limits");
    let mut items = items.filter(|node| node.accesskit_node().role() == Role::Button);
    items.next().expect("the limits").click_accesskit();
    drop(items);
    harness.run_steps(2);
    let megapixels = 100 + u32::try_from(dice.roll(10)).unwrap();
    harness
        .get_by_role_and_label(Role::SpinButton, "Pixels")
        .set_value_accesskit(f64::from(megapixels));
    harness.run_steps(2);
    let set = harness.state().state().settings.limits.megapixels;
    assert_eq!(set, megapixels);
    roomy(harness);
    Some(format!("{megapixels} megapixels"))
}

fn order(
    harness: &mut Harness<App>,
    dice: &mut Dice,
    _: &mut World,
    _: &mut Watch,
) -> Option<String> {
    if harness.state().state().photos.len() < 2 {
        return None;
    }
    roomy(harness);
    let order = dice.of(&PhotoOrder::ALL);
    choose(harness, "Order of the photos", order.name());
    assert_eq!(harness.state().state().order, order);
    Some(order.name().into())
}

fn filter(
    harness: &mut Harness<App>,
    dice: &mut Dice,
    _: &mut World,
    _: &mut Watch,
) -> Option<String> {
    let state = harness.state().state();
    if state.photos.len() < 2 {
        return None;
    }
    let item = match state.arrangement.tops[..] {
        [] => "all classes".into(),
        _ if dice.roll(2) == 0 => "all classes".into(),
        ref tops => {
            let (class, count) = tops[0];
            format!("{} ({count})", state.class_name(class))
        }
    };
    roomy(harness);
    click(harness, Role::ComboBox, "Predicted class of the photos");
    // Predictions arrive in the meantime: the count may change, and a new model may not have the
    // class.
    let name = item.split(" (").next().unwrap();
    let of_another_model = item != "all classes" && {
        let state = harness.state().state();
        let mut tops = state.arrangement.tops.iter();
        !tops.any(|(class, _)| state.class_name(*class) == name)
    };
    let items = harness.query_all_by_label_contains(name);
    // Thumbnails also name the class.
    let is_item = |node: &egui_kittest::Node| {
        let label = node.accesskit_node().label().unwrap_or_default();
        let counted = label
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(" (") && rest.ends_with(')'));
        counted || (name == "all classes" && label == name)
    };
    match items.rev().find(is_item) {
        Some(found) => found.click_accesskit(),
        None => assert!(of_another_model, "no item {item:?}"),
    }
    harness.run_steps(2);
    roomy(harness);
    Some(format!("only {item}"))
}

fn export(
    harness: &mut Harness<App>,
    _: &mut Dice,
    world: &mut World,
    watch: &mut Watch,
) -> Option<String> {
    rest(harness, watch, "before the export");
    roomy(harness);
    rest(harness, watch, "before the export");
    let photo = harness.state().state().latest.shown()?.photo.name.clone();
    world.exports += 1;
    let parent = world
        .folder
        .path()
        .join(format!("export-{}", world.exports));
    std::fs::create_dir(&parent).unwrap();
    world.answer.lock().unwrap().clone_from(&parent);
    harness.get_by_label("Export…").click_accesskit();
    let place = parent.display().to_string();
    until(harness, watch, "the export", |app| {
        let state = app.state();
        let said = [&state.info, &state.error];
        said.into_iter().flatten().any(|said| said.contains(&place))
    });
    let said = harness.state().state().info.clone();
    assert!(said.is_some_and(|said| said.contains(&place)));
    let made: Vec<PathBuf> = std::fs::read_dir(&parent)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(made.len(), 1, "{made:?}");
    let manifest = made[0].join("manifest.json");
    assert_eq!(Manifest::read(&manifest).unwrap().photo.name, photo);
    world.manifests.push(manifest);
    Some(format!("export {photo}"))
}

fn drop_manifest(
    harness: &mut Harness<App>,
    dice: &mut Dice,
    world: &mut World,
    watch: &mut Watch,
) -> Option<String> {
    if world.manifests.is_empty() {
        return None;
    }
    let path = dice.of(&world.manifests);
    let manifest = Manifest::read(&path).unwrap();
    let waits = dice.roll(3) > 0;
    if waits {
        rest(harness, watch, "before the manifest");
        world.was_quiet(harness);
    }
    let state = harness.state().state();
    // The photo and the weights are in other folders: they are found only if the window has opened
    // them.
    let mut photos = state.photos.iter();
    let has_photo = photos.any(|item| item.source.name() == manifest.photo.name);
    let model = file_model(&world.pets);
    let has_model = manifest.model.choice == ModelChoice::BuiltIn
        || state.settings.model == model
        || state.settings.recent.contains(&model);
    if !(has_photo && has_model) {
        let before = state.settings.clone();
        drop_files(harness, &[path.to_str().unwrap()]);
        until(harness, watch, "the refusal", |app| {
            let said = app.state().error.as_deref().unwrap_or_default();
            said.contains("of this export was not found")
        });
        assert!(!waits || harness.state().state().settings == before);
        return Some("drop a manifest whose files are not there".into());
    }
    let before = harness.state().state().photos.len();
    drop_files(harness, &[path.to_str().unwrap()]);
    // The answer may arrive in the same frame in which the manifest is read.
    until(harness, watch, "the manifest's photo", |app| {
        app.state().photos.len() == before + 1
    });
    watch.restored = harness.state().state().photos.last().map(|item| item.id);
    world.expected.photo = Some(manifest.photo.name.clone());
    if waits {
        rest(harness, watch, "the manifest");
        let state = harness.state().state();
        let said = state.info.as_deref().unwrap_or_default();
        assert!(
            said.starts_with("The export was opened again"),
            "{said:?}, {:?}",
            state.error
        );
        let shown = state.latest.shown().unwrap();
        assert_eq!(shown.analysis.framing, manifest.framing);
        assert_eq!(shown.analysis.preprocessing, manifest.preprocessing);
        assert_eq!(shown.analysis.model.sha256, manifest.model.sha256);
        let sides = state.settings.view.sides().iter();
        for (&side, map) in sides.zip(&manifest.maps) {
            let map_spec = state.map_spec(side, &shown.analysis);
            assert_eq!(map_spec.class.index(), map.class.index);
            assert_eq!(
                (map_spec.recipe.method, map_spec.layer),
                (
                    map.method,
                    shown.analysis.model.layer_or_default(&map.layer)
                )
            );
        }
        world.expected.plan = Some(shown.plan.clone());
    } else {
        // Later changes are newer than the manifest.
        world.expected.plan = None;
    }
    Some(format!("drop the manifest of {}", manifest.photo.name))
}

fn resize(
    harness: &mut Harness<App>,
    dice: &mut Dice,
    _: &mut World,
    _: &mut Watch,
) -> Option<String> {
    let (width, height) = dice.of(&SIZES);
    harness.set_size(egui::vec2(width, height));
    Some(format!("{width}×{height}"))
}

fn photo_keys(
    harness: &mut Harness<App>,
    dice: &mut Dice,
    world: &mut World,
    watch: &mut Watch,
) -> Option<String> {
    let was_quiet = world.was_quiet(harness);
    let key = press(harness, dice.of(&[Key::PageUp, Key::PageDown]));
    harness.run_steps(1);
    watch.check(harness.state());
    let state = harness.state().state();
    let mut photos = state.photos.iter();
    let asked = photos.find(|item| Some(item.id) == state.current)?;
    let name = asked.source.name();
    let broken = |path: &&str| path.ends_with(&name);
    if BROKEN.iter().any(broken) || ["x.png", "c-broken.jpg"].contains(&&*name) {
        world.expect_photo_refused(was_quiet);
    } else {
        world.expected.photo = Some(name);
    }
    Some(key)
}

fn layer_and_class_keys(
    harness: &mut Harness<App>,
    dice: &mut Dice,
    _: &mut World,
    watch: &mut Watch,
) -> Option<String> {
    watch.class_key = true;
    let keys = [
        Key::OpenBracket,
        Key::CloseBracket,
        Key::ArrowUp,
        Key::ArrowDown,
    ];
    Some(press(harness, dice.of(&keys)))
}

fn look_keys(
    harness: &mut Harness<App>,
    dice: &mut Dice,
    _: &mut World,
    watch: &mut Watch,
) -> Option<String> {
    let keys = [
        [Key::Num1, Key::Num2, Key::Num3, Key::Space, Key::X],
        [Key::S, Key::C, Key::G, Key::O, Key::K],
        [Key::F, Key::I, Key::Plus, Key::Minus, Key::R],
        [Key::L, Key::V, Key::F1, Key::Escape, Key::Tab],
    ];
    let row = dice.of(&keys);
    let key = dice.of(&row);
    if key == Key::X {
        watch.pinned.swap(0, 1);
    }
    Some(press(harness, key))
}
