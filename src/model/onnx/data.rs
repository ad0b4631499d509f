//! The values of tensors: inside the file, or in a file beside it.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use half::{bf16, f16};

use crate::model::onnx::array::{Array, Data, count};
use crate::model::onnx::error::OnnxError;
use crate::model::onnx::messages::TensorPart;
use crate::model::onnx::wire::{Reader, Source, Span, Wire};

/// The most values of one tensor of numbers.
const MOST_NUMBERS: usize = 1 << 30;

/// The most values of one tensor of integers: they are indices or shapes, not weights.
const MOST_INTEGERS: usize = 1 << 22;

/// The most dimensions of a tensor.
pub(super) const MOST_DIMENSIONS: usize = 12;

/// The files with a model's values.
#[derive(Debug)]
pub(super) struct Files {
    /// The model itself.
    pub(super) model: Source,
    /// The other files, by the name that the model gives.
    pub(super) beside: Vec<(String, Source)>,
}

/// How the values of a type are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    F32,
    F64,
    F16,
    Bf16,
    Unsigned(usize),
    Signed(usize),
    Bool,
}

impl Element {
    const fn of(number: i64) -> Option<Self> {
        Some(match number {
            1 => Self::F32,
            2 => Self::Unsigned(1),
            3 => Self::Signed(1),
            4 => Self::Unsigned(2),
            5 => Self::Signed(2),
            6 => Self::Signed(4),
            7 => Self::Signed(8),
            9 => Self::Bool,
            10 => Self::F16,
            11 => Self::F64,
            12 => Self::Unsigned(4),
            13 => Self::Unsigned(8),
            16 => Self::Bf16,
            _ => return None,
        })
    }

    const fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F64 => 8,
            Self::F16 | Self::Bf16 => 2,
            Self::Unsigned(bytes) | Self::Signed(bytes) => bytes,
            Self::Bool => 1,
        }
    }

    const fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64 | Self::F16 | Self::Bf16)
    }
}

/// The file name, offset and length of a tensor's data in another file.
pub(super) fn external(tensor: &TensorPart) -> Option<Result<(&str, u64, Option<u64>), OnnxError>> {
    let pairs = tensor.external.as_ref()?;
    let text = |key: &str| {
        let mut pairs = pairs.iter();
        pairs.find_map(|(name, value)| (name == key).then_some(value.as_str()))
    };
    let number = |key: &str| text(key).map(str::parse::<u64>).transpose();
    let bad = || {
        OnnxError::damaged(format!(
            "the place of the tensor {} is not readable",
            tensor.name
        ))
    };
    Some(
        match (text("location"), number("offset"), number("length")) {
            (Some(location), Ok(offset), Ok(length)) => Ok((location, offset.unwrap_or(0), length)),
            _ => Err(bad()),
        },
    )
}

/// Opens a file beside the model. Only a plain name is accepted, and no link, so that a model can't
/// make camlens read other files.
///
/// # Errors
/// If it is missing or its name leads elsewhere.
pub(super) fn open_beside(model: &Path, location: &str) -> Result<Source, OnnxError> {
    let name = location.strip_prefix("./").unwrap_or(location);
    let plain =
        !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\', ':', '\0']);
    if !plain {
        return Err(OnnxError::Refused(format!(
            "Its weights are in {location:?}, which is not a plain file name: export it again with the weights beside the model."
        )));
    }
    let path = model.with_file_name(name);
    let missing = |_: io::Error| {
        OnnxError::Refused(format!(
            "Its weights are in {name}, which is not beside it: put both files into one folder."
        ))
    };
    let metadata = path.symlink_metadata().map_err(missing)?;
    if !metadata.is_file() {
        return Err(OnnxError::Refused(format!(
            "Its weights are in {name}, which is a link and not a file: put the file itself beside the model."
        )));
    }
    let io = |cause| OnnxError::Io {
        path: path.clone(),
        cause,
    };
    Source::open(File::open(&path).map_err(io)?).map_err(io)
}

/// The dimensions of a tensor.
///
/// # Errors
/// If they are impossible.
pub(super) fn dims(tensor: &TensorPart) -> Result<Vec<usize>, OnnxError> {
    let shape: Option<Vec<usize>> = tensor
        .dims
        .iter()
        .map(|side| usize::try_from(*side).ok())
        .collect();
    shape
        .filter(|shape| shape.len() <= MOST_DIMENSIONS && count(shape, MOST_NUMBERS).is_some())
        .ok_or_else(|| {
            OnnxError::damaged(format!(
                "the tensor {} has impossible dimensions",
                tensor.name
            ))
        })
}

