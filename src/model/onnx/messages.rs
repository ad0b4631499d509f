//! The parts of an ONNX file, as in `onnx.proto` (Apache-2.0): only what is needed. Subgraphs are
//! noticed, not read, so nothing here is recursive.

use std::collections::BTreeMap;

use crate::model::onnx::error::OnnxError;
use crate::model::onnx::wire::{Reader, Span, Wire};

/// A model.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) ir_version: i64,
    pub(super) producer: String,
    pub(super) producer_version: String,
    /// Domain and version; the empty domain is ONNX's own.
    pub(super) opsets: Vec<(String, i64)>,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) graph: Option<GraphPart>,
    pub(super) functions: Vec<Function>,
}

/// A graph.
#[derive(Debug, Default)]
pub(super) struct GraphPart {
    pub(super) nodes: Vec<NodePart>,
    pub(super) initializers: Vec<TensorPart>,
    pub(super) sparse_initializers: usize,
    pub(super) inputs: Vec<ValuePart>,
    pub(super) outputs: Vec<ValuePart>,
}

/// A local function: a graph without types.
#[derive(Debug, Default)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) domain: String,
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
    pub(super) nodes: Vec<NodePart>,
    /// Attributes with a default.
    pub(super) defaults: Vec<Attribute>,
    pub(super) opsets: Vec<(String, i64)>,
}

/// A node.
#[derive(Clone, Debug, Default)]
pub(super) struct NodePart {
    pub(super) name: String,
    pub(super) op: String,
    pub(super) domain: String,
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
    pub(super) attributes: Vec<Attribute>,
}

/// An attribute of a node.
#[derive(Clone, Debug, Default)]
pub(super) struct Attribute {
    pub(super) name: String,
    /// The function's attribute that gives the value.
    pub(super) refers_to: String,
    pub(super) float: Option<f32>,
    pub(super) int: Option<i64>,
    pub(super) string: Option<String>,
    pub(super) tensor: Option<TensorPart>,
    pub(super) floats: Vec<f32>,
    pub(super) ints: Vec<i64>,
    pub(super) strings: Vec<String>,
    /// Whether it is a graph, a sparse tensor or a type.
    pub(super) other: bool,
}

/// A tensor, whose values stay in the file.
#[derive(Clone, Debug)]
pub(super) struct TensorPart {
    pub(super) name: String,
    pub(super) dims: Vec<i64>,
    pub(super) element: i64,
    /// The whole message.
    pub(super) span: Span,
    pub(super) raw: Option<Span>,
    /// Keys and values if the data is in another file.
    pub(super) external: Option<Vec<(String, String)>>,
}

/// An input or output of a graph.
#[derive(Debug, Default)]
pub(super) struct ValuePart {
    pub(super) name: String,
    /// Element type; 0 if it is not a tensor.
    pub(super) element: i64,
    /// Dimensions, if the rank is known. A dimension without a number is `None`.
    pub(super) shape: Option<Vec<Option<i64>>>,
}

impl NodePart {
    fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes
            .iter()
            .find(|attribute| attribute.name == name)
    }

    /// Whether there is an attribute.
    pub(super) fn has(&self, name: &str) -> bool {
        self.attribute(name).is_some()
    }

    /// An integer attribute.
    pub(super) fn int(&self, name: &str) -> Option<i64> {
        self.attribute(name)?.int
    }

    /// A number attribute.
    pub(super) fn float(&self, name: &str) -> Option<f32> {
        self.attribute(name)?.float
    }

    /// A text attribute.
    pub(super) fn string(&self, name: &str) -> Option<&str> {
        self.attribute(name)?.string.as_deref()
    }

    /// A list of integers.
    pub(super) fn ints(&self, name: &str) -> Option<&[i64]> {
        Some(&self.attribute(name)?.ints)
    }

    /// A list of numbers.
    pub(super) fn floats(&self, name: &str) -> Option<&[f32]> {
        Some(&self.attribute(name)?.floats)
    }

    /// A list of texts.
    pub(super) fn strings(&self, name: &str) -> Option<&[String]> {
        Some(&self.attribute(name)?.strings)
    }

    /// A tensor attribute.
    pub(super) fn tensor(&self, name: &str) -> Option<&TensorPart> {
        self.attribute(name)?.tensor.as_ref()
    }

    /// What a message calls it.
    pub(super) fn label(&self) -> &str {
        if self.name.is_empty() {
            self.outputs.first().map_or("", |name| name)
        } else {
            &self.name
        }
    }
}

