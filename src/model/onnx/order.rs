//! Which nodes are needed, and in which order they run.

use std::collections::{HashMap, HashSet};

use crate::model::onnx::declared::DeclaredOutput;
use crate::model::onnx::error::OnnxError;
use crate::model::onnx::messages::{GraphPart, ValuePart};
use crate::model::onnx::refusal::is_supported;

/// The most outputs that are looked at.
const MOST_OUTPUTS: usize = 64;

/// Who computes what, and what can be explained.
pub(super) struct Plan<'a> {
    /// The node that computes each value.
    producers: HashMap<&'a str, usize>,
    /// Inputs that are needed and are no weights.
    pub(super) inputs: Vec<&'a ValuePart>,
    /// Outputs that can be computed; all if none can.
    pub(super) outputs: Vec<&'a ValuePart>,
    /// The nodes for these outputs, in an order in which they can run.
    pub(super) order: Vec<usize>,
}

/// Makes the plan.
///
/// # Errors
/// If a value is computed twice or not at all, or by itself.
pub(super) fn plan(graph: &GraphPart) -> Result<Plan<'_>, OnnxError> {
    let mut producers = HashMap::with_capacity(graph.nodes.len());
    for (index, node) in graph.nodes.iter().enumerate() {
        for output in node.outputs.iter().filter(|name| !name.is_empty()) {
            if producers.insert(output.as_str(), index).is_some() {
                return Err(OnnxError::damaged(format!("{output} is computed twice")));
            }
        }
    }
    let weights: HashSet<&str> = graph
        .initializers
        .iter()
        .map(|tensor| tensor.name.as_str())
        .collect();
    let inputs = graph.inputs.iter();
    let inputs: HashMap<&str, &ValuePart> = inputs
        .filter(|input| !weights.contains(input.name.as_str()))
        .map(|input| (input.name.as_str(), input))
        .collect();
    let mut given = weights.iter().chain(inputs.keys());
    if let Some(name) = given.find(|name| producers.contains_key(**name)) {
        return Err(OnnxError::damaged(format!("{name} is computed and given")));
    }
    if graph.outputs.is_empty() {
        return Err(OnnxError::damaged("it has no output"));
    }
    // An output may be out of reach (the label beside the scores) as long as another is not.
    let floats = graph.outputs.iter();
    let floats = floats.filter(|output| matches!(output.element, 0 | 1 | 10 | 11 | 16));
    // Nobody declares hundreds of outputs of a classifier; looking at each takes time.
    let floats = floats.take(MOST_OUTPUTS);
    let mut usable = Vec::new();
    for output in floats {
        let order = sorted(graph, &producers, [output.name.as_str()])?;
        let supported = order.iter().all(|index| is_supported(&graph.nodes[*index]));
        if supported && !order.is_empty() {
            usable.push(output);
        }
    }
    if usable.is_empty() {
        usable = graph.outputs.iter().take(MOST_OUTPUTS).collect();
    }
    let names = usable.iter().map(|output| output.name.as_str());
    let order = sorted(graph, &producers, names)?;
    let mut needed = Vec::new();
    let mut seen = HashSet::new();
    for name in order.iter().flat_map(|index| &graph.nodes[*index].inputs) {
        let known = name.is_empty()
            || weights.contains(name.as_str())
            || producers.contains_key(name.as_str());
        if known || !seen.insert(name.as_str()) {
            continue;
        }
        match inputs.get(name.as_str()) {
            Some(input) => needed.push(*input),
            None => return Err(OnnxError::damaged(format!("nothing computes {name}"))),
        }
    }
    Ok(Plan {
        producers,
        inputs: needed,
        outputs: usable,
        order,
    })
}

/// The nodes for the outputs that are kept.
///
/// # Errors
/// None that [`plan`] would not have found.
pub(super) fn needed(
    graph: &GraphPart,
    plan: &Plan<'_>,
    outputs: &[DeclaredOutput],
) -> Result<Vec<usize>, OnnxError> {
    let names = outputs.iter().map(|output| output.name.as_str());
    sorted(graph, &plan.producers, names)
}

/// The nodes that some values need, each after those that it needs. Without recursion: a file may
/// be a chain of any length.
fn sorted<'a>(
    graph: &'a GraphPart,
    producers: &HashMap<&'a str, usize>,
    names: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<usize>, OnnxError> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    let mut states = vec![State::New; graph.nodes.len()];
    let mut order = Vec::new();
    let mut stack: Vec<(usize, usize)> = Vec::new();
    for name in names {
        let Some(root) = producers.get(name) else {
            continue;
        };
        if states[*root] == State::New {
            states[*root] = State::Open;
            stack.push((*root, 0));
        }
        while let Some((index, next)) = stack.pop() {
            let Some(input) = graph.nodes[index].inputs.get(next) else {
                states[index] = State::Done;
                order.push(index);
                continue;
            };
            stack.push((index, next + 1));
            let Some(producer) = producers.get(input.as_str()) else {
                continue;
            };
            match states[*producer] {
                State::Done => {}
                State::New => {
                    states[*producer] = State::Open;
                    stack.push((*producer, 0));
                }
                State::Open => {
                    return Err(OnnxError::damaged(format!("{input} depends on itself")));
                }
            }
        }
    }
    Ok(order)
}
