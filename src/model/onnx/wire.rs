//! The encoding of protocol buffers, read from a file by position. Nothing is allocated for a
//! length that the file only claims: every length is checked against the end of what contains it.
//!
//! Source: <https://protobuf.dev/programming-guides/encoding/>.

use std::fs::File;
use std::io;
use std::io::{Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::onnx::error::OnnxError;

/// Bytes that are read at a time.
const WINDOW: usize = 1 << 16;

/// The longest string.
const LONGEST_STRING: u64 = 1 << 24;

/// The largest file that is opened.
const LARGEST_FILE: u64 = 1 << 36;

/// The bytes of a file.
#[derive(Debug)]
pub(super) enum Source {
    /// On disk: the file and its length.
    File(Mutex<File>, u64),
    /// In memory.
    Memory(Arc<[u8]>),
}

impl Source {
    /// An open file.
    ///
    /// # Errors
    /// If it is no regular file or too large.
    pub(super) fn open(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() > LARGEST_FILE {
            return Err(io::Error::other("it is not an ordinary file"));
        }
        Ok(Self::File(Mutex::new(file), metadata.len()))
    }

    /// Number of bytes.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::File(_, length) => *length,
            Self::Memory(bytes) => bytes.len() as u64,
        }
    }

    /// Fills `into` from a position.
    ///
    /// # Errors
    /// If the bytes are not there.
    pub(super) fn read_at(&self, position: u64, into: &mut [u8]) -> io::Result<()> {
        match self {
            Self::File(file, _) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                file.seek(SeekFrom::Start(position))?;
                file.read_exact(into)
            }
            Self::Memory(bytes) => {
                let start = usize::try_from(position).unwrap_or(usize::MAX);
                let part = start
                    .checked_add(into.len())
                    .and_then(|end| bytes.get(start..end))
                    .ok_or(io::ErrorKind::UnexpectedEof)?;
                into.copy_from_slice(part);
                Ok(())
            }
        }
    }

    /// The bytes of a part.
    ///
    /// # Errors
    /// If the part is not inside.
    pub(super) fn bytes(&self, span: Span) -> io::Result<Vec<u8>> {
        if span.start > span.end || span.end > self.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let length = usize::try_from(span.len()).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        self.read_at(span.start, &mut bytes)?;
        Ok(bytes)
    }
}

/// A part of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Position of the first byte.
    pub(super) start: u64,
    /// Position after the last byte.
    pub(super) end: u64,
}

impl Span {
    /// Number of bytes.
    pub(super) const fn len(self) -> u64 {
        self.end - self.start
    }
}

/// A field's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wire {
    /// An integer.
    Varint(u64),
    /// Eight bytes.
    Fixed64(u64),
    /// A string, a message, or packed numbers.
    Bytes(Span),
    /// Four bytes.
    Fixed32(u32),
}

/// Reads fields. Positions only move forward within one pass, so a small window is enough.
pub(super) struct Reader<'a> {
    source: &'a Source,
    window: Vec<u8>,
    window_start: u64,
    /// Bytes of memory that may still be used for what is read.
    budget: u64,
}

impl<'a> Reader<'a> {
    /// From a file. Memory for the structure is limited to a multiple of the file's size.
    pub(super) fn new(source: &'a Source) -> Self {
        let budget = source.len().saturating_mul(64).clamp(1 << 20, 1 << 29);
        Self {
            source,
            window: Vec::new(),
            window_start: 0,
            budget,
        }
    }

    /// The whole file.
    pub(super) fn all(&self) -> Span {
        Span {
            start: 0,
            end: self.source.len(),
        }
    }

    /// Counts memory that is about to be used.
    ///
    /// # Errors
    /// If it is more than a file of this size can need.
    pub(super) fn spend(&mut self, bytes: u64) -> Result<(), OnnxError> {
        self.budget = self
            .budget
            .checked_sub(bytes)
            .ok_or_else(|| OnnxError::damaged("it has too many parts"))?;
        Ok(())
    }

