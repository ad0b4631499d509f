//! The photos of a folder.

use std::fs;
use std::path::{Path, PathBuf};

use crate::input::photo::{EXTENSIONS, PhotoError, display_name};

/// The files in a folder whose extension is that of a photo, in natural order: `photo-9` before
/// `photo-10`. Subfolders and hidden files are skipped.
///
/// # Errors
/// [`PhotoError::Io`] if the folder can't be read.
pub fn in_folder(folder: &Path) -> Result<Vec<PathBuf>, PhotoError> {
    let io = |cause| PhotoError::Io {
        name: display_name(folder),
        cause,
    };
    let mut photos = Vec::new();
    for entry in fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let ending = path.extension().unwrap_or_default().to_string_lossy();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let known = EXTENSIONS
            .iter()
            .any(|known| ending.eq_ignore_ascii_case(known));
        if known && !hidden && path.is_file() {
            photos.push(path);
        }
    }
    photos.sort_by_cached_key(|path| as_counted(&display_name(path)));
    Ok(photos)
}

/// The key for natural order: digits compare as numbers, the rest in lower case. The name itself
/// comes last, to break ties.
fn as_counted(name: &str) -> (Vec<(String, u64)>, String) {
    let mut pieces: Vec<(String, u64)> = vec![(String::new(), 0)];
    let mut in_number = false;
    for letter in name.chars() {
        if in_number && !letter.is_ascii_digit() {
            pieces.push((String::new(), 0));
        }
        in_number = letter.is_ascii_digit();
        if let Some((text, number)) = pieces.last_mut() {
            match letter.to_digit(10) {
                Some(digit) => *number = number.saturating_mul(10).saturating_add(digit.into()),
                None => text.extend(letter.to_lowercase()),
            }
        }
    }
    (pieces, name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn photos_are_found_and_counted_as_people_do() {
        let folder = tempfile::tempdir().unwrap();
        let names = [
            "b10.png",
            "b9.PNG",
            "a.jpg",
            "notes.txt",
            ".hidden.png",
            "B1.webp",
            "b9a.png",
        ];
        for name in names {
            fs::write(folder.path().join(name), b"").unwrap();
        }
        fs::create_dir(folder.path().join("more.png")).unwrap();
        let found = in_folder(folder.path()).unwrap();
        let found: Vec<String> = found.iter().map(|path| display_name(path)).collect();
        assert_eq!(found, ["a.jpg", "B1.webp", "b9.PNG", "b9a.png", "b10.png"]);
        let gone = in_folder(&folder.path().join("gone")).unwrap_err();
        assert!(gone.to_string().contains("Can't read gone"));
    }
}
