//! Weight files: safetensors and PyTorch's zip format, checked before use.
//!
//! A pickle is read as data by candle's reader; nothing in it is executed.
//! Problems are collected while a network asks for its tensors, so that one
//! message can name the first few and say how many there are.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::DType;
use candle_core::pickle::PthTensors;
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use safetensors::tensor::Metadata;
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

/// How many problems a message names.
const NAMED_PROBLEMS: usize = 3;

/// Why a weight file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file could not be read at all.
    #[error(
        "Can't read the weights {path}: {cause}. Check that the file is there and may be read."
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        cause: std::io::Error,
    },
    /// Not a weight file, or a damaged one.
    #[error(
        "{name} is not a weight file that can be read ({cause}). Give a .safetensors file, or a .pth file saved by PyTorch 1.6 or later."
    )]
    Format {
        /// The file's name.
        name: String,
        /// The reader's reason.
        cause: String,
    },
    /// A weight file of some other network.
    #[error(
        "{name} holds {what}, which is not supported. Give weights of ResNet-18 (torchvision's names) or EfficientNet-Lite0."
    )]
    Architecture {
        /// The file's name.
        name: String,
        /// What it seems to hold.
        what: String,
    },
    /// Tensors are missing, of the wrong shape, or not finite.
    #[error("The weights {name} can't be used: {}. Give a complete file for {architecture}.", list(.problems))]
    Tensors {
        /// The file's name.
        name: String,
        /// The network they were to fill.
        architecture: &'static str,
        /// Every problem found.
        problems: Vec<String>,
    },
}

fn list(problems: &[String]) -> String {
    let mut text = problems[..problems.len().min(NAMED_PROBLEMS)].join("; ");
    if problems.len() > NAMED_PROBLEMS {
        let more = problems.len() - NAMED_PROBLEMS;
        let _ = write!(text, "; and {more} more problems");
    }
    text
}

/// An open weight file. Tensors are converted to `f32` as they are asked for, so
/// that no second copy of the file is held.
pub struct Checkpoint {
    name: String,
    sha256: String,
    tensors: Tensors,
    problems: Vec<String>,
}

enum Tensors {
    Safetensors {
        metadata: Metadata,
        /// Where the tensors' bytes start in the file.
        start: usize,
        bytes: Cow<'static, [u8]>,
    },
    Pth(PthTensors),
}

impl Checkpoint {
    /// Opens a `.safetensors`, `.pth` or `.pt` file.
    ///
    /// # Errors
    /// [`WeightsError::Io`] and [`WeightsError::Format`].
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let name = crate::photo::display_name(path);
        let bytes = fs::read(path).map_err(|cause| WeightsError::Io {
            path: path.to_owned(),
            cause,
        })?;
        if bytes.starts_with(b"PK") {
            let sha256 = hex_sha256(&bytes);
            drop(bytes); // candle reads tensor by tensor from the file
            let tensors = PthTensors::new(path, None).map_err(|error| WeightsError::Format {
                name: name.clone(),
                cause: error.to_string(),
            })?;
            return Ok(Self {
                name,
                sha256,
                tensors: Tensors::Pth(tensors),
                problems: Vec::new(),
            });
        }
        Self::from_bytes(&name, Cow::Owned(bytes))
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
        // A pickle without a zip around it: PyTorch before 1.6.
        if bytes.starts_with(b"\x80\x02") {
            return Err(format("it is in PyTorch's format from before 1.6".into()));
        }
        let (header, metadata) =
            SafeTensors::read_metadata(&bytes).map_err(|e| format(e.to_string()))?;
        let start = header + 8; // the header's length comes first, as a u64
        if bytes.len() != start + metadata.data_len() {
            return Err(format("it is cut short".into()));
        }
        Ok(Self {
            name: name.to_owned(),
            sha256: hex_sha256(&bytes),
            tensors: Tensors::Safetensors {
                metadata,
                start,
                bytes,
            },
            problems: Vec::new(),
        })
    }

    /// The file's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of the whole file, in hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The shape of a tensor, if it is there.
    #[must_use]
    pub fn shape(&self, tensor: &str) -> Option<Vec<usize>> {
        match &self.tensors {
            Tensors::Safetensors { metadata, .. } => Some(metadata.info(tensor)?.shape.clone()),
            Tensors::Pth(pth) => Some(pth.tensor_infos().get(tensor)?.layout.dims().to_vec()),
        }
    }

    /// A tensor of a given shape as `f32`, row-major. If it can't be had, the
    /// problem is noted, zeros are returned, and [`Checkpoint::finish`] fails.
    pub fn tensor(&mut self, tensor: &str, shape: &[usize]) -> Vec<f32> {
        self.read(tensor, shape).unwrap_or_else(|problem| {
            self.problems.push(problem);
            vec![0.0; shape.iter().product()]
        })
    }

    fn read(&self, tensor: &str, shape: &[usize]) -> Result<Vec<f32>, String> {
        match self.shape(tensor) {
            None => return Err(format!("{tensor} is missing")),
            Some(found) if found != shape => {
                return Err(format!("{tensor} has shape {found:?} instead of {shape:?}"));
            }
            Some(_) => {}
        }
        let values = match &self.tensors {
            Tensors::Safetensors {
                metadata,
                start,
                bytes,
            } => {
                let info = metadata.info(tensor).ok_or("vanished")?;
                let (from, to) = info.data_offsets;
                to_f32(info.dtype, &bytes[start + from..start + to])
                    .ok_or_else(|| format!("{tensor} has the type {:?}", info.dtype))?
            }
            Tensors::Pth(pth) => pth
                .get(tensor)
                .and_then(|found| {
                    let found = found.ok_or_else(|| candle_core::Error::msg("vanished"))?;
                    found.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
                })
                .map_err(|error| format!("{tensor} can't be read ({error})"))?,
        };
        if values.iter().all(|value| value.is_finite()) {
            Ok(values)
        } else {
            Err(format!("{tensor} has values that are not finite"))
        }
    }

    /// Notes a problem that only the network can see.
    pub fn complain(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// Says whether everything asked for was there.
    ///
    /// # Errors
    /// [`WeightsError::Tensors`] with every problem.
    pub fn finish(self, architecture: &'static str) -> Result<(), WeightsError> {
        if self.problems.is_empty() {
            return Ok(());
        }
        Err(WeightsError::Tensors {
            name: self.name,
            architecture,
            problems: self.problems,
        })
    }
}

