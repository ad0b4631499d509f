//! Errors: they are reported, and what was on screen stays.

use super::*;

/// Drops a file, and waits until it is accepted or rejected.
fn try_file(harness: &mut Harness<App>, path: &str) -> Option<String> {
    drop_files(harness, &[path]);
    harness.run_steps(1);
    wait(harness, path, |app| {
        ready(app) && (app.state().error.is_some() || !shows(app, "cat.png"))
    });
    harness.state().state().error.clone()
}

#[test]
fn a_network_that_overflows_is_refused_and_the_old_one_goes_on() {
    let (_folder, path) = made_up_resnet_times(1e30);
    let mut harness = cat();
    let before = analysis(&harness);
    drop_files(&mut harness, &[path.to_str().unwrap()]);
    wait(&mut harness, "the refusal", |app| {
        ready(app) && app.state().error.is_some()
    });
    let said = harness.state().state().error.clone().unwrap();
    assert!(said.contains("infinite or NaN values"), "{said}");
    // The old network was requested again with the current settings, and is the same.
    wait(&mut harness, "the old network", |app| {
        ready(app)
            && app.state().model.as_ref().unwrap().choice == ModelChoice::BuiltIn
            && app.state().settings.model == ModelChoice::BuiltIn
    });
    assert_eq!(analysis(&harness).logits, before.logits);
    harness.get_by_label_contains("infinite or NaN values");
}

/// Drops each rejected file of the corpus, one after the other.
#[test]
fn bad_photos_leave_the_good_one_on_screen() {
    let mut harness = cat();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/");
    let expected = std::fs::read_to_string(format!("{root}expected.txt")).unwrap();
    let mut count = 0;
    for line in expected.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, "refused", words] = fields[..] else {
            continue;
        };
        let said = try_file(&mut harness, &format!("{root}{name}"));
        let said = said.unwrap_or_default();
        assert!(said.contains(words), "{name}: {said}");
        assert!(shows(harness.state(), "cat.png"), "{name}");
        // Dismiss the message, so that the next one is noticed.
        harness.get_by_label("Dismiss").click();
        harness.run_steps(2);
        count += 1;
    }
    assert!(count > 15, "{count} files");
}

#[test]
fn limits_are_set_in_the_view_menu() {
    let mut harness = cat();
    harness.get_by_label("View").click();
    harness.run_steps(2);
    harness.get_by_label_contains("Limits").click();
    harness.run_steps(2);
    harness
        .get_by_role_and_label(Role::SpinButton, "Pixels")
        .set_value_accesskit(101.0);
    harness.run_steps(2);
    assert_eq!(harness.state().state().settings.limits.megapixels, 101);
    harness.get_by_label("Reset to defaults").click();
    harness.run_steps(2);
    assert_eq!(harness.state().state().settings.limits.megapixels, 100);
}

