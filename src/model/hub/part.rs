//! A file during its download: what it must look like, the part that is there, and the speed.

use std::fs::File;
use std::io;
use std::io::{Read, Seek, SeekFrom, Write as _};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::model::hub::{CONFIG, HubModel, WEIGHTS};
use crate::model::weights::hash_all;

/// Bytes per second below which a download is aborted: 47 MB would take half a day.
pub const SLOWEST: f64 = 1000.0;
/// timm's descriptions are about 0.6 kB long.
const LARGEST_CONFIG: u64 = 1_000_000;
/// The longest header accepted in a safetensors file, as in its loader.
const LARGEST_HEADER: u64 = 16 << 20;

/// The two files of an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Config,
    Weights,
}

impl Kind {
    pub fn file(self) -> &'static str {
        match self {
            Self::Config => CONFIG,
            Self::Weights => WEIGHTS,
        }
    }

    /// Number of first bytes that identify a file.
    pub const START: usize = 9;

    /// Whether a file of `total` bytes can begin with these bytes.
    pub fn begins(self, start: &[u8], total: u64) -> bool {
        match self {
            Self::Config => start
                .trim_ascii_start()
                .first()
                .is_none_or(|byte| *byte == b'{'),
            Self::Weights => start.split_first_chunk().is_some_and(|(length, rest)| {
                let header = u64::from_le_bytes(*length);
                header <= LARGEST_HEADER && header < total && rest.first() == Some(&b'{')
            }),
        }
    }

    /// Whether the entry's file can have this many bytes.
    pub fn fits(self, known: &HubModel, bytes: u64) -> bool {
        match self {
            Self::Config => bytes <= LARGEST_CONFIG,
            Self::Weights => known.sizes().contains(&bytes),
        }
    }
}

/// Checks the speed over `patience`, across lost connections.
pub struct Pace {
    patience: Duration,
    since: Instant,
    bytes: usize,
}

impl Pace {
    pub fn new(patience: Duration) -> Self {
        Self {
            patience,
            since: Instant::now(),
            bytes: 0,
        }
    }

    pub fn is_too_slow(&mut self, came: usize) -> bool {
        self.bytes += came;
        let elapsed = self.since.elapsed();
        if elapsed < self.patience {
            return false;
        }
        let slow = (self.bytes as f64) < SLOWEST * elapsed.as_secs_f64();
        *self = Self::new(self.patience);
        slow
    }
}

/// The part of a file that is there, and its hash.
pub struct SoFar {
    pub file: File,
    pub hash: Sha256,
    /// Size in bytes.
    pub done: u64,
}

impl SoFar {
    /// Hashes the bytes that are there; deletes them if they can't be the beginning of the file.
    pub fn new(mut file: File, kind: Kind, total: u64) -> io::Result<Self> {
        let mut start = Vec::new();
        (&file).take(Kind::START as u64).read_to_end(&mut start)?;
        file.seek(SeekFrom::Start(0))?;
        let mut hash = Sha256::new();
        let done = hash_all(&mut file, &mut hash)?;
        let mut so_far = Self { file, hash, done };
        if done > total || !kind.begins(&start, total) {
            so_far.restart()?;
        }
        Ok(so_far)
    }

    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        self.done += bytes.len() as u64;
        Ok(())
    }

    pub fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.hash = Sha256::new();
        self.done = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_by_its_first_bytes() {
        let header = |length: u64, then: &[u8]| [&length.to_le_bytes(), then].concat();
        for (kind, start, fits) in [
            (Kind::Weights, header(100, b"{"), true),
            (Kind::Weights, header(100, b"<"), false),
            (Kind::Weights, header(1000, b"{"), false),
            (Kind::Weights, header(u64::MAX, b"{"), false),
            (Kind::Weights, b"<!doctype html>".to_vec(), false),
            (Kind::Weights, b"<html".to_vec(), false),
            (Kind::Config, b"{\"a\": 1}".to_vec(), true),
            (Kind::Config, b"\n {".to_vec(), true),
            (Kind::Config, b"<html>".to_vec(), false),
        ] {
            let start = &start[..start.len().min(Kind::START)];
            assert_eq!(kind.begins(start, 1000), fits, "{start:?}");
        }
    }

    #[test]
    fn a_download_is_slow_over_all_of_its_time() {
        let mut pace = Pace::new(Duration::ZERO);
        assert!(pace.is_too_slow(0));
        assert!(!pace.is_too_slow(1 << 30));
        let mut pace = Pace::new(Duration::from_hours(1));
        assert!(!pace.is_too_slow(0), "it has only begun");
    }
}
