//! How a manifest names files.
//!
//! Exports are passed on. An absolute path would reveal the names of users, folders and patients,
//! and would be wrong on another computer.

use std::fs;
use std::path::{Path, PathBuf};

use crate::model::{ModelChoice, hub};

/// How a file is written down in a manifest in `folder`: relative to it where it lies in it or
/// beside it, else by its name alone.
pub fn portable(file: &Path, folder: &Path) -> PathBuf {
    let (file, folder) = (resolved(file), resolved(folder));
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let parent = |path: &Path| path.parent().map(Path::to_owned);
    let path = match file.strip_prefix(&folder) {
        // As every system reads it; JSON is UTF-8.
        Ok(inside) => {
            let parts = inside.iter().map(|part| part.to_string_lossy());
            parts.collect::<Vec<_>>().join("/")
        }
        Err(_) if parent(&file) == parent(&folder) => format!("../{name}"),
        Err(_) => name.into_owned(),
    };
    path.into()
}

/// An absolute path, with links followed to the folder of the file, which need not be there.
fn resolved(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match (path.parent().map(fs::canonicalize), path.file_name()) {
        (Some(Ok(folder)), Some(name)) => folder.join(name),
        _ => path,
    }
}

/// How a model is written down in a manifest in `folder`.
pub fn portable_choice(choice: &ModelChoice, folder: &Path) -> ModelChoice {
    let Some(file) = choice.file() else {
        return choice.clone();
    };
    match hub::of_file(file) {
        // A file of the hub's cache is called as all others are.
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
        // The export's folder is not there yet.
        assert_eq!(portable(&at("a.png"), &at("new")), Path::new("../a.png"));
    }
}
