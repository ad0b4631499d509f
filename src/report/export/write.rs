//! Files, written beside their place and renamed into it: whole or not at all.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::{fs, io};

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use npyz::WriterBuilder;

use crate::input::photo::Picture;
use crate::report::export::Existing;

/// Why something was not written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The name does not end in `.png`.
    #[error("Can't write {0}: pictures are written as PNG. Give a name that ends in .png.")]
    NotPng(String),
    /// It would replace the photo itself.
    #[error("{0} is the photo itself. Give another name for the overlay.")]
    IsThePhoto(String),
    /// There is a file of that name already.
    #[error("{0} exists already and was left as it is. Give another folder, or --overwrite.")]
    Exists(String),
    /// Nobody wants it any more: the window is closed.
    #[error("The export was given up.")]
    Unwanted,
    /// It would have too many pixels.
    #[error(
        "{what} would have {megapixels} megapixels, and {most} are possible. Give fewer methods or a smaller photo."
    )]
    TooLarge {
        /// What would.
        what: &'static str,
        /// How many, in millions.
        megapixels: usize,
        /// The most, in millions.
        most: usize,
    },
    /// The figure could not be drawn.
    #[error("The figure could not be drawn: {0}. Please report it.")]
    Figure(String),
    /// The file could not be written.
    #[error("Can't write {name}: {cause}. Give a folder that exists and may be written.")]
    Write {
        /// The file's name.
        name: String,
        /// The system's reason.
        cause: String,
    },
}

/// Writes a file beside its place and renames it into it.
///
/// # Errors
/// [`ExportError::Exists`] if there is one and may not be replaced, [`ExportError::Write`].
pub fn write_atomically(
    path: &Path,
    existing: Existing,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), ExportError> {
    let name = path.display().to_string();
    let fail = |error: io::Error| ExportError::Write {
        name: name.clone(),
        cause: error.to_string(),
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if existing == Existing::Keep && path.exists() {
        return Err(ExportError::Exists(name));
    }
    if path.is_dir() {
        return Err(fail(io::Error::from(io::ErrorKind::IsADirectory)));
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(".camlens-");
    // Those of any new file, which the user's umask narrows; temporary files have fewer.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder).map_err(fail)?;
    let mut out = BufWriter::new(file.as_file_mut());
    content(&mut out).and_then(|()| out.flush()).map_err(fail)?;
    drop(out);
    match existing {
        Existing::Keep => file.persist_noclobber(path),
        Existing::Replace => file.persist(path),
    }
    .map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists => ExportError::Exists(name.clone()),
        _ => fail(error.error),
    })?;
    Ok(())
}

/// Writes a picture as PNG, in place of a file of that name.
///
/// # Errors
/// [`ExportError`] by kind of fault; `photo` is never overwritten.
pub fn write_png(picture: &Picture, path: &Path, photo: Option<&Path>) -> Result<(), ExportError> {
    let name = path.display().to_string();
    if !path
        .extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("png"))
    {
        return Err(ExportError::NotPng(name));
    }
    let same = |photo: &Path| fs::canonicalize(photo).ok() == fs::canonicalize(path).ok();
    if path.exists() && photo.is_some_and(same) {
        return Err(ExportError::IsThePhoto(name));
    }
    let size = (picture.width, picture.height);
    write_atomically(path, Existing::Replace, |out| {
        encode_png(out, &picture.rgb, size, ExtendedColorType::Rgb8)
    })
}

/// Encodes pixels as PNG.
///
/// # Errors
/// The writer's.
pub fn encode_png(
    out: &mut dyn Write,
    pixels: &[u8],
    (width, height): (usize, usize),
    color: ExtendedColorType,
) -> io::Result<()> {
    let side = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    PngEncoder::new_with_quality(out, CompressionType::Fast, FilterType::Adaptive)
        .write_image(pixels, side(width), side(height), color)
        .map_err(|error| match error {
            image::ImageError::IoError(error) => error,
            other => io::Error::other(other),
        })
}

/// Writes values as a little-endian f32 array `[height, width]` in NumPy's format.
///
/// # Errors
/// The writer's.
pub fn write_npy(
    out: &mut dyn Write,
    values: &[f32],
    (height, width): (usize, usize),
) -> io::Result<()> {
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(&[height as u64, width as u64])
        .writer(out)
        .begin_nd()?;
    writer.extend(values)?;
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whole_or_not_there_and_never_replaced_unasked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        let write = |existing, text: &'static str| {
            write_atomically(&path, existing, |out| out.write_all(text.as_bytes()))
        };
        write(Existing::Keep, "one").unwrap();
        assert!(matches!(
            write(Existing::Keep, "two"),
            Err(ExportError::Exists(_))
        ));
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        let failed = write_atomically(&path, Existing::Replace, |out| {
            out.write_all(b"half")?;
            Err(io::Error::other("the disk is full"))
        });
        assert!(failed.unwrap_err().to_string().contains("the disk is full"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        write(Existing::Replace, "two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "no temporary file is left");
        assert!(write_atomically(folder.path(), Existing::Replace, |_| Ok(())).is_err());
    }
}