/// Closing the window leaves no half-written export: neither the folder nor the temporary one.
#[test]
fn closing_in_the_middle_of_an_export_leaves_nothing_half_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = window_with(&[], picker(Some(vec![folder.path().to_owned()])));
    let large = folder.path().join("large.png");
    // So large that its export takes seconds.
    let picture = image::RgbImage::from_fn(3000, 3000, |x, y| {
        image::Rgb([(x % 251) as u8, (y % 241) as u8, (x * y % 239) as u8])
    });
    picture.save(&large).unwrap();
    drop_files(&mut harness, &[large.to_str().unwrap()]);
    wait(&mut harness, "the photo", |app| shows(app, "large.png"));
    harness.get_by_label("Export…").click();
    harness.run_steps(2);
    let started = Instant::now();
    let begun = || {
        let entries = std::fs::read_dir(folder.path()).unwrap();
        entries.count() > 1
    };
    while !begun() {
        assert!(started.elapsed() < Duration::from_mins(1), "no export");
        std::thread::sleep(Duration::from_millis(2));
        harness.run_steps(1);
    }
    let closed = Instant::now();
    drop(harness);
    assert!(closed.elapsed() < Duration::from_secs(1), "{closed:?}");
    // The writing thread may need a moment to remove incomplete files.
    let left = || {
        let entries = std::fs::read_dir(folder.path()).unwrap();
        let mut paths = entries.map(|entry| entry.unwrap().path());
        paths.find(|path| *path != large && !path.join("manifest.json").exists())
    };
    while let Some(path) = left() {
        let elapsed = closed.elapsed();
        assert!(
            elapsed < Duration::from_secs(20),
            "{} is left",
            path.display()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Ctrl+C copies selected text, not a picture.
#[test]
fn selected_text_is_copied_as_text() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.png");
    std::fs::write(&broken, b"this is no photo").unwrap();
    let mut harness = cat();
    drop_files(&mut harness, &[broken.to_str().unwrap()]);
    wait(&mut harness, "the error", |app| app.state().error.is_some());
    let message = harness
        .get_by_label_contains("Can't read broken.png")
        .rect();
    harness.drag_at(message.left_center() + egui::vec2(2.0, 0.0));
    harness.run_steps(2);
    harness.hover_at(message.left_center() + egui::vec2(120.0, 0.0));
    harness.run_steps(2);
    harness.drop_at(message.left_center() + egui::vec2(120.0, 0.0));
    harness.run_steps(2);
    harness.event(Event::Copy);
    let mut copied = String::new();
    for _ in 0..20 {
        harness.run_steps(1);
        for command in &harness.output().platform_output.commands {
            match command {
                egui::OutputCommand::CopyText(text) => copied.clone_from(text),
                egui::OutputCommand::CopyImage(_) => panic!("a picture took its place"),
                _ => {}
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(copied.starts_with("Can't read"), "{copied:?}");
    assert!(harness.state().state().info.is_none());
}

/// The dialog asks whether to replace the file whose name was typed, not the file with `.csv`
/// appended.
#[test]
fn a_table_replaces_only_what_the_dialog_asked_about() {
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().join("results.csv");
    std::fs::write(&there, "of another day").unwrap();
    let answers = Arc::new(Mutex::new(vec![
        folder.path().join("results"),
        folder.path().join("new"),
        there.clone(),
    ]));
    let picker: Picker = Arc::new(move |_| {
        let next = answers.lock().unwrap().remove(0);
        Box::pin(async move { Some(vec![next]) })
    });
    let mut harness = window_with(&[CAT, COFFEE], picker);
    wait(&mut harness, "the predictions", |app| {
        app.state().batch.len() == 2
    });
    harness.get_by_label("CSV…").click();
    harness.run_steps(2);
    wait(&mut harness, "the refusal", |app| {
        app.state().error.is_some()
    });
    harness.get_by_label_contains("results.csv already exists and was not changed");
    assert_eq!(std::fs::read_to_string(&there).unwrap(), "of another day");
    harness.get_by_label("Dismiss").click();
    harness.run_steps(2);
    for file in [folder.path().join("new.csv"), there] {
        harness.get_by_label("CSV…").click();
        harness.run_steps(2);
        wait(&mut harness, "the table", |app| {
            let said = app.state().info.as_deref();
            said.is_some_and(|said| said.contains(&file.display().to_string()))
        });
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text.lines().count(), 3, "{text}");
    }
}

/// An export of the cat with made-up weights, in a folder, and the weights.
fn exported() -> (tempfile::TempDir, tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (weights, path) = made_up_resnet();
    let arguments = WindowArgs {
        model: Some(file_model(&path)),
        ..WindowArgs::default()
    };
    let picker = picker(Some(vec![folder.path().to_owned()]));
    let mut harness = window_of(&[CAT], arguments, picker);
    wait(&mut harness, "the cat", ready);
    harness.key_press(Key::S);
    harness.get_by_label("crop").click();
    harness.run_steps(2);
    wait(&mut harness, "the crop", ready);
    harness.get_by_label("Export…").click();
    harness.run_steps(2);
    wait(&mut harness, "the files", |app| app.state().info.is_some());
    (folder, weights, path)
}

/// An export that can't be opened changes neither the settings nor the screen.
#[test]
fn an_export_whose_model_is_gone_leaves_everything_as_it_is() {
    let (folder, _weights, path) = exported();
    let mut harness = window(&[COFFEE]);
    wait(&mut harness, "the coffee", ready);
    let (settings, before) = (harness.state().state().settings.clone(), analysis(&harness));
    let manifest = folder.path().join("cat-camlens/manifest.json");
    // The photo is next to the export, but the weights are not; the manifest names neither folder.
    std::fs::copy(CAT, folder.path().join("cat.png")).unwrap();
    drop_files(&mut harness, &[manifest.to_str().unwrap()]);
    harness.run_steps(1);
    wait(&mut harness, "the refusal", |app| {
        ready(app) && app.state().error.is_some()
    });
    harness.run_steps(5);
    let error = harness.state().state().error.clone().unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(
        error.contains("weight file") && error.contains(name),
        "{error}"
    );
    assert_eq!(harness.state().state().settings, settings);
    assert!(Arc::ptr_eq(&before, &analysis(&harness)));
    assert!(shows(harness.state(), "coffee.png"));

    // With the model available, the export opens with all its settings.
    std::fs::rename(&path, folder.path().join(name)).unwrap();
    drop_files(&mut harness, &[manifest.to_str().unwrap()]);
    wait(&mut harness, "the cat", |app| shows(app, "cat.png"));
    harness.get_by_label_contains("opened again: 2 maps, the same to the bit");
    let now = &harness.state().state().settings;
    assert_eq!(
        (now.framing, now.display_options.scaling),
        (Framing::Crop, Scaling::Signed)
    );
}

/// The window has two map panes: a message says that the export has more maps.
#[test]
fn an_export_of_more_maps_than_there_are_panes_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let export = folder.path().join("three");
    let photo = folder.path().join("cat.png");
    std::fs::copy(CAT, &photo).unwrap();
    let made = std::process::Command::new(env!("CARGO_BIN_EXE_camlens"))
        .args(["explain", "--model", "efficientnet-lite0"])
        .args(["--method", "grad-cam", "--method", "grad-cam++"])
        .arg(&photo)
        .args(["--method", "layercam", "--export"])
        .arg(&export)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let mut harness = window(&[COFFEE]);
    wait(&mut harness, "the coffee", ready);
    drop_files(
        &mut harness,
        &[export.join("manifest.json").to_str().unwrap()],
    );
    wait(&mut harness, "the cat", |app| shows(app, "cat.png"));
    harness.get_by_label_contains("3 maps, the same to the bit");
    harness.get_by_label_contains("The export has 3 maps; the window can show 2 of them");
}
