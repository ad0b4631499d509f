//! A network as a graph of operators with static shapes: what both front ends (ONNX files, state
//! dicts) build, and what the executors run.
//!
//! Shapes are those of PyTorch and ONNX (`[N, C, H, W]`, row-major); how an executor keeps a value
//! in memory is its own business. Every node has one output. Activations are floating point;
//! integers exist only while a graph is built, and end up in the attributes of operators.

pub mod analysis;
mod builder;
mod check;
pub mod fast;
pub mod network;
mod op;
pub mod reference;
mod shape;
mod simplify;

use std::fmt;
use std::sync::Arc;

pub use crate::model::graph::builder::GraphBuilder;
pub use crate::model::graph::op::{Binary, Conv, Op, PadMode, Pool, ReduceKind, Tap, Taps, Unary};
pub use crate::model::graph::shape::{MOST_VALUES, broadcast};
pub use crate::model::graph::simplify::simplify;

/// A value of a graph: an index into [`Graph::values`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(u32);

impl ValueId {
    /// The value at an index.
    ///
    /// # Panics
    /// If a graph has more than 2³² values.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // just checked
    pub const fn new(index: usize) -> Self {
        assert!(index <= u32::MAX as usize, "too many values");
        Self(index as u32)
    }

    /// The index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A constant: weights. Clones share the values.
#[derive(Clone, PartialEq)]
pub struct Constant(pub Arc<Vec<f32>>);

impl fmt::Debug for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values", self.0.len())
    }
}

/// What is known about a value before the graph runs.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueInfo {
    /// Its name in the file it comes from, or one like it.
    pub name: String,
    /// Its dimensions. A scalar has none.
    pub shape: Vec<usize>,
    /// Its values, row-major, if they do not depend on the input.
    pub constant: Option<Constant>,
}

impl ValueInfo {
    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An operator applied to some values.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The operator.
    pub op: Op,
    /// Its inputs; see [`Op`] for their meaning.
    pub inputs: Vec<ValueId>,
    /// Its output.
    pub output: ValueId,
}

/// A network for one size of its input.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    /// All values: the input, constants, outputs of nodes.
    pub values: Vec<ValueInfo>,
    /// The nodes in an order in which they can run: a node's inputs are the input, constants, or
    /// outputs of nodes before it.
    pub nodes: Vec<Node>,
    /// The image, `[1, channels, height, width]` or `[1, height, width, channels]`.
    pub input: ValueId,
    /// The outputs, at least one.
    pub outputs: Vec<ValueId>,
}

impl Graph {
    /// A value.
    #[must_use]
    pub fn value(&self, id: ValueId) -> &ValueInfo {
        &self.values[id.index()]
    }

    /// The shape of a value.
    #[must_use]
    pub fn shape(&self, id: ValueId) -> &[usize] {
        &self.value(id).shape
    }

    /// The values of a constant.
    #[must_use]
    pub fn constant(&self, id: ValueId) -> Option<&[f32]> {
        self.value(id)
            .constant
            .as_ref()
            .map(|constant| &constant.0[..])
    }

    /// The node that computes each value, by the value's index.
    #[must_use]
    pub fn producers(&self) -> Vec<Option<usize>> {
        let mut producers = vec![None; self.values.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            producers[node.output.index()] = Some(index);
        }
        producers
    }
}

/// Why a graph can't be built or run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct GraphError(pub String);

impl GraphError {
    /// From a message for the user.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// Where graphs of one network come from: a file that was read, or a description of a family.
pub trait GraphSource: Send + Sync {
    /// The graph for an input of this height and width in pixels. Constants are shared between
    /// graphs of one source.
    ///
    /// # Errors
    /// If the network can't have an input of this size.
    fn graph(&self, height: usize, width: usize) -> Result<Graph, GraphError>;

    /// The only input size (height, width) that the network can have, if there is only one.
    fn fixed_size(&self) -> Option<(usize, usize)> {
        None
    }
}
