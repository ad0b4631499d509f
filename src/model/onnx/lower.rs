//! From the operators of ONNX to those of the graph, for one size of the input. Constants are
//! computed on the way: an operator all of whose inputs are known is run at once.

mod convolution;
mod elementwise;
mod layout;
mod matrix;
mod normalization;
mod pick;
mod reduction;
mod resize;
mod run;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use crate::model::graph::reference::{Tensor, Values, forward};
use crate::model::graph::{Graph, GraphBuilder, GraphError, Op, ValueId, broadcast};
use crate::model::onnx::OnnxFile;
use crate::model::onnx::array::{Array, Data, Value, count, moved};
use crate::model::onnx::fold::Budget;
use crate::model::onnx::messages::NodePart;
use crate::platform::simd::Isa;

/// A graph under construction.
pub(super) struct Lower<'a> {
    file: &'a OnnxFile,
    builder: GraphBuilder,
    /// All values so far, by name.
    pub(super) values: HashMap<&'a str, Value>,
    /// Constants in the graph, by the address of their values and their shape.
    ids: HashMap<(usize, Vec<usize>), ValueId>,
    budget: Budget,
    level: Isa,
}

/// A node with its inputs.
pub(super) struct Call<'a> {
    node: &'a NodePart,
    /// The version of its operator set.
    opset: i64,
    /// Its inputs; `None` where it leaves one out.
    inputs: Vec<Option<Value>>,
    /// The name of its first output.
    name: &'a str,
}

impl Call<'_> {
    /// An input that must be there.
    fn input(&self, index: usize) -> Result<Value, String> {
        let input = self.inputs.get(index).cloned().flatten();
        input.ok_or_else(|| format!("its input {index} is missing"))
    }

    /// An input that may be left out.
    fn optional(&self, index: usize) -> Option<&Value> {
        self.inputs.get(index).and_then(Option::as_ref)
    }

    /// An input that must be known before the photo is.
    fn known(&self, index: usize) -> Result<Option<&Array>, String> {
        match self.optional(index) {
            None => Ok(None),
            Some(Value::Constant(array)) => Ok(Some(array)),
            Some(Value::Dynamic(_)) => {
                let name = self.node.inputs.get(index).map_or("", |name| name);
                Err(format!(
                    "its input {name} depends on the photo's content, which camlens does not support here"
                ))
            }
        }
    }

    /// Integers from an input or, in older versions, from an attribute.
    fn ints(&self, index: usize, attribute: &str) -> Result<Option<Vec<i64>>, String> {
        if let Some(array) = self.known(index)? {
            return Ok(Some(array.ints()?.to_vec()));
        }
        Ok(self.node.ints(attribute).map(<[i64]>::to_vec))
    }

    /// A name for a value inside the node.
    fn part(&self, what: &str) -> String {
        format!("{}/({what})", self.name)
    }

    /// Refuses outputs after the first `most` that someone reads.
    fn outputs_at_most(&self, most: usize) -> Result<(), String> {
        let more = self.node.outputs.iter().skip(most);
        match more.into_iter().find(|name| !name.is_empty()) {
            None => Ok(()),
            Some(name) => Err(format!("its output {name} is not supported")),
        }
    }
}

