//! Writes all files of an export to one folder.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::{fs, io};

use image::ExtendedColorType;

use crate::render::overlay;
use crate::report::export::write::encode_png;
use crate::report::export::{ExportError, ExportScene, Figure, Manifest, write_npy};

/// What to do with existing files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Keep them, and write nothing.
    Keep,
    /// Replace them.
    Replace,
}

/// The name of the photo's copy, if it did not come from a file.
const PHOTO: &str = "photo.png";
/// The name of an export's manifest.
pub const MANIFEST: &str = "manifest.json";

/// A folder in `parent` that does not exist yet, named after a photo: `cat-camlens`,
/// `cat-camlens-2`, ….
#[must_use]
pub fn new_folder(parent: &Path, photo: &str) -> PathBuf {
    let stem = photo.rsplit_once('.').map_or(photo, |(stem, _)| stem);
    // The photo's name may come from a clipboard or a manifest.
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

/// Writes the overlay, heat, cells and scaled cells of each pane, the figure (SVG and PNG) and the
/// manifest. Returns the number of files. Everything is first written to a temporary folder next to
/// the target and then renamed at once, or, if the target folder exists, moved file by file with
/// the manifest last: a folder with a manifest is complete. The export stops as soon as it is
/// cancelled.
///
/// # Errors
/// [`ExportError::Exists`] if a file exists and may not be replaced, [`ExportError::Write`] if
/// writing fails, [`ExportError::Unwanted`] if cancelled, [`ExportError::TooLarge`],
/// [`ExportError::Figure`]. After an error, nothing is left behind.
pub fn write_folder(
    scene: &ExportScene,
    folder: &Path,
    existing: Existing,
    wanted: &dyn Fn() -> bool,
) -> Result<usize, ExportError> {
    scene.check_size(1)?;
    let copy = scene.photo.path.is_none().then(|| Path::new(PHOTO));
    let names = file_names(scene, copy.is_some());
    if existing == Existing::Keep
        && let Some(there) = names
            .iter()
            .map(|name| folder.join(name))
            .find(|path| path.exists())
    {
        return Err(ExportError::Exists(there.display().to_string()));
    }
    let fail = |error: io::Error| ExportError::Write {
        name: folder.display().to_string(),
        cause: error.to_string(),
    };
    let is_new = !folder.exists();
    // On the same disk, so that it can be renamed to its target.
    let beside = match folder.parent() {
        _ if !is_new => folder,
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(beside).map_err(fail)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".camlens-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    let making = builder.tempdir_in(beside).map_err(fail)?;
    let made = Making {
        folder: making.path(),
        place: folder,
        wanted,
    };
    write_files(scene, copy, &made)?;
    made.go_on()?;
    if is_new {
        fs::rename(making.path(), folder).map_err(fail)?;
        // The temporary folder no longer exists: it was renamed.
        let _ = making.keep();
        return Ok(names.len());
    }
    match fs::remove_file(folder.join(MANIFEST)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(error)),
        _ => {}
    }
    for name in &names {
        fs::rename(making.path().join(name), folder.join(name)).map_err(fail)?;
    }
    Ok(names.len())
}

/// The names of an export's files, with the manifest last.
fn file_names(scene: &ExportScene, with_photo: bool) -> Vec<String> {
    let parts = ["overlay.png", "heat.png", "cells.npy", "scaled.npy"];
    let mut names: Vec<String> = scene
        .named()
        .flat_map(|(name, _)| parts.map(|part| format!("{name}-{part}")))
        .collect();
    names.extend(with_photo.then(|| PHOTO.to_owned()));
    names.extend(["figure.svg", "figure.png", MANIFEST].map(str::to_owned));
    names
}

/// An export in progress.
struct Making<'a> {
    /// Where its files are written now.
    folder: &'a Path,
    /// Where its files will be.
    place: &'a Path,
    wanted: &'a dyn Fn() -> bool,
}

impl Making<'_> {
    fn go_on(&self) -> Result<(), ExportError> {
        if (self.wanted)() {
            Ok(())
        } else {
            Err(ExportError::Unwanted)
        }
    }

    fn write(
        &self,
        name: &str,
        content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), ExportError> {
        self.go_on()?;
        let fail = |error: io::Error| ExportError::Write {
            name: self.place.join(name).display().to_string(),
            cause: error.to_string(),
        };
        let file = fs::File::create_new(self.folder.join(name)).map_err(fail)?;
        let mut out = BufWriter::new(WhileWanted {
            file,
            wanted: self.wanted,
        });
        match content(&mut out).and_then(|()| out.flush()) {
            Err(_) if !(self.wanted)() => Err(ExportError::Unwanted),
            written => written.map_err(fail),
        }
    }
}

/// A writer that fails once the export is cancelled.
struct WhileWanted<'a> {
    file: fs::File,
    wanted: &'a dyn Fn() -> bool,
}

impl Write for WhileWanted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.wanted)() {
            self.file.write(bytes)
        } else {
            Err(io::ErrorKind::Other.into())
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn write_files(
    scene: &ExportScene,
    copy: Option<&Path>,
    made: &Making<'_>,
) -> Result<(), ExportError> {
    let photo = &scene.photo;
    let manifest = Manifest::new(scene, made.place, copy);
    let size = (photo.width, photo.height);
    for (name, pane) in scene.named() {
        let called = |part: &str| format!("{name}-{part}");
        let overlay = scene.overlays(std::slice::from_ref(pane))?;
        made.write(&called("overlay.png"), |out| {
            encode_png(out, &overlay.rgb, size, ExtendedColorType::Rgb8)
        })?;
        drop(overlay);
        let palette = scene.display_options.palette(pane.rendered.scaling);
        let heat = match &pane.rendered.heat {
            Some(heat) => overlay::heat_alone(heat, &palette),
            None => vec![[0; 4]; size.0 * size.1],
        };
        made.write(&called("heat.png"), |out| {
            encode_png(out, heat.as_flattened(), size, ExtendedColorType::Rgba8)
        })?;
        drop(heat);
        let map = &pane.rendered.map;
        let shape = (map.height, map.width);
        made.write(&called("cells.npy"), |out| {
            write_npy(out, &map.cells, shape)
        })?;
        let cells = map.cells.iter();
        let heat = |&cell: &f32| pane.rendered.range.map_or(0.0, |range| range.heat(cell));
        let scaled: Vec<f32> = cells.map(heat).collect();
        made.write(&called("scaled.npy"), |out| write_npy(out, &scaled, shape))?;
    }
    let figure = Figure::new(scene)?;
    made.go_on()?;
    let png = figure.png()?;
    made.write("figure.svg", |out| out.write_all(figure.svg.as_bytes()))?;
    made.write("figure.png", |out| out.write_all(&png))?;
    if copy.is_some() {
        made.write(PHOTO, |out| {
            encode_png(out, &photo.rgb, size, ExtendedColorType::Rgb8)
        })?;
    }
    made.write(MANIFEST, |out| {
        serde_json::to_writer_pretty(&mut *out, &manifest)?;
        out.write_all(b"\n")
    })
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
