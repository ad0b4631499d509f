//! Normalization inside a graph: the constants that the input is scaled with tell the range of its
//! values.

use crate::model::graph::analysis::Relevant;
use crate::model::graph::{Binary, Graph, Op};

/// The range of values that a graph expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputRange {
    /// 0 to 255.
    Bytes,
    /// 0 to 1.
    Unit,
}

/// The range of the input, if the graph begins by scaling it.
#[must_use]
pub fn input_range(graph: &Graph, relevant: &Relevant) -> Option<InputRange> {
    let mut at = graph.input;
    let mut scale = 1.0;
    let mut scaled = false;
    while let Some(index) = relevant.only_reader(at) {
        let node = &graph.nodes[index];
        let first = node.inputs[0] == at;
        let other = |at: usize| graph.constant(*node.inputs.get(at)?);
        match &node.op {
            Op::Transpose { .. } | Op::Reshape { .. } => {}
            Op::BatchNorm { eps } => {
                let (gamma, variance) = (other(1)?, other(4)?);
                let scales = gamma.iter().zip(variance);
                scale *= mean(scales.map(|(g, v)| f64::from(*g) / f64::from(v + eps).sqrt()));
                scaled = true;
            }
            Op::Binary(binary) => {
                let Some(values) = other(usize::from(first)) else {
                    break;
                };
                if values.len() > 4 {
                    break;
                }
                let size = mean(values.iter().map(|v| f64::from(v.abs())));
                match binary {
                    Binary::Add | Binary::Sub => {}
                    Binary::Mul => scale *= size,
                    Binary::Div if first => scale /= size,
                    _ => break,
                }
                scaled = true;
            }
            _ => break,
        }
        at = node.output;
    }
    // After normalization, values have a range of about 1 to 6.
    let range = |whole: f64| (0.9..=8.0).contains(&(scale * whole));
    if !scaled {
        None
    } else if range(255.0) {
        Some(InputRange::Bytes)
    } else if range(1.0) {
        Some(InputRange::Unit)
    } else {
        None
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}
