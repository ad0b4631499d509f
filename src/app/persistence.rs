//! Loading and saving settings, with recovery from a damaged file.

use std::fs;
use std::path::Path;

use eframe::Storage;

use crate::app::state::settings::Settings;
use crate::cli::WindowArgs;

/// The key under which settings are stored.
pub const SETTINGS_KEY: &str = "settings";
/// The file that eframe stores them in.
const FILE: &str = "app.ron";
/// The new name of a file that can't be read.
const DAMAGED: &str = "app.ron.damaged";

/// Loads the settings, or the defaults, with a message for the user if necessary. `folder` is where
/// eframe stores them. A file that can't be read is renamed before a new one is written.
pub fn load(storage: Option<&dyn Storage>, folder: Option<&Path>) -> (Settings, Option<String>) {
    let (Some(storage), Some(folder)) = (storage, folder) else {
        let message = "Settings are not saved: there is no writable folder for them.";
        return (Settings::default(), Some(message.into()));
    };
    let file = folder.join(FILE);
    let has_file = fs::metadata(&file).is_ok_and(|about| about.len() > 0);
    let settings = storage.get_string(SETTINGS_KEY).and_then(|text| {
        let current = Current(layers_as_text(&text));
        eframe::get_value::<Settings>(&current, SETTINGS_KEY)
    });
    let message = match settings {
        None if has_file => {
            let kept = folder.join(DAMAGED);
            Some(match fs::copy(&file, &kept) {
                Ok(_) => format!(
                    "The settings could not be read, so the defaults are used. The old file is kept as {}.",
                    kept.display()
                ),
                Err(error) => format!(
                    "The settings in {} could not be read, so the defaults are used. The old file will be replaced when the window is closed, because a copy could not be made ({error}).",
                    file.display()
                ),
            })
        }
        _ => unwritable(folder, &file),
    };
    (settings.unwrap_or_default(), message)
}

/// Stored settings in the current form.
struct Current(String);

impl Storage for Current {
    fn get_string(&self, _key: &str) -> Option<String> {
        Some(self.0.clone())
    }

    fn set_string(&mut self, _key: &str, _value: String) {}

    fn remove_string(&mut self, _key: &str) {}

    fn flush(&mut self) {}
}