impl Lower<'_> {
    /// The shape of a value.
    fn shape<'b>(&'b self, value: &'b Value) -> &'b [usize] {
        match value {
            Value::Dynamic(id) => self.builder.shape(*id),
            Value::Constant(array) => &array.shape,
        }
    }

    /// Applies an operator: adds a node, or computes the result if all inputs are known.
    fn emit(&mut self, name: &str, op: Op, inputs: &[Value]) -> Result<Value, String> {
        let constants: Option<Vec<Array>> = inputs
            .iter()
            .map(|input| match input {
                Value::Constant(array) => Some(array.clone()),
                Value::Dynamic(_) => None,
            })
            .collect();
        if let Some(arrays) = constants {
            return Ok(Value::Constant(self.compute(name, &op, &arrays)?));
        }
        let shapes: Vec<&[usize]> = inputs.iter().map(|input| self.shape(input)).collect();
        op.output_shape(&shapes)?;
        let mut ids = Vec::with_capacity(inputs.len());
        for input in inputs {
            ids.push(match input {
                Value::Dynamic(id) => *id,
                Value::Constant(array) => self.constant(array)?,
            });
        }
        let id = self
            .builder
            .push(name, op, &ids)
            .map_err(|error| error.to_string())?;
        Ok(Value::Dynamic(id))
    }

    /// Puts a constant into the graph, once.
    fn constant(&mut self, array: &Array) -> Result<ValueId, String> {
        if let Data::I64(_) | Data::Bool(_) = array.data {
            return Err(format!(
                "the constant {} is not a floating-point number",
                array.name
            ));
        }
        let values = array.data.to_f32();
        if let Data::F64(double) = &array.data
            && double
                .iter()
                .zip(values.iter())
                .any(|(a, b)| a.is_finite() && b.is_infinite())
        {
            return Err(format!(
                "the constant {} holds numbers beyond single precision",
                array.name
            ));
        }
        let key = (Arc::as_ptr(&values) as usize, array.shape.clone());
        if let Some(id) = self.ids.get(&key) {
            return Ok(*id);
        }
        let id = self
            .builder
            .constant(&array.name, &array.shape, values)
            .map_err(|error| error.to_string())?;
        self.ids.insert(key, id);
        Ok(id)
    }

    /// The result of an operator on constants.
    fn compute(&mut self, name: &str, op: &Op, inputs: &[Array]) -> Result<Array, String> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|input| &input.shape[..]).collect();
        let shape = op.shape_even_if_empty(&shapes)?;
        let sized = inputs.iter().any(|input| input.sized);
        let array = |shape, data| Array {
            name: name.into(),
            shape,
            data,
            sized,
        };
        if let Op::Reshape { .. } = op {
            return Ok(array(shape, inputs[0].data.clone()));
        }
        if !sized
            && let Some(data) = self.remembered(name)
            && Some(data.len()) == count(&shape, usize::MAX)
        {
            return Ok(array(shape, data));
        }
        // Room for the largest type.
        let values = self.budget.take(&shape, 8)?;
        let data = if let Op::Concat { axis } = op {
            joined(inputs, *axis)
        } else if let (Op::Transpose { perm }, Data::F32(values)) = (op, &inputs[0].data)
            && perm[..] == [1, 0]
        {
            Data::F32(Arc::new(transposed(values, inputs[0].shape[1])))
        } else if let Some(from) = moved(op, &inputs[0].shape, &shape) {
            inputs[0].data.pick(&from)
        } else if values == 0 {
            Data::F32(Arc::new(Vec::new()))
        } else {
            self.numeric(op, inputs, values)?
        };
        if !sized && values >= 1024 {
            self.remember(name, &data);
        }
        Ok(array(shape, data))
    }

    /// Runs an operator on floating-point constants. The result is rounded to single precision
    /// unless an input is in double precision.
    fn numeric(&mut self, op: &Op, inputs: &[Array], values: usize) -> Result<Data, String> {
        let mut tensors = Vec::with_capacity(inputs.len());
        for input in inputs {
            if !input.data.is_float() {
                return Err(format!(
                    "{} does not hold floating-point numbers",
                    input.name
                ));
            }
            let values = match &input.data {
                Data::F64(values) => Values::Double(Arc::clone(values)),
                other => Values::Single(other.to_f32()),
            };
            tensors.push(Tensor {
                shape: input.shape.clone(),
                values,
            });
        }
        let depth = match op {
            Op::Conv(_) => inputs[1].shape[1..].iter().product(),
            Op::Linear => inputs[1].shape[1],
            Op::MatMul => inputs[0].shape.last().copied().unwrap_or(1),
            Op::MaxPool(pool) | Op::AveragePool { pool, .. } => {
                pool.kernel[0].saturating_mul(pool.kernel[1])
            }
            Op::Lrn { size, .. } => *size,
            _ => inputs.iter().map(|input| input.data.len()).sum::<usize>() / values.max(1) + 1,
        };
        self.budget
            .work((values as u64).saturating_mul(depth as u64))?;
        let inputs_double = inputs
            .iter()
            .any(|input| matches!(input.data, Data::F64(_)));
        let references: Vec<&Tensor> = tensors.iter().collect();
        let result = forward(op, &references, self.level).map_err(|error| error.to_string())?;
        let data = match result.values {
            Values::Single(values) => Data::F32(values),
            Values::Double(values) => Data::F64(values),
        };
        Ok(if inputs_double {
            data
        } else {
            Data::F32(data.to_f32())
        })
    }

    /// A result of an earlier size of the input, which does not depend on it.
    fn remembered(&self, name: &str) -> Option<Data> {
        let computed = self.file.computed.lock();
        let computed = computed.unwrap_or_else(PoisonError::into_inner);
        computed.get(name).cloned()
    }

    fn remember(&self, name: &str, data: &Data) {
        let computed = self.file.computed.lock();
        let mut computed = computed.unwrap_or_else(PoisonError::into_inner);
        computed.insert(name.to_owned(), data.clone());
    }

    /// Reshapes a value, if its shape differs.
    fn reshape(&mut self, name: &str, value: Value, shape: &[usize]) -> Result<Value, String> {
        if self.shape(&value) == shape {
            return Ok(value);
        }
        let shape = shape.to_vec();
        self.emit(name, Op::Reshape { shape }, &[value])
    }

    /// Repeats a value to a shape, if its shape differs.
    fn expand(&mut self, name: &str, value: Value, shape: &[usize]) -> Result<Value, String> {
        if self.shape(&value) == shape {
            return Ok(value);
        }
        let shape = shape.to_vec();
        self.emit(name, Op::Expand { shape }, &[value])
    }

    /// The shape that some values are repeated to.
    fn common_shape(&self, values: &[Value]) -> Result<Vec<usize>, String> {
        let mut shape = Vec::new();
        for value in values {
            shape = broadcast(&shape, self.shape(value))?;
        }
        Ok(shape)
    }
}

