//! Makes the steps of a plan, node after node.

use std::collections::BTreeMap;

use crate::model::cpu::{Cpu, Function, Image};
use crate::model::graph::fast::kernel::{Kernel, Operand, Step};
use crate::model::graph::fast::{Place, Plan, WeightCache, layout};
use crate::model::graph::reference::{self, Tensor};
use crate::model::graph::{Constant, Graph, GraphError, Node, Op, Unary, ValueId};

/// A plan under construction.
pub struct Planner<'a> {
    pub graph: &'a Graph,
    pub cpu: &'a Cpu,
    pub cache: &'a mut WeightCache,
    /// Where each value lies, once it is planned.
    places: Vec<Option<Place>>,
    /// The nodes that read each value, one entry for each input.
    readers: Vec<Vec<usize>>,
    keep: &'a [ValueId],
    /// Whether a node is planned or not needed.
    done: Vec<bool>,
    /// Values that are another one with zeros above, to the left, below, to the right.
    pub padded: BTreeMap<ValueId, (ValueId, [usize; 4])>,
    /// Values that are the first one times the second, which has a factor for each channel. Only a
    /// 1×1 convolution reads them.
    pub gated: BTreeMap<ValueId, (ValueId, ValueId)>,
    steps: Vec<Step>,
    slots: usize,
    constants: Vec<(usize, Image)>,
    constant_slots: BTreeMap<ValueId, usize>,
}

impl<'a> Planner<'a> {
    /// For the nodes that the kept values need.
    pub fn new(
        graph: &'a Graph,
        keep: &'a [ValueId],
        cpu: &'a Cpu,
        cache: &'a mut WeightCache,
    ) -> Self {
        let mut needed = vec![false; graph.values.len()];
        for id in keep {
            needed[id.index()] = true;
        }
        let mut readers = vec![Vec::new(); graph.values.len()];
        let mut done = vec![false; graph.nodes.len()];
        for (index, node) in graph.nodes.iter().enumerate().rev() {
            if !needed[node.output.index()] {
                done[index] = true;
                continue;
            }
            for id in &node.inputs {
                needed[id.index()] = true;
                readers[id.index()].push(index);
            }
        }
        Self {
            graph,
            cpu,
            cache,
            places: vec![None; graph.values.len()],
            readers,
            keep,
            done,
            padded: BTreeMap::new(),
            gated: BTreeMap::new(),
            steps: Vec::new(),
            slots: 0,
            constants: Vec::new(),
            constant_slots: BTreeMap::new(),
        }
    }

    /// Plans all nodes; the input has this order.
    pub fn plan(mut self, order: Vec<usize>) -> Result<Plan, GraphError> {
        let input = self.new_slot();
        self.put(self.graph.input, Place { slot: input, order });
        for index in 0..self.graph.nodes.len() {
            if self.done[index] {
                continue;
            }
            self.done[index] = true;
            self.node(index)?;
        }
        let mut kept = Vec::new();
        for id in self.keep {
            let place = self.place(*id)?;
            kept.push((*id, place, self.graph.shape(*id).to_vec()));
        }
        let mut last = vec![None; self.slots];
        for (index, step) in self.steps.iter().enumerate() {
            for slot in step.inputs.iter().chain([&step.output]) {
                last[*slot] = Some(index);
            }
        }
        for (_, place, _) in &kept {
            last[place.slot] = None;
        }
        for (slot, last) in last.into_iter().enumerate() {
            if let Some(index) = last {
                self.steps[index].frees.push(slot);
            }
        }
        Ok(Plan {
            cpu: self.cpu.clone(),
            steps: self.steps,
            slots: self.slots,
            constants: self.constants,
            input: (input, self.graph.shape(self.graph.input).to_vec()),
            kept,
        })
    }

