//! Makes a graph smaller without changing what it computes: operators that change nothing, pairs
//! that cancel, activations written as several operators, biases added afterwards, and values that
//! nobody reads.

mod gates;
mod layer_norm;

use crate::model::graph::{
    Binary, Conv, Graph, Node, Op, PadMode, ReduceKind, Unary, ValueId, ValueInfo,
};

/// How often the graph is gone through; each time may make room for the next.
const PASSES: usize = 8;

/// The smaller graph. Outputs keep their order; an output that only renamed another value becomes
/// that value.
#[must_use]
pub fn simplify(mut graph: Graph) -> Graph {
    for _ in 0..PASSES {
        let mut pass = Pass::new(&graph);
        let nodes = std::mem::take(&mut graph.nodes);
        for node in nodes {
            pass.add(node);
        }
        let changed = pass.changed;
        graph = pass.finish(&graph);
        if !changed {
            break;
        }
    }
    graph
}

/// One pass over the nodes.
struct Pass {
    values: Vec<ValueInfo>,
    /// The nodes so far.
    nodes: Vec<Node>,
    /// The node that computes each value.
    producers: Vec<Option<usize>>,
    /// What each value is replaced by.
    aliases: Vec<ValueId>,
    /// How often each value was read before this pass, outputs included.
    uses: Vec<usize>,
    changed: bool,
}

impl Pass {
    fn new(graph: &Graph) -> Self {
        let mut uses = vec![0; graph.values.len()];
        let read = graph.nodes.iter().flat_map(|node| &node.inputs);
        for id in read.chain(&graph.outputs) {
            uses[id.index()] += 1;
        }
        Self {
            values: graph.values.clone(),
            nodes: Vec::with_capacity(graph.nodes.len()),
            producers: vec![None; graph.values.len()],
            aliases: (0..graph.values.len()).map(ValueId::new).collect(),
            uses,
            changed: false,
        }
    }

    fn add(&mut self, mut node: Node) {
        for input in &mut node.inputs {
            *input = self.aliases[input.index()];
        }
        if let Some(same) = self.unchanged(&node) {
            self.aliases[node.output.index()] = same;
            self.changed = true;
            return;
        }
        if let Some((op, inputs)) = self.rewritten(&node) {
            node = Node { op, inputs, ..node };
            self.changed = true;
        }
        self.producers[node.output.index()] = Some(self.nodes.len());
        self.nodes.push(node);
    }

    /// The node that computes a value.
    fn producer(&self, id: ValueId) -> Option<&Node> {
        self.producers[id.index()].map(|index| &self.nodes[index])
    }

    fn shape(&self, id: ValueId) -> &[usize] {
        &self.values[id.index()].shape
    }

    /// The value that a node only repeats.
    fn unchanged(&self, node: &Node) -> Option<ValueId> {
        let x = *node.inputs.first()?;
        let shape = self.shape(x);
        let same = match &node.op {
            Op::Reshape { shape: new } | Op::Expand { shape: new } => new == shape,
            Op::Transpose { perm } => perm.iter().copied().eq(0..perm.len()),
            Op::Slice {
                axis,
                start: 0,
                step: 1,
                length,
            } => *length == shape[*axis],
            Op::Pad { before, after, .. } => before.iter().chain(after).all(|pad| *pad == 0),
            Op::Concat { .. } => node.inputs.len() == 1,
            Op::Reduce { kind, axes, .. } => axes.is_empty() && *kind != ReduceKind::L2,
            Op::Gather {
                axis,
                indices,
                shape: new,
            } => new.len() == 1 && indices.iter().copied().eq(0..shape[*axis]),
            Op::Unary(Unary::Relu) => {
                let before = self.producer(x).map(|node| &node.op);
                matches!(before, Some(Op::Unary(Unary::Relu | Unary::Sigmoid)))
            }
            Op::Unary(Unary::Clip(low, high)) => {
                *low == f32::NEG_INFINITY && *high == f32::INFINITY
            }
            Op::MaxPool(pool) | Op::AveragePool { pool, .. } => {
                pool.kernel == [1, 1] && pool.strides == [1, 1] && pool.pads == [0; 4]
            }
            _ => false,
        };
        if same {
            return Some(x);
        }
        // Two transpositions that cancel.
        if let Op::Transpose { perm } = &node.op
            && let Some(before) = self.producer(x)
            && let Op::Transpose { perm: first } = &before.op
            && perm.iter().map(|axis| first[*axis]).eq(0..perm.len())
        {
            return Some(before.inputs[0]);
        }
        // A reshape that restores the shape.
        if let Op::Reshape { shape } = &node.op
            && let Some(before) = self.producer(x)
            && let Op::Reshape { .. } = before.op
            && self.shape(before.inputs[0]) == shape
        {
            return Some(before.inputs[0]);
        }
        None
    }