/// An axis that may count from the end.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, String> {
    position(axis, rank).map_err(|_| format!("its axis {axis} does not exist"))
}

/// Axes that may count from the end, ascending.
pub(super) fn axes(given: &[i64], rank: usize) -> Result<Vec<usize>, String> {
    let axes: Result<Vec<usize>, String> = given.iter().map(|at| axis(*at, rank)).collect();
    let mut axes = axes?;
    axes.sort_unstable();
    if axes.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err("it names an axis twice".into());
    }
    Ok(axes)
}

/// A position that may count from the end.
pub(super) fn position(index: i64, side: usize) -> Result<usize, String> {
    let length = i64::try_from(side).unwrap_or(i64::MAX);
    let index = if index < 0 {
        index.saturating_add(length)
    } else {
        index
    };
    usize::try_from(index)
        .ok()
        .filter(|index| *index < side)
        .ok_or_else(|| format!("its index {index} lies outside"))
}

fn joined(inputs: &[Array], axis: usize) -> Data {
    let mut data = inputs[0].data.clone();
    for input in &inputs[1..] {
        data = crate::model::onnx::fold::joined(&data, &input.data);
    }
    let outer: usize = inputs[0].shape[..axis].iter().product();
    if outer == 1 || data.len() == 0 {
        return data;
    }
    // The inputs' blocks in turn.
    let mut from = Vec::with_capacity(data.len());
    for block in 0..outer {
        let mut start = 0;
        for input in inputs {
            let length = input.data.len() / outer;
            from.extend((0..length).map(|at| start + block * length + at));
            start += input.data.len();
        }
    }
    data.pick(&from)
}

/// The transpose of a matrix with this many columns, in tiles that stay in the cache.
fn transposed(values: &[f32], columns: usize) -> Vec<f32> {
    const TILE: usize = 32;
    if columns == 0 {
        return Vec::new();
    }
    let rows = values.len() / columns;
    let mut out = vec![0.0; values.len()];
    for top in (0..rows).step_by(TILE) {
        for left in (0..columns).step_by(TILE) {
            for row in top..rows.min(top + TILE) {
                for column in left..columns.min(left + TILE) {
                    out[column * rows + row] = values[row * columns + column];
                }
            }
        }
    }
    out
}

/// Builds the graph of a file for one size of its input.
pub(super) fn build(file: &OnnxFile, height: usize, width: usize) -> Result<Graph, GraphError> {
    run::build(file, height, width)
}
