//! Weight files: safetensors and PyTorch's `.pth`, checked before use.
//!
//! A file is not held in memory. Its list of tensors is read first, and each tensor when a network
//! requests it. Problems are collected, so that one message can name the first few and give the
//! total number.

mod archive;
pub mod dictionaries;
mod hash;
mod layout;
mod modules;
mod pickle;
mod pth;
mod refusal;
mod safetensors_file;
mod source;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::model::families::Shapes;
use crate::model::file_selection::Selection;
use crate::model::weights::hash::hash_aside;
pub(crate) use crate::model::weights::hash::{hash_all, hash_file, hex_sha256, hexadecimal};
pub use crate::model::weights::layout::Written;
use crate::model::weights::layout::{
    Dictionary, Element, Entry, Listing, MAX_DIMENSIONS, check_name, row_major, to_f32,
};
pub use crate::model::weights::modules::Module;
use crate::model::weights::modules::Modules;
use crate::model::weights::refusal::Refusal;
use crate::model::weights::source::{FromStart, Source};
use crate::text::printable;
use crate::text::printable::quotation;

/// Maximum number of problems named in a message.
const NAMED_PROBLEMS: usize = 3;

/// Why a weight file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file could not be read at all.
    #[error(
        "Can't read the weights {}: {cause}. Check that the file exists and that you may read it.",
        quotation(&path.to_string_lossy())
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        cause: std::io::Error,
    },
    /// Not a weight file, or a damaged one.
    #[error(
        "{} is not a weight file that can be read ({}). Give a .safetensors file, or a .pth file saved by PyTorch 1.6 or later.",
        printable::name(.name), quotation(.cause)
    )]
    Format {
        /// The name of the file.
        name: String,
        /// The reader's reason.
        cause: String,
    },
    /// A weight file of an unsupported network.
    #[error(
        "{} holds {}. camlens opens ONNX files, and weights of the usual classifiers of torchvision and timm: export yours with torch.onnx.export, or see docs/checkpoints.md.",
        printable::name(.name), quotation(.what)
    )]
    Architecture {
        /// The name of the file.
        name: String,
        /// What it seems to hold.
        what: String,
    },
    /// A supported network with something that camlens can't handle or can't determine.
    #[error("{} can't be used: {}.", printable::name(.name), quotation(.what))]
    Structure {
        /// The name of the file.
        name: String,
        /// The problem, and what to do.
        what: String,
    },
    /// The file holds several networks, and no rule decides which one is meant.
    #[error(
        "{} holds {} networks. Choose one: {}.",
        printable::name(.name), networks.len(), quotation(&options(networks))
    )]
    Several {
        /// The name of the file.
        name: String,
        /// The selections that choose each of them.
        networks: Vec<Selection>,
    },
    /// Tensors are missing, of the wrong shape, or not finite.
    #[error(
        "The weights {} can't be used: {}. Give a complete file for {architecture}.",
        printable::name(.name), list(.problems, "problems")
    )]
    Tensors {
        /// The name of the file.
        name: String,
        /// The network they were to fill.
        architecture: String,
        /// All problems found.
        problems: Vec<String>,
    },
    /// A module saved whole that is a different network than its tensors suggest.
    #[error(
        "The network saved whole in {} is not the {architecture} that camlens runs: {}. Give a model with the standard layers.",
        printable::name(.name), list(.differences, "differences")
    )]
    Modules {
        /// The name of the file.
        name: String,
        /// The network that its tensors suggest.
        architecture: String,
        /// All differences found.
        differences: Vec<String>,
    },
}

fn list(problems: &[String], what: &str) -> String {
    let named = problems.iter().take(NAMED_PROBLEMS);
    let named: Vec<String> = named.map(|problem| quotation(problem)).collect();
    let mut text = named.join("; ");
    if problems.len() > NAMED_PROBLEMS {
        let more = problems.len() - NAMED_PROBLEMS;
        let _ = write!(text, "; and {more} more {what}");
    }
    text
}

/// Maximum number of networks named in a message.
const NAMED_NETWORKS: usize = 6;

