//! Layer normalization written as several operators, as exporters did before operator set 17.

use crate::model::graph::simplify::Pass;
use crate::model::graph::{Binary, Node, Op, ReduceKind, Unary, ValueId};

impl Pass {
    /// `(x − mean) / √(mean((x − mean)²) + eps)` over the last axes, for a division.
    pub(super) fn normalization(&self, node: &Node) -> Option<(Op, Vec<ValueId>)> {
        let &[centered, deviation] = &node.inputs[..] else {
            return None;
        };
        let (x, axis) = self.centered(centered)?;
        let root = self.producer(deviation)?;
        let (Op::Unary(Unary::Sqrt), &[sum]) = (&root.op, &root.inputs[..]) else {
            return None;
        };
        let (variance, eps) = self.plus(sum)?;
        let mean = self.producer(variance)?;
        if self.mean_from(mean, variance)? != axis {
            return None;
        }
        let square = self.producer(mean.inputs[0])?;
        let is_square = match (&square.op, &square.inputs[..]) {
            (Op::Binary(Binary::Mul), [a, b]) => *a == centered && *b == centered,
            (Op::Binary(Binary::Pow), [a, b]) => {
                *a == centered
                    && self
                        .number(*b)
                        .is_some_and(|power| power.to_bits() == 2f32.to_bits())
            }
            _ => false,
        };
        is_square.then(|| (Op::LayerNorm { axis, eps }, vec![x]))
    }

    /// A weight or a bias after a normalization that nobody else reads.
    pub(super) fn affine(&self, node: &Node) -> Option<(Op, Vec<ValueId>)> {
        let &[a, b] = &node.inputs[..] else {
            return None;
        };
        let is_constant = |id: ValueId| self.values[id.index()].constant.is_some();
        let (x, constant) = if is_constant(b) { (a, b) } else { (b, a) };
        let norm = self.producer(x)?;
        let Op::LayerNorm { axis, .. } = norm.op else {
            return None;
        };
        // First the weight, then the bias.
        let wanted = match node.op {
            Op::Binary(Binary::Mul) => 1,
            Op::Binary(Binary::Add) => 2,
            _ => return None,
        };
        let fits = is_constant(constant)
            && norm.inputs.len() == wanted
            && self.uses[x.index()] == 1
            && self.shape(constant) == &self.shape(x)[axis..];
        if !fits {
            return None;
        }
        let mut inputs = norm.inputs.clone();
        inputs.push(constant);
        Some((norm.op.clone(), inputs))
    }

    /// The value from which its mean over the last axes is subtracted, and the first of these axes.
    fn centered(&self, id: ValueId) -> Option<(ValueId, usize)> {
        let node = self.producer(id)?;
        let (Op::Binary(Binary::Sub), &[x, mean]) = (&node.op, &node.inputs[..]) else {
            return None;
        };
        let reduce = self.producer(mean)?;
        let axis = self.mean_from(reduce, mean)?;
        (reduce.inputs[0] == x).then_some((x, axis))
    }

    /// The first axis of a mean over all the last axes that keeps them with length 1.
    fn mean_from(&self, node: &Node, output: ValueId) -> Option<usize> {
        let Op::Reduce {
            kind: ReduceKind::Mean,
            axes,
            keep_dims: true,
        } = &node.op
        else {
            return None;
        };
        let first = *axes.first()?;
        axes.iter()
            .copied()
            .eq(first..self.shape(output).len())
            .then_some(first)
    }
}
