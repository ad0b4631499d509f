//! Models, class names, preprocessing, downloads of weights.

use super::*;
use camlens::input::photo::WindowLevel;
use camlens::model::Scores;

#[test]
fn models_and_names_are_dropped_remembered_and_refused() {
    let (folder, path) = made_up_resnet();
    let mut harness = cat();
    drop_files(&mut harness, &[path.to_str().unwrap()]);
    harness.run_steps(1);
    wait(&mut harness, "the dropped model", |app| {
        ready(app) && app.state().model.as_ref().unwrap().info.architecture == "ResNet-18"
    });
    assert_eq!(harness.state().state().settings.recent, [file_model(&path)]);
    let analysis_of = |harness: &Harness<App>| {
        analysis(harness)
            .model
            .labels
            .full(analysis(harness).top())
            .to_owned()
    };
    assert!(analysis_of(&harness).starts_with("class "));

    // Names for another number of classes change nothing.
    let names = folder.path().join("names.txt");
    std::fs::write(&names, "cat\ndog\n").unwrap();
    drop_files(&mut harness, &[names.to_str().unwrap()]);
    harness.run_steps(1);
    wait(&mut harness, "the refusal", |app| {
        app.state().error.is_some()
    });
    harness.get_by_label_contains("2 names and the model 3 classes");
    assert!(harness.state().state().settings.labels.is_none());
    std::fs::write(&names, "cat\ndog\nbird\n").unwrap();
    drop_files(&mut harness, &[names.to_str().unwrap()]);
    harness.run_steps(1);
    wait(&mut harness, "the names", |app| {
        ready(app)
            && app
                .state()
                .latest
                .shown()
                .unwrap()
                .analysis
                .model
                .labels_from
                == "names.txt"
    });
    assert!(["cat", "dog", "bird"].contains(&analysis_of(&harness).as_str()));

    // Back to the built-in model with the menu, and to the recent one.
    for (item, classes) in [
        ("EfficientNet-Lite0 (built in)", 1000),
        ("pets.safetensors", 3),
    ] {
        harness
            .get_by_role_and_label(Role::ComboBox, "Model")
            .click();
        harness.run_steps(2);
        harness.get_by_label(item).click();
        harness.run_steps(2);
        wait(&mut harness, item, |app| {
            ready(app) && app.state().latest.shown().unwrap().analysis.logits.len() == classes
        });
    }
    assert!(
        harness.state().state().settings.labels.is_none(),
        "names belong to one model"
    );
    drop(folder);
}

#[test]
fn preprocessing_is_edited_and_runs_the_network_anew() {
    let (_folder, mut harness) = pets();
    harness.get_by_label("Class names and input").click();
    harness.run_steps(8);
    harness.get_by_label_contains("numbers: no names were found");
    harness
        .get_by_role_and_label(Role::ComboBox, "Preprocessing")
        .click();
    harness.run_steps(2);
    harness.get_by_label("−1 to 1").click();
    harness.run_steps(2);
    wait(&mut harness, "the preset", |app| {
        let shown = app.state().latest.shown();
        let mean = shown.unwrap().analysis.preprocessing.mean;
        ready(app) && mean.iter().all(|m| (*m - 0.5).abs() < 1e-6)
    });
    harness
        .get_by_role_and_label(Role::SpinButton, "input size")
        .set_value_accesskit(320.0);
    harness.run_steps(2);
    harness.get_by_label("crop").click();
    harness.run_steps(2);
    wait(&mut harness, "the input size", |app| {
        ready(app) && app.state().latest.shown().unwrap().analysis.placement.input == (320, 320)
    });
}

#[test]
fn offline_nothing_is_fetched_and_nothing_else_changes() {
    let mut harness = cat();
    harness
        .get_by_role_and_label(Role::ComboBox, "Model")
        .click();
    harness.run_steps(2);
    harness.get_by_label("Download weights…").click();
    harness.run_steps(3);
    harness.get_by_label_contains("becomes the model");
    harness.get_by_label("Fetch timm/resnet50.a1_in1k").click();
    harness.run_steps(2);
    wait(&mut harness, "the message", |app| {
        app.state().error.is_some()
    });
    harness.get_by_label_contains("can't be reached");
    assert_eq!(harness.state().state().settings.model, ModelChoice::BuiltIn);
    assert!(shows(harness.state(), "cat.png"));
}