fn options(networks: &[Selection]) -> String {
    let shown = networks.iter().take(NAMED_NETWORKS);
    let shown: Vec<String> = shown.map(Selection::options).collect();
    let more = networks.len().saturating_sub(NAMED_NETWORKS);
    match more {
        0 => shown.join(" or "),
        _ => format!("{} or one of {more} more", shown.join(" or ")),
    }
}

/// Called with the number of bytes of tensors read, and the total number.
pub type Progress = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// Whether all values are finite (no NaN, no infinity). Each chunk is checked to its end,
/// so that the compiler vectorizes the loop.
pub(crate) fn all_finite(values: &[f32]) -> bool {
    values
        .chunks(4096)
        .all(|chunk| chunk.iter().fold(true, |fine, v| fine & v.is_finite()))
}

/// An open weight file. Tensors are converted to `f32` when they are requested.
pub struct Checkpoint {
    name: String,
    source: Source,
    entries: BTreeMap<String, Entry>,
    /// The key of the dictionary they are from, and the other dictionaries of the file.
    key: String,
    others: Vec<Dictionary>,
    /// Class names saved with the weights.
    labels: Option<Vec<String>>,
    written: Written,
    /// The prefix of all names of the network ("module.").
    prefix: String,
    used: BTreeSet<String>,
    problems: Vec<String>,
    /// What is known about each module, if a module was saved whole, and how it differs from the
    /// supported network.
    modules: Modules,
    differences: Vec<String>,
    notices: Vec<String>,
    /// Computed on another thread, because it takes as long as reading.
    sha256: JoinHandle<io::Result<String>>,
    progress: Option<Progress>,
    read: u64,
    total: u64,
    /// Reusable memory for a tensor, and for its bytes.
    spare: Vec<f32>,
    bytes: Vec<u8>,
}

/// What is known about a file after all its tensors were read.
pub struct Finished {
    /// SHA-256 of the whole file, in hexadecimal.
    pub sha256: String,
    /// Tensors outside the network that were not used.
    pub unused: Vec<String>,
}

impl Checkpoint {
    /// Opens a `.safetensors` or `.pth` file; its contents determine the format.
    ///
    /// # Errors
    /// [`WeightsError::Io`] or [`WeightsError::Format`].
    pub fn open(path: &Path, progress: Option<Progress>) -> Result<Self, WeightsError> {
        let name = crate::input::photo::display_name(path);
        let io = |cause| WeightsError::Io {
            path: path.to_owned(),
            cause,
        };
        let kind = std::fs::metadata(path).map_err(io)?.file_type();
        if !kind.is_file() {
            let kind = if kind.is_dir() {
                "a folder"
            } else {
                "not a file"
            };
            return Err(io(io::Error::other(format!("it is {kind}"))));
        }
        let mut file = File::open(path).map_err(io)?;
        let mut start = Vec::new();
        (&file).take(8).read_to_end(&mut start).map_err(io)?;
        let listing = if start.starts_with(b"PK\x03\x04") {
            pth::list(&file)
        } else if start.starts_with(b"\x80\x02") {
            // A pickle that is not in a zip archive.
            Err(Refusal::from("it is in PyTorch's format from before 1.6"))
        } else {
            let size = file.metadata().map_err(io)?.len();
            safetensors_file::list(&mut file, size).map_err(Refusal::from)
        };
        let listing = listing.map_err(|refusal| match refusal {
            Refusal::Format(cause) => WeightsError::Format {
                name: name.clone(),
                cause: other_format(&start).map_or(cause, str::to_owned),
            },
            Refusal::TooMuch(what) => WeightsError::Structure {
                name: name.clone(),
                what: format!("{what}. Save the network's state_dict on its own"),
            },
        })?;
        let file = Arc::new(file);
        let sha256 = hash_aside(FromStart::of(&file)).map_err(io)?;
        Self::from_listing(name, Source::File(file), listing, sha256, progress)
    }

    /// Reads the bytes of a safetensors file.
    ///
    /// # Errors
    /// [`WeightsError::Format`].
    pub fn from_bytes(name: &str, bytes: Cow<'static, [u8]>) -> Result<Self, WeightsError> {
        let format = |cause: String| WeightsError::Format {
            name: name.to_owned(),
            cause,
        };
        let listing = safetensors_file::list(&mut io::Cursor::new(&bytes), bytes.len() as u64);
        let listing = listing.map_err(format)?;
        let sha256 = hash_aside(io::Cursor::new(bytes.clone()));
        let sha256 = sha256.map_err(|error| format(error.to_string()))?;
        Self::from_listing(
            name.to_owned(),
            Source::Memory(bytes),
            listing,
            sha256,
            None,
        )
    }

