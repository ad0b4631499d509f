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
    let settings = eframe::get_value::<Settings>(storage, SETTINGS_KEY);
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

/// The settings to save, without values that the command line set for this start only.
pub fn to_keep(now: &Settings, given: &WindowArgs, stored: &Settings) -> Settings {
    let mut settings = now.clone();
    if given.model.as_ref() == Some(&settings.model) {
        settings.model = stored.model.clone();
    }
    if settings.model != now.model {
        // Class names and preprocessing belong to the model.
        settings.labels.clone_from(&stored.labels);
        settings.preprocess = stored.preprocess;
    } else if given.labels.is_some() && given.labels == settings.labels {
        settings.labels.clone_from(&stored.labels);
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
