//! Where a graph's logits are: before a final softmax or sigmoid.

use crate::model::graph::{Graph, GraphError, Op, Unary, ValueId};

/// What a file applies to its logits, which tells what they mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Nothing: the output is the logits.
    Unknown,
    /// Softmax or its logarithm: the classes exclude each other.
    Softmax,
    /// A sigmoid for each class.
    Sigmoid,
}

/// The logits of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logits {
    /// The value.
    pub id: ValueId,
    /// Number of logits, at least 1.
    pub classes: usize,
    /// What follows them in the file.
    pub scale: Scale,
}

/// Finds the logits of an output.
///
/// # Errors
/// If the output is not one score per class, or does not depend on the image.
pub fn logits(graph: &Graph, output: ValueId) -> Result<Logits, GraphError> {
    let shape = graph.shape(output);
    let classes: usize = shape.iter().product();
    if shape.iter().filter(|side| **side > 1).count() > 1 {
        let name = &graph.value(output).name;
        return Err(GraphError::new(format!(
            "its output {name} {shape:?} is not one score per class"
        )));
    }
    let producers = graph.producers();
    let mut found = Logits {
        id: output,
        classes,
        scale: Scale::Unknown,
    };
    while let Some(index) = producers[found.id.index()] {
        let node = &graph.nodes[index];
        let input = node.inputs[0];
        let whole = |axis: usize| graph.shape(input)[axis] == classes;
        let scale = match node.op {
            Op::Reshape { .. } | Op::Transpose { .. } => found.scale,
            Op::Softmax { axis } | Op::LogSoftmax { axis } if whole(axis) && classes > 1 => {
                Scale::Softmax
            }
            Op::Unary(Unary::Sigmoid) if found.scale == Scale::Unknown => Scale::Sigmoid,
            _ => break,
        };
        // A reshape that merges an image into a vector belongs to the network.
        let before = graph.shape(input);
        if before.iter().filter(|side| **side > 1).count() > 1 {
            break;
        }
        found.id = input;
        found.scale = scale;
    }
    Ok(found)
}
