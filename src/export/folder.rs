//! All files of an export in one folder.

use std::fs;
use std::path::{Path, PathBuf};

use image::ExtendedColorType;

use super::write::{encode_png, write_atomically};
use super::{Exhibit, ExportError, Manifest, figure_png, figure_svg, write_npy};
use crate::overlay;

/// What becomes of files that are there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// They stay, and nothing is written.
    Keep,
    /// They are replaced.
    Replace,
}

/// Where the photo is copied to if it came from no file.
const PHOTO: &str = "photo.png";
/// What the manifest of an export is called.
pub const MANIFEST: &str = "manifest.json";

/// A folder in `parent` that is not there yet, called after a photo: `cat-camlens`,
/// `cat-camlens-2`, ….
#[must_use]
pub fn new_folder(parent: &Path, photo: &str) -> PathBuf {
    let stem = photo.rsplit_once('.').map_or(photo, |(stem, _)| stem);
    // A photo's name may come from a clipboard or a manifest.
    let stem: String = stem
        .chars()
        .map(|letter| {
            if letter == '/' || letter == '\\' {
                '-'
            } else {
                letter
            }
        })
        .collect();
    let first = parent.join(format!("{stem}-camlens"));
    let more = (2..).map(|number| parent.join(format!("{stem}-camlens-{number}")));
    let mut free = std::iter::once(first)
        .chain(more)
        .filter(|path| !path.exists());
    free.next().unwrap_or_else(|| parent.to_owned())
}

/// Writes overlay, heat, cells and heat of the cells of each pane, the figure (SVG and PNG)
/// and, last, the manifest: a folder with a manifest is complete. Gives their number.
///
/// # Errors
/// [`ExportError::Exists`] if one of the files is there and may not be replaced: then
/// nothing is written. [`ExportError::Write`] if the system refuses.
pub fn write_folder(
    exhibit: &Exhibit,
    folder: &Path,
    existing: Existing,
) -> Result<usize, ExportError> {
    let photo = &exhibit.photo;
    let copy = photo.path.is_none().then(|| Path::new(PHOTO));
    let manifest = Manifest::new(exhibit, copy);
    let parts = ["overlay.png", "heat.png", "cells.npy", "scaled.npy"];
    let mut names: Vec<String> = exhibit
        .named()
        .flat_map(|(name, _)| parts.map(|part| format!("{name}-{part}")))
        .collect();
    names.extend(["figure.svg", "figure.png", MANIFEST].map(str::to_owned));
    names.extend(copy.map(|_| PHOTO.to_owned()));
    if existing == Existing::Keep
        && let Some(there) = names
            .iter()
            .map(|name| folder.join(name))
            .find(|path| path.exists())
    {
        return Err(ExportError::Exists(there.display().to_string()));
    }
    fs::create_dir_all(folder).map_err(|error| ExportError::Write {
        name: folder.display().to_string(),
        cause: error.to_string(),
    })?;
    let size = (photo.width, photo.height);
    for (name, pane) in exhibit.named() {
        let path = |part: &str| folder.join(format!("{name}-{part}"));
        let overlay = exhibit.overlays(std::slice::from_ref(pane));
        write_atomically(&path("overlay.png"), existing, |out| {
            encode_png(out, &overlay.rgb, size, ExtendedColorType::Rgb8)
        })?;
        drop(overlay);
        let palette = exhibit.look.palette(pane.scaling);
        let heat = match exhibit.heat(pane) {
            Some(heat) => overlay::heat_alone(&heat, &palette),
            None => vec![[0; 4]; size.0 * size.1],
        };
        write_atomically(&path("heat.png"), existing, |out| {
            encode_png(out, heat.as_flattened(), size, ExtendedColorType::Rgba8)
        })?;
        drop(heat);
        let shape = (pane.map.height, pane.map.width);
        write_atomically(&path("cells.npy"), existing, |out| {
            write_npy(out, &pane.map.cells, shape)
        })?;
        let cells = pane.map.cells.iter();
        let heat = |&cell: &f32| pane.range.map_or(0.0, |range| range.heat(cell));
        let scaled: Vec<f32> = cells.map(heat).collect();
        write_atomically(&path("scaled.npy"), existing, |out| {
            write_npy(out, &scaled, shape)
        })?;
    }
    let svg = figure_svg(exhibit)?;
    let png = figure_png(&svg)?;
    write_atomically(&folder.join("figure.svg"), existing, |out| {
        out.write_all(svg.as_bytes())
    })?;
    write_atomically(&folder.join("figure.png"), existing, |out| {
        out.write_all(&png)
    })?;
    if copy.is_some() {
        write_atomically(&folder.join(PHOTO), existing, |out| {
            encode_png(out, &photo.rgb, size, ExtendedColorType::Rgb8)
        })?;
    }
    write_atomically(&folder.join(MANIFEST), existing, |out| {
        serde_json::to_writer_pretty(&mut *out, &manifest)?;
        out.write_all(b"\n")
    })?;
    Ok(names.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_folder_is_new_and_stays_in_its_parent() {
        let parent = tempfile::tempdir().unwrap();
        let first = new_folder(parent.path(), "cat.photo.png");
        assert_eq!(first, parent.path().join("cat.photo-camlens"));
        fs::create_dir(&first).unwrap();
        let second = new_folder(parent.path(), "cat.photo.png");
        assert_eq!(second, parent.path().join("cat.photo-camlens-2"));
        let odd = new_folder(parent.path(), "../../etc/x.png");
        assert_eq!(odd.parent(), Some(parent.path()));
    }
}
