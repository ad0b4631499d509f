//! Local functions: their nodes take the place of the node that calls them.

use std::collections::HashMap;

use crate::model::onnx::error::OnnxError;
use crate::model::onnx::messages::{Attribute, Function, NodePart};

/// How deeply functions may call each other.
const DEEPEST: usize = 16;

/// The most bytes of names and attributes after all calls are replaced.
const MOST_BYTES: usize = 1 << 28;

/// The most nodes after all calls are replaced.
const MOST_NODES: usize = 200_000;

/// The nodes with all calls of functions replaced.
///
/// # Errors
/// If functions call each other too deeply or become too long.
pub(super) fn inlined(
    nodes: Vec<NodePart>,
    functions: &[Function],
) -> Result<Vec<NodePart>, OnnxError> {
    if functions.is_empty() {
        return Ok(nodes);
    }
    let functions: HashMap<(&str, &str), &Function> = functions
        .iter()
        .map(|function| ((function.domain.as_str(), function.name.as_str()), function))
        .collect();
    let mut inlining = Inlining {
        functions,
        nodes: Vec::with_capacity(nodes.len()),
        calls: 0,
        bytes: 0,
    };
    for node in nodes {
        inlining.add(node, 0)?;
    }
    Ok(inlining.nodes)
}

struct Inlining<'a> {
    functions: HashMap<(&'a str, &'a str), &'a Function>,
    nodes: Vec<NodePart>,
    calls: usize,
    bytes: usize,
}

impl Inlining<'_> {
    fn add(&mut self, call: NodePart, depth: usize) -> Result<(), OnnxError> {
        let function = self
            .functions
            .get(&(call.domain.as_str(), call.op.as_str()));
        let Some(function) = function.copied() else {
            self.nodes.push(call);
            return Ok(());
        };
        self.calls += 1;
        if depth >= DEEPEST || self.nodes.len() + self.calls > MOST_NODES {
            return Err(OnnxError::damaged(
                "its functions call each other too often",
            ));
        }
        let mut names: HashMap<&str, String> = HashMap::new();
        for (index, input) in function.inputs.iter().enumerate() {
            let given = call.inputs.get(index).cloned().unwrap_or_default();
            names.insert(input, given);
        }
        for (index, output) in function.outputs.iter().enumerate() {
            let given = call.outputs.get(index).filter(|name| !name.is_empty());
            if let Some(given) = given {
                names.insert(output, given.clone());
            }
        }
        let prefix = format!("{}#{}", call.label(), self.calls);
        let renamed = |name: &String| match names.get(name.as_str()) {
            _ if name.is_empty() => String::new(),
            Some(name) => name.clone(),
            None => format!("{prefix}/{name}"),
        };
        for node in &function.nodes {
            if self.nodes.len() > MOST_NODES {
                return Err(OnnxError::damaged("its functions are too long"));
            }
            let attributes = node.attributes.iter();
            let node = NodePart {
                name: format!("{prefix}/{}", node.name),
                op: node.op.clone(),
                domain: node.domain.clone(),
                inputs: node.inputs.iter().map(renamed).collect(),
                outputs: node.outputs.iter().map(renamed).collect(),
                attributes: attributes
                    .filter_map(|own| resolved(own, &call, function))
                    .collect(),
            };
            self.bytes = self.bytes.saturating_add(size(&node));
            if self.bytes > MOST_BYTES {
                return Err(OnnxError::damaged("its functions are too long"));
            }
            self.add(node, depth + 1)?;
        }
        Ok(())
    }
}

/// Roughly the memory of a node.
fn size(node: &NodePart) -> usize {
    let names = node.inputs.iter().chain(&node.outputs);
    let names: usize = names.map(|name| name.len() + size_of::<String>()).sum();
    let attributes = node.attributes.iter().map(|attribute| {
        let texts: usize = attribute.strings.iter().map(String::len).sum();
        let text = attribute.string.as_ref().map_or(0, String::len);
        let lists = attribute.ints.len() * 8 + attribute.floats.len() * 4;
        size_of::<Attribute>() + attribute.name.len() + text + texts + lists
    });
    size_of::<NodePart>() + node.name.len() + names + attributes.sum::<usize>()
}

/// An attribute, or the one of the call that it refers to.
fn resolved(own: &Attribute, call: &NodePart, function: &Function) -> Option<Attribute> {
    if own.refers_to.is_empty() {
        return Some(own.clone());
    }
    let mut given = call.attributes.iter().chain(&function.defaults);
    let found = given.find(|given| given.name == own.refers_to)?;
    Some(Attribute {
        name: own.name.clone(),
        ..found.clone()
    })
}
