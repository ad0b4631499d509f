//! Where the values of a tensor are in a file, and how they are converted to `f32`.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use serde_json::{Map, Value};

use crate::model::weights::modules::Modules;

/// The type of a tensor's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Element {
    F64,
    F32,
    F16,
    Bf16,
    /// Another type, by its name: not a supported floating-point type.
    Other(String),
}

impl Element {
    /// Size in bytes.
    pub fn size(&self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Other(_) => 1,
        }
    }
}

/// Where the values of a tensor are in the file.
#[derive(Clone, Debug)]
pub struct Entry {
    pub element: Element,
    pub shape: Vec<usize>,
    /// Strides in elements; `None` if row-major.
    pub strides: Option<Vec<usize>>,
    /// The index of the first element in the storage.
    pub first: usize,
    /// The storage: its first byte in the file, and its length in bytes.
    pub start: u64,
    pub length: u64,
}

impl Entry {
    pub fn count(&self) -> Option<usize> {
        self.shape
            .iter()
            .try_fold(1usize, |n, side| n.checked_mul(*side))
    }

    /// Size of the elements in bytes.
    pub fn bytes(&self) -> u64 {
        self.count().unwrap_or(0) as u64 * self.element.size() as u64
    }

    /// Number of elements from the first to the last in the storage, both included.
    pub fn span(&self) -> Option<usize> {
        let Some(strides) = &self.strides else {
            return self.count();
        };
        if self.shape.contains(&0) {
            return Some(0);
        }
        let mut last = 0usize;
        for (side, stride) in self.shape.iter().zip(strides) {
            last = last.checked_add((side - 1).checked_mul(*stride)?)?;
        }
        last.checked_add(1)
    }

    /// Whether all elements lie within the storage, and the tensor does not claim more elements
    /// than the storage has (a stride of 0 can repeat one element many times).
    pub fn fits(&self) -> bool {
        if matches!(self.element, Element::Other(_)) {
            return true; // never read
        }
        let elements = self.length / self.element.size() as u64;
        let end = self.span().and_then(|span| span.checked_add(self.first));
        let within = |count: usize| count as u64 <= elements;
        end.is_some_and(within) && self.count().is_some_and(within)
    }
}

/// The contents of a weight file.
#[derive(Default)]
pub struct Listing {
    pub entries: Vec<(String, Entry)>,
    /// The names of the classes, if the file has them.
    pub labels: Option<Vec<String>>,
    /// What the file records about each module, if a whole module was saved.
    pub modules: Modules,
    /// Messages about the file for the user.
    pub notices: Vec<String>,
    /// What the training script recorded about the network.
    pub written: Written,
    /// The key of the dictionary that the entries are from.
    pub key: String,
    /// The other dictionaries of tensors in the file.
    pub others: Vec<Dictionary>,
}

/// What a training script recorded about the network besides its weights.
#[derive(Debug, Default)]
pub struct Written {
    /// What it calls the network, the most specific first.
    pub names: Vec<String>,
    /// timm's name of the last pooling layer.
    pub pooling: Option<String>,
    /// The arguments that timm builds the network with.
    pub arguments: Map<String, Value>,
}

/// A dictionary of tensors within a file.
#[derive(Debug, Default)]
pub struct Dictionary {
    /// Its key; keys of nested dictionaries are joined with dots. The outermost dictionary has an
    /// empty key.
    pub key: String,
    pub entries: Vec<(String, Entry)>,
    /// What the file records about each module, if a whole module was saved.
    pub modules: Modules,
    /// What is wrong with it.
    pub problem: Option<String>,
}

impl Dictionary {
    /// Whether it has convolutions, as every supported network does.
    pub fn holds_a_network(&self) -> bool {
        let mut entries = self.entries.iter();
        entries.any(|(_, entry)| entry.shape.len() >= 4)
    }
}

/// Maximum length of a tensor name. Names in real networks have about 80 characters.
pub const MAX_NAME: usize = 300;
/// Maximum number of dimensions of a tensor. Weights have at most five.
pub const MAX_DIMENSIONS: usize = 16;

/// Checks that the name of a tensor or module is not too long, so that everything done with names
/// is fast for any file.
pub fn check_name(length: usize) -> Result<(), String> {
    if length > MAX_NAME {
        return Err(format!(
            "a name in it has {length} characters, and at most {MAX_NAME} are read"
        ));
    }
    Ok(())
}

/// Converts little-endian floating-point bytes to `f32` values; for another type, the error is its
/// name.
#[allow(clippy::cast_possible_truncation)] // f64 weights lose digits that f32 does not have
pub fn to_f32<'a>(element: &'a Element, bytes: &[u8], values: &mut [f32]) -> Result<(), &'a str> {
    let pairs = bytes.as_chunks::<2>().0;
    match element {
        Element::F64 => {
            for (value, bytes) in values.iter_mut().zip(bytes.as_chunks().0) {
                *value = f64::from_le_bytes(*bytes) as f32;
            }
        }
        Element::F32 => {
            for (value, bytes) in values.iter_mut().zip(bytes.as_chunks().0) {
                *value = f32::from_le_bytes(*bytes);
            }
        }
        Element::F16 => {
            // In blocks, so that the processor can convert them with vector instructions.
            let mut halves = [f16::ZERO; 1024];
            for (values, pairs) in values.chunks_mut(1024).zip(pairs.chunks(1024)) {
                let halves = &mut halves[..values.len()];
                for (half, bytes) in halves.iter_mut().zip(pairs) {
                    *half = f16::from_le_bytes(*bytes);
                }
                halves.convert_to_f32_slice(values);
            }
        }
        Element::Bf16 => {
            for (value, bytes) in values.iter_mut().zip(pairs) {
                *value = bf16::from_le_bytes(*bytes).to_f32();
            }
        }
        Element::Other(name) => return Err(name),
    }
    Ok(())
}

/// Reorders values from a layout with strides (channels last, views) to row-major.
pub fn row_major(values: Vec<f32>, shape: &[usize], strides: &[usize]) -> Vec<f32> {
    let mut expected = 1;
    let is_row_major = shape.iter().zip(strides).rev().all(|(side, stride)| {
        let fits = *side == 1 || *stride == expected;
        expected *= side;
        fits
    });
    if is_row_major {
        return values;
    }
    let mut places = vec![0];
    for (side, stride) in shape.iter().zip(strides) {
        let steps = |place: usize| (0..*side).map(move |index| place + index * stride);
        places = places.into_iter().flat_map(steps).collect();
    }
    places.into_iter().map(|place| values[place]).collect()
}