/// Preprocessing that differs from the model's own is visible without opening a section, and a
/// rejected model does not change it.
#[test]
fn edited_preprocessing_is_seen_kept_and_reset() {
    let (folder, mut harness) = pets();
    let own = analysis(&harness).preprocessing;
    let header = "Class names and input";
    harness.get_by_label(header).click();
    harness.run_steps(8);
    assert!(
        harness
            .query_by_label_contains("Not the model's own")
            .is_none()
    );
    harness
        .get_by_role_and_label(Role::SpinButton, "mean red")
        .set_value_accesskit(0.9);
    harness.run_steps(2);
    harness.get_by_label(header).click();
    harness.run_steps(12);
    wait(&mut harness, "the new mean", |app| {
        let shown = app.state().latest.shown().unwrap();
        ready(app) && (shown.analysis.preprocessing.mean[0] - 0.9).abs() < 1e-6
    });
    assert!(
        harness
            .query_by_role_and_label(Role::SpinButton, "mean red")
            .is_none(),
        "the section is closed"
    );
    harness.get_by_label("Not the model's own input: mean");

    let before = analysis(&harness);
    let garbage = folder.path().join("garbage.pth");
    std::fs::write(&garbage, b"no weights").unwrap();
    drop_files(&mut harness, &[garbage.to_str().unwrap()]);
    wait(&mut harness, "the refusal", |app| {
        ready(app) && app.state().error.is_some()
    });
    harness.run_steps(5);
    assert!(Arc::ptr_eq(&before, &analysis(&harness)), "nothing was run");
    harness.get_by_label("Not the model's own input: mean");

    harness.get_by_label("Reset").click();
    harness.run_steps(2);
    wait(&mut harness, "the model's own", |app| {
        let shown = app.state().latest.shown().unwrap();
        ready(app) && shown.analysis.preprocessing == own
    });
    assert!(
        harness
            .query_by_label_contains("Not the model's own")
            .is_none()
    );
}

