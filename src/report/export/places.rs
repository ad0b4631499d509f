//! Where the files that a manifest names are found again.

use std::env;
use std::path::{Path, PathBuf};

use crate::model::ModelChoice;
use crate::report::export::manifest::{Manifest, ManifestError, file_sha256};

/// The files of a manifest, as found on this computer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The photo.
    pub photo: PathBuf,
    /// The choice of the model.
    pub model: ModelChoice,
    /// The file of class names that the user gave.
    pub labels: Option<PathBuf>,
}

impl Manifest {
    /// Finds the photo, the model and the class names of a manifest in `folder`. `known` are files
    /// that the user has opened, in any folder: they are also used if name and contents match.
    ///
    /// # Errors
    /// [`ManifestError::Missing`] for the first file that is not found.
    pub fn locate(&self, folder: &Path, known: &[PathBuf]) -> Result<Located, ManifestError> {
        Ok(Located {
            photo: self.locate_photo(folder, known)?,
            model: self.locate_model(folder, known)?,
            labels: self.locate_labels(folder, known)?,
        })
    }

    /// Finds the photo: at the path in the manifest in `folder`, next to the manifest, or in the
    /// folder above.
    ///
    /// # Errors
    /// [`ManifestError::Missing`].
    pub fn locate_photo(&self, folder: &Path, known: &[PathBuf]) -> Result<PathBuf, ManifestError> {
        let sha256 = self.photo.sha256.as_deref();
        find(&self.photo.file, folder, (&[], known), sha256).ok_or_else(|| ManifestError::Missing {
            what: "photo",
            name: name_of(&self.photo.file),
            sha256: described(sha256),
            places: "next to the manifest or in the folder above it",
            option: "PHOTO",
        })
    }

    /// Finds the model: weights are searched like the photo, and also in the working directory.
    ///
    /// # Errors
    /// [`ManifestError::Missing`].
    pub fn locate_model(
        &self,
        folder: &Path,
        known: &[PathBuf],
    ) -> Result<ModelChoice, ManifestError> {
        let choice = self.model.again();
        let Some(file) = choice.file() else {
            return Ok(choice);
        };
        let sha256 = Some(self.model.sha256.as_str());
        let found = find(file, folder, (&[here()], known), sha256);
        found
            .map(|path| choice.clone().at(path))
            .ok_or_else(|| ManifestError::Missing {
                what: "weight file",
                name: name_of(file),
                sha256: described(sha256),
                places: WITH_WORKING_DIRECTORY,
                option: "--model FILE",
            })
    }

    /// Finds the class names that the user gave: searched like weights, and also next to the
    /// weights.
    ///
    /// # Errors
    /// [`ManifestError::Missing`].
    pub fn locate_labels(
        &self,
        folder: &Path,
        known: &[PathBuf],
    ) -> Result<Option<PathBuf>, ManifestError> {
        let Some(file) = &self.model.labels else {
            return Ok(None);
        };
        let mut places = vec![here()];
        let model = self.locate_model(folder, known).ok();
        let weights = model.as_ref().and_then(ModelChoice::file);
        places.extend(weights.and_then(Path::parent).map(Path::to_owned));
        let found = find(file, folder, (&places, known), None);
        found.map(Some).ok_or_else(|| ManifestError::Missing {
            what: "file of class names",
            name: name_of(file),
            sha256: String::new(),
            places: WITH_WORKING_DIRECTORY,
            option: "--labels FILE",
        })
    }
}

const WITH_WORKING_DIRECTORY: &str =
    "next to the manifest, in the folder above it or in the working directory";

fn here() -> PathBuf {
    env::current_dir().unwrap_or_default()
}

fn described(sha256: Option<&str>) -> String {
    sha256.map_or(String::new(), |sha256| format!(" (SHA-256 {sha256})"))
}

/// The name of a file, whatever system its path was written on.
fn name_of(file: &Path) -> String {
    let text = file.to_string_lossy();
    let name = text.rsplit(['/', '\\']).next().unwrap_or_default();
    name.to_owned()
}

/// Finds the file that a manifest in `folder` names: at its path (earlier versions wrote absolute
/// paths), next to the manifest, above it, in `others`, or a known file with the same name and
/// contents. If there are several, the one with the right contents is used, otherwise the first.
fn find(
    written: &Path,
    folder: &Path,
    (others, known): (&[PathBuf], &[PathBuf]),
    sha256: Option<&str>,
) -> Option<PathBuf> {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let name = name_of(written);
    let mut found: Vec<PathBuf> = Vec::new();
    let above = folder.parent().unwrap_or(&folder);
    let places = [folder.as_path(), above].into_iter();
    let places = places.chain(others.iter().map(PathBuf::as_path));
    for path in [folder.join(written)]
        .into_iter()
        .chain(places.map(|place| place.join(&name)))
    {
        if path.is_file() && !found.contains(&path) {
            found.push(path);
        }
    }
    let is_right = |path: &Path| sha256.is_none() || file_sha256(path).as_deref() == sha256;
    for path in known {
        if name_of(path) == name && !found.contains(path) && path.is_file() && is_right(path) {
            found.push(path.clone());
        }
    }
    let right = match (sha256, found.len()) {
        (Some(sha256), 2..) => found
            .iter()
            .position(|path| file_sha256(path).as_deref() == Some(sha256)),
        _ => None,
    };
    (!found.is_empty()).then(|| found.swap_remove(right.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_are_found_again_where_exports_are_moved_to() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        fs::create_dir_all(at("moved/out")).unwrap();
        let folder = at("moved/out");
        let find = |written: &Path| find(written, &folder, (&[at("here")], &[]), None);
        assert_eq!(find(Path::new("a.png")), None);
        // From the last place searched to the first.
        fs::create_dir_all(at("here")).unwrap();
        for place in ["here/a.png", "moved/a.png", "moved/out/a.png"] {
            fs::write(at(place), place).unwrap();
            assert_eq!(find(Path::new("a.png")), Some(at(place)));
            // Absolute paths as earlier versions wrote them, on any system.
            for old in ["/home/jane/a.png", "C:\\Users\\Jane\\a.png"] {
                assert_eq!(find(Path::new(old)), Some(at(place)), "{old}");
            }
        }
        fs::write(at("old.png"), "old").unwrap();
        assert_eq!(find(&at("old.png")), Some(at("old.png")));
    }

    #[test]
    fn of_two_files_of_a_name_the_right_one_is_found() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("out");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("a.png"), "another").unwrap();
        let right = root.path().join("a.png");
        fs::write(&right, "right").unwrap();
        let sha256 = file_sha256(&right).unwrap();
        let found = find(Path::new("a.png"), &folder, (&[], &[]), Some(&sha256));
        assert_eq!(found, Some(right));
    }
}
