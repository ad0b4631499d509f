//! Builds graphs node by node, with their shapes.

use std::sync::Arc;

use crate::model::graph::{Constant, Graph, GraphError, Node, Op, ValueId, ValueInfo};

/// A graph under construction.
#[derive(Clone, Debug)]
pub struct GraphBuilder {
    values: Vec<ValueInfo>,
    nodes: Vec<Node>,
    input: ValueId,
}

impl GraphBuilder {
    /// A graph with its input, for example `[1, 3, 224, 224]`.
    #[must_use]
    pub fn new(name: &str, shape: &[usize]) -> Self {
        let input = ValueInfo {
            name: name.into(),
            shape: shape.to_vec(),
            constant: None,
        };
        Self {
            values: vec![input],
            nodes: Vec::new(),
            input: ValueId::new(0),
        }
    }

    /// The input.
    #[must_use]
    pub fn input(&self) -> ValueId {
        self.input
    }

    /// The shape of a value.
    #[must_use]
    pub fn shape(&self, id: ValueId) -> &[usize] {
        &self.values[id.index()].shape
    }

    /// The values of a constant.
    #[must_use]
    pub fn constant_values(&self, id: ValueId) -> Option<&Arc<Vec<f32>>> {
        let constant = self.values[id.index()].constant.as_ref();
        constant.map(|constant| &constant.0)
    }

    /// Adds a constant.
    ///
    /// # Errors
    /// If the number of values does not match the shape.
    pub fn constant(
        &mut self,
        name: &str,
        shape: &[usize],
        values: Arc<Vec<f32>>,
    ) -> Result<ValueId, GraphError> {
        let count = shape
            .iter()
            .try_fold(1usize, |n, side| n.checked_mul(*side));
        if count != Some(values.len()) {
            return Err(GraphError::new(format!(
                "{name}: {} values do not fit the shape {shape:?}",
                values.len()
            )));
        }
        Ok(self.add(ValueInfo {
            name: name.into(),
            shape: shape.to_vec(),
            constant: Some(Constant(values)),
        }))
    }

    /// Adds a node and returns its output, which gets this name.
    ///
    /// # Errors
    /// If the inputs do not fit the operator.
    pub fn push(&mut self, name: &str, op: Op, inputs: &[ValueId]) -> Result<ValueId, GraphError> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|id| self.shape(*id)).collect();
        let shape = op
            .output_shape(&shapes)
            .map_err(|what| GraphError::new(format!("{name}: {what}")))?;
        let output = self.add(ValueInfo {
            name: name.into(),
            shape,
            constant: None,
        });
        self.nodes.push(Node {
            op,
            inputs: inputs.to_vec(),
            output,
        });
        Ok(output)
    }

    /// The operators so far.
    pub fn ops(&self) -> impl Iterator<Item = &Op> + Clone {
        self.nodes.iter().map(|node| &node.op)
    }

    /// Gives a value another name.
    pub fn rename(&mut self, id: ValueId, name: &str) {
        name.clone_into(&mut self.values[id.index()].name);
    }

    /// The finished graph.
    #[must_use]
    pub fn finish(self, outputs: Vec<ValueId>) -> Graph {
        Graph {
            values: self.values,
            nodes: self.nodes,
            input: self.input,
            outputs,
        }
    }

    fn add(&mut self, info: ValueInfo) -> ValueId {
        let id = ValueId::new(self.values.len());
        self.values.push(info);
        id
    }
}