    /// A simpler operator for the same output, and its inputs.
    fn rewritten(&mut self, node: &Node) -> Option<(Op, Vec<ValueId>)> {
        let x = *node.inputs.first()?;
        match &node.op {
            Op::Reshape { .. } => {
                let before = self.producer(x)?;
                let Op::Reshape { .. } = before.op else {
                    return None;
                };
                Some((node.op.clone(), before.inputs.clone()))
            }
            Op::Transpose { perm } => {
                let before = self.producer(x)?;
                let Op::Transpose { perm: first } = &before.op else {
                    return None;
                };
                let perm = perm.iter().map(|axis| first[*axis]).collect();
                Some((Op::Transpose { perm }, before.inputs.clone()))
            }
            Op::Unary(Unary::Clip(low, high)) if *low == 0.0 && *high == f32::INFINITY => {
                Some((Op::Unary(Unary::Relu), vec![x]))
            }
            Op::Conv(conv) => self.with_padding(conv, node),
            Op::Binary(Binary::Add) => self.with_bias(node).or_else(|| self.affine(node)),
            Op::Binary(Binary::Mul) => self.gate(node).or_else(|| self.affine(node)),
            Op::Binary(Binary::Div) => self.gate(node).or_else(|| self.normalization(node)),
            _ => None,
        }
    }

    /// Zeros around an image that only a convolution reads become its padding.
    fn with_padding(&self, conv: &Conv, node: &Node) -> Option<(Op, Vec<ValueId>)> {
        let before = self.producer(node.inputs[0])?;
        let Op::Pad {
            before: first,
            after: last,
            mode: PadMode::Constant(value),
        } = &before.op
        else {
            return None;
        };
        if value.to_bits() != 0 || first[..2] != [0, 0] || last[..2] != [0, 0] {
            return None;
        }
        let mut conv = *conv;
        for (pad, more) in conv
            .pads
            .iter_mut()
            .zip([first[2], first[3], last[2], last[3]])
        {
            *pad = pad.checked_add(more)?;
        }
        let mut inputs = node.inputs.clone();
        inputs[0] = before.inputs[0];
        Some((Op::Conv(conv), inputs))
    }

    /// A constant for each output, added to a convolution or linear layer without a bias that
    /// nobody else reads.
    fn with_bias(&mut self, node: &Node) -> Option<(Op, Vec<ValueId>)> {
        let &[a, b] = &node.inputs[..] else {
            return None;
        };
        let (x, bias) = if self.values[b.index()].constant.is_some() {
            (a, b)
        } else {
            (b, a)
        };
        let constant = self.values[bias.index()].constant.clone()?;
        let layer = self.producer(x)?;
        let outputs = match layer.op {
            Op::Conv(_) => self.shape(x)[1],
            Op::Linear => *self.shape(x).last()?,
            _ => return None,
        };
        let from_end = if layer.op == Op::Linear { 1 } else { 3 };
        let shape = self.shape(bias);
        let fits = layer.inputs.len() == 2
            && self.uses[x.index()] == 1
            && shape.len() <= self.shape(x).len()
            && constant.0.len() == outputs
            && shape.len().checked_sub(from_end).map(|at| shape[at]) == Some(outputs);
        if !fits {
            return None;
        }
        let (op, mut inputs) = (layer.op.clone(), layer.inputs.clone());
        let info = &self.values[bias.index()];
        let flat = ValueInfo {
            name: info.name.clone(),
            shape: vec![outputs],
            constant: Some(constant),
        };
        inputs.push(if shape.len() == 1 {
            bias
        } else {
            self.new_value(flat)
        });
        Some((op, inputs))
    }

    fn new_value(&mut self, info: ValueInfo) -> ValueId {
        let id = ValueId::new(self.values.len());
        self.values.push(info);
        self.producers.push(None);
        self.aliases.push(id);
        self.uses.push(1);
        id
    }

    /// The graph without what nobody reads.
    fn finish(self, old: &Graph) -> Graph {
        let resolve = |id: ValueId| self.aliases[id.index()];
        let outputs: Vec<ValueId> = old.outputs.iter().map(|id| resolve(*id)).collect();
        let mut read = vec![false; self.values.len()];
        read[old.input.index()] = true;
        for id in &outputs {
            read[id.index()] = true;
        }
        for node in self.nodes.iter().rev() {
            if read[node.output.index()] {
                for input in &node.inputs {
                    read[input.index()] = true;
                }
            }
        }
        let mut moved = vec![ValueId::new(0); self.values.len()];
        let mut values = Vec::new();
        for (index, info) in self.values.into_iter().enumerate() {
            if read[index] {
                moved[index] = ValueId::new(values.len());
                values.push(info);
            }
        }
        let nodes = self.nodes.into_iter();
        let nodes = nodes.filter(|node| read[node.output.index()]);
        let nodes = nodes.map(|node| Node {
            inputs: node.inputs.iter().map(|id| moved[id.index()]).collect(),
            output: moved[node.output.index()],
            op: node.op,
        });
        Graph {
            nodes: nodes.collect(),
            input: moved[old.input.index()],
            outputs: outputs.iter().map(|id| moved[id.index()]).collect(),
            values,
        }
    }
}
