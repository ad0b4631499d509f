//! The bytes of a weight file, read at given positions. Two threads read the same open file, so the
//! hash and the weights belong to the same data even if another file gets this name in the
//! meantime.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::io::Read;
use std::sync::Arc;

/// The source of the bytes.
pub enum Source {
    Memory(Cow<'static, [u8]>),
    File(Arc<File>),
}

impl Source {
    /// Reads some bytes; `buffer` is used if they come from a file.
    pub fn read<'a>(
        &'a self,
        start: u64,
        count: usize,
        buffer: &'a mut Vec<u8>,
    ) -> io::Result<&'a [u8]> {
        match self {
            Self::Memory(bytes) => {
                let start = usize::try_from(start).map_err(io::Error::other)?;
                let end = start.checked_add(count);
                let part = end.and_then(|end| bytes.get(start..end));
                part.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
            }
            Self::File(file) => {
                buffer.resize(count, 0);
                read_exact_at(file, start, buffer)?;
                Ok(buffer)
            }
        }
    }

    /// Reads little-endian `f32` values directly into `values`.
    pub fn read_f32(&self, start: u64, values: &mut [f32]) -> io::Result<()> {
        let bytes = bytemuck::cast_slice_mut(values);
        match self {
            Self::Memory(_) => {
                bytes.copy_from_slice(self.read(start, bytes.len(), &mut Vec::new())?);
            }
            Self::File(file) => read_exact_at(file, start, bytes)?,
        }
        if cfg!(target_endian = "big") {
            for value in values {
                *value = f32::from_bits(value.to_bits().swap_bytes());
            }
        }
        Ok(())
    }
}

/// A shared file read from its start, with its own position.
pub struct FromStart {
    file: Arc<File>,
    at: u64,
}

impl FromStart {
    pub fn of(file: &Arc<File>) -> Self {
        Self {
            file: Arc::clone(file),
            at: 0,
        }
    }
}

impl Read for FromStart {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = read_at(&self.file, self.at, bytes)?;
        self.at += count as u64;
        Ok(count)
    }
}

#[cfg(unix)]
fn read_at(file: &File, start: u64, bytes: &mut [u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, bytes, start)
}

#[cfg(windows)]
fn read_at(file: &File, start: u64, bytes: &mut [u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, bytes, start)
}

fn read_exact_at(file: &File, mut start: u64, mut bytes: &mut [u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match read_at(file, start, bytes) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                bytes = &mut bytes[count..];
                start += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