/// Reads the values of a tensor.
///
/// # Errors
/// If they are missing, too many, or of a type that is not for numbers.
pub(super) fn read(files: &Files, tensor: &TensorPart) -> Result<Array, OnnxError> {
    let shape = dims(tensor)?;
    let what = |text: &str| OnnxError::damaged(format!("the tensor {} {text}", tensor.name));
    let element = Element::of(tensor.element).ok_or_else(|| {
        OnnxError::Refused(format!(
            "Its constant {} has a type that camlens does not read (number {}).",
            tensor.name, tensor.element
        ))
    })?;
    let most = if element.is_float() {
        MOST_NUMBERS
    } else {
        MOST_INTEGERS
    };
    let values = count(&shape, most).ok_or_else(|| what("is too large"))?;
    let length = (values * element.bytes()) as u64;
    let data = if let Some(place) = external(tensor) {
        let (location, offset, stated) = place?;
        let mut beside = files.beside.iter();
        let source = beside
            .find_map(|(name, source)| (name == location).then_some(source))
            .ok_or_else(|| what("has no data"))?;
        if stated.is_some_and(|stated| stated != length) {
            return Err(what("has a wrong length"));
        }
        let end = offset
            .checked_add(length)
            .filter(|end| *end <= source.len())
            .ok_or_else(|| what("ends beyond its file"))?;
        let span = Span { start: offset, end };
        raw(source, span, element)?
    } else if let Some(span) = tensor.raw {
        if span.len() != length {
            return Err(what("has a wrong length"));
        }
        raw(&files.model, span, element)?
    } else {
        typed(&files.model, tensor, element, values)?
    };
    if data.len() != values {
        return Err(what("has a wrong number of values"));
    }
    Ok(Array {
        name: tensor.name.as_str().into(),
        shape,
        data,
        sized: false,
    })
}

fn raw(source: &Source, span: Span, element: Element) -> Result<Data, OnnxError> {
    let bytes = source
        .bytes(span)
        .map_err(|cause| OnnxError::damaged(cause.to_string()))?;
    Ok(match element {
        Element::F32 => Data::F32(Arc::new(numbers(&bytes, f32::from_le_bytes))),
        Element::F64 => Data::F64(Arc::new(numbers(&bytes, f64::from_le_bytes))),
        Element::F16 => Data::F32(Arc::new(numbers(&bytes, |two| {
            f16::from_le_bytes(two).to_f32()
        }))),
        Element::Bf16 => Data::F32(Arc::new(numbers(&bytes, |two| {
            bf16::from_le_bytes(two).to_f32()
        }))),
        Element::Bool => Data::Bool(Arc::new(bytes.iter().map(|byte| *byte != 0).collect())),
        Element::Unsigned(1) => integers(numbers(&bytes, |[byte]| i64::from(byte))),
        Element::Unsigned(2) => integers(numbers(&bytes, |two| i64::from(u16::from_le_bytes(two)))),
        Element::Unsigned(4) => {
            integers(numbers(&bytes, |four| i64::from(u32::from_le_bytes(four))))
        }
        Element::Signed(1) => integers(numbers(&bytes, |one: [u8; 1]| {
            i64::from(i8::from_le_bytes(one))
        })),
        Element::Signed(2) => integers(numbers(&bytes, |two| i64::from(i16::from_le_bytes(two)))),
        Element::Signed(4) => integers(numbers(&bytes, |four| i64::from(i32::from_le_bytes(four)))),
        Element::Unsigned(_) | Element::Signed(_) => integers(numbers(&bytes, i64::from_le_bytes)),
    })
}

fn numbers<const N: usize, T>(bytes: &[u8], convert: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|chunk| convert(*chunk)).collect()
}

fn integers(values: Vec<i64>) -> Data {
    Data::I64(Arc::new(values))
}

/// Values in the fields `float_data`, `int32_data`, `int64_data`, `double_data`, `uint64_data`.
fn typed(
    source: &Source,
    tensor: &TensorPart,
    element: Element,
    values: usize,
) -> Result<Data, OnnxError> {
    let mut reader = Reader::new(source);
    let (mut floats, mut doubles, mut ints) = (Vec::new(), Vec::new(), Vec::new());
    let mut rest = tensor.span;
    while let Some((number, value)) = reader.field(&mut rest)? {
        let held = floats.len() + doubles.len() + ints.len();
        // Each packed value has at least one byte.
        if held > values && matches!(number, 4 | 5 | 7 | 10 | 11) {
            break;
        }
        match (number, element) {
            (4, Element::F32) => reader.floats(value, &mut floats)?,
            (10, Element::F64) => reader.doubles(value, &mut doubles)?,
            (7, Element::Signed(8)) | (11, Element::Unsigned(4 | 8)) => {
                reader.integers(value, &mut ints)?;
            }
            (
                5,
                Element::Signed(_)
                | Element::Unsigned(1 | 2)
                | Element::Bool
                | Element::F16
                | Element::Bf16,
            ) => reader.integers(value, &mut ints)?,
            (4 | 5 | 7 | 10 | 11, _) if !matches!(value, Wire::Bytes(span) if span.len() == 0) => {
                return Err(OnnxError::damaged(format!(
                    "the tensor {} has values of another type",
                    tensor.name
                )));
            }
            _ => {}
        }
    }
    Ok(match element {
        Element::F32 => Data::F32(Arc::new(floats)),
        Element::F64 => Data::F64(Arc::new(doubles)),
        Element::F16 => Data::F32(Arc::new(halves(&ints, |bits| {
            f16::from_bits(bits).to_f32()
        }))),
        Element::Bf16 => Data::F32(Arc::new(halves(&ints, |bits| {
            bf16::from_bits(bits).to_f32()
        }))),
        Element::Bool => Data::Bool(Arc::new(ints.iter().map(|value| *value != 0).collect())),
        _ => integers(ints),
    })
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // the lower 16 bits are meant
fn halves(ints: &[i64], convert: impl Fn(u16) -> f32) -> Vec<f32> {
    ints.iter().map(|bits| convert(*bits as u16)).collect()
}
