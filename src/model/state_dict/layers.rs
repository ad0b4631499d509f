//! PyTorch's modules as nodes of a graph: reads their tensors, checks their shapes.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::graph::{
    Binary, Conv, GraphBuilder, GraphError, Op, Pool, ReduceKind, Unary, ValueId,
};
use crate::model::state_dict::{Described, Shapes, Tensors};

/// A network under construction from named tensors.
pub struct Layers<'a> {
    graph: GraphBuilder,
    tensors: &'a mut dyn Tensors,
    used: BTreeSet<String>,
    /// The architecture's name as `config.json`, the file or the user declares it (timm's or
    /// torchvision's spelling), if any.
    pub declared: Option<String>,
    /// What the builder says about the network.
    pub described: Described,
}

impl<'a> Layers<'a> {
    /// For an input of this shape.
    pub fn new(tensors: &'a mut dyn Tensors, input: &[usize], declared: Option<String>) -> Self {
        Self {
            graph: GraphBuilder::new("input", input),
            tensors,
            used: BTreeSet::new(),
            declared,
            described: Described::default(),
        }
    }

    /// The graph so far.
    #[must_use]
    pub fn graph(&mut self) -> &mut GraphBuilder {
        &mut self.graph
    }

    /// The input.
    #[must_use]
    pub fn input(&self) -> ValueId {
        self.graph.input()
    }

    /// The shapes of the tensors.
    #[must_use]
    pub fn shapes(&self) -> &Shapes {
        self.tensors.shapes()
    }

    /// Whether a tensor exists.
    #[must_use]
    pub fn has(&self, tensor: &str) -> bool {
        self.tensors.shapes().contains_key(tensor)
    }

    /// The shape of a value of the graph.
    #[must_use]
    pub fn shape(&self, value: ValueId) -> &[usize] {
        self.graph.shape(value)
    }

    /// The shape of a tensor.
    ///
    /// # Errors
    /// If it is missing.
    pub fn tensor_shape(&self, tensor: &str) -> Result<Vec<usize>, GraphError> {
        let shape = self.tensors.shapes().get(tensor).cloned();
        shape.ok_or_else(|| GraphError::new(format!("{tensor} is missing")))
    }

    /// A tensor as a constant, in its own shape.
    ///
    /// # Errors
    /// If it is missing or can't be read.
    pub fn constant(&mut self, tensor: &str) -> Result<ValueId, GraphError> {
        let shape = self.tensor_shape(tensor)?;
        let values = self.tensors.values(tensor)?;
        self.used.insert(tensor.to_owned());
        self.graph.constant(tensor, &shape, values)
    }

    /// The values of a tensor that is not used as it is.
    ///
    /// # Errors
    /// If it is missing or can't be read.
    pub fn values(&mut self, tensor: &str) -> Result<Arc<Vec<f32>>, GraphError> {
        self.used.insert(tensor.to_owned());
        self.tensors.values(tensor)
    }

    /// Marks a tensor that a network does not need to run, such as an auxiliary head's.
    pub fn ignore(&mut self, tensor: &str) {
        self.used.insert(tensor.to_owned());
    }

    /// The tensors that no node uses, without counters of batches.
    #[must_use]
    pub fn unused(&self) -> Vec<String> {
        let names = self.tensors.shapes().keys();
        let unused = names
            .filter(|name| !self.used.contains(*name) && !name.ends_with("num_batches_tracked"));
        unused.cloned().collect()
    }

    /// Any operator. `name` is that of the PyTorch module whose output this is.
    ///
    /// # Errors
    /// If the inputs do not fit.
    pub fn push(&mut self, name: &str, op: Op, inputs: &[ValueId]) -> Result<ValueId, GraphError> {
        self.graph.push(name, op, inputs)
    }

    /// `nn.Conv2d`: `{name}.weight` and, if it exists, `{name}.bias`.
    ///
    /// # Errors
    /// If a tensor is missing or does not fit.
    pub fn conv(&mut self, name: &str, x: ValueId, conv: Conv) -> Result<ValueId, GraphError> {
        let mut inputs = vec![x, self.constant(&format!("{name}.weight"))?];
        let bias = format!("{name}.bias");
        if self.has(&bias) {
            inputs.push(self.constant(&bias)?);
        }
        self.push(name, Op::Conv(conv), &inputs)
    }