/// Earlier versions stored layers as enum variants (`layer:r#last-conv`, `layer:Some(layer1)`).
/// Now they are strings, since a layer may have any name.
fn layers_as_text(settings: &str) -> String {
    let mut current = String::with_capacity(settings.len());
    let mut rest = settings;
    let mut in_string = false;
    while let Some(next) = rest.chars().next() {
        let is_field = !in_string
            && rest.starts_with("layer:")
            && !current.ends_with(|before: char| before.is_alphanumeric() || before == '_');
        if is_field {
            let value = &rest["layer:".len()..];
            let inner = value.strip_prefix("Some(").unwrap_or(value);
            current.push_str(&rest[..rest.len() - inner.len()]);
            let name = inner.strip_prefix("r#").unwrap_or(inner);
            let part = |letter: char| letter.is_alphanumeric() || "-_".contains(letter);
            let end = name.find(|letter| !part(letter)).unwrap_or(name.len());
            rest = inner;
            if end > 0 && &name[..end] != "None" {
                current.extend(["\"", &name[..end], "\""]);
                rest = &name[end..];
            }
            continue;
        }
        let mut length = next.len_utf8();
        match next {
            '\\' if in_string => {
                length += rest[length..].chars().next().map_or(0, char::len_utf8);
            }
            '"' => in_string = !in_string,
            _ => {}
        }
        current.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    current
}

/// The settings to save, without values that the command line set for this start only.
pub fn to_keep(now: &Settings, given: &WindowArgs, stored: &Settings) -> Settings {
    let mut settings = now.clone();
    if given.model.as_ref() == Some(&settings.model) {
        settings.model = stored.model.clone();
    }
    if settings.model != now.model {
        // Class names, preprocessing and scores belong to the model.
        settings.labels.clone_from(&stored.labels);
        settings.preprocess = stored.preprocess;
        settings.scores = stored.scores;
    } else if given.labels.is_some() && given.labels == settings.labels {
        settings.labels.clone_from(&stored.labels);
    }
    if given.scores.is_some() && given.scores == settings.scores {
        settings.scores = stored.scores;
    }
    if given.layer.as_ref() == Some(&settings.layer) {
        settings.layer = stored.layer.clone();
    }
    if given.device == Some(settings.device) {
        settings.device = stored.device;
    }
    if given.framing == Some(settings.framing) {
        settings.framing = stored.framing;
    }
    if given.limits.over(stored.limits) == settings.limits {
        settings.limits = stored.limits;
    }
    settings
}

/// The message if the settings can't be written.
fn unwritable(folder: &Path, file: &Path) -> Option<String> {
    let tried = if file.exists() {
        fs::OpenOptions::new().append(true).open(file).map(drop)
    } else {
        tempfile::tempfile_in(folder).map(drop)
    };
    let error = tried.err()?;
    Some(format!(
        "Settings are not saved: {} can't be written ({error}).",
        folder.display()
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::input::framing::Framing;
    use crate::model::ModelChoice;
    use crate::model::target_layer::LayerChoice;
    use crate::render::colormap::Colormap;

    #[derive(Default)]
    struct Stored(HashMap<String, String>);

    impl Storage for Stored {
        fn get_string(&self, key: &str) -> Option<String> {
            self.0.get(key).cloned()
        }

        fn set_string(&mut self, key: &str, value: String) {
            self.0.insert(key.into(), value);
        }

        fn remove_string(&mut self, key: &str) {
            self.0.remove(key);
        }

        fn flush(&mut self) {}
    }

    /// As version 0.1 wrote them, when layers were an enum.
    #[test]
    fn settings_of_earlier_versions_are_read() {
        let old = concat!(
            r#"(model:File("/a layer:last/x.pth"),labels:None,recent:[],device:Auto,framing:whole,preprocess:Model,"#,
            r"layer:r#last-conv,variant:eq19,panes:((method:r#grad-cam,layer:Some(layer2)),",
            r"(method:r#grad-cam++,layer:None)),view:SideBySide,look:(opacity:(0.55),colormap:grey,",
            r"diverging:rdbu,scaling:max,interpolation:bilinear,threshold:0,contours:false,grid:false,",
            r"display:overlay),order:Score(true),limits:(megapixels:120,decoded_mb:512,file_mb:512))",
        );
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "settings").unwrap();
        let mut stored = Stored::default();
        stored.set_string(SETTINGS_KEY, old.into());
        let (settings, message) = load(Some(&stored), Some(folder.path()));
        assert_eq!(message, None);
        assert_eq!(settings.layer, LayerChoice::LastConv);
        let layers = settings.panes.each_ref().map(|pane| pane.layer.clone());
        assert_eq!(layers, [Some(LayerChoice::Named("layer2".into())), None]);
        assert_eq!(settings.display_options.colormap, Colormap::Gray);
        assert_eq!(settings.limits.megapixels, 120);
        let file = Path::new("/a layer:last/x.pth").to_owned();
        assert_eq!(settings.model, ModelChoice::File(file));
        // What is written now is read as it is.
        eframe::set_value(&mut stored, SETTINGS_KEY, &settings);
        let text = stored.get_string(SETTINGS_KEY).unwrap();
        assert_eq!(layers_as_text(&text), text);
        assert_eq!(load(Some(&stored), Some(folder.path())).0, settings);
    }

    #[test]
    fn a_first_start_has_the_defaults_and_nothing_to_say() {
        let folder = tempfile::tempdir().unwrap();
        let (settings, message) = load(Some(&Stored::default()), Some(folder.path()));
        assert_eq!((settings, message), (Settings::default(), None));
    }

    #[test]
    fn settings_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut stored = Stored::default();
        let chosen = Settings {
            framing: Framing::Crop,
            ..Settings::default()
        };
        eframe::set_value(&mut stored, SETTINGS_KEY, &chosen);
        fs::write(folder.path().join(FILE), "something").unwrap();
        let (settings, message) = load(Some(&stored), Some(folder.path()));
        assert_eq!((settings, message), (chosen, None));
    }

    #[test]
    fn garbage_is_kept_and_said() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), b"\xff\0garbage").unwrap();
        let mut of_another_time = Stored::default();
        of_another_time.set_string(SETTINGS_KEY, "(framing: Round)".into());
        for stored in [Stored::default(), of_another_time] {
            let (settings, message) = load(Some(&stored), Some(folder.path()));
            assert_eq!(settings, Settings::default());
            let message = message.unwrap();
            assert!(message.contains("the defaults are used"), "{message}");
            let kept = fs::read(folder.path().join(DAMAGED)).unwrap();
            assert_eq!(kept, b"\xff\0garbage");
        }
    }

    #[test]
    fn settings_that_can_not_be_kept_are_said_to_be_lost() {
        let (_, message) = load(None, None);
        assert!(message.unwrap().contains("not saved"));
        let gone = Path::new("/nonexistent/camlens");
        let (_, message) = load(Some(&Stored::default()), Some(gone));
        assert!(message.unwrap().contains("can't be written"));
    }
}
