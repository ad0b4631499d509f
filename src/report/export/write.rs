//! Writes files atomically: to a temporary file in the same folder, which is then renamed.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::{fs, io};

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use npyz::WriterBuilder;

use crate::input::photo::Picture;
use crate::report::export::Existing;

/// Why something could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The name does not end in `.png`.
    #[error("Can't write {0}: pictures are written as PNG. Use a name that ends in .png.")]
    NotPng(String),
    /// It would overwrite the photo itself.
    #[error("{0} is the photo itself. Use another name for the overlay.")]
    IsThePhoto(String),
    /// A file with this name exists.
    #[error("{0} already exists and was not changed. Use another folder, or --overwrite.")]
    Exists(String),
    /// Canceled: the window was closed.
    #[error("The export was cancelled.")]
    Unwanted,
    /// The result would have too many pixels.
    #[error(
        "{what} would have {megapixels} megapixels, and the limit is {most}. Use fewer methods or a smaller photo."
    )]
    TooLarge {
        /// The picture or file that is too large.
        what: &'static str,
        /// Its size in megapixels.
        megapixels: usize,
        /// The limit in megapixels.
        most: usize,
    },
    /// The figure could not be drawn.
    #[error("The figure could not be drawn: {0}. Please report this error.")]
    Figure(String),
    /// The file could not be written.
    #[error("Can't write {name}: {cause}. Use a folder that exists and is writable.")]
    Write {
        /// The file's name.
        name: String,
        /// The system's reason.
        cause: String,
    },
}

/// Writes a file atomically: to a temporary file in the same folder, which is then renamed.
///
/// # Errors
/// [`ExportError::Exists`] if the file exists and may not be replaced, [`ExportError::Write`].
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
    // The permissions of any new file, restricted by the user's umask; those of temporary files are
    // stricter.
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

/// Writes a picture as PNG; an existing file is replaced.
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
/// Those of the writer.
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
/// Those of the writer.
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
