//! What goes wrong: it is said, and what was on screen stays.

use super::*;

/// Opens a file as a drop, and waits until it was taken or refused.
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
    assert!(said.contains("numbers overflow"), "{said}");
    // It was asked for again, by the controls' word, and is the same.
    wait(&mut harness, "the old network", |app| {
        ready(app)
            && app.state().model.as_ref().unwrap().choice == ModelChoice::BuiltIn
            && app.state().settings.model == ModelChoice::BuiltIn
    });
    assert_eq!(analysis(&harness).logits, before.logits);
    harness.get_by_label_contains("numbers overflow");
}

/// Each file of the corpus that is refused, one after the other.
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
        // The next one is heard of anew.
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
    harness.get_by_label("As they were").click();
    harness.run_steps(2);
    assert_eq!(harness.state().state().settings.limits.megapixels, 100);
}

/// A closed window leaves no half-written export: neither the folder nor what it was made in.
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
    std::thread::sleep(Duration::from_millis(300));
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let complete = path.join("manifest.json").exists();
        assert!(path == large || complete, "{} is left", path.display());
    }
}
