//! Fusing: what follows a product and can be computed with it.

use crate::model::cpu::Activation;
use crate::model::graph::fast::layout;
use crate::model::graph::fast::planner::{Planner, function};
use crate::model::graph::{Binary, Node, Op, Unary, ValueId};

/// What is computed after the sums of a product, for each channel, and in this order: factor,
/// summand, residual, activation.
#[derive(Clone, Debug)]
pub struct After {
    /// Factors.
    pub scale: Vec<f32>,
    /// Summands.
    pub bias: Vec<f32>,
    /// Another value that is added: its buffer.
    pub residual: Option<usize>,
    /// The activation.
    pub activation: Activation,
    /// Whether factors and summands can be absorbed.
    pub takes_factors: bool,
    /// Whether another value can be added.
    pub takes_residual: bool,
}

impl After {
    /// Nothing but a bias; everything can follow.
    pub fn new(bias: Vec<f32>) -> Self {
        Self {
            scale: vec![1.0; bias.len()],
            bias,
            residual: None,
            activation: Activation::Linear,
            takes_factors: true,
            takes_residual: true,
        }
    }

    /// Only an activation can follow.
    pub fn activation() -> Self {
        Self {
            takes_factors: false,
            takes_residual: false,
            ..Self::new(Vec::new())
        }
    }

    /// Whether there are factors other than 1.
    #[allow(clippy::float_cmp)] // exactly 1: nothing to multiply by
    pub fn has_factors(&self) -> bool {
        self.scale.iter().any(|scale| *scale != 1.0)
    }

    /// Multiplies and adds for each channel.
    #[allow(clippy::cast_possible_truncation)] // rounded once
    pub fn multiply(&mut self, factors: &[(f64, f64)]) {
        let values = self.scale.iter_mut().zip(&mut self.bias).zip(factors);
        for ((scale, bias), (factor, summand)) in values {
            *scale = (f64::from(*scale) * factor) as f32;
            *bias = f64::from(*bias).mul_add(*factor, *summand) as f32;
        }
    }
}

/// The activation of an operator.
pub fn activation(unary: Unary) -> Option<Activation> {
    match unary {
        Unary::Relu => Some(Activation::Relu),
        Unary::Clip(low, high) if low.to_bits() == 0 && high.to_bits() == 6f32.to_bits() => {
            Some(Activation::Relu6)
        }
        other => function(other).map(Activation::Other),
    }
}

impl Planner<'_> {
    /// Follows a value that is made with its channels innermost as long as only one node reads it
    /// and that node can be part of the same step. Returns the last value and its order.
    pub fn absorb(
        &mut self,
        from: ValueId,
        order: Vec<usize>,
        after: &mut After,
    ) -> (ValueId, Vec<usize>) {
        let (mut id, mut order) = (from, order);
        let graph = self.graph;
        while let Some(reader) = self.only_reader(id) {
            let node = &graph.nodes[reader];
            let shape = graph.shape(id);
            let last = match &node.op {
                Op::Transpose { perm } => {
                    order = layout::transposed(&order, perm);
                    false
                }
                Op::Reshape { shape: to } => {
                    let Ok(new) = layout::reshaped(shape, to, &order) else {
                        break;
                    };
                    let side = |shape: &[usize], order: &[usize]| {
                        layout::inner_axis(shape, order).map(|axis| shape[axis])
                    };
                    if side(to, &new) != side(shape, &order) {
                        break;
                    }
                    order = new;
                    false
                }
                Op::Unary(unary) => {
                    let Some(activation) = activation(*unary) else {
                        break;
                    };
                    after.activation = activation;
                    true
                }
                Op::Binary(Binary::Add) if self.add_residual(node, id, &order, after) => false,
                Op::BatchNorm { .. } | Op::Binary(_) => {
                    let channels = after.bias.len();
                    let factors = self.factors(node, id, &order, channels);
                    let (Some(factors), true) = (factors, after.takes_factors) else {
                        break;
                    };
                    after.multiply(&factors);
                    false
                }
                _ => break,
            };
            self.finish(reader);
            id = node.output;
            if last {
                break;
            }
        }
        (id, order)
    }

    /// Whether a sum of `id` and another value of the same shape and order, which is there already,
    /// can be part of the step.
    fn add_residual(&self, node: &Node, id: ValueId, order: &[usize], after: &mut After) -> bool {
        let shape = self.graph.shape(id);
        let Some(other) = node.inputs.iter().find(|input| **input != id) else {
            return false;
        };
        let fits = after.takes_residual
            && after.residual.is_none()
            && self.graph.shape(*other) == shape
            && self.constant(*other).is_none();
        let Some(place) = self.planned(*other).filter(|_| fits) else {
            return false;
        };
        if !layout::same(shape, &place.order, order) {
            return false;
        }
        after.residual = Some(place.slot);
        after.takes_factors = false;
        true
    }

    /// What a node with constants multiplies `id` with and adds to it, for each position of its
    /// innermost axis, which are the channels.
    pub fn factors(
        &self,
        node: &Node,
        id: ValueId,
        order: &[usize],
        channels: usize,
    ) -> Option<Vec<(f64, f64)>> {
        let graph = self.graph;
        let shape = graph.shape(id);
        let axis = layout::inner_axis(shape, order);
        if axis.map_or(1, |axis| shape[axis]) != channels {
            return None;
        }
        if let Op::BatchNorm { eps } = node.op {
            // With one channel, every axis is innermost in memory.
            if shape.get(1) != Some(&channels) || (channels > 1 && axis != Some(1)) {
                return None;
            }
            return self.batch_norm_factors(node, eps);
        }
        let Op::Binary(binary) = node.op else {
            return None;
        };
        let (first, constant) = match node.inputs[..] {
            [a, b] if a == id => (true, b),
            [a, _] => (false, a),
            _ => return None,
        };
        let values = &self.constant(constant)?.0;
        let other = graph.shape(constant);
        if graph.shape(node.output) != shape || other.len() > shape.len() {
            return None;
        }
        let missing = shape.len() - other.len();
        let mut long = (0..other.len()).filter(|axis| other[*axis] > 1);
        let varies = match (long.next(), long.next()) {
            (None, _) => false,
            (Some(at), None) if Some(at + missing) == axis => true,
            _ => return None,
        };
        let at = |channel: usize| f64::from(values[if varies { channel } else { 0 }]);
        let of = |channel: usize| {
            let value = at(channel);
            Some(match (binary, first) {
                (Binary::Add, _) => (1.0, value),
                (Binary::Sub, true) => (1.0, -value),
                (Binary::Sub, false) => (-1.0, value),
                (Binary::Mul, _) => (value, 0.0),
                (Binary::Div, true) => (1.0 / value, 0.0),
                _ => return None,
            })
        };
        (0..channels).map(of).collect()
    }

    /// Factor and summand of each channel.
    pub fn batch_norm_factors(&self, node: &Node, eps: f32) -> Option<Vec<(f64, f64)>> {
        let vector = |index: usize| {
            let values = self.constant(node.inputs[index])?;
            Some(values.0.iter().copied().map(f64::from))
        };
        let weights = vector(1)?.zip(vector(2)?);
        let statistics = vector(3)?.zip(vector(4)?);
        let pairs = weights.zip(statistics);
        let factors = pairs.map(|((weight, bias), (mean, variance))| {
            let factor = weight / (variance + f64::from(eps)).sqrt();
            (factor, bias - mean * factor)
        });
        Some(factors.collect())
    }
}
