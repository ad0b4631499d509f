//! Operators that move values: reshaping, joining, slicing, padding, repeating.

use crate::model::cpu::{Activation, Loops};
use crate::model::graph::fast::absorb::After;
use crate::model::graph::fast::kernel::Kernel;
use crate::model::graph::fast::planner::Planner;
use crate::model::graph::fast::{Place, layout};
use crate::model::graph::{GraphError, Node, Op, PadMode, ValueId};

impl Planner<'_> {
    /// Nothing moves if the joined axes are neighbors in memory.
    pub fn reshape(&mut self, node: &Node) -> Result<bool, GraphError> {
        let graph = self.graph;
        let id = node.inputs[0];
        let (from, to) = (graph.shape(id), graph.shape(node.output));
        let mut place = self.place(id)?;
        let mut order = layout::reshaped(from, to, &place.order);
        if let Err(better) = order {
            place = self.placed(id, &better)?;
            order = layout::reshaped(from, to, &better);
        }
        let Ok(order) = order else {
            return Ok(false);
        };
        let slot = place.slot;
        self.put(node.output, Place { slot, order });
        Ok(true)
    }

    /// All inputs in the order of the first one, joined in runs.
    pub fn concat(&mut self, node: &Node, axis: usize) -> Result<bool, GraphError> {
        let graph = self.graph;
        let shape = graph.shape(node.output);
        // The order of the first input that has all axes.
        let mut order = None;
        for id in &node.inputs {
            let place = self.place(*id)?;
            let long = layout::long_axes(graph.shape(*id), &place.order);
            if order.is_none() && (0..shape.len()).all(|at| shape[at] == 1 || long.contains(&at)) {
                order = Some(layout::with_short_axes(shape.len(), long));
            }
        }
        let order = match order {
            Some(order) => order,
            None => {
                let mut order = self.place(node.inputs[0])?.order;
                // The joined axis may have length 1 there: next to where it belongs, channels last.
                order.retain(|at| *at != axis);
                let at = if axis == 1 && shape.len() == 4 {
                    order.len()
                } else {
                    axis
                };
                order.insert(at, axis);
                order
            }
        };
        let position = order.iter().position(|at| *at == axis).unwrap_or(0);
        let inner: usize = order[position + 1..].iter().map(|at| shape[*at]).product();
        let (mut slots, mut runs) = (Vec::new(), Vec::new());
        for id in &node.inputs {
            slots.push(self.placed(*id, &order)?.slot);
            runs.push(graph.shape(*id)[axis] * inner);
        }
        if layout::inner_axis(shape, &order) != Some(axis) {
            self.step(Kernel::Concat(runs, None), slots, node.output, order);
            return Ok(true);
        }
        let mut after = After::new(vec![0.0; runs.iter().sum()]);
        after.takes_residual = false;
        let (last, order) = self.absorb(node.output, order, &mut after);
        let plain = !after.has_factors()
            && after.bias.iter().all(|bias| *bias == 0.0)
            && after.activation == Activation::Linear;
        let with = (!plain).then_some((after.scale, after.bias, after.activation));
        self.step(Kernel::Concat(runs, with), slots, last, order);
        Ok(true)
    }

    /// A slice of an axis, or positions at equal distances.
    pub fn slice(&mut self, node: &Node) -> Result<bool, GraphError> {
        let graph = self.graph;
        let (axis, start, step, drops) = match &node.op {
            Op::Slice {
                axis, start, step, ..
            } => (*axis, *start, *step, false),
            Op::Gather {
                axis,
                indices,
                shape,
            } if shape.len() < 2 => {
                let signed = |at: usize| indices[at].cast_signed();
                let step = if indices.len() > 1 {
                    signed(1) - signed(0)
                } else {
                    1
                };
                let even = (1..indices.len()).all(|at| signed(at) - signed(at - 1) == step);
                if !even || step == 0 {
                    return Ok(false);
                }
                (*axis, indices[0], step, shape.is_empty())
            }
            _ => return Ok(false),
        };
        let id = node.inputs[0];
        let place = self.place(id)?;
        let (from, to) = (graph.shape(id), graph.shape(node.output));
        let strides = layout::strides(from, &place.order);
        let first = start * strides[axis];
        let mut steps: Vec<isize> = strides.iter().copied().map(usize::cast_signed).collect();
        steps[axis] *= step;
        let mut order = place.order;
        if drops {
            steps.remove(axis);
            order.retain(|at| *at != axis);
            for at in &mut order {
                *at -= usize::from(*at > axis);
            }
        }
        let loops = layout::loops(to, &order, &steps, first);
        self.step(Kernel::Copy(loops), vec![place.slot], node.output, order);
        Ok(true)
    }

    /// Repeats axes.
    pub fn expand(&mut self, node: &Node) -> Result<bool, GraphError> {
        let graph = self.graph;
        let id = node.inputs[0];
        let place = self.place(id)?;
        let (from, to) = (graph.shape(id), graph.shape(node.output));
        let missing = to.len() - from.len();
        let mut order: Vec<usize> = (0..missing).collect();
        order.extend(place.order.iter().map(|axis| axis + missing));
        let steps = layout::broadcast_steps((from, &place.order), (to, &order));
        let sides: Vec<usize> = order.iter().map(|axis| to[*axis]).collect();
        let steps: Vec<[isize; 1]> = steps.into_iter().map(|step| [step]).collect();
        let loops = Loops::new(&sides, &steps, [0]);
        self.step(Kernel::Copy(loops), vec![place.slot], node.output, order);
        Ok(true)
    }

    /// Zeros around an image are left to the convolution that reads it.
    pub fn pad(&mut self, node: &Node) -> Result<bool, GraphError> {
        let Op::Pad {
            before,
            after,
            mode: PadMode::Constant(value),
        } = &node.op
        else {
            return Ok(false);
        };
        let id = node.inputs[0];
        let reader = self.only_reader(node.output);
        let reads = |index: usize| {
            let reader = &self.graph.nodes[index];
            matches!(reader.op, Op::Conv(_)) && reader.inputs[0] == node.output
        };
        let around =
            before.len() == 4 && (before[0], before[1], after[0], after[1]) == (0, 0, 0, 0);
        if around && *value == 0.0 && reader.is_some_and(reads) {
            let pads = [before[2], before[3], after[2], after[3]];
            self.padded.insert(node.output, (id, pads));
            return Ok(true);
        }
        self.write_pads(node.output, id, before, *value)?;
        Ok(true)
    }

    /// Writes the zeros that a convolution was to add.
    pub fn write_padding(
        &mut self,
        id: ValueId,
        source: ValueId,
        pads: [usize; 4],
    ) -> Result<(), GraphError> {
        self.write_pads(id, source, &[0, 0, pads[0], pads[1]], 0.0)
    }

    fn write_pads(
        &mut self,
        id: ValueId,
        source: ValueId,
        before: &[usize],
        value: f32,
    ) -> Result<(), GraphError> {
        let graph = self.graph;
        let place = self.place(source)?;
        let (from, to) = (graph.shape(source), graph.shape(id));
        let strides = layout::strides(to, &place.order);
        let start = strides.iter().zip(before).map(|(a, b)| a * b).sum();
        let steps: Vec<isize> = strides.into_iter().map(usize::cast_signed).collect();
        let loops = layout::loops(from, &place.order, &steps, start);
        let kernel = Kernel::Pad(loops, to.iter().product(), value);
        self.step(kernel, vec![place.slot], id, place.order);
        Ok(())
    }
}
