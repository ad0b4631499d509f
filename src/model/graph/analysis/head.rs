//! What follows the target layer: if it is a mean over all cells and a linear map, maps are known in
//! closed form.

use crate::model::activations::Head;
use crate::model::graph::analysis::Relevant;
use crate::model::graph::analysis::roles::{Role, Roles, SpaceAxes};
use crate::model::graph::{Binary, Graph, Node, Op, ReduceKind, ValueId};

/// What follows a layer.
#[derive(Clone, Debug)]
pub enum HeadKind {
    /// The mean over the cells, then a linear map: what each cell adds to a logit is exact.
    Linear(Head),
    /// The mean over the cells, then other functions: gradients are the same at every cell, but
    /// cells do not add up to a logit.
    Pooled,
    /// Anything else.
    General,
}

/// What follows a layer, up to the logits.
#[must_use]
pub fn head(
    graph: &Graph,
    roles: &[Roles],
    relevant: &Relevant,
    layer: ValueId,
    logits: ValueId,
) -> HeadKind {
    let Some(space) = roles[layer.index()].space(graph.shape(layer)) else {
        return HeadKind::General;
    };
    if matches!(space.axes, SpaceAxes::Tokens { prefix, .. } if prefix > 0) {
        return HeadKind::General;
    }
    let mut at = layer;
    while let Some(index) = relevant.only_reader(at) {
        let node = &graph.nodes[index];
        match &node.op {
            Op::Transpose { .. } => {}
            // Rows and columns may be merged, but nothing may be mixed in.
            Op::Reshape { .. }
                if roles[node.output.index()]
                    .space(graph.shape(node.output))
                    .is_some() => {}
            _ if pools(graph, &roles[at.index()], node) => {
                let channels = graph.value(node.output).len();
                return match linear(graph, relevant, node.output, logits, channels) {
                    Some(head) => HeadKind::Linear(head),
                    None => HeadKind::Pooled,
                };
            }
            _ => return HeadKind::General,
        }
        at = node.output;
    }
    HeadKind::General
}

/// Whether a node is the mean over all cells and nothing else.
fn pools(graph: &Graph, roles: &Roles, node: &Node) -> bool {
    let shape = graph.shape(node.inputs[0]);
    match &node.op {
        Op::Reduce {
            kind: ReduceKind::Mean,
            axes,
            ..
        } => {
            let is_space = |axis: usize| roles.axes[axis] != Role::Plain && shape[axis] > 1;
            let others = axes.iter().filter(|axis| !is_space(**axis));
            let mut others = others.map(|axis| shape[*axis]);
            others.all(|side| side == 1)
                && (0..shape.len())
                    .filter(|axis| is_space(*axis))
                    .all(|axis| axes.contains(&axis))
        }
        Op::AveragePool { pool, .. } => {
            let is_image = roles.axes[2..] == [Role::Rows, Role::Columns];
            is_image && pool.kernel[..] == shape[2..] && pool.pads == [0; 4]
        }
        _ => false,
    }
}

/// The linear map from a pooled vector to the logits, if it is one.
fn linear(
    graph: &Graph,
    relevant: &Relevant,
    pooled: ValueId,
    logits: ValueId,
    channels: usize,
) -> Option<Head> {
    let mut map = Affine {
        matrix: None,
        scale: vec![1.0; channels],
        shift: vec![0.0; channels],
    };
    let mut at = pooled;
    while at != logits {
        let node = &graph.nodes[relevant.only_reader(at)?];
        map.then(graph, node, at)?;
        at = node.output;
    }
    map.head()
}

/// `scale ∘ (matrix · x) + shift`; without a matrix, `scale ∘ x + shift`.
struct Affine {
    /// `[rows, channels]`.
    matrix: Option<Vec<f64>>,
    scale: Vec<f64>,
    shift: Vec<f64>,
}

