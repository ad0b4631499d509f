//! What leaves the window, and what comes back.

use camlens::model::preprocessing::PreprocessChoice;
use camlens::report::export::Manifest;

use super::*;

pub fn copy(s: &mut Session) -> Option<String> {
    s.rest("before the copy");
    s.roomy();
    s.analysis()?;
    s.harness.event(Event::Copy);
    s.step(2);
    assert!(!s.said("Copied"), "an error");
    Some("copy a pane".into())
}

pub fn dismiss(s: &mut Session) -> Option<String> {
    s.rest("before the message is dismissed");
    s.roomy();
    if !s.has(Role::Button, "Dismiss") {
        assert_eq!((&s.state().error, &s.state().info), (&None, &None));
        return None;
    }
    s.click("Dismiss");
    assert_eq!((&s.state().error, &s.state().info), (&None, &None));
    Some("dismiss what is said".into())
}

/// Writes all that is on screen, or the table of predictions.
pub fn export(s: &mut Session) -> Option<String> {
    s.rest("before the export");
    s.roomy();
    s.rest("before the export");
    let photo = s.state().latest.shown()?.photo.name.clone();
    if s.dice.deal("exports", &[false, true, false]) && s.world.photos.len() > 1 {
        return table(s);
    }
    let parent = s.world.new_path("export");
    std::fs::create_dir(&parent).unwrap();
    s.answer(&parent);
    s.click("Export…");
    assert!(!s.said(&parent.display().to_string()), "an error");
    let made: Vec<PathBuf> = std::fs::read_dir(&parent)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(made.len(), 1, "{made:?}");
    let manifest = made[0].join("manifest.json");
    assert_eq!(Manifest::read(&manifest).unwrap().photo.name, photo);
    s.world.manifests.push(manifest);
    Some(format!("export {photo}"))
}

fn table(s: &mut Session) -> Option<String> {
    s.until("a prediction", |app| {
        let batch = &app.state().batch;
        !batch.is_empty() || batch.is_stopped()
    });
    if s.state().batch.is_empty() {
        return None;
    }
    s.step(1);
    let path = s.world.new_path("predictions.csv");
    s.answer(&path);
    s.click("CSV…");
    assert!(!s.said(&path.display().to_string()), "an error");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("file,width,height,"));
    Some("a table".into())
}

pub fn drop_manifest(s: &mut Session) -> Option<String> {
    if s.world.manifests.is_empty() {
        return None;
    }
    let path = s.dice.of(&s.world.manifests);
    let manifest = Manifest::read(&path).unwrap();
    let waits = s.dice.roll(3) > 0;
    if waits {
        s.rest("before the manifest");
    }
    // The photo and the weights are in other folders: they are found only if the window has opened
    // them.
    let has_photo = s.world.photos.contains(&manifest.photo.name);
    let model = file_model(&s.world.pets);
    let settings = &s.state().settings;
    let has_model = manifest.model.choice == ModelChoice::BuiltIn
        || settings.model == model
        || settings.recent.contains(&model);
    if !(has_photo && has_model) {
        s.drop_files(&[path.to_str().unwrap()]);
        assert!(s.said("of this export was not found"));
        return Some("drop a manifest whose files are not there".into());
    }
    let photo = s.world.photos.len() as u64 + 1;
    s.watch.restored = Some(photo);
    let before = s.state().photos.len();
    // The answer may arrive in the same frame in which the manifest is read.
    s.drop_files(&[path.to_str().unwrap()]);
    s.until("the manifest's photo", |app| {
        app.state().photos.len() == before + 1
    });
    s.world.photos.push(manifest.photo.name.clone());
    let labels = s.world.names.clone();
    let labels = manifest.model.labels.is_some().then_some(labels);
    s.world.plans.restore(photo, |plan| {
        plan.model = match manifest.model.choice {
            ModelChoice::BuiltIn => ModelChoice::BuiltIn,
            _ => model.clone(),
        };
        plan.labels.clone_from(&labels);
        plan.preprocess = PreprocessChoice::Custom(manifest.preprocessing);
        plan.scores = Some(manifest.scores);
        plan.framing = manifest.framing;
    });
    if waits {
        s.rest("the manifest");
        assert!(!s.said("The export was opened again"), "an error");
        let (state, analysis) = (s.state(), s.analysis()?);
        assert_eq!(analysis.framing, manifest.framing);
        assert_eq!(analysis.preprocessing, manifest.preprocessing);
        assert_eq!(analysis.model.sha256, manifest.model.sha256);
        let sides = state.settings.view.sides().iter();
        for (&side, map) in sides.zip(&manifest.maps) {
            let map_spec = state.map_spec(side, &analysis);
            assert_eq!(map_spec.class.index(), map.class.index);
            assert_eq!(
                (map_spec.recipe.method, map_spec.layer),
                (map.method, analysis.model.layer_or_default(&map.layer))
            );
        }
    }
    Some(format!("drop the manifest of {}", manifest.photo.name))
}