    /// The next field of a message, whose rest is `message`.
    ///
    /// # Errors
    /// If the file is damaged or can't be read.
    pub(super) fn field(&mut self, message: &mut Span) -> Result<Option<(u32, Wire)>, OnnxError> {
        if message.start >= message.end {
            return Ok(None);
        }
        let key = self.varint(message)?;
        let number = u32::try_from(key >> 3).unwrap_or(0);
        if number == 0 {
            return Err(OnnxError::damaged("a field has no number"));
        }
        let value = match key & 7 {
            0 => Wire::Varint(self.varint(message)?),
            1 => Wire::Fixed64(u64::from_le_bytes(self.array(message)?)),
            2 => {
                let length = self.varint(message)?;
                let start = message.start;
                let end = start
                    .checked_add(length)
                    .filter(|end| *end <= message.end)
                    .ok_or_else(|| OnnxError::damaged("a part is longer than its whole"))?;
                message.start = end;
                Wire::Bytes(Span { start, end })
            }
            5 => Wire::Fixed32(u32::from_le_bytes(self.array(message)?)),
            _ => return Err(OnnxError::damaged("a field has an unknown type")),
        };
        Ok(Some((number, value)))
    }

    /// The next integer of packed numbers or a message.
    ///
    /// # Errors
    /// If the file is damaged or can't be read.
    pub(super) fn varint(&mut self, rest: &mut Span) -> Result<u64, OnnxError> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let [byte] = self.array(rest)?;
            // Bits beyond the 64th are dropped, as by other readers.
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(OnnxError::damaged("a number is too long"))
    }

    /// The next bytes.
    ///
    /// # Errors
    /// If the file is damaged or can't be read.
    pub(super) fn array<const N: usize>(&mut self, rest: &mut Span) -> Result<[u8; N], OnnxError> {
        let end = rest.start + N as u64;
        if end > rest.end {
            return Err(OnnxError::damaged("it ends too early"));
        }
        let held = self.window_start + self.window.len() as u64;
        if rest.start < self.window_start || end > held {
            let length = (self.source.len() - rest.start).min(WINDOW as u64);
            // At most `WINDOW`.
            self.window
                .resize(usize::try_from(length).unwrap_or(WINDOW), 0);
            self.window_start = rest.start;
            self.source
                .read_at(rest.start, &mut self.window)
                .map_err(|cause| OnnxError::damaged(cause.to_string()))?;
        }
        let at = usize::try_from(rest.start - self.window_start).unwrap_or(0);
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.window[at..at + N]);
        rest.start = end;
        Ok(bytes)
    }

    /// A string. Bytes that are not UTF-8 are replaced.
    ///
    /// # Errors
    /// If it is too long or can't be read.
    pub(super) fn string(&mut self, span: Span) -> Result<String, OnnxError> {
        if span.len() > LONGEST_STRING {
            return Err(OnnxError::damaged("a text is too long"));
        }
        self.spend(span.len() + 24)?;
        let bytes = self
            .source
            .bytes(span)
            .map_err(|cause| OnnxError::damaged(cause.to_string()))?;
        Ok(String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// Adds the integers of a field, packed or not.
    ///
    /// # Errors
    /// If the file is damaged or can't be read.
    pub(super) fn integers(&mut self, value: Wire, into: &mut Vec<i64>) -> Result<(), OnnxError> {
        match value {
            Wire::Varint(value) => {
                self.spend(8)?;
                into.push(value.cast_signed());
            }
            Wire::Bytes(mut rest) => {
                while rest.start < rest.end {
                    self.spend(8)?;
                    into.push(self.varint(&mut rest)?.cast_signed());
                }
            }
            _ => return Err(OnnxError::damaged("a number has the wrong type")),
        }
        Ok(())
    }

    /// Adds the numbers of a field, packed or not.
    ///
    /// # Errors
    /// If the file is damaged or can't be read.
    pub(super) fn floats(&mut self, value: Wire, into: &mut Vec<f32>) -> Result<(), OnnxError> {
        match value {
            Wire::Fixed32(bits) => {
                self.spend(4)?;
                into.push(f32::from_bits(bits));
            }
            Wire::Bytes(mut rest) => {
                while rest.start < rest.end {
                    self.spend(4)?;
                    into.push(f32::from_le_bytes(self.array(&mut rest)?));
                }
            }
            _ => return Err(OnnxError::damaged("a number has the wrong type")),
        }
        Ok(())
    }

    /// Adds the numbers of a field, packed or not.
    ///
    /// # Errors
    /// If the file is damaged or can't be read.
    pub(super) fn doubles(&mut self, value: Wire, into: &mut Vec<f64>) -> Result<(), OnnxError> {
        match value {
            Wire::Fixed64(bits) => {
                self.spend(8)?;
                into.push(f64::from_bits(bits));
            }
            Wire::Bytes(mut rest) => {
                while rest.start < rest.end {
                    self.spend(8)?;
                    into.push(f64::from_le_bytes(self.array(&mut rest)?));
                }
            }
            _ => return Err(OnnxError::damaged("a number has the wrong type")),
        }
        Ok(())
    }
}