/// Little-endian floating-point bytes as `f32`; `None` for other types.
fn to_f32(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    let pairs = || bytes.as_chunks::<2>().0.iter();
    match dtype {
        Dtype::F32 => Some(
            bytes
                .as_chunks()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b))
                .collect(),
        ),
        Dtype::F16 => {
            let halves: Vec<f16> = pairs().map(|b| f16::from_le_bytes(*b)).collect();
            let mut values = vec![0.0; halves.len()];
            halves.convert_to_f32_slice(&mut values);
            Some(values)
        }
        Dtype::BF16 => Some(pairs().map(|b| bf16::from_le_bytes(*b).to_f32()).collect()),
        _ => None,
    }
}

/// SHA-256 in hexadecimal.
pub(crate) fn hex_sha256(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(bytes) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::tensor::TensorView;

    fn file(tensors: &[(&str, Dtype, &[usize], &[u8])]) -> Vec<u8> {
        let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
            (
                *name,
                TensorView::new(*dtype, shape.to_vec(), bytes).unwrap(),
            )
        });
        safetensors::serialize(views, None).unwrap()
    }

    #[test]
    fn half_precision_becomes_single() {
        let f16s = [0x00, 0x3c, 0x00, 0xc0]; // 1, −2
        let bf16s = [0x80, 0x3f, 0x00, 0xc0]; // 1, −2
        let bytes = file(&[
            ("a", Dtype::F16, &[2], &f16s),
            ("b", Dtype::BF16, &[2], &bf16s),
        ]);
        let mut checkpoint = Checkpoint::from_bytes("x", bytes.into()).unwrap();
        assert_eq!(checkpoint.tensor("a", &[2]), [1.0, -2.0]);
        assert_eq!(checkpoint.tensor("b", &[2]), [1.0, -2.0]);
        checkpoint.finish("a test").unwrap();
    }

    #[test]
    fn every_problem_is_counted_and_the_first_are_named() {
        let nan = f32::NAN.to_le_bytes();
        let bytes = file(&[
            ("nan", Dtype::F32, &[1], &nan),
            ("int", Dtype::I32, &[1], &[0; 4]),
        ]);
        let mut checkpoint = Checkpoint::from_bytes("w.safetensors", bytes.into()).unwrap();
        checkpoint.tensor("gone", &[1]);
        checkpoint.tensor("nan", &[2]);
        checkpoint.tensor("nan", &[1]);
        checkpoint.tensor("int", &[1]);
        let message = checkpoint.finish("ResNet-18").unwrap_err().to_string();
        for words in [
            "gone is missing",
            "[1] instead of [2]",
            "not finite",
            "1 more",
            "ResNet-18",
        ] {
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn files_that_are_no_weights_are_refused() {
        let whole = file(&[("a", Dtype::F32, &[2], &[0; 8])]);
        for bytes in [
            &b"hello"[..],
            b"",
            &whole[..whole.len() - 1],
            b"\x80\x02old pickle",
        ] {
            let result = Checkpoint::from_bytes("x.pth", bytes.to_vec().into());
            assert!(matches!(result, Err(WeightsError::Format { .. })));
        }
    }
}
