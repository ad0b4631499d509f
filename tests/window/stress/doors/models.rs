//! Models, class names, and what a photo goes through before the network sees it.

use camlens::model::Scores;
use camlens::model::preprocessing::{PreprocessChoice, Preset};

use super::photos::a_photo;
use super::*;

/// Chooses the model that has several layers and three classes, and waits for its answer.
pub fn use_pets(s: &mut Session) -> Option<Arc<Analysis>> {
    s.rest("before the model");
    if s.analysis()?.logits.len() != 3 {
        drop_weights(s);
        s.rest("the model");
    }
    s.analysis()
}

/// Chooses the built-in model, and waits for its answer.
pub fn use_built_in(s: &mut Session) -> Option<Arc<Analysis>> {
    s.rest("before the model");
    if s.analysis()?.logits.len() != 1000 {
        built_in(s);
        s.rest("the model");
    }
    s.analysis()
}

/// Drops a file that is refused. If the window was quiet, what was there stays, and it is said why.
fn refuse(s: &mut Session, file: &Path, then: impl Fn(&mut Session)) {
    let waits = s.dice.roll(2) == 0;
    if waits {
        s.rest("before what is refused");
    }
    let before = s.state().wanted();
    s.drop_files(&[file.to_str().unwrap()]);
    then(s);
    if waits {
        let name = file.file_name().unwrap().to_string_lossy();
        assert!(s.said(&name), "{name} is refused");
        s.rest("what is refused");
        assert_eq!(s.state().wanted(), before);
    }
}

pub fn drop_weights(s: &mut Session) -> Option<String> {
    let pets = s.world.pets.clone();
    s.drop_files(&[pets.to_str().unwrap()]);
    s.world.plans.use_model(&file_model(&pets));
    Some("drop pets".into())
}

pub fn open_weights(s: &mut Session) -> Option<String> {
    s.roomy();
    let model = file_model(&s.world.pets);
    s.answer(&s.world.pets.clone());
    let before = s.record.actions.len();
    s.click_a(Role::ComboBox, "Model");
    s.click("Open weights…");
    wait_for_action(s, before, "UseModel");
    s.world.plans.use_model(&model);
    Some("open pets".into())
}

/// Waits until an action follows that a dialog gives.
fn wait_for_action(s: &mut Session, before: usize, name: &str) {
    let started = Instant::now();
    let came = |s: &Session| {
        let new = s.record.actions[before..].iter();
        new.map(variants::name_of).any(|found| found == name)
    };
    while !came(s) {
        assert!(started.elapsed() < PATIENCE, "no {name}");
        s.step(1);
    }
}

pub fn drop_garbage(s: &mut Session) -> Option<String> {
    let garbage = s.world.garbage.clone();
    refuse(s, &garbage, |s| {
        s.world.plans.use_model(&file_model(&s.world.garbage));
    });
    Some("drop garbage.pth".into())
}

pub fn drop_both(s: &mut Session) -> Option<String> {
    let photo = a_photo(s);
    let garbage = s.world.garbage.clone();
    s.drop_photos(&[garbage.to_str().unwrap(), &photo], 1);
    s.world.plans.use_model(&file_model(&garbage));
    s.world.opened(&[&photo]);
    Some(format!("drop garbage.pth and {photo}"))
}

fn use_labels(s: &mut Session, file: Option<&Path>) {
    s.world
        .plans
        .change(|plan| plan.labels = file.map(Path::to_owned));
}

pub fn drop_names(s: &mut Session) -> Option<String> {
    if s.dice.roll(2) == 0 {
        use_pets(s)?;
    }
    let names = s.world.names.clone();
    s.drop_files(&[names.to_str().unwrap()]);
    use_labels(s, Some(&names));
    Some("drop names.txt".into())
}

pub fn open_names(s: &mut Session) -> Option<String> {
    use_pets(s)?;
    input_section(s);
    let names = s.world.names.clone();
    s.answer(&names);
    let before = s.record.actions.len();
    s.click("Open names…");
    wait_for_action(s, before, "UseLabels");
    use_labels(s, Some(&names));
    Some("open names.txt".into())
}

pub fn drop_wrong_names(s: &mut Session) -> Option<String> {
    let names = s.world.wrong_names.clone();
    let used = names.clone();
    refuse(s, &names, |s| use_labels(s, Some(&used)));
    Some("drop wrong.txt".into())
}

/// Opens the section with class names and preprocessing.
fn input_section(s: &mut Session) {
    s.roomy();
    if !s.has(Role::ComboBox, "Preprocessing") {
        s.until("a model", |app| app.state().model.is_some());
        s.click("Class names and input");
        s.step(10);
    }
    assert!(s.has(Role::ComboBox, "Preprocessing"));
}

pub fn usual_names(s: &mut Session) -> Option<String> {
    input_section(s);
    if !s.has(Role::Button, "Use default names") {
        return None;
    }
    s.harness
        .get_by_label("Use default names")
        .click_accesskit();
    s.step(1);
    use_labels(s, None);
    Some("without the file".into())
}

pub fn built_in(s: &mut Session) -> Option<String> {
    s.roomy();
    s.choose("Model", "EfficientNet-Lite0 (built in)");
    s.world.plans.use_model(&ModelChoice::BuiltIn);
    Some("the built-in model".into())
}