    /// `nn.BatchNorm2d` in evaluation mode.
    ///
    /// # Errors
    /// If a tensor is missing or does not fit.
    pub fn batch_norm(&mut self, name: &str, x: ValueId, eps: f32) -> Result<ValueId, GraphError> {
        let mut inputs = vec![x];
        for part in ["weight", "bias", "running_mean", "running_var"] {
            inputs.push(self.constant(&format!("{name}.{part}"))?);
        }
        self.push(name, Op::BatchNorm { eps }, &inputs)
    }

    /// `nn.Linear`: `{name}.weight` and, if it exists, `{name}.bias`.
    ///
    /// # Errors
    /// If a tensor is missing or does not fit.
    pub fn linear(&mut self, name: &str, x: ValueId) -> Result<ValueId, GraphError> {
        let mut inputs = vec![x, self.constant(&format!("{name}.weight"))?];
        let bias = format!("{name}.bias");
        if self.has(&bias) {
            inputs.push(self.constant(&bias)?);
        }
        self.push(name, Op::Linear, &inputs)
    }

    /// `nn.LayerNorm` over the last axis.
    ///
    /// # Errors
    /// If a tensor is missing or does not fit.
    pub fn layer_norm(&mut self, name: &str, x: ValueId, eps: f32) -> Result<ValueId, GraphError> {
        let axis = self.shape(x).len() - 1;
        let inputs = [
            x,
            self.constant(&format!("{name}.weight"))?,
            self.constant(&format!("{name}.bias"))?,
        ];
        self.push(name, Op::LayerNorm { axis, eps }, &inputs)
    }

    /// A function of each value.
    ///
    /// # Errors
    /// Never for a value of this graph.
    pub fn unary(&mut self, name: &str, unary: Unary, x: ValueId) -> Result<ValueId, GraphError> {
        self.push(name, Op::Unary(unary), &[x])
    }

    /// ReLU.
    ///
    /// # Errors
    /// Never for a value of this graph.
    pub fn relu(&mut self, name: &str, x: ValueId) -> Result<ValueId, GraphError> {
        self.unary(name, Unary::Relu, x)
    }

    /// The sum of two values.
    ///
    /// # Errors
    /// If their shapes do not fit.
    pub fn add(&mut self, name: &str, a: ValueId, b: ValueId) -> Result<ValueId, GraphError> {
        self.push(name, Op::Binary(Binary::Add), &[a, b])
    }

    /// The product of two values.
    ///
    /// # Errors
    /// If their shapes do not fit.
    pub fn mul(&mut self, name: &str, a: ValueId, b: ValueId) -> Result<ValueId, GraphError> {
        self.push(name, Op::Binary(Binary::Mul), &[a, b])
    }

    /// Max pooling.
    ///
    /// # Errors
    /// If the windows do not fit.
    pub fn max_pool(&mut self, name: &str, x: ValueId, pool: Pool) -> Result<ValueId, GraphError> {
        self.push(name, Op::MaxPool(pool), &[x])
    }

    /// The mean over rows and columns, `[1, C, H, W]` to `[1, C]`, or to `[1, C, 1, 1]`.
    ///
    /// # Errors
    /// If it is not an image.
    pub fn global_average_pool(
        &mut self,
        name: &str,
        x: ValueId,
        keep_dims: bool,
    ) -> Result<ValueId, GraphError> {
        let reduce = Op::Reduce {
            kind: ReduceKind::Mean,
            axes: vec![2, 3],
            keep_dims,
        };
        self.push(name, reduce, &[x])
    }

    /// All axes after the first become one.
    ///
    /// # Errors
    /// Never for a value of this graph.
    pub fn flatten(&mut self, name: &str, x: ValueId) -> Result<ValueId, GraphError> {
        let shape = self.shape(x);
        let shape = vec![shape[0], shape[1..].iter().product()];
        self.push(name, Op::Reshape { shape }, &[x])
    }

    /// The finished builder: the graph, and what it says.
    #[must_use]
    pub fn finish(self) -> (GraphBuilder, Described) {
        (self.graph, self.described)
    }
}