    fn node(&mut self, index: usize) -> Result<(), GraphError> {
        let graph = self.graph;
        let node = &graph.nodes[index];
        let constant = |id: &ValueId| graph.value(*id).constant.is_some();
        if node.inputs.iter().all(constant) {
            return self.constant_node(node);
        }
        let planned = match &node.op {
            Op::Conv(conv) => self.conv(node, conv)?,
            Op::Linear => self.linear(node)?,
            Op::MatMul => self.matmul(node)?,
            Op::BatchNorm { .. } => self.batch_norm(node)?,
            Op::LayerNorm { axis, eps } => self.layer_norm(node, *axis, *eps)?,
            Op::Softmax { axis } => self.softmax(node, *axis)?,
            Op::Unary(unary) => self.unary(node, *unary)?,
            Op::Binary(binary) => self.binary(node, *binary)?,
            Op::MaxPool(pool) => self.max_pool(node, pool)?,
            Op::AveragePool {
                pool,
                count_include_pad,
            } => self.average_pool(node, pool, *count_include_pad)?,
            Op::Reduce { kind, axes, .. } => self.reduce(node, *kind, axes)?,
            Op::Resample { axis, taps } => self.resample(node, *axis, taps)?,
            Op::Concat { axis } => self.concat(node, *axis)?,
            Op::Slice { .. } | Op::Gather { .. } => self.slice(node)?,
            Op::Pad { .. } => self.pad(node)?,
            Op::Expand { .. } => self.expand(node)?,
            Op::Reshape { .. } => self.reshape(node)?,
            Op::Transpose { perm } => {
                let place = self.place(node.inputs[0])?;
                let order = layout::transposed(&place.order, perm);
                self.put(node.output, Place { order, ..place });
                true
            }
            Op::GroupNorm { .. } | Op::Lrn { .. } | Op::LogSoftmax { .. } => false,
        };
        if planned {
            Ok(())
        } else {
            self.fall_back(node)
        }
    }

    /// A node that depends only on constants is computed now.
    fn constant_node(&mut self, node: &Node) -> Result<(), GraphError> {
        let inputs: Vec<Tensor> = node.inputs.iter().map(|id| self.tensor(*id)).collect();
        let inputs: Vec<&Tensor> = inputs.iter().collect();
        let output = reference::forward(&node.op, &inputs, self.cpu.level)?;
        let slot = self.new_slot();
        let image = Image::from_values(self.cpu, &output.singles(), (1, 1));
        self.constants.push((slot, image));
        let order = layout::row_major(output.shape.len());
        self.put(node.output, Place { slot, order });
        Ok(())
    }

    fn tensor(&self, id: ValueId) -> Tensor {
        let value = self.graph.value(id);
        let values = value.constant.as_ref().map(|constant| constant.0.clone());
        Tensor::single(&value.shape, values.unwrap_or_default())
    }

    /// The reference computes the node.
    fn fall_back(&mut self, node: &Node) -> Result<(), GraphError> {
        let mut operands = Vec::with_capacity(node.inputs.len());
        let mut slots = Vec::new();
        for id in &node.inputs {
            if self.graph.value(*id).constant.is_some() {
                operands.push(Operand::Constant(self.tensor(*id)));
                continue;
            }
            let place = self.place(*id)?;
            slots.push(place.slot);
            operands.push(Operand::Value(self.graph.shape(*id).to_vec(), place.order));
        }
        let order = layout::row_major(self.graph.shape(node.output).len());
        let kernel = Kernel::Fallback(node.op.clone(), operands);
        self.step(kernel, slots, node.output, order);
        Ok(())
    }

    /// A new buffer.
    pub fn new_slot(&mut self) -> usize {
        self.slots += 1;
        self.slots - 1
    }

    /// Adds a step that makes a value.
    pub fn step(&mut self, kernel: Kernel, inputs: Vec<usize>, id: ValueId, order: Vec<usize>) {
        let slot = self.bare_step(kernel, inputs);
        self.put(id, Place { slot, order });
    }

    /// Adds a step that makes a buffer.
    fn bare_step(&mut self, kernel: Kernel, inputs: Vec<usize>) -> usize {
        let output = self.new_slot();
        self.steps.push(Step {
            kernel,
            inputs,
            output,
            frees: Vec::new(),
        });
        output
    }