    fn from_listing(
        name: String,
        source: Source,
        listing: Listing,
        sha256: JoinHandle<io::Result<String>>,
        progress: Option<Progress>,
    ) -> Result<Self, WeightsError> {
        let entries = by_name(&name, listing.entries)?;
        Ok(Self {
            name,
            source,
            entries,
            key: listing.key,
            others: listing.others,
            labels: listing.labels,
            written: listing.written,
            prefix: String::new(),
            used: BTreeSet::new(),
            problems: Vec::new(),
            modules: listing.modules,
            differences: Vec::new(),
            notices: listing.notices,
            sha256,
            progress,
            read: 0,
            total: 0,
            spare: Vec::new(),
            bytes: Vec::new(),
        })
    }

    /// The name of the file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The error for a file that holds a supported network but still can't be used.
    #[must_use]
    pub fn refused(&self, what: String) -> WeightsError {
        let name = self.name.clone();
        WeightsError::Structure { name, what }
    }

    /// Class names that the training script saved with the weights.
    #[must_use]
    pub fn labels(&self) -> Option<&[String]> {
        self.labels.as_deref()
    }

    /// What a training script saved about the network.
    #[must_use]
    pub fn written(&self) -> &Written {
        &self.written
    }

    /// Messages about the file for the user.
    #[must_use]
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Whether a module was saved whole, so that strides, pooling and activations could be compared
    /// with those of the supported network.
    #[must_use]
    pub fn saved_whole(&self) -> bool {
        !self.modules.list().is_empty()
    }

    /// What is known about each module that was saved whole, each module before its submodules.
    #[must_use]
    pub fn modules(&self) -> &[Module] {
        self.modules.list()
    }

    /// What is known about the network's module with a name ("layer1.0.conv1"), if it was saved
    /// whole.
    #[must_use]
    pub fn module(&self, name: &str) -> Option<&Module> {
        self.modules.get(&self.whole(name))
    }

    /// Records that a module differs from the supported network: [`Checkpoint::finish`] will fail.
    pub fn differ(&mut self, difference: String) {
        self.differences.push(difference);
    }

    /// The key of the dictionary that tensors are read from.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// All dictionaries of tensors in the file; the one that is read from comes first.
    pub fn dictionaries(&self) -> impl Iterator<Item = (&str, Shapes<'_>)> {
        let others = self.others.iter().map(|dictionary| {
            let entries = dictionary.entries.iter();
            let shapes = entries.map(|(name, entry)| (&name[..], &entry.shape[..]));
            (&dictionary.key[..], shapes.collect())
        });
        std::iter::once((&self.key[..], self.shapes())).chain(others)
    }

    /// Reads from another dictionary from now on.
    ///
    /// # Errors
    /// [`WeightsError::Format`] if the dictionary is invalid.
    pub fn take(&mut self, key: &str) -> Result<(), WeightsError> {
        let mut others = self.others.iter();
        let Some(place) = others.position(|dictionary| dictionary.key == key) else {
            return Ok(());
        };
        let taken = self.others.swap_remove(place);
        if let Some(cause) = taken.problem {
            let name = self.name.clone();
            return Err(WeightsError::Format { name, cause });
        }
        let entries = by_name(&self.name, taken.entries)?;
        self.others.push(Dictionary {
            key: std::mem::replace(&mut self.key, taken.key),
            entries: std::mem::replace(&mut self.entries, entries)
                .into_iter()
                .collect(),
            modules: std::mem::replace(&mut self.modules, taken.modules),
            problem: None,
        });
        Ok(())
    }

