//! Goes through the nodes of a file in order.

use std::collections::HashMap;

use crate::model::graph::{Graph, GraphBuilder, GraphError, ValueId};
use crate::model::onnx::OnnxFile;
use crate::model::onnx::array::{Array, Value};
use crate::model::onnx::error::OnnxError;
use crate::model::onnx::fold::{Budget, Folding};
use crate::model::onnx::lower::{Call, Lower};
use crate::model::onnx::messages::NodePart;
use crate::platform::simd::Isa;

/// Builds the graph for one size of the input.
pub(super) fn build(file: &OnnxFile, height: usize, width: usize) -> Result<Graph, GraphError> {
    let input = file.input();
    let shape = input.layout.shape(input.channels, height, width);
    let mut lower = Lower::new(file, &input.name, &shape);
    lower.all_nodes()?;
    let mut outputs = Vec::new();
    for output in file.outputs() {
        let failed = |what: &str| GraphError::new(format!("Its output {} {what}.", output.name));
        match lower.values.get(output.name.as_str()) {
            Some(Value::Dynamic(id)) => outputs.push(*id),
            Some(Value::Constant(_)) => return Err(failed("does not depend on the photo")),
            None => return Err(failed("is computed by no node")),
        }
    }
    let graph = lower.finish(outputs);
    file.forget_unused();
    Ok(graph)
}

impl<'a> Lower<'a> {
    /// A graph with only its input.
    pub(in crate::model::onnx) fn new(file: &'a OnnxFile, input: &'a str, shape: &[usize]) -> Self {
        let builder = GraphBuilder::new(input, shape);
        let value = Value::Dynamic(builder.input());
        Self {
            file,
            builder,
            values: HashMap::from([(input, value)]),
            ids: HashMap::new(),
            budget: Budget::new(file.bytes()),
            level: Isa::chosen(),
        }
    }

    /// Adds the nodes of the file.
    pub(in crate::model::onnx) fn all_nodes(&mut self) -> Result<(), GraphError> {
        let file = self.file;
        for index in &file.order {
            self.node(&file.nodes[*index])?;
        }
        Ok(())
    }

    /// The finished graph.
    pub(in crate::model::onnx) fn finish(self, outputs: Vec<ValueId>) -> Graph {
        self.builder.finish(outputs)
    }

    fn node(&mut self, node: &'a NodePart) -> Result<(), GraphError> {
        let describe = |what: String| {
            GraphError::new(format!(
                "The operator {} ({}) can't be used: {what}.",
                node.op,
                node.label()
            ))
        };
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for name in &node.inputs {
            inputs.push(match name.as_str() {
                "" => None,
                name => Some(self.value(name).map_err(OnnxError::into_graph_error)?),
            });
        }
        let name = node.outputs.first().map_or("", |name| name);
        let call = Call {
            node,
            opset: self.file.opset,
            inputs,
            name,
        };
        let outputs = self.lowered(&call).map_err(describe)?;
        for (name, value) in node.outputs.iter().zip(outputs) {
            if !name.is_empty() {
                self.values.insert(name, value);
            }
        }
        Ok(())
    }

    /// A value by name: one that was computed, or an initializer, which is read now.
    fn value(&mut self, name: &'a str) -> Result<Value, OnnxError> {
        if let Some(value) = self.values.get(name) {
            return Ok(value.clone());
        }
        let array = self.file.initializer(name)?;
        let value = Value::Constant(array);
        self.values.insert(name, value.clone());
        Ok(value)
    }

    fn lowered(&mut self, call: &Call<'a>) -> Result<Vec<Value>, String> {
        if let Some(value) = self.of_shape(call)? {
            return Ok(vec![value]);
        }
        let constants: Option<Vec<Option<Array>>> = call
            .inputs
            .iter()
            .map(|input| match input {
                Some(Value::Dynamic(_)) => None,
                Some(Value::Constant(array)) => Some(Some(array.clone())),
                None => Some(None),
            })
            .collect();
        if let Some(inputs) = constants {
            let folding = Folding {
                node: call.node,
                inputs: &inputs,
                name: call.name,
                budget: &mut self.budget,
            };
            if let Some(array) = folding.run()? {
                return Ok(vec![Value::Constant(array)]);
            }
        }
        self.operator(call)
    }

