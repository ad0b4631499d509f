//! The zip archive of a `.pth` file: finds its pickle and the data of each storage.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::io::{BufReader, Read, Seek, SeekFrom};

use zip::read::{ArchiveOffset, Config};
use zip::{CompressionMethod, ZipArchive};

use crate::model::weights::refusal::{Refusal, short};

/// Maximum size of the pickle. For a ResNet-152 with its optimizer it is 200 kB.
pub const MAX_PICKLE: u64 = 4 << 20;
/// Maximum number of bytes read to find the entries. Each entry takes 100 bytes, and a ResNet-152
/// with its optimizer has 2800.
const MAX_DIRECTORY: u64 = 4 << 20;

/// The contents of a `.pth` file.
pub struct Archive {
    /// `data.pkl`, which describes the tensors.
    pub pickle: Vec<u8>,
    /// Start and length in the file of each storage, by its key.
    pub storages: HashMap<String, (u64, u64)>,
}

/// Finds the contents of a `.pth` file.
pub fn open(file: &File) -> Result<Archive, Refusal> {
    let left = Cell::new(MAX_DIRECTORY);
    let reader = BufReader::new(Limited { file, left: &left });
    // PyTorch puts nothing before an archive. If the crate were allowed to guess an offset, it
    // would find one where there is none: between the directory and its end record PyTorch has 76
    // more bytes (zip64), and 76 bytes is also the length of the first entry if its name has 21
    // characters.
    let config = Config {
        archive_offset: ArchiveOffset::Known(0),
    };
    let mut archive =
        ZipArchive::with_config(config, reader).map_err(|error| match left.get() {
            0 => format!("its zip archive has no directory within {MAX_DIRECTORY} bytes"),
            _ => damaged(&error),
        })?;
    left.set(u64::MAX);
    if archive.has_duplicate_names() {
        return Err("its zip archive has two entries with the same name".into());
    }
    let file_length = file.metadata().map_err(|error| error.to_string())?.len();
    let mut storages = HashMap::new();
    let mut pickle = None;
    for index in 0..archive.len() {
        let entry = archive
            .by_index_raw(index)
            .map_err(|error| damaged(&error))?;
        let name = entry.name().map_err(|error| damaged(&error))?;
        let name = name.into_owned();
        if name.ends_with("/constants.pkl") {
            return Err("it is a TorchScript program; save the model's state_dict instead".into());
        }
        let is_pickle = name == "data.pkl" || name.ends_with("/data.pkl");
        let key = name.rsplit_once("/data/").map(|(_, key)| key.to_owned());
        let key = key.or_else(|| name.strip_prefix("data/").map(str::to_owned));
        let is_order = name == "byteorder" || name.ends_with("/byteorder");
        if !is_pickle && key.is_none() && !is_order {
            continue;
        }
        let name = short(&name);
        if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
            let cause =
                format!("its entry {name} is compressed or encrypted, which PyTorch never does");
            return Err(cause.into());
        }
        let start = entry
            .data_start()
            .ok_or("an entry of its zip archive has no data")?;
        let place = (start, entry.size());
        if start
            .checked_add(place.1)
            .is_none_or(|end| end > file_length)
        {
            return Err(format!("its entry {name} is cut short").into());
        }
        // If there are two, it is unclear which is meant: PyTorch reads by the whole name.
        let is_second = match key {
            _ if is_pickle => pickle.replace(place).is_some(),
            _ if is_order && read(file, (start, place.1.min(16)))?.starts_with(b"big") => {
                return Err("it was saved on a big-endian machine".into());
            }
            Some(key) if !is_order => storages.insert(key, place).is_some(),
            _ => false,
        };
        if is_second {
            return Err(format!("its entry {name} exists twice, in two folders").into());
        }
    }
    let place = pickle.ok_or("it is a zip archive without PyTorch's data.pkl")?;
    if place.1 > MAX_PICKLE {
        return Err(Refusal::TooMuch(format!(
            "its data.pkl, which describes the tensors, has {} bytes, and at most {MAX_PICKLE} are read",
            place.1
        )));
    }
    let pickle = read(file, place)?;
    Ok(Archive { pickle, storages })
}

fn damaged(error: &zip::result::ZipError) -> String {
    format!("its zip archive is damaged or cut short: {error}")
}

fn read(mut file: &File, (start, size): (u64, u64)) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(start))
        .and_then(|_| file.take(size).read_to_end(&mut bytes))
        .map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// Fails once a number of bytes has been read: the directory is held in memory, some 400 bytes
/// for an entry of 46.
struct Limited<'a> {
    file: &'a File,
    left: &'a Cell<u64>,
}

impl Read for Limited<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left.get()).map_or(bytes.len(), |n| n.min(bytes.len()));
        if most == 0 && !bytes.is_empty() {
            return Err(io::Error::other("the directory is too large"));
        }
        let count = self.file.read(&mut bytes[..most])?;
        self.left.set(self.left.get() - count as u64);
        Ok(count)
    }
}

impl Seek for Limited<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}
