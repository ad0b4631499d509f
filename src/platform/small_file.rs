//! Small files next to other files: class names, configurations. The path may also be a pipe that
//! never ends, a device, or gigabytes long.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Reads a regular file of at most `limit` bytes.
///
/// # Errors
/// What is wrong with the file, as text that follows its name.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    // Check first: opening a pipe blocks until its other end is opened.
    let about = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !about.is_file() {
        return Err("it is not a regular file".into());
    }
    if about.len() > limit {
        return Err(format!(
            "it has {} bytes, and at most {limit} are read",
            about.len()
        ));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    // The file may have grown in the meantime.
    let count = file.take(limit + 1).read_to_end(&mut bytes);
    if count.map_err(|error| error.to_string())? as u64 > limit {
        return Err(format!("at most {limit} bytes are read"));
    }
    Ok(bytes)
}

/// Reads a file as text.
///
/// # Errors
/// As [`read`], and if the file is not UTF-8.
pub(crate) fn read_text(path: &Path, limit: u64) -> Result<String, String> {
    String::from_utf8(read(path, limit)?).map_err(|_| "it is not UTF-8 text".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_small_regular_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        assert!(read(&path, 10).is_err(), "it does not exist");
        std::fs::write(&path, b"0123456789").unwrap();
        assert_eq!(read_text(&path, 10).unwrap(), "0123456789");
        let problem = read(&path, 9).unwrap_err();
        assert!(problem.contains("10 bytes"), "{problem}");
        std::fs::write(&path, b"\xff").unwrap();
        assert!(read_text(&path, 10).unwrap_err().contains("UTF-8"));
        assert!(
            read(folder.path(), 10)
                .unwrap_err()
                .contains("regular file")
        );
        // Larger than memory, so it must not be read.
        let file = File::create(&path).unwrap();
        file.set_len(1 << 40).unwrap();
        assert!(read(&path, 10).unwrap_err().contains("bytes"));
        #[cfg(unix)]
        {
            let link = folder.path().join("endless");
            std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
            assert!(read(&link, 10).unwrap_err().contains("regular file"));
        }
    }
}
