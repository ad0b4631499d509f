//! Rewriting: functions that exporters write as several operators become one.

use crate::model::graph::{Binary, Graph, Node, Op, Unary, ValueId};

/// The same graph with known groups of operators joined. Values in `keep` stay.
pub fn rewrite(graph: &Graph, keep: &[ValueId]) -> Graph {
    let mut rewriter = Rewriter {
        graph: graph.clone(),
        producers: graph.producers(),
        readers: vec![0; graph.values.len()],
    };
    for node in &graph.nodes {
        for id in &node.inputs {
            rewriter.readers[id.index()] += 1;
        }
    }
    for id in keep.iter().chain(&graph.outputs) {
        rewriter.readers[id.index()] += 2; // never joined
    }
    for index in 0..rewriter.graph.nodes.len() {
        if let Some(node) = rewriter.joined(index) {
            rewriter.replace(index, node);
        }
    }
    rewriter.graph
}

struct Rewriter {
    graph: Graph,
    producers: Vec<Option<usize>>,
    readers: Vec<usize>,
}

impl Rewriter {
    fn replace(&mut self, index: usize, node: Node) {
        for id in &self.graph.nodes[index].inputs {
            self.readers[id.index()] -= 1;
        }
        for id in &node.inputs {
            self.readers[id.index()] += 1;
        }
        self.graph.nodes[index] = node;
    }

    /// The node that makes a value, if only `count` inputs read it.
    fn inner(&self, id: ValueId, count: usize) -> Option<&Node> {
        let node = &self.graph.nodes[self.producers[id.index()]?];
        (self.readers[id.index()] == count).then_some(node)
    }

    /// The only value of a constant.
    fn scalar(&self, id: ValueId) -> Option<f32> {
        match self.graph.constant(id)? {
            [value] => Some(*value),
            _ => None,
        }
    }

    /// The other input of a node with two, if one is a constant with this value.
    fn with_scalar(&self, node: &Node, wanted: f32) -> Option<ValueId> {
        let &[a, b] = &node.inputs[..] else {
            return None;
        };
        let close = |id: ValueId| {
            self.scalar(id)
                .is_some_and(|value| (value - wanted).abs() <= 1e-5 * wanted.abs())
        };
        if close(b) {
            Some(a)
        } else {
            close(a).then_some(b)
        }
    }

    fn joined(&self, index: usize) -> Option<Node> {
        let node = &self.graph.nodes[index];
        let output = node.output;
        let unary = |unary: Unary, x: ValueId| Node {
            op: Op::Unary(unary),
            inputs: vec![x],
            output,
        };
        let same = |x: ValueId| self.graph.shape(x) == self.graph.shape(output);
        match node.op {
            Op::Binary(Binary::Mul) => {
                let &[a, b] = &node.inputs[..] else {
                    return None;
                };
                for (x, gate) in [(a, b), (b, a)] {
                    if let Some(function) = self.gate(gate, x) {
                        return Some(unary(function, x));
                    }
                }
                // x·0.5·(1 + erf(x/√2)), in any order of the factors.
                self.gelu(node)
                    .filter(|x| same(*x))
                    .map(|x| unary(Unary::Gelu, x))
            }
            Op::Binary(Binary::Div) => {
                // x·clip(x + 3, 0, 6) / 6
                let product = self.inner(node.inputs[0], 1)?;
                let by_six = self.with_scalar(node, 6.0) == Some(node.inputs[0]);
                if !by_six || product.op != Op::Binary(Binary::Mul) {
                    return None;
                }
                let &[a, b] = &product.inputs[..] else {
                    return None;
                };
                let gated = |x: ValueId, gate: ValueId| self.clipped(gate) == Some(x) && same(x);
                if gated(a, b) {
                    Some(unary(Unary::HardSwish, a))
                } else if gated(b, a) {
                    Some(unary(Unary::HardSwish, b))
                } else {
                    None
                }
            }
            _ => None,
        }
    }

