//! Convolutions, linear layers, products of matrices.

use crate::model::cpu::{ConvGeometry, Matrices, Size};
use crate::model::graph::fast::absorb::After;
use crate::model::graph::fast::kernel::{Finish, Kernel};
use crate::model::graph::fast::layout::{self, CHANNELS_LAST};
use crate::model::graph::fast::planner::Planner;
use crate::model::graph::{Binary, Conv, GraphError, Node, Op, Pool, ValueId};

/// Linear layers with at most this many rows use the weights as they are.
const FEW_ROWS: usize = 4;
/// Pairs of matrices are listed row by row; beyond this number, the reference multiplies them.
const MOST_ROWS: usize = 1 << 20;
/// The pooling of ResNets is computed together with convolutions of at most this many channels.
const FEW_CHANNELS: usize = 8;

impl Planner<'_> {
    /// A convolution of one image.
    pub fn conv(&mut self, node: &Node, conv: &Conv) -> Result<bool, GraphError> {
        let graph = self.graph;
        let (id, pads) = match self.padded.get(&node.inputs[0]) {
            Some((source, pads)) => (*source, *pads),
            None => (node.inputs[0], [0; 4]),
        };
        let Some(weight) = self.constant(node.inputs[1]) else {
            return Ok(false);
        };
        let (shape, output) = (graph.shape(id), graph.shape(node.output));
        let kernel = &graph.shape(node.inputs[1])[2..];
        if shape[0] != 1 {
            return Ok(false);
        }
        let (cin, cout, groups) = (shape[1], output[1], conv.groups);
        let window = ConvGeometry {
            input: (shape[2], shape[3]),
            output: (output[2], output[3]),
            kernel: (kernel[0], kernel[1]),
            stride: (conv.strides[0], conv.strides[1]),
            dilation: (conv.dilations[0], conv.dilations[1]),
            before: (conv.pads[0] + pads[0], conv.pads[1] + pads[1]),
        };
        let Some(bias) = self.bias(node, cout) else {
            return Ok(false);
        };
        let mut after = After::new(bias);
        let depthwise = groups == cin && cout == cin && groups > 1;
        after.takes_residual = !depthwise;
        let gated = self.gated.get(&id).copied();
        let x = self.placed(gated.map_or(id, |(x, _)| x), &CHANNELS_LAST)?;
        let order = CHANNELS_LAST.to_vec();
        let (last, order) = self.absorb(node.output, order, &mut after);
        let mut inputs = vec![x.slot];
        if let Some((_, gate)) = gated {
            inputs.push(self.place(gate)?.slot);
            inputs.extend(after.residual);
            let weight = self.cache.panels(weight, &after.scale, cin);
            let kernel = Kernel::Gated(weight, window, finish(after));
            self.step(kernel, inputs, last, order);
            return Ok(true);
        }
        inputs.extend(after.residual);
        let scale = &after.scale;
        if depthwise {
            let weight = self.cache.depthwise(weight, scale);
            let kernel = Kernel::Depthwise(weight, window, finish(after));
            self.step(kernel, inputs, last, order);
            return Ok(true);
        }
        if groups > 1 {
            let weight = self.cache.grouped(weight, scale, (cin / groups, groups));
            let kernel = Kernel::Grouped(weight, window, finish(after));
            self.step(kernel, inputs, last, order);
            return Ok(true);
        }
        if window.is_pointwise() && window.pixels() <= FEW_ROWS {
            let factors = after.has_factors().then(|| after.scale.clone());
            let rows = window.pixels();
            let kernel = Kernel::FewRows(weight.clone(), factors, rows, finish(after));
            self.step(kernel, inputs, last, order);
            return Ok(true);
        }
        if cin <= FEW_CHANNELS
            && window.taps() > 1
            && window.dilation == (1, 1)
            && after.residual.is_none()
            && let Some(pooled) = self.pooling(last, window)
        {
            let weight = self.cache.panels(weight, scale, cin);
            let kernel = Kernel::DenseAndPool(weight, window, finish(after));
            self.step(kernel, inputs, pooled, order);
            return Ok(true);
        }
        if (window.kernel, window.stride, window.dilation) == ((3, 3), (1, 1), (1, 1))
            && cin.is_multiple_of(16)
            && cout.is_multiple_of(16)
            && let Some(size) = winograd_size(cin * cout, window.pixels())
            && let Some(weight) = self.cache.winograd(weight, scale, cin, size)
        {
            let kernel = Kernel::Winograd(weight, window, finish(after));
            self.step(kernel, inputs, last, order);
            return Ok(true);
        }
        let weight = self.cache.panels(weight, scale, cin);
        let kernel = Kernel::Dense(weight, window, finish(after));
        self.step(kernel, inputs, last, order);
        Ok(true)
    }

    /// Whether a product of an image and factors for its channels is left to the 1×1 convolution
    /// that reads it.
    pub fn gate(&mut self, node: &Node) -> bool {
        let graph = self.graph;
        let &[a, b] = &node.inputs[..] else {
            return false;
        };
        let Some(reader) = self.only_reader(node.output) else {
            return false;
        };
        let Node { op, inputs, .. } = &graph.nodes[reader];
        let (Op::Conv(conv), Some(4)) = (op, Some(graph.shape(node.output).len())) else {
            return false;
        };
        let kernel = &graph.shape(inputs[1])[2..];
        let known = inputs[1..].iter().all(|id| self.constant(*id).is_some());
        let shape = graph.shape(node.output);
        let pointwise = *conv == Conv::PLAIN && kernel == [1, 1] && known && shape[0] == 1;
        if !pointwise || inputs[0] != node.output || shape[2] * shape[3] <= FEW_ROWS {
            return false;
        }
        for (x, gate) in [(a, b), (b, a)] {
            let factors = graph.shape(gate)[..] == [1, shape[1], 1, 1];
            if factors && graph.shape(x) == shape && self.constant(x).is_none() {
                self.gated.insert(node.output, (x, gate));
                return true;
            }
        }
        false
    }

    /// The output of the pooling of ResNets, if only that reads a value of this window.
    fn pooling(&mut self, id: ValueId, window: ConvGeometry) -> Option<ValueId> {
        let reader = self.only_reader(id)?;
        let node = &self.graph.nodes[reader];
        let Op::MaxPool(pool) = &node.op else {
            return None;
        };
        let half = |side: usize| (side - 1) / 2 + 1;
        let output = &self.graph.shape(node.output)[2..];
        let fits = Pool {
            ceil_mode: false,
            ..*pool
        } == Pool::new(3, 2, 1)
            && output[..] == [half(window.output.0), half(window.output.1)];
        if !fits || self.graph.shape(id).len() != 4 {
            return None;
        }
        self.finish(reader);
        Some(node.output)
    }

    /// The bias of a product (its third input), zeros if there is none, `None` if it is not known.
    fn bias(&self, node: &Node, channels: usize) -> Option<Vec<f32>> {
        match node.inputs.get(2) {
            Some(bias) => self.constant(*bias).map(|bias| bias.0.to_vec()),
            None => Some(vec![0.0; channels]),
        }
    }

    /// A linear layer.
    pub fn linear(&mut self, node: &Node) -> Result<bool, GraphError> {
        let graph = self.graph;
        let Some(weight) = self.constant(node.inputs[1]) else {
            return Ok(false);
        };
        let &[columns, depth] = graph.shape(node.inputs[1]) else {
            return Ok(false);
        };
        let Some(bias) = self.bias(node, columns) else {
            return Ok(false);
        };
        let rows = graph.value(node.inputs[0]).len() / depth;
        let Some((slot, order)) = self.rows_of(node.inputs[0])? else {
            return Ok(false);
        };
        let mut after = After::new(bias);
        let (last, order) = self.absorb(node.output, order, &mut after);
        let mut inputs = vec![slot];
        inputs.extend(after.residual);
        if rows <= FEW_ROWS {
            let factors = after.has_factors().then(|| after.scale.clone());
            let kernel = Kernel::FewRows(weight.clone(), factors, rows, finish(after));
            self.step(kernel, inputs, last, order);
            return Ok(true);
        }
        let weight = self.cache.panels(weight, &after.scale, depth);
        let kernel = Kernel::Dense(weight, pointwise(rows), finish(after));
        self.step(kernel, inputs, last, order);
        Ok(true)
    }

    /// A value with its last axis innermost, and the order that a value with another last axis then
    /// has.
    fn rows_of(&mut self, id: ValueId) -> Result<Option<(usize, Vec<usize>)>, GraphError> {
        let shape = self.graph.shape(id);
        let Some(last) = shape.len().checked_sub(1) else {
            return Ok(None);
        };
        let place = self.place(id)?;
        let mut order: Vec<usize> = place.order.clone();
        order.retain(|axis| *axis != last);
        order.push(last);
        let inner = layout::inner_axis(shape, &place.order);
        let place = if inner.is_none_or(|axis| axis == last) || shape[last] == 1 {
            place
        } else {
            self.placed(id, &order)?
        };
        Ok(Some((place.slot, order)))
    }

    /// A product of two matrices, of which the second may be a weight.
    pub fn matmul(&mut self, node: &Node) -> Result<bool, GraphError> {
        let graph = self.graph;
        let (a, b) = (graph.shape(node.inputs[0]), graph.shape(node.inputs[1]));
        let [depth, columns] = b[b.len() - 2..] else {
            return Ok(false);
        };
        if let (Some(weight), 2) = (self.constant(node.inputs[1]), b.len()) {
            let rows = graph.value(node.inputs[0]).len() / depth;
            let Some((slot, order)) = self.rows_of(node.inputs[0])? else {
                return Ok(false);
            };
            let mut after = After::new(vec![0.0; columns]);
            let (last, order) = self.absorb(node.output, order, &mut after);
            let mut inputs = vec![slot];
            inputs.extend(after.residual);
            let weight = self.cache.matrix(weight, &after.scale);
            let kernel = Kernel::Dense(weight, pointwise(rows), finish(after));
            self.step(kernel, inputs, last, order);
            return Ok(true);
        }
        let Some((a_slot, a_order)) = self.rows_of(node.inputs[0])? else {
            return Ok(false);
        };
        let b_place = self.place(node.inputs[1])?;
        let shape = graph.shape(node.output);
        let rank = shape.len();
        let lead = rank - 2;
        let pairs: usize = shape[..lead].iter().product();
        if pairs * a[a.len() - 2] > MOST_ROWS {
            return Ok(false);
        }
        let mut order = layout::row_major(rank);
        // If the result is only transposed, it is written in that order.
        if let Some(reader) = self.only_reader(node.output)
            && let Op::Transpose { perm } = &graph.nodes[reader].op
            && perm.last() == Some(&(rank - 1))
        {
            order.clone_from(perm);
        }
        let (last, factor) = match self.scalar_factor(node.output) {
            Some((reader, factor)) => {
                self.finish(reader);
                (graph.nodes[reader].output, factor)
            }
            None => (node.output, 1.0),
        };
        let a_strides = layout::strides(a, &a_order);
        let b_strides = layout::strides(b, &b_place.order);
        let out_strides = layout::strides(shape, &order);
        let start = |mut pair: usize| {
            let mut start = [0; 3];
            for axis in (0..lead).rev() {
                let position = pair % shape[axis];
                pair /= shape[axis];
                start[2] += position * out_strides[axis];
                for (start, (side, strides)) in
                    start.iter_mut().zip([(a, &a_strides), (b, &b_strides)])
                {
                    if let Some(axis) = (axis + side.len()).checked_sub(rank)
                        && side[axis] > 1
                    {
                        *start += position * strides[axis];
                    }
                }
            }
            start
        };
        let matrices = Matrices {
            sides: [a[a.len() - 2], depth, columns],
            starts: (0..pairs).map(start).collect(),
            a_row: a_strides[a.len() - 2],
            b: (b_strides[b.len() - 2], b_strides[b.len() - 1]),
            out_row: out_strides[rank - 2],
            values: shape.iter().product(),
        };
        let kernel = Kernel::MatMul(matrices, factor);
        self.step(kernel, vec![a_slot, b_place.slot], last, order);
        Ok(true)
    }

    /// The only reader of a value if it multiplies with one constant, and that constant.
    fn scalar_factor(&self, id: ValueId) -> Option<(usize, f32)> {
        let reader = self.only_reader(id)?;
        let node = &self.graph.nodes[reader];
        let Op::Binary(binary) = node.op else {
            return None;
        };
        let at = node.inputs.iter().position(|input| *input != id)?;
        let [value] = self.constant(node.inputs[at])?.0[..] else {
            return None;
        };
        if self.graph.shape(node.output) != self.graph.shape(id) {
            return None;
        }
        match (binary, at) {
            (Binary::Mul, _) => Some((reader, value)),
            (Binary::Div, 1) => Some((reader, 1.0 / value)),
            _ => None,
        }
    }
}

fn finish(after: After) -> Finish {
    Finish {
        bias: after.bias,
        residual: after.residual.is_some(),
        activation: after.activation,
    }
}

/// A linear layer as a convolution of one line of pixels.
fn pointwise(rows: usize) -> ConvGeometry {
    ConvGeometry::square((1, rows), (1, rows), 1, 1, (0, 0))
}

/// The tile size of Winograd's method, by the product of input and output channels and the number
/// of pixels, or `None` if direct sums are faster (measured on 2 cores): the transformed weights (4
/// or 16/9 times as large) must be worth loading from memory.
fn winograd_size(channels: usize, pixels: usize) -> Option<Size> {
    match channels {
        0..=16_384 => Some(Size::F4),
        _ if pixels >= 784 => Some(Size::F4),
        16_385..=65_536 => Some(Size::F2),
        _ => None,
    }
}