/// A file that contains the made-up network twice, under two prefixes, and its folder.
fn two_networks(prefixes: [&'static str; 2]) -> (tempfile::TempDir, PathBuf) {
    let (folder, single) = made_up_resnet();
    let bytes = std::fs::read(single).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let both = prefixes.into_iter().flat_map(|prefix| {
        let tensors = tensors.tensors().into_iter();
        tensors.map(move |(name, view)| (format!("{prefix}{name}"), view))
    });
    let path = folder.path().join("both.safetensors");
    std::fs::write(&path, safetensors::serialize(both, None).unwrap()).unwrap();
    (folder, path)
}

#[test]
fn a_network_is_chosen_among_those_of_a_file() {
    let (_folder, path) = two_networks(["model.", "ema_model."]);
    let mut harness = cat();
    drop_files(&mut harness, &[path.to_str().unwrap()]);
    harness.run_steps(1);
    wait(&mut harness, "the dropped model", |app| {
        ready(app) && app.state().model.as_ref().unwrap().info.networks.len() == 2
    });
    harness.get_by_label_contains("averaged weights (EMA)");
    harness.get_by_label_contains("Taken as a standard ResNet-18");
    harness
        .get_by_role_and_label(Role::ComboBox, "Network in the file")
        .click();
    harness.run_steps(2);
    harness.get_by_label("model.").click();
    harness.run_steps(2);
    wait(&mut harness, "the other network", |app| {
        let model = app.state().model.as_ref().unwrap();
        ready(app) && model.info.network.prefix.as_deref() == Some("model.")
    });
    let recent = &harness.state().state().settings.recent;
    assert_eq!(recent[0].label(), "both.safetensors (model.)");
}

/// It is unclear whether the teacher or the student is meant, so the window asks.
#[test]
fn networks_of_which_none_is_the_usual_one_are_offered() {
    let (_folder, path) = two_networks(["student.", "teacher."]);
    let mut harness = cat();
    drop_files(&mut harness, &[path.to_str().unwrap()]);
    wait(&mut harness, "the question", |app| {
        ready(app) && app.state().error.is_some()
    });
    harness.get_by_label_contains("both.safetensors holds 2 networks");
    assert_eq!(harness.state().state().settings.model, ModelChoice::BuiltIn);
    harness.check_accessibility();
    harness.get_by_label("Use student.");
    harness.get_by_label("Use teacher.").click();
    harness.run_steps(2);
    wait(&mut harness, "the teacher", |app| {
        let model = app.state().model.as_ref().unwrap();
        ready(app) && model.info.network.prefix.as_deref() == Some("teacher.")
    });
    assert!(harness.state().state().error.is_none());
    assert!(harness.query_by_label("Use student.").is_none());
}

/// Weights and a folder without photos, dropped together: the model is used, and the folder's fault
/// is shown.
#[test]
fn weights_do_not_hide_the_fault_of_what_was_dropped_with_them() {
    let (_folder, weights) = made_up_resnet();
    let empty = tempfile::tempdir().unwrap();
    let mut harness = cat();
    let paths = [weights.as_path(), empty.path()].map(|path| path.to_str().unwrap());
    drop_files(&mut harness, &paths);
    wait(&mut harness, "the fault", |app| {
        let error = app.state().error.as_deref();
        error.is_some_and(|error| error.contains("no photos"))
    });
    wait(&mut harness, "the model", ready);
    assert_eq!(harness.state().state().settings.model, file_model(&weights));
    harness.get_by_label_contains("no photos");
}

/// Maps explain logits: only the numbers change.
#[test]
fn scores_are_chosen_and_said() {
    let mut harness = cat();
    let before = analysis(&harness);
    harness.get_by_label("sigmoid").click();
    harness.run_steps(2);
    wait(&mut harness, "sigmoid", |app| {
        let shown = app.state().latest.shown();
        ready(app) && shown.is_some_and(|shown| shown.analysis.scores == Scores::Sigmoid)
    });
    harness.run_steps(2);
    harness.get_by_label_contains("each has its own probability");
    harness.get_by_label_contains("not the model's own: softmax");
    let after = analysis(&harness);
    assert_eq!(after.ranking, before.ranking);
    assert_eq!(after.probabilities, Scores::Sigmoid.of(&before.logits));
    harness.check_accessibility();
    harness.get_by_label("softmax").click();
    harness.run_steps(2);
    assert_eq!(harness.state().state().settings.scores, None);
}

/// A photo with many gray levels has a window; other photos don't.
#[test]
fn gray_levels_are_chosen_for_dicom() {
    let mut harness = cat();
    assert!(harness.query_by_label("Gray levels").is_none());
    drop_files(&mut harness, &["tests/dicom/ct.dcm"]);
    harness.run_steps(1);
    wait(&mut harness, "the scan", |app| shows(app, "ct.dcm"));
    harness.run_steps(2);
    harness.get_by_label("Gray levels");
    let pixels = |harness: &Harness<App>| {
        let shown = harness.state().state().latest.shown();
        let shown = shown.unwrap();
        (shown.photo.window().unwrap(), shown.photo.rgb.clone())
    };
    let (own, before) = pixels(&harness);
    assert_eq!(own, WindowLevel::new(40.0, 400.0).unwrap());
    harness.get_by_label("Whole range").click();
    harness.run_steps(2);
    wait(&mut harness, "the whole range", |app| {
        let shown = app.state().latest.shown();
        ready(app) && shown.is_some_and(|shown| shown.photo.window() != Some(own))
    });
    assert!(pixels(&harness).1 != before);
    harness.run_steps(2);
    harness.check_accessibility();
    harness.get_by_label("As in file").click();
    harness.run_steps(2);
    wait(&mut harness, "its own window", |app| {
        let shown = app.state().latest.shown();
        ready(app) && shown.is_some_and(|shown| shown.photo.window() == Some(own))
    });
    assert_eq!(pixels(&harness).1, before);
}