/// Reads a model.
///
/// # Errors
/// If the file is damaged.
pub(super) fn model(reader: &mut Reader<'_>) -> Result<Model, OnnxError> {
    let mut model = Model::default();
    let mut rest = reader.all();
    while let Some(field) = reader.field(&mut rest)? {
        match field {
            (1, Wire::Varint(value)) => model.ir_version = value.cast_signed(),
            (2, Wire::Bytes(span)) => model.producer = reader.string(span)?,
            (3, Wire::Bytes(span)) => model.producer_version = reader.string(span)?,
            (7, Wire::Bytes(span)) => {
                if model.graph.is_some() {
                    return Err(OnnxError::damaged("it has two graphs"));
                }
                model.graph = Some(graph(reader, span)?);
            }
            (8, Wire::Bytes(span)) => model.opsets.push(opset(reader, span)?),
            (14, Wire::Bytes(span)) => {
                let (key, value) = pair(reader, span)?;
                model.metadata.insert(key, value);
            }
            (25, Wire::Bytes(span)) => model.functions.push(function(reader, span)?),
            _ => {}
        }
    }
    Ok(model)
}

fn graph(reader: &mut Reader<'_>, mut rest: Span) -> Result<GraphPart, OnnxError> {
    let mut graph = GraphPart::default();
    while let Some(field) = reader.field(&mut rest)? {
        match field {
            (1, Wire::Bytes(span)) => graph.nodes.push(node(reader, span)?),
            (5, Wire::Bytes(span)) => graph.initializers.push(tensor(reader, span)?),
            (11, Wire::Bytes(span)) => graph.inputs.push(value(reader, span)?),
            (12, Wire::Bytes(span)) => graph.outputs.push(value(reader, span)?),
            (15, Wire::Bytes(_)) => graph.sparse_initializers += 1,
            _ => {}
        }
    }
    Ok(graph)
}

fn function(reader: &mut Reader<'_>, mut rest: Span) -> Result<Function, OnnxError> {
    reader.spend(size_of::<Function>() as u64)?;
    let mut function = Function::default();
    while let Some(field) = reader.field(&mut rest)? {
        match field {
            (1, Wire::Bytes(span)) => function.name = reader.string(span)?,
            (4, Wire::Bytes(span)) => function.inputs.push(reader.string(span)?),
            (5, Wire::Bytes(span)) => function.outputs.push(reader.string(span)?),
            (7, Wire::Bytes(span)) => function.nodes.push(node(reader, span)?),
            (9, Wire::Bytes(span)) => function.opsets.push(opset(reader, span)?),
            (10, Wire::Bytes(span)) => function.domain = reader.string(span)?,
            (11, Wire::Bytes(span)) => function.defaults.push(attribute(reader, span)?),
            _ => {}
        }
    }
    Ok(function)
}

fn node(reader: &mut Reader<'_>, mut rest: Span) -> Result<NodePart, OnnxError> {
    // Twice, for the growth of the list.
    reader.spend(2 * size_of::<NodePart>() as u64)?;
    let mut node = NodePart::default();
    while let Some(field) = reader.field(&mut rest)? {
        match field {
            (1, Wire::Bytes(span)) => node.inputs.push(reader.string(span)?),
            (2, Wire::Bytes(span)) => node.outputs.push(reader.string(span)?),
            (3, Wire::Bytes(span)) => node.name = reader.string(span)?,
            (4, Wire::Bytes(span)) => node.op = reader.string(span)?,
            (5, Wire::Bytes(span)) => node.attributes.push(attribute(reader, span)?),
            (7, Wire::Bytes(span)) => {
                node.domain = reader.string(span)?;
                if node.domain == "ai.onnx" {
                    node.domain.clear();
                }
            }
            _ => {}
        }
    }
    Ok(node)
}

fn attribute(reader: &mut Reader<'_>, mut rest: Span) -> Result<Attribute, OnnxError> {
    reader.spend(2 * size_of::<Attribute>() as u64)?;
    let mut attribute = Attribute::default();
    let mut kind = 0;
    while let Some((number, value)) = reader.field(&mut rest)? {
        match (number, value) {
            (1, Wire::Bytes(span)) => attribute.name = reader.string(span)?,
            (2, Wire::Fixed32(bits)) => attribute.float = Some(f32::from_bits(bits)),
            (3, Wire::Varint(value)) => attribute.int = Some(value.cast_signed()),
            (4, Wire::Bytes(span)) => attribute.string = Some(reader.string(span)?),
            (5, Wire::Bytes(span)) => attribute.tensor = Some(tensor(reader, span)?),
            (7, value) => reader.floats(value, &mut attribute.floats)?,
            (8, value) => reader.integers(value, &mut attribute.ints)?,
            (9, Wire::Bytes(span)) => attribute.strings.push(reader.string(span)?),
            (6 | 10 | 11 | 14 | 15 | 22 | 23, _) => attribute.other = true,
            (20, Wire::Varint(value)) => kind = value,
            (21, Wire::Bytes(span)) => attribute.refers_to = reader.string(span)?,
            _ => {}
        }
    }
    // proto3 leaves out a value of zero or nothing.
    match kind {
        1 => attribute.float = attribute.float.or(Some(0.0)),
        2 => attribute.int = attribute.int.or(Some(0)),
        3 => attribute.string = attribute.string.or_else(|| Some(String::new())),
        _ => {}
    }
    Ok(attribute)
}