pub fn recent_model(s: &mut Session) -> Option<String> {
    if s.state().settings.recent.is_empty() {
        return None;
    }
    s.roomy();
    s.choose("Model", "pets.safetensors");
    s.world.plans.use_model(&file_model(&s.world.pets));
    Some("the recent model".into())
}

pub fn framing(s: &mut Session) -> Option<String> {
    s.roomy();
    let framing = s.dice.deal("framing", &Framing::ALL);
    s.harness.get_by_label(framing.name()).click_accesskit();
    s.step(1);
    s.world.plans.change(|plan| plan.framing = framing);
    Some(framing.name().into())
}

pub fn preprocessing(s: &mut Session) -> Option<String> {
    input_section(s);
    let preset = s.dice.deal("preset", &Preset::ALL);
    s.choose("Preprocessing", preset.name());
    s.world
        .plans
        .change(|plan| plan.preprocess = PreprocessChoice::Preset(preset));
    Some(preset.name().into())
}

pub fn mean_by_hand(s: &mut Session) -> Option<String> {
    s.rest("before the mean");
    let mut expected = s.analysis()?.preprocessing;
    input_section(s);
    // No preset's mean ends so.
    let thousandths = u16::try_from(317 + 10 * s.dice.roll(40)).unwrap();
    let mean = f64::from(thousandths) / 1000.0;
    s.set(Role::SpinButton, "mean red", mean);
    #[allow(clippy::cast_possible_truncation)] // as the window does
    let red = mean as f32;
    let is_new = (expected.mean[0] - red).abs() > 1e-6;
    expected.mean[0] = red;
    if is_new {
        let custom = PreprocessChoice::Custom(expected);
        s.world.plans.change(|plan| plan.preprocess = custom);
    }
    Some(format!("mean {mean}"))
}

pub fn reset_preprocessing(s: &mut Session) -> Option<String> {
    s.rest("before the reset");
    let analysis = s.analysis()?;
    s.roomy();
    if analysis.preprocessing == analysis.model.preprocessing {
        assert!(!s.has(Role::Button, "Reset"));
        return None;
    }
    s.click("Reset");
    s.world
        .plans
        .change(|plan| plan.preprocess = PreprocessChoice::Model);
    Some("the model's own preprocessing".into())
}

pub fn scores(s: &mut Session) -> Option<String> {
    s.rest("before the scores");
    let analysis = s.analysis()?;
    s.roomy();
    let scores = s.dice.deal("scores", &Scores::CHOICES);
    s.click(scores.name());
    if scores != analysis.scores {
        let own = analysis.model.scores;
        let chosen = Some(scores).filter(|scores| *scores != own);
        s.world.plans.change(|plan| plan.scores = chosen);
    }
    Some(scores.name().into())
}

pub fn device(s: &mut Session) -> Option<String> {
    s.roomy();
    let devices = [
        ("Automatic", DeviceChoice::Auto),
        ("CPU", DeviceChoice::Cpu),
    ];
    let (name, choice) = s.dice.deal("device", &devices);
    s.click_a(Role::ComboBox, "Device");
    let started = Instant::now();
    // The list of devices is found by a thread.
    while s.harness.query_by_label(name).is_none() {
        assert!(started.elapsed() < PATIENCE, "no device {name}");
        s.step(1);
    }
    s.harness.get_by_label(name).click_accesskit();
    s.step(1);
    s.world.plans.change(|plan| plan.device = choice);
    Some(format!("device {name}"))
}

/// Opens the section with the formulas.
pub fn advanced(s: &mut Session) {
    s.roomy();
    let first = "Eq. 19 of the paper";
    if !s.has(Role::RadioButton, first) {
        s.click("Advanced");
        s.step(10);
    }
    assert!(s.has(Role::RadioButton, first));
}

pub fn tutorial(s: &mut Session) -> Option<String> {
    use_pets(s)?;
    advanced(s);
    s.click("Set all as in the tutorial");
    s.world.plans.change(|plan| {
        plan.framing = Framing::Squash;
        plan.preprocess = PreprocessChoice::Preset(Preset::Tutorial);
    });
    Some("as in the tutorial".into())
}

pub fn download(s: &mut Session) -> Option<String> {
    s.rest("before the download");
    s.roomy();
    s.click_a(Role::ComboBox, "Model");
    s.click("Download weights…");
    let shown = Instant::now();
    while !s.has(Role::Button, "Fetch timm/resnet50.a1_in1k") {
        assert!(shown.elapsed() < PATIENCE, "no catalog");
        s.step(1);
    }
    let name = "timm/resnet50.a1_in1k";
    s.click_a(Role::Button, &format!("Fetch {name}"));
    let frames = s.dice.roll(5);
    s.step(frames);
    // Another button of that name, below the panes, stops classifying.
    let center = |node: &egui_kittest::Node| node.rect().center().y;
    let names = s.harness.query_all_by_label(name);
    let names: Vec<f32> = names.map(|node| center(&node)).collect();
    let stops = s.harness.query_all_by_role_and_label(Role::Button, "Stop");
    let is_beside = |node: &egui_kittest::Node| {
        let height = center(node);
        names.iter().any(|name| (name - height).abs() < 8.0)
    };
    let mut stops = stops.filter(is_beside);
    stops
        .next()
        .expect("the button that stops it")
        .click_accesskit();
    drop(stops);
    s.step(2);
    s.world.hub.hang_up();
    s.said(name);
    s.click("Close window");
    assert!(!s.state().dialogs.weights);
    Some("download weights, and stop".into())
}