impl Affine {
    /// Composes it with a node.
    fn then(&mut self, graph: &Graph, node: &Node, at: ValueId) -> Option<()> {
        let constant = |index: usize| graph.constant(*node.inputs.get(index)?);
        let rows = self.shift.len();
        match &node.op {
            Op::Reshape { .. } | Op::Transpose { .. } | Op::Expand { .. } => {}
            Op::BatchNorm { eps } => {
                let [gamma, beta, mean, variance] =
                    [constant(1)?, constant(2)?, constant(3)?, constant(4)?];
                for row in 0..rows {
                    let deviation = (f64::from(variance[row]) + f64::from(*eps)).sqrt();
                    let scale = f64::from(gamma[row]) / deviation;
                    self.scale[row] *= scale;
                    self.shift[row] =
                        (self.shift[row] - f64::from(mean[row])) * scale + f64::from(beta[row]);
                }
            }
            Op::Binary(binary) => {
                let first = node.inputs[0] == at;
                let other = constant(usize::from(first))?;
                let shape = graph.shape(node.output);
                if shape.iter().product::<usize>() != rows
                    || !matches!(other.len(), 1) && other.len() != rows
                {
                    return None;
                }
                for row in 0..rows {
                    let value = f64::from(other[row % other.len()]);
                    let (scale, shift) = match (binary, first) {
                        (Binary::Add, _) => (1.0, value),
                        (Binary::Sub, true) => (1.0, -value),
                        (Binary::Sub, false) => (-1.0, value),
                        (Binary::Mul, _) => (value, 0.0),
                        (Binary::Div, true) => (1.0 / value, 0.0),
                        _ => return None,
                    };
                    self.scale[row] *= scale;
                    self.shift[row] = self.shift[row] * scale + shift;
                }
            }
            Op::Linear => {
                let bias = node.inputs.get(2).and_then(|id| graph.constant(*id));
                self.multiply(constant(1)?, bias)?;
            }
            Op::Conv(conv) if conv.groups == 1 => {
                // On one cell, a 1×1 kernel is a matrix.
                let weight = graph.shape(node.inputs[1]);
                let input = graph.shape(node.inputs[0]);
                if input[2..] != [1, 1] || weight[2..] != [1, 1] || conv.pads != [0; 4] {
                    return None;
                }
                let bias = node.inputs.get(2).and_then(|id| graph.constant(*id));
                self.multiply(constant(1)?, bias)?;
            }
            Op::MatMul => {
                let shape = graph.shape(node.inputs[1]);
                let (&[depth, columns], true) = (shape, node.inputs[0] == at) else {
                    return None;
                };
                let weight = constant(1)?;
                let turned = (0..columns)
                    .flat_map(|column| (0..depth).map(move |row| weight[row * columns + column]));
                let turned: Vec<f32> = turned.collect();
                self.multiply(&turned, None)?;
            }
            _ => return None,
        }
        Some(())
    }

    /// Composes it with `weight [m, rows]` and a bias.
    fn multiply(&mut self, weight: &[f32], bias: Option<&[f32]>) -> Option<()> {
        let rows = self.shift.len();
        if !weight.len().is_multiple_of(rows) {
            return None;
        }
        let out = weight.len() / rows;
        let channels = self.matrix.as_ref().map_or(rows, |m| m.len() / rows);
        // A product of large matrices would take as long as the network.
        if self.matrix.is_some() && out * rows * channels > 1 << 30 {
            return None;
        }
        let mut matrix = vec![0.0; out * channels];
        let mut shift = vec![0.0; out];
        for row in 0..out {
            let weight = &weight[row * rows..][..rows];
            let to = &mut matrix[row * channels..][..channels];
            for (middle, weight) in weight.iter().enumerate() {
                let weight = f64::from(*weight);
                shift[row] += weight * self.shift[middle];
                let weight = weight * self.scale[middle];
                match &self.matrix {
                    None => to[middle] = weight,
                    Some(own) => {
                        let own = &own[middle * channels..][..channels];
                        for (to, own) in to.iter_mut().zip(own) {
                            *to += weight * own;
                        }
                    }
                }
            }
            shift[row] += bias.map_or(0.0, |bias| f64::from(bias[row]));
        }
        *self = Self {
            matrix: Some(matrix),
            scale: vec![1.0; out],
            shift,
        };
        Some(())
    }

    #[allow(clippy::cast_possible_truncation)] // rounded once, at the end
    fn head(self) -> Option<Head> {
        let matrix = self.matrix?;
        let channels = matrix.len() / self.shift.len();
        let rows = matrix.chunks_exact(channels).zip(&self.scale);
        let weight = rows.flat_map(|(row, scale)| row.iter().map(move |v| (v * scale) as f32));
        Some(Head {
            weight: weight.collect(),
            bias: self.shift.iter().map(|v| *v as f32).collect(),
        })
    }
}
