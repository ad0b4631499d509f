//! Where a tensor's numbers lie in a file, and how they become `f32`.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use serde_json::{Map, Value};

use crate::model::weights::modules::Modules;

/// The type of a tensor's numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Element {
    F64,
    F32,
    F16,
    Bf16,
    /// No floating-point number that is known; its name.
    Other(String),
}

impl Element {
    /// Bytes.
    pub fn size(&self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Other(_) => 1,
        }
    }
}

/// Where a tensor's numbers lie in the file.
#[derive(Clone, Debug)]
pub struct Entry {
    pub element: Element,
    pub shape: Vec<usize>,
    /// In elements; none if row-major.
    pub strides: Option<Vec<usize>>,
    /// The first element within the storage.
    pub first: usize,
    /// The storage: first byte in the file, and bytes.
    pub start: u64,
    pub length: u64,
}

impl Entry {
    pub fn count(&self) -> Option<usize> {
        self.shape
            .iter()
            .try_fold(1usize, |n, side| n.checked_mul(*side))
    }

    /// Bytes that the elements take.
    pub fn bytes(&self) -> u64 {
        self.count().unwrap_or(0) as u64 * self.element.size() as u64
    }

    /// Elements from the first to the last, both included.
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

    /// Whether all elements lie within the storage, and no more are claimed than it
    /// has (a stride of 0 can't make many out of one).
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

/// What a file holds.
#[derive(Default)]
pub struct Listing {
    pub entries: Vec<(String, Entry)>,
    /// Names of classes, if the file has them.
    pub labels: Option<Vec<String>>,
    /// What is known of each module, if one was saved whole.
    pub modules: Modules,
    /// What the user should know about the file.
    pub notices: Vec<String>,
    /// What a training script wrote of the network.
    pub written: Written,
    /// The key of the dictionary that the entries are from.
    pub key: String,
    /// The file's other dictionaries of tensors.
    pub others: Vec<Dictionary>,
}

/// What a training script wrote of the network beside its weights.
#[derive(Debug, Default)]
pub struct Written {
    /// What it calls the network, the most telling first.
    pub names: Vec<String>,
    /// timm's name of the last pooling.
    pub pooling: Option<String>,
    /// What timm builds the network with.
    pub arguments: Map<String, Value>,
}

/// A dictionary of tensors within a file.
#[derive(Debug, Default)]
pub struct Dictionary {
    /// Its key; of dictionaries within dictionaries with dots between them. Nothing is the
    /// outermost one.
    pub key: String,
    pub entries: Vec<(String, Entry)>,
    /// What is known of each module, if one was saved whole.
    pub modules: Modules,
    /// What is wrong with it.
    pub problem: Option<String>,
}

impl Dictionary {
    /// Whether it has convolutions, as every network that is known.
    pub fn holds_a_network(&self) -> bool {
        let mut entries = self.entries.iter();
        entries.any(|(_, entry)| entry.shape.len() >= 4)
    }
}

/// Why a file is not read.
#[derive(Debug)]
pub enum Refusal {
    /// It is damaged, or no weight file.
    Format(String),
    /// It holds more beside the weights than is read.
    TooMuch(String),
}

impl From<String> for Refusal {
    fn from(cause: String) -> Self {
        Self::Format(cause)
    }
}

impl From<&str> for Refusal {
    fn from(cause: &str) -> Self {
        Self::Format(cause.into())
    }
}

/// The longest name of a tensor. Names of real networks have some 80 characters.
pub const MAX_NAME: usize = 300;
/// The most dimensions of a tensor: a weight has five at most.
pub const MAX_DIMENSIONS: usize = 16;

/// Whether a tensor's or module's name is one that a network could have: everything that is
/// done with names must be quick, for any file.
pub fn check_name(length: usize) -> Result<(), String> {
    if length > MAX_NAME {
        return Err(format!(
            "a name in it has {length} characters, and at most {MAX_NAME} are read"
        ));
    }
    Ok(())
}

/// A text from a file as it can stand in a message: short, on one line.
pub fn short(text: &str) -> String {
    const MOST: usize = 100;
    let mut shown: String = text
        .chars()
        .take(MOST)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}

/// Little-endian floating-point bytes as `f32`, into as many values; the type's name if it
/// is another.
#[allow(clippy::cast_possible_truncation)] // f64 weights lose digits that f32 has not
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
            // In parts that the processor converts by vectors.
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

/// Values in row-major order, from a layout with strides (channels last, views).
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
