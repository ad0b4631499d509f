//! How a manifest names files.
//!
//! Exports are passed on to others. An absolute path would reveal the names of users, folders and
//! patients, and would be wrong on another computer.

use std::fs;
use std::path::{Path, PathBuf};

use crate::model::{ModelChoice, hub};

/// The path of a file as stored in a manifest in `folder`: a relative path if the file is in that
/// folder or next to it, otherwise only its name.
pub fn portable(file: &Path, folder: &Path) -> PathBuf {
    let (file, folder) = (resolved(file), resolved(folder));
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let parent = |path: &Path| path.parent().map(Path::to_owned);
    let path = match file.strip_prefix(&folder) {
        // With forward slashes, which every system reads; JSON is UTF-8.
        Ok(inside) => {
            let parts = inside.iter().map(|part| part.to_string_lossy());
            parts.collect::<Vec<_>>().join("/")
        }
        Err(_) if parent(&file) == parent(&folder) => format!("../{name}"),
        Err(_) => name.into_owned(),
    };
    path.into()
}

/// An absolute path. Links in the file's folder are resolved; the folder need not exist.
fn resolved(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match (path.parent().map(fs::canonicalize), path.file_name()) {
        (Some(Ok(folder)), Some(name)) => folder.join(name),
        _ => path,
    }
}

/// The choice of a model as stored in a manifest in `folder`.
pub fn portable_choice(choice: &ModelChoice, folder: &Path) -> ModelChoice {
    let Some(file) = choice.file() else {
        return choice.clone();
    };
    match hub::of_file(file) {
        // A file in the hub's cache is stored by its name in the hub.
        Some(known) => ModelChoice::Hub(known.name.into()),
        None => choice.clone().at(portable(file, folder)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_written_down_without_their_folders() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        fs::create_dir_all(at("photos/Jane Doe")).unwrap();
        fs::create_dir_all(at("out/sub")).unwrap();
        for (file, written) in [
            ("out/a.png", "a.png"),
            ("out/sub/a.png", "sub/a.png"),
            ("a.png", "../a.png"),
            ("photos/Jane Doe/a.png", "a.png"),
        ] {
            assert_eq!(
                portable(&at(file), &at("out")),
                Path::new(written),
                "{file}"
            );
            let odd = at("out/sub/../../out");
            assert_eq!(portable(&at(file), &odd), Path::new(written), "{file}");
        }
        // The export's folder does not exist yet.
        assert_eq!(portable(&at("a.png"), &at("new")), Path::new("../a.png"));
    }
}