    /// Operators that need no values, only shapes or attributes.
    fn of_shape(&mut self, call: &Call<'a>) -> Result<Option<Value>, String> {
        let node = call.node;
        Ok(Some(Value::Constant(match node.op.as_str() {
            "Shape" => {
                let input = call.input(0)?;
                let shape = self.shape(&input);
                let rank = i64::try_from(shape.len()).unwrap_or(0);
                let bound = |at: i64| {
                    usize::try_from(
                        if at < 0 { at.saturating_add(rank) } else { at }.clamp(0, rank),
                    )
                    .unwrap_or(0)
                };
                let start = bound(node.int("start").unwrap_or(0));
                let end = bound(node.int("end").unwrap_or(rank)).max(start);
                let sides = shape[start..end].iter().map(|side| *side as i64).collect();
                let sized = match &input {
                    Value::Dynamic(_) => true,
                    Value::Constant(array) => array.sized,
                };
                Array::integers(call.name, sides, sized)
            }
            "Size" => {
                let input = call.input(0)?;
                let values = self.shape(&input).iter().product::<usize>();
                let mut array = Array::integers(call.name, vec![values as i64], true);
                array.shape.clear();
                array
            }
            "Constant" => self.constant_node(call)?,
            "ConstantOfShape" => self.constant_of_shape(call)?,
            _ => return Ok(None),
        })))
    }

    fn operator(&mut self, call: &Call<'a>) -> Result<Vec<Value>, String> {
        let value = match call.node.op.as_str() {
            "Conv" => self.conv(call)?,
            "MaxPool" | "AveragePool" | "LpPool" => self.pool(call)?,
            "GlobalAveragePool" | "GlobalMaxPool" => self.global_pool(call)?,
            "MatMul" => self.mat_mul(call)?,
            "Gemm" => self.gemm(call)?,
            "Attention" => self.attention(call)?,
            "BatchNormalization" => self.batch_norm(call)?,
            "LayerNormalization" => return self.layer_norm(call),
            "RMSNormalization" | "SimplifiedLayerNormalization" => self.rms_norm(call)?,
            "InstanceNormalization" | "GroupNormalization" => self.group_norm(call)?,
            "LRN" => self.lrn(call)?,
            "LpNormalization" => self.lp_norm(call)?,
            "MeanVarianceNormalization" => self.mean_variance(call)?,
            "Softmax" | "LogSoftmax" => self.softmax(call)?,
            "Concat" => self.concat(call)?,
            "Split" => return self.split(call),
            "Slice" => self.slice(call)?,
            "Gather" => self.gather(call)?,
            "GatherElements" => self.gather_elements(call)?,
            "GatherND" => self.gather_nd(call)?,
            "Reshape" => self.reshape_node(call)?,
            "Flatten" => self.flatten(call)?,
            "Squeeze" => self.squeeze(call)?,
            "Unsqueeze" => self.unsqueeze(call)?,
            "Transpose" => self.transpose(call)?,
            "Expand" => self.expand_node(call)?,
            "Tile" => self.tile(call)?,
            "Pad" => self.pad(call)?,
            "DepthToSpace" | "SpaceToDepth" => self.depth_space(call)?,
            "Resize" | "Upsample" => self.resize(call)?,
            "Identity" | "Dropout" | "Cast" | "CastLike" | "ZipMap" => self.identity(call)?,
            "Where" => self.choose(call)?,
            name if name.starts_with("Reduce") => self.reduce(call)?,
            _ => self.elementwise(call)?,
        };
        Ok(vec![value])
    }
}