    /// The shapes of all tensors of the dictionary, by their full names.
    #[must_use]
    pub fn shapes(&self) -> Shapes<'_> {
        let entries = self.entries.iter();
        entries
            .map(|(name, entry)| (&name[..], &entry.shape[..]))
            .collect()
    }

    /// Floating-point tensors, with their shapes, that were not requested and are not under one of
    /// the `parts` of the network.
    #[must_use]
    pub fn unused(&self, parts: &[&str]) -> Shapes<'_> {
        let parts: Vec<String> = parts.iter().map(|part| self.whole(part)).collect();
        let mut unused = self.shapes();
        unused.retain(|name, _| {
            let is_number = !matches!(self.entries[*name].element, Element::Other(_));
            is_number
                && !self.used.contains(*name)
                && !is_counter(name)
                && !parts.iter().any(|part| name.starts_with(part))
        });
        unused
    }

    /// The full names of all tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Sets the prefix: from now on, tensors are requested without it.
    pub fn enter(&mut self, prefix: &str) {
        prefix.clone_into(&mut self.prefix);
        let inside = self
            .entries
            .iter()
            .filter(|(name, _)| name.starts_with(prefix));
        self.total = inside.map(|(_, entry)| entry.bytes()).sum();
    }

    /// The current prefix.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    fn whole(&self, tensor: &str) -> String {
        // An absolute name starts with a slash.
        match tensor.strip_prefix('/') {
            Some(absolute) => absolute.to_owned(),
            None => format!("{}{tensor}", self.prefix),
        }
    }

    /// The shape of a tensor, if it exists.
    #[must_use]
    pub fn shape(&self, tensor: &str) -> Option<&[usize]> {
        let entry = self.entries.get(&self.whole(tensor))?;
        Some(&entry.shape)
    }

    /// A tensor with a given shape as `f32`, row-major. If it is not available, the problem is
    /// recorded, zeros are returned, and [`Checkpoint::finish`] will fail.
    pub fn tensor(&mut self, tensor: &str, shape: &[usize]) -> Vec<f32> {
        let name = self.whole(tensor);
        let values = self.values(&name, shape);
        if let Some(entry) = self.entries.get(&name) {
            self.read = self.total.min(self.read + entry.bytes());
            if let Some(progress) = &self.progress {
                progress(self.read, self.total);
            }
        }
        self.used.insert(name);
        values.unwrap_or_else(|problem| {
            self.problems.push(problem);
            vec![0.0; shape.iter().product()]
        })
    }

    /// Marks a tensor as known although no network computes with it.
    pub fn ignore(&mut self, tensor: &str) {
        self.used.insert(self.whole(tensor));
    }

    /// Takes the memory of a tensor that is no longer needed, to reuse it for another one. Every
    /// new megabyte costs 256 page faults.
    pub fn reuse(&mut self, memory: Vec<f32>) {
        if memory.capacity() > self.spare.capacity() {
            self.spare = memory;
        }
    }

    fn values(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, String> {
        let entry = self
            .entries
            .get(name)
            .ok_or_else(|| format!("{name} is missing"))?;
        if entry.shape != shape {
            return Err(format!(
                "{name} has shape {:?} instead of {shape:?}",
                entry.shape
            ));
        }
        let span = entry.span().ok_or_else(|| format!("{name} is too large"))?;
        let size = entry.element.size();
        let start = entry.start + (entry.first * size) as u64;
        // Reuse the memory of the last large tensor, but not for a small one, which would keep all
        // of it.
        let fits = span >= self.spare.capacity() / 2;
        let mut values = if fits {
            std::mem::take(&mut self.spare)
        } else {
            Vec::new()
        };
        values.resize(span, 0.0);
        let unreadable = |error: io::Error| format!("{name} can't be read ({error})");
        if entry.element == Element::F32 {
            let read = self.source.read_f32(start, &mut values);
            read.map_err(unreadable)?;
        } else {
            let bytes = self.source.read(start, span * size, &mut self.bytes);
            let bytes = bytes.map_err(unreadable)?;
            to_f32(&entry.element, bytes, &mut values).map_err(|element| {
                format!("{name} holds {element} instead of floating-point numbers")
            })?;
        }
        let values = match &entry.strides {
            Some(strides) => row_major(values, shape, strides),
            None => values,
        };
        if all_finite(&values) {
            Ok(values)
        } else {
            Err(format!("{name} has values that are not finite"))
        }
    }

    /// Records a problem that only the network can detect.
    pub fn note_problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// Checks that all requested tensors were available. Tensors under one of the `parts`
    /// (prefixes) of the network that were not requested mean that it is another network.
    ///
    /// # Errors
    /// [`WeightsError::Tensors`] with all problems, [`WeightsError::Io`] if the file could not be
    /// read completely.
    pub fn finish<'a>(
        mut self,
        architecture: &str,
        parts: impl IntoIterator<Item = &'a str>,
    ) -> Result<Finished, WeightsError> {
        if !self.differences.is_empty() {
            return Err(WeightsError::Modules {
                name: self.name,
                architecture: architecture.to_owned(),
                differences: self.differences,
            });
        }
        let counters = |name: &&String| !is_counter(name);
        let unused = self
            .entries
            .keys()
            .filter(|name| !self.used.contains(*name));
        let parts: Vec<String> = parts.into_iter().map(|part| self.whole(part)).collect();
        let (foreign, unused): (Vec<String>, Vec<String>) = unused
            .filter(counters)
            .cloned()
            .partition(|name| parts.iter().any(|part| name.starts_with(part)));
        let unknown = |name| format!("{name} is not a tensor of {architecture}");
        self.problems.extend(foreign.into_iter().map(unknown));
        if !self.problems.is_empty() {
            return Err(WeightsError::Tensors {
                name: self.name,
                architecture: architecture.to_owned(),
                problems: self.problems,
            });
        }
        let sha256 = self.sha256.join();
        let sha256 = sha256
            .unwrap_or_else(|_| Err(io::Error::other("the thread that was reading it stopped")));
        let sha256 = sha256.map_err(|cause| WeightsError::Io {
            path: self.name.into(),
            cause,
        })?;
        Ok(Finished { sha256, unused })
    }
}