    /// The function that `x·gate` is, if the gate depends on `x` and is read nowhere else.
    fn gate(&self, gate: ValueId, x: ValueId) -> Option<Unary> {
        let node = self.inner(gate, 1)?;
        let of_x = node.inputs[0] == x;
        match node.op {
            Op::Unary(Unary::Sigmoid) if of_x => Some(Unary::Silu),
            Op::Unary(Unary::HardSigmoid(alpha, beta))
                if of_x && (alpha - 1.0 / 6.0).abs() < 1e-6 && (beta - 0.5).abs() < 1e-6 =>
            {
                Some(Unary::HardSwish)
            }
            Op::Binary(Binary::Div) => {
                let clip = self
                    .with_scalar(node, 6.0)
                    .filter(|id| *id == node.inputs[0])?;
                (self.clipped(clip) == Some(x)).then_some(Unary::HardSwish)
            }
            Op::Binary(Binary::Mul) => {
                let clip = self.with_scalar(node, 1.0 / 6.0)?;
                (self.clipped(clip) == Some(x)).then_some(Unary::HardSwish)
            }
            Op::Unary(Unary::Tanh) if !of_x => {
                let plus = self.inner(node.inputs[0], 1)?;
                let softplus = plus.op == Op::Unary(Unary::Softplus) && plus.inputs[0] == x;
                softplus.then_some(Unary::Mish)
            }
            _ => None,
        }
    }

    /// `x` of `clip(x + 3, 0, 6)`, if it is read once.
    fn clipped(&self, id: ValueId) -> Option<ValueId> {
        let clip = self.inner(id, 1)?;
        let Op::Unary(Unary::Clip(low, high)) = clip.op else {
            return None;
        };
        let sum = self.inner(clip.inputs[0], 1)?;
        let fits = low.to_bits() == 0 && high.to_bits() == 6f32.to_bits();
        if !fits || sum.op != Op::Binary(Binary::Add) {
            return None;
        }
        self.with_scalar(sum, 3.0)
    }

    /// `x` of `x · (1 + erf(x/√2)) · 0.5`, in the three orders that exporters write.
    fn gelu(&self, node: &Node) -> Option<ValueId> {
        let half = self.with_scalar(node, 0.5);
        let pairs = match half {
            // (x·(1 + erf))·0.5
            Some(product) => {
                let product = self.inner(product, 1)?;
                (product.op == Op::Binary(Binary::Mul)).then_some(())?;
                vec![
                    (product.inputs[0], product.inputs[1]),
                    (product.inputs[1], product.inputs[0]),
                ]
            }
            // (x·0.5)·(1 + erf), x·((1 + erf)·0.5)
            None => {
                let (a, b) = (node.inputs[0], *node.inputs.get(1)?);
                let mut pairs = Vec::new();
                for (one, other) in [(a, b), (b, a)] {
                    let scaled = self.inner(one, 1);
                    let scaled = scaled.filter(|node| node.op == Op::Binary(Binary::Mul));
                    if let Some(inner) = scaled.and_then(|node| self.with_scalar(node, 0.5)) {
                        pairs.extend([(inner, other), (other, inner)]);
                    }
                }
                pairs
            }
        };
        let fits = |(x, sum): &(ValueId, ValueId)| self.one_plus_erf(*sum) == Some(*x);
        pairs.into_iter().find(fits).map(|(x, _)| x)
    }

    /// `x` of `1 + erf(x/√2)`, if it is read once.
    fn one_plus_erf(&self, id: ValueId) -> Option<ValueId> {
        let sum = self.inner(id, 1)?;
        if sum.op != Op::Binary(Binary::Add) {
            return None;
        }
        let erf = self.inner(self.with_scalar(sum, 1.0)?, 1)?;
        if erf.op != Op::Unary(Unary::Erf) {
            return None;
        }
        let scaled = self.inner(erf.inputs[0], 1)?;
        match scaled.op {
            Op::Binary(Binary::Mul) => self.with_scalar(scaled, std::f32::consts::FRAC_1_SQRT_2),
            Op::Binary(Binary::Div) => self
                .with_scalar(scaled, std::f32::consts::SQRT_2)
                .filter(|x| *x == scaled.inputs[0]),
            _ => None,
        }
    }
}
