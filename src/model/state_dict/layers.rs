//! PyTorch's modules as nodes of a graph: reads their tensors, checks their shapes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::graph::{
    Binary, Conv, GraphBuilder, GraphError, Op, Pool, ReduceKind, Unary, ValueId,
};
use crate::model::state_dict::{Described, Role, SavedModule, Shapes, Tensors};

/// A network under construction from named tensors.
pub struct Layers<'a> {
    graph: GraphBuilder,
    tensors: &'a mut dyn Tensors,
    used: BTreeSet<String>,
    ignored: Vec<String>,
    saved: BTreeMap<String, SavedModule>,
    /// The saved modules that the graph has.
    visited: BTreeSet<String>,
    /// The architecture's name as `config.json`, the file or the user declares it (timm's or
    /// torchvision's spelling), if any.
    pub declared: Option<String>,
    /// What the builder says about the network.
    pub described: Described,
}

impl<'a> Layers<'a> {
    /// For an input of this shape.
    pub fn new(tensors: &'a mut dyn Tensors, input: &[usize], declared: Option<String>) -> Self {
        let modules = tensors.modules().iter();
        let saved = modules.map(|module| (module.path.clone(), module.clone()));
        Self {
            graph: GraphBuilder::new("input", input),
            saved: saved.collect(),
            visited: BTreeSet::new(),
            tensors,
            used: BTreeSet::new(),
            ignored: Vec::new(),
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

    /// A constant number.
    ///
    /// # Errors
    /// Never.
    pub fn number(&mut self, name: &str, value: f32) -> Result<ValueId, GraphError> {
        self.graph.constant(name, &[], Arc::new(vec![value]))
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
        self.ignored.push(tensor.to_owned());
    }

    /// The tensors that were marked as not needed.
    #[must_use]
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// The tensors that no node uses, without counters of batches.
    #[must_use]
    pub fn unused(&self) -> Vec<String> {
        let names = self.tensors.shapes().keys();
        let unused = names
            .filter(|name| !self.used.contains(*name) && !name.ends_with("num_batches_tracked"));
        unused.cloned().collect()
    }

    /// Whether the declared name begins with one of these, which are names of this family.
    #[must_use]
    pub fn is_declared_as(&self, names: &[&str]) -> bool {
        let declared = self.declared.as_deref().unwrap_or_default().to_lowercase();
        names.iter().any(|name| declared.starts_with(name))
    }

    /// Whether the network was saved whole, with its modules.
    #[must_use]
    pub fn is_saved_whole(&self) -> bool {
        !self.saved.is_empty()
    }

    /// What the file says about a module, which the caller then must respect.
    pub fn saved(&mut self, path: &str) -> Option<SavedModule> {
        let module = self.saved.get(path)?.clone();
        self.visited.insert(path.to_owned());
        Some(module)
    }

    /// The modules, if the network was saved whole, each before its submodules.
    #[must_use]
    pub fn saved_in_order(&self) -> Vec<SavedModule> {
        self.tensors.modules().to_vec()
    }

    /// Whether the graph has a saved module.
    #[must_use]
    pub fn was_visited(&self, path: &str) -> bool {
        self.visited.contains(path)
    }

    /// What saved modules say that the graph does not have, one sentence each. Activations and
    /// pooling that the builder did not ask for must be among those of the graph.
    #[must_use]
    pub fn differences(&self) -> Vec<String> {
        let ops = self.graph.ops();
        let mut differences = Vec::new();
        let mut saved = self.saved.values().peekable();
        while let Some(module) = saved.next() {
            let inner = |next: &&&SavedModule| {
                let rest = next.path.strip_prefix(&module.path);
                rest.is_some_and(|rest| module.path.is_empty() || rest.starts_with('.'))
            };
            let is_leaf = saved.peek().filter(inner).is_none();
            if !is_leaf || module.has_tensors || self.visited.contains(&module.path) {
                continue;
            }
            let has = |wanted: &dyn Fn(&Op) -> bool| ops.clone().any(wanted);
            let fits = match module.role() {
                Role::Nothing => !names_activation(&module.path),
                Role::Container | Role::Flatten | Role::Training => true,
                Role::Activation(unary) => has(&|op| *op == Op::Unary(unary)),
                Role::Softmax { .. } => false,
                Role::Pool => match module.class.as_str() {
                    "MaxPool2d" => {
                        let pool = module.windows().ok();
                        pool.is_some_and(|pool| has(&|op| *op == Op::MaxPool(pool)))
                    }
                    "AvgPool2d" => {
                        let pool = module.windows().ok();
                        has(
                            &|op| matches!(op, Op::AveragePool { pool: its, .. } if Some(*its) == pool),
                        )
                    }
                    _ => module.is_global_average(),
                },
                Role::Unknown => false,
            };
            if !fits {
                let SavedModule { path, class, .. } = module;
                differences.push(format!(
                    "{path} is {class}, which this network does not have"
                ));
            }
        }
        differences
    }

    /// Says what was taken for granted, unless the network was saved whole or its architecture is
    /// declared.
    pub fn assume(&mut self, what: &str) {
        if self.declared.is_none() && !self.is_saved_whole() {
            let name = &self.described.name;
            let sentence =
                format!("Taken as a usual {name}: {what}. The weights alone do not show it.");
            self.described.assumed.push(sentence);
        }
    }

    /// Gives a value of the graph another name.
    pub fn rename(&mut self, value: ValueId, name: &str) {
        self.graph.rename(value, name);
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
        let conv = match self.saved(name) {
            Some(module) => {
                let weight = self.tensor_shape(&format!("{name}.weight"))?;
                module.conv(conv, self.shape(x), &weight)?
            }
            None => conv,
        };
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
        self.batch_norm_as(name, name, x, eps)
    }

    /// `nn.BatchNorm2d` in evaluation mode, whose output is called `output`.
    ///
    /// # Errors
    /// If a tensor is missing or does not fit.
    pub fn batch_norm_as(
        &mut self,
        name: &str,
        output: &str,
        x: ValueId,
        eps: f32,
    ) -> Result<ValueId, GraphError> {
        let eps = match self.saved(name) {
            Some(module) if module.is_batch_norm() => module.eps(eps)?,
            Some(module) => return Err(unexpected(&module, "a batch norm")),
            None => eps,
        };
        let mut inputs = vec![x];
        for part in ["weight", "bias", "running_mean", "running_var"] {
            inputs.push(self.constant(&format!("{name}.{part}"))?);
        }
        self.push(output, Op::BatchNorm { eps }, &inputs)
    }

    /// `nn.Linear`: `{name}.weight` and, if it exists, `{name}.bias`.
    ///
    /// # Errors
    /// If a tensor is missing or does not fit.
    pub fn linear(&mut self, name: &str, x: ValueId) -> Result<ValueId, GraphError> {
        if let Some(module) = self.saved(name)
            && !["Linear", "NonDynamicallyQuantizableLinear", "LazyLinear"]
                .contains(&module.class.as_str())
        {
            return Err(unexpected(&module, "Linear"));
        }
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
        let eps = match self.saved(name) {
            Some(module) if module.class.starts_with("LayerNorm") => module.eps(eps)?,
            Some(module) => return Err(unexpected(&module, "LayerNorm")),
            None => eps,
        };
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

    /// A function of each value that is a module of its own. If the module was saved with the
    /// network, under one of these paths, it decides which function.
    ///
    /// # Errors
    /// If the saved module is no function that camlens has.
    pub fn activation(
        &mut self,
        name: &str,
        paths: &[&str],
        usual: Unary,
        x: ValueId,
    ) -> Result<ValueId, GraphError> {
        let modules = paths.iter().filter_map(|path| self.saved(path));
        let module = modules.collect::<Vec<_>>().into_iter().next();
        let role = module.as_ref().map(SavedModule::role);
        match (role, module) {
            (Some(Role::Activation(unary)), _) => self.unary(name, unary, x),
            (Some(Role::Nothing), _) => Ok(x),
            (Some(_), Some(module)) => Err(unexpected(&module, "an activation")),
            _ => self.unary(name, usual, x),
        }
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

    /// Max pooling. A saved module with this path decides.
    ///
    /// # Errors
    /// If the windows do not fit.
    pub fn max_pool(&mut self, name: &str, x: ValueId, pool: Pool) -> Result<ValueId, GraphError> {
        self.pool(name, x, Op::MaxPool(pool))
    }

    /// Max or average pooling. A saved module with this path decides.
    ///
    /// # Errors
    /// If the windows do not fit.
    pub fn pool(&mut self, name: &str, x: ValueId, usual: Op) -> Result<ValueId, GraphError> {
        let Some(module) = self.saved(name) else {
            return self.push(name, usual, &[x]);
        };
        let pool = match module.class.as_str() {
            "MaxPool2d" => Op::MaxPool(module.windows()?),
            "AvgPool2d" => Op::AveragePool {
                pool: module.windows()?,
                count_include_pad: module.counts_padding()?,
            },
            _ if module.role() == Role::Nothing => return Ok(x),
            _ => return Err(unexpected(&module, "pooling")),
        };
        self.push(name, pool, &[x])
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

fn unexpected(module: &SavedModule, instead: &str) -> GraphError {
    let SavedModule { path, class, .. } = module;
    GraphError::new(format!("{path} is {class} instead of {instead}"))
}

/// Whether the last name of a module is that of an activation: "relu", "act1".
fn names_activation(path: &str) -> bool {
    let last = path.rsplit('.').next().unwrap_or(path);
    let name = last.trim_end_matches(|c: char| c.is_ascii_digit());
    matches!(name, "relu" | "act" | "activation" | "nonlinearity")
}