/// Values that no network computes with: the number of batches seen by a batch norm, and what
/// thop's profiler leaves behind.
fn is_counter(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    matches!(last, "num_batches_tracked" | "total_ops" | "total_params")
}

fn by_name(
    file: &str,
    entries: Vec<(String, Entry)>,
) -> Result<BTreeMap<String, Entry>, WeightsError> {
    let mut named = BTreeMap::new();
    for (tensor, entry) in entries {
        let fault = check_name(tensor.len()).err().or_else(|| {
            let dimensions = entry.shape.len();
            (dimensions > MAX_DIMENSIONS).then(|| format!("{tensor} has {dimensions} dimensions"))
        });
        if let Some(cause) = fault {
            let name = file.to_owned();
            return Err(WeightsError::Format { name, cause });
        }
        match named.entry(tensor) {
            btree_map::Entry::Vacant(place) => _ = place.insert(entry),
            btree_map::Entry::Occupied(place) => {
                return Err(WeightsError::Format {
                    name: file.to_owned(),
                    cause: format!("it has {} twice", place.key()),
                });
            }
        }
    }
    Ok(named)
}

/// Whether a file begins like an ONNX file.
#[must_use]
pub fn starts_like_onnx(start: &[u8]) -> bool {
    // A protocol buffer whose first field is ONNX's `ir_version`, and whose second is
    // `producer_name` or one of the next few fields. In a safetensors file the upper bytes of the
    // header length are 0, because a header has only a few megabytes.
    match start {
        [
            0x08,
            1..=30,
            0x12 | 0x1a | 0x22 | 0x28 | 0x32 | 0x3a,
            _,
            rest @ ..,
        ] => rest.iter().any(|byte| *byte != 0),
        _ => false,
    }
}

/// The format of a file that is not a weight file, recognized by its first bytes.
fn other_format(start: &[u8]) -> Option<&'static str> {
    match start {
        [0x89, b'H', b'D', b'F', ..] => {
            Some("it is an HDF5 file, as Keras saves its models; not supported")
        }
        [_, _, _, _, b'T', b'F', b'L', b'3', ..] => {
            Some("it is a TensorFlow Lite file; not supported")
        }
        [b'G', b'G', b'U', b'F', ..] => Some("it is a GGUF file; not supported"),
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => Some("it is a NumPy array; not supported"),
        [0x80, 3..=5, ..] => Some("it is a plain pickle, not a file that torch.save made"),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