/// Reads a tensor.
pub(super) fn tensor(reader: &mut Reader<'_>, span: Span) -> Result<TensorPart, OnnxError> {
    reader.spend(2 * size_of::<TensorPart>() as u64)?;
    let mut tensor = TensorPart {
        name: String::new(),
        dims: Vec::new(),
        element: 0,
        span,
        raw: None,
        external: None,
    };
    let mut external = Vec::new();
    let mut elsewhere = false;
    let mut rest = span;
    while let Some((number, value)) = reader.field(&mut rest)? {
        match (number, value) {
            (1, value) => reader.integers(value, &mut tensor.dims)?,
            (2, Wire::Varint(value)) => tensor.element = value.cast_signed(),
            (3, _) => return Err(OnnxError::damaged("a tensor is in segments")),
            (8, Wire::Bytes(span)) => tensor.name = reader.string(span)?,
            (9, Wire::Bytes(span)) => tensor.raw = Some(span),
            (13, Wire::Bytes(span)) => external.push(pair(reader, span)?),
            (14, Wire::Varint(value)) => elsewhere = value == 1,
            _ => {}
        }
    }
    tensor.external = elsewhere.then_some(external);
    Ok(tensor)
}

fn value(reader: &mut Reader<'_>, mut rest: Span) -> Result<ValuePart, OnnxError> {
    reader.spend(2 * size_of::<ValuePart>() as u64)?;
    let mut value = ValuePart::default();
    while let Some(field) = reader.field(&mut rest)? {
        match field {
            (1, Wire::Bytes(span)) => value.name = reader.string(span)?,
            (2, Wire::Bytes(mut kind)) => {
                while let Some(field) = reader.field(&mut kind)? {
                    if let (1, Wire::Bytes(span)) = field {
                        tensor_type(reader, span, &mut value)?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(value)
}

fn tensor_type(
    reader: &mut Reader<'_>,
    mut rest: Span,
    value: &mut ValuePart,
) -> Result<(), OnnxError> {
    while let Some(field) = reader.field(&mut rest)? {
        match field {
            (1, Wire::Varint(element)) => value.element = element.cast_signed(),
            (2, Wire::Bytes(mut dims)) => {
                let mut shape = Vec::new();
                while let Some(field) = reader.field(&mut dims)? {
                    if let (1, Wire::Bytes(mut dim)) = field {
                        let mut side = None;
                        while let Some(field) = reader.field(&mut dim)? {
                            if let (1, Wire::Varint(value)) = field {
                                side = Some(value.cast_signed());
                            }
                        }
                        reader.spend(32)?;
                        shape.push(side);
                    }
                }
                value.shape = Some(shape);
            }
            _ => {}
        }
    }
    Ok(())
}

fn opset(reader: &mut Reader<'_>, mut rest: Span) -> Result<(String, i64), OnnxError> {
    reader.spend(64)?;
    let mut opset = (String::new(), 0);
    while let Some(field) = reader.field(&mut rest)? {
        match field {
            (1, Wire::Bytes(span)) => opset.0 = reader.string(span)?,
            (2, Wire::Varint(value)) => opset.1 = value.cast_signed(),
            _ => {}
        }
    }
    if opset.0 == "ai.onnx" {
        opset.0.clear();
    }
    Ok(opset)
}

fn pair(reader: &mut Reader<'_>, mut rest: Span) -> Result<(String, String), OnnxError> {
    reader.spend(128)?;
    let mut pair = (String::new(), String::new());
    while let Some(field) = reader.field(&mut rest)? {
        match field {
            (1, Wire::Bytes(span)) => pair.0 = reader.string(span)?,
            (2, Wire::Bytes(span)) => pair.1 = reader.string(span)?,
            _ => {}
        }
    }
    Ok(pair)
}
