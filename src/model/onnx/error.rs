//! Why an ONNX file can't be used.

use std::io;
use std::path::PathBuf;

use crate::model::graph::GraphError;

/// Why an ONNX file can't be used. Each message is one sentence that says what is wrong and what
/// to do.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// The file could not be read.
    #[error("Can't read {}: {cause}. Check that the file exists and that you may read it.", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        cause: io::Error,
    },
    /// Not an ONNX file, or a damaged one.
    #[error("It is not an ONNX file that can be read ({0}). Export or copy it again.")]
    Damaged(String),
    /// An ONNX file of something that camlens can't explain.
    #[error("{0}")]
    Refused(String),
}

impl OnnxError {
    /// A file that breaks the rules of its format.
    pub(super) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }

    /// The same message for those who only build graphs.
    #[must_use]
    pub fn into_graph_error(self) -> GraphError {
        GraphError::new(self.to_string())
    }
}
