//! Operators on values where they lie: functions, sums of two, pooling, normalization, reductions.

use std::sync::Arc;

use crate::model::cpu::{Combine, ConvGeometry, Loops, Reduction};
use crate::model::graph::fast::absorb::After;
use crate::model::graph::fast::kernel::Kernel;
use crate::model::graph::fast::layout::{self, CHANNELS_LAST};
use crate::model::graph::fast::planner::{Planner, function};
use crate::model::graph::{Binary, GraphError, Node, Op, Pool, ReduceKind, Taps, Unary, ValueId};

impl Planner<'_> {
    /// Factors for each channel, and what follows.
    pub fn batch_norm(&mut self, node: &Node) -> Result<bool, GraphError> {
        let graph = self.graph;
        let id = node.inputs[0];
        let shape = graph.shape(id);
        let place = self.place(id)?;
        let channels = shape[1];
        let mut order: Vec<usize> = place.order.clone();
        order.retain(|axis| *axis != 1);
        order.push(1);
        let place = if channels > 1 {
            self.placed(id, &order)?
        } else {
            place
        };
        // One channel: the factors belong to every value, in whatever order.
        let (width, order) = if channels > 1 {
            (channels, order)
        } else {
            (1, place.order)
        };
        let mut after = After::new(vec![0.0; width]);
        after.takes_residual = false;
        let Op::BatchNorm { eps } = node.op else {
            return Ok(false);
        };
        let Some(factors) = self.batch_norm_factors(node, eps) else {
            return Ok(false);
        };
        after.multiply(&factors);
        let (last, order) = self.absorb(node.output, order, &mut after);
        let kernel = Kernel::Affine(after.scale, after.bias, after.activation);
        self.step(kernel, vec![place.slot], last, order);
        Ok(true)
    }

    /// A function of each value.
    pub fn unary(&mut self, node: &Node, unary: Unary) -> Result<bool, GraphError> {
        let Some(function) = function(unary) else {
            return Ok(false);
        };
        let place = self.place(node.inputs[0])?;
        self.step(
            Kernel::Unary(function),
            vec![place.slot],
            node.output,
            place.order,
        );
        Ok(true)
    }

    /// Two values with broadcasting, and an activation.
    pub fn binary(&mut self, node: &Node, binary: Binary) -> Result<bool, GraphError> {
        let how = match binary {
            Binary::Add => Combine::Add,
            Binary::Sub => Combine::Sub,
            Binary::Mul => Combine::Mul,
            Binary::Div => Combine::Div,
            Binary::Max => Combine::Max,
            Binary::Min => Combine::Min,
            Binary::Pow | Binary::PRelu => return Ok(false),
        };
        if binary == Binary::Mul && self.gate(node) {
            return Ok(true);
        }
        let graph = self.graph;
        let shape = graph.shape(node.output);
        let (a, b) = (node.inputs[0], node.inputs[1]);
        let constant = |id: ValueId| graph.value(id).constant.is_some();
        let (a_place, b_place) = (self.place(a)?, self.place(b)?);
        let full = [(a, &a_place), (b, &b_place)];
        let mut full = full.iter().filter(|(id, _)| graph.shape(*id) == shape);
        let first = full.clone().find(|(id, _)| !constant(*id));
        let order = match first.or_else(|| full.next()) {
            Some((_, place)) => place.order.clone(),
            None => layout::row_major(shape.len()),
        };
        let a_steps = layout::broadcast_steps((graph.shape(a), &a_place.order), (shape, &order));
        let b_steps = layout::broadcast_steps((graph.shape(b), &b_place.order), (shape, &order));
        let sides: Vec<usize> = order.iter().map(|axis| shape[*axis]).collect();
        let steps: Vec<[isize; 2]> = a_steps.into_iter().zip(b_steps).map(Into::into).collect();
        let loops = Loops::new(&sides, &steps, [0, 0]);
        let mut after = After::activation();
        let (last, order) = self.absorb(node.output, order, &mut after);
        let slots = vec![a_place.slot, b_place.slot];
        self.step(
            Kernel::Binary(how, loops, after.activation),
            slots,
            last,
            order,
        );
        Ok(true)
    }

    /// Maximum in windows of an image.
    pub fn max_pool(&mut self, node: &Node, pool: &Pool) -> Result<bool, GraphError> {
        let Some(window) = self.window(node, pool) else {
            return Ok(false);
        };
        let x = self.placed(node.inputs[0], &CHANNELS_LAST)?;
        let kernel = Kernel::MaxPool(window);
        self.step(kernel, vec![x.slot], node.output, CHANNELS_LAST.to_vec());
        Ok(true)
    }

    /// Mean in windows of an image.
    pub fn average_pool(
        &mut self,
        node: &Node,
        pool: &Pool,
        count_include_pad: bool,
    ) -> Result<bool, GraphError> {
        let Some(window) = self.window(node, pool) else {
            return Ok(false);
        };
        let x = self.placed(node.inputs[0], &CHANNELS_LAST)?;
        let whole = window.kernel == window.input && window.output == (1, 1);
        let kernel = if whole && window.before == (0, 0) && window.dilation == (1, 1) {
            let channels = self.graph.shape(node.inputs[0])[1];
            let pixels = window.input.0 * window.input.1;
            Kernel::Reduce(Reduction::Mean, (1, pixels, channels))
        } else {
            Kernel::AveragePool(window, count_include_pad.then_some(pool.pads))
        };
        self.step(kernel, vec![x.slot], node.output, CHANNELS_LAST.to_vec());
        Ok(true)
    }

    fn window(&self, node: &Node, pool: &Pool) -> Option<ConvGeometry> {
        let (shape, output) = (
            self.graph.shape(node.inputs[0]),
            self.graph.shape(node.output),
        );
        (shape[0] == 1).then_some(ConvGeometry {
            input: (shape[2], shape[3]),
            output: (output[2], output[3]),
            kernel: (pool.kernel[0], pool.kernel[1]),
            stride: (pool.strides[0], pool.strides[1]),
            dilation: (pool.dilations[0], pool.dilations[1]),
            before: (pool.pads[0], pool.pads[1]),
        })
    }

    /// Over the last axes in memory.
    pub fn layer_norm(&mut self, node: &Node, axis: usize, eps: f32) -> Result<bool, GraphError> {
        let id = node.inputs[0];
        let shape = self.graph.shape(id);
        let parameter = |at: usize| match node.inputs.get(at) {
            Some(id) => self.constant(*id).map(|constant| Some(constant.clone())),
            None => Some(None),
        };
        let (Some(weight), Some(bias)) = (parameter(1), parameter(2)) else {
            return Ok(false);
        };
        let mut order = self.place(id)?.order;
        order.retain(|at| *at < axis);
        order.extend(axis..shape.len());
        let place = self.placed(id, &order)?;
        let width = shape[axis..].iter().product();
        let kernel = Kernel::LayerNorm(width, weight, bias, eps);
        self.step(kernel, vec![place.slot], node.output, order);
        Ok(true)
    }

    /// Along one axis.
    pub fn softmax(&mut self, node: &Node, axis: usize) -> Result<bool, GraphError> {
        let id = node.inputs[0];
        let shape = self.graph.shape(id);
        let mut order = self.place(id)?.order;
        order.retain(|at| *at != axis);
        order.push(axis);
        let place = self.placed(id, &order)?;
        let kernel = Kernel::Softmax(shape[axis]);
        self.step(kernel, vec![place.slot], node.output, order);
        Ok(true)
    }

    /// Axes that are neighbors in memory, or are made so.
    pub fn reduce(
        &mut self,
        node: &Node,
        kind: ReduceKind,
        axes: &[usize],
    ) -> Result<bool, GraphError> {
        let how = match kind {
            ReduceKind::Mean => Reduction::Mean,
            ReduceKind::Sum => Reduction::Sum,
            ReduceKind::Max => Reduction::Max,
            ReduceKind::Min | ReduceKind::L2 => return Ok(false),
        };
        let graph = self.graph;
        let id = node.inputs[0];
        let shape = graph.shape(id);
        let mut place = self.place(id)?;
        let mut long = layout::long_axes(shape, &place.order);
        let reduced = |axis: &usize| axes.contains(axis);
        let mut first = long.iter().position(reduced).unwrap_or(long.len());
        let count = long.iter().filter(|axis| reduced(axis)).count();
        if !long[first..first + count].iter().all(reduced) {
            long.sort_by_key(|axis| reduced(axis)); // stable
            let order = layout::with_short_axes(shape.len(), long.clone());
            place = self.placed(id, &order)?;
            first = long.len() - count;
        }
        let product = |axes: &[usize]| axes.iter().map(|axis| shape[*axis]).product::<usize>();
        let sides = (
            product(&long[..first]),
            product(&long[first..first + count]),
            product(&long[first + count..]),
        );
        long.retain(|axis| !reduced(axis));
        let output = graph.shape(node.output);
        if output.len() != shape.len() {
            for axis in &mut long {
                *axis -= axes.iter().filter(|reduced| **reduced < *axis).count();
            }
        }
        let order = layout::with_short_axes(output.len(), long);
        self.step(
            Kernel::Reduce(how, sides),
            vec![place.slot],
            node.output,
            order,
        );
        Ok(true)
    }

    /// Weighted sums along an axis.
    pub fn resample(
        &mut self,
        node: &Node,
        axis: usize,
        taps: &Arc<Taps>,
    ) -> Result<bool, GraphError> {
        let id = node.inputs[0];
        let place = self.place(id)?;
        let shape = self.graph.shape(id);
        let position = place.order.iter().position(|at| *at == axis).unwrap_or(0);
        let product = |axes: &[usize]| axes.iter().map(|axis| shape[*axis]).product::<usize>();
        let sides = (
            product(&place.order[..position]),
            shape[axis],
            product(&place.order[position + 1..]),
        );
        let kernel = Kernel::Resample(taps.clone(), sides);
        self.step(kernel, vec![place.slot], node.output, place.order);
        Ok(true)
    }
}