    /// Says where a value lies.
    pub fn put(&mut self, id: ValueId, place: Place) {
        self.places[id.index()] = Some(place);
    }

    /// Where a value lies; constants get a buffer, and zeros around a value are written.
    pub fn place(&mut self, id: ValueId) -> Result<Place, GraphError> {
        if let Some(place) = &self.places[id.index()] {
            return Ok(place.clone());
        }
        if let Some((source, pads)) = self.padded.get(&id).copied() {
            self.write_padding(id, source, pads)?;
        } else if let Some(Constant(values)) = &self.graph.value(id).constant {
            let slot = match self.constant_slots.get(&id) {
                Some(slot) => *slot,
                None => {
                    let image = Image::from_values(self.cpu, values, (1, 1));
                    let slot = self.new_slot();
                    self.constants.push((slot, image));
                    self.constant_slots.insert(id, slot);
                    slot
                }
            };
            let order = layout::row_major(self.graph.shape(id).len());
            self.put(id, Place { slot, order });
        }
        let lost = || GraphError(format!("{} is not computed.", self.graph.value(id).name));
        self.places[id.index()].clone().ok_or_else(lost)
    }

    /// Where a value lies, if it is planned.
    pub fn planned(&self, id: ValueId) -> Option<&Place> {
        self.places[id.index()].as_ref()
    }

    /// A value in an order of our choice: a copy if it lies otherwise.
    pub fn placed(&mut self, id: ValueId, order: &[usize]) -> Result<Place, GraphError> {
        let place = self.place(id)?;
        let graph = self.graph;
        let shape = graph.shape(id);
        if layout::same(shape, &place.order, order) {
            return Ok(place);
        }
        let strides: Vec<isize> = layout::strides(shape, &place.order)
            .into_iter()
            .map(usize::cast_signed)
            .collect();
        let loops = layout::loops(shape, order, &strides, 0);
        let slot = self.bare_step(Kernel::Copy(loops), vec![place.slot]);
        Ok(Place {
            slot,
            order: order.to_vec(),
        })
    }

    /// The constant of a value.
    pub fn constant(&self, id: ValueId) -> Option<&'a Constant> {
        self.graph.value(id).constant.as_ref()
    }

    /// The only node that reads a value that is not kept.
    pub fn only_reader(&self, id: ValueId) -> Option<usize> {
        match self.readers[id.index()][..] {
            [reader] if !self.keep.contains(&id) && !self.done[reader] => Some(reader),
            _ => None,
        }
    }

    /// Marks a node as part of a step.
    pub fn finish(&mut self, index: usize) {
        self.done[index] = true;
    }
}

/// The kernel's function for an operator.
pub fn function(unary: Unary) -> Option<Function> {
    Some(match unary {
        Unary::Relu => Function::Relu,
        Unary::LeakyRelu(slope) => Function::LeakyRelu(slope),
        Unary::Elu(alpha) => Function::Elu(alpha, 1.0),
        Unary::Selu(alpha, gamma) => Function::Elu(alpha, gamma),
        Unary::Clip(low, high) => Function::Clip(low, high),
        Unary::Sigmoid => Function::Sigmoid,
        Unary::Tanh => Function::Tanh,
        Unary::HardSigmoid(alpha, beta) => Function::HardSigmoid(alpha, beta),
        Unary::HardSwish => Function::HardSwish,
        Unary::Silu => Function::Silu,
        Unary::Gelu => Function::Gelu,
        Unary::GeluTanh => Function::GeluTanh,
        Unary::Mish => Function::Mish,
        Unary::Erf => Function::Erf,
        Unary::Exp => Function::Exp,
        Unary::Sqrt => Function::Sqrt,
        Unary::Reciprocal => Function::Reciprocal,
        Unary::Abs => Function::Abs,
        Unary::Neg => Function::Neg,
        Unary::Softplus
        | Unary::Softsign
        | Unary::Log
        | Unary::Sin
        | Unary::Cos
        | Unary::Floor
        | Unary::Ceil
        | Unary::Round
        | Unary::Sign => return None,
    })
}
