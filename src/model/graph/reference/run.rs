//! Runs graphs, and sweeps gradients back through them.

use std::borrow::Cow;

use crate::model::cpu::Isa;
use crate::model::graph::reference::elementwise::map2;
use crate::model::graph::reference::{Tensor, backward, forward};
use crate::model::graph::{Graph, GraphError, Node, ValueId};

/// Which values a run keeps.
#[derive(Clone, Copy, Debug)]
pub enum Keep<'a> {
    /// All, for gradients.
    All,
    /// These, and those that the run is for.
    Only(&'a [ValueId]),
}

/// The values of a run; constants are shared with the graph.
#[derive(Clone, Debug)]
pub struct Run {
    values: Vec<Option<Tensor>>,
}

impl Run {
    /// A value, if the run computed and kept it. Constants are there if the run used them.
    #[must_use]
    pub fn get(&self, id: ValueId) -> Option<&Tensor> {
        self.values.get(id.index())?.as_ref()
    }

    /// The values of a node's inputs.
    fn inputs(&self, node: &Node) -> Result<Vec<&Tensor>, GraphError> {
        let inputs = node.inputs.iter().map(|id| self.get(*id));
        let all: Option<Vec<_>> = inputs.collect();
        all.ok_or_else(|| GraphError::new("a value that is needed was not kept"))
    }
}

/// Computes the values `to` from the values `from` (the input, or values in the middle), running
/// only the nodes between them. Asks `wanted` before each node whether to go on.
///
/// # Errors
/// If a value does not fit the graph, if `to` does not follow from `from`, if an operator fails,
/// or if the run is no longer wanted.
pub fn run(
    graph: &Graph,
    from: Vec<(ValueId, Tensor)>,
    to: &[ValueId],
    keep: Keep<'_>,
    level: Isa,
    wanted: &dyn Fn() -> bool,
) -> Result<Run, GraphError> {
    let mut run = Run {
        values: vec![None; graph.values.len()],
    };
    for (id, tensor) in from {
        if id.index() >= graph.values.len() || tensor.shape != graph.shape(id) {
            return Err(GraphError::new("a value does not have the graph's shape"));
        }
        run.values[id.index()] = Some(tensor);
    }
    let needed = needed(graph, &mut run, to)?;
    let mut uses = uses(graph, &needed);
    let kept = |id: ValueId| match keep {
        Keep::All => true,
        Keep::Only(ids) => ids.contains(&id) || to.contains(&id),
    };
    for (node, needed) in graph.nodes.iter().zip(needed) {
        if !needed {
            continue;
        }
        if !wanted() {
            return Err(GraphError::new("the run was stopped"));
        }
        let name = &graph.value(node.output).name;
        let output = forward(&node.op, &run.inputs(node)?, level)
            .map_err(|error| GraphError::new(format!("{name}: {error}")))?;
        run.values[node.output.index()] = Some(output);
        for id in &node.inputs {
            uses[id.index()] -= 1;
            if uses[id.index()] == 0 && !kept(*id) {
                run.values[id.index()] = None;
            }
        }
    }
    Ok(run)
}

/// Which nodes must run for `to`. Puts the constants that they and `to` use into the run.
fn needed(graph: &Graph, run: &mut Run, to: &[ValueId]) -> Result<Vec<bool>, GraphError> {
    let mut open = vec![false; graph.values.len()];
    let ask = |id: ValueId, run: &mut Run, open: &mut Vec<bool>| {
        if id.index() >= graph.values.len() {
            return Err(GraphError::new("the graph has no such value"));
        }
        let info = graph.value(id);
        if run.values[id.index()].is_none() {
            if let Some(constant) = &info.constant {
                let tensor = Tensor::single(&info.shape, constant.0.clone());
                run.values[id.index()] = Some(tensor);
            } else {
                open[id.index()] = true;
            }
        }
        Ok(())
    };
    for id in to {
        ask(*id, run, &mut open)?;
    }
    let mut needed = vec![false; graph.nodes.len()];
    for (index, node) in graph.nodes.iter().enumerate().rev() {
        if std::mem::take(&mut open[node.output.index()]) {
            needed[index] = true;
            for id in &node.inputs {
                ask(*id, run, &mut open)?;
            }
        }
    }
    if let Some(missing) = open.iter().position(|open| *open) {
        let name = &graph.values[missing].name;
        return Err(GraphError::new(format!(
            "{name}: it does not follow from the given values"
        )));
    }
    Ok(needed)
}

/// How often each value is read by the nodes that run.
fn uses(graph: &Graph, needed: &[bool]) -> Vec<usize> {
    let mut uses = vec![0; graph.values.len()];
    let nodes = graph
        .nodes
        .iter()
        .zip(needed)
        .filter(|(_, needed)| **needed);
    for (node, _) in nodes {
        for id in &node.inputs {
            uses[id.index()] += 1;
        }
    }
    uses
}

/// The gradients `∂(Σ seed·output)/∂at` with respect to some values, from a run that kept what lies
/// between them. Zeros for values from which the output does not follow.
///
/// # Errors
/// If the run lacks a value, if a value does not fit the graph, or if the output depends on one of
/// `at` as a weight.
pub fn gradients(
    graph: &Graph,
    run: &Run,
    output: ValueId,
    seed: &Tensor,
    at: &[ValueId],
    level: Isa,
) -> Result<Vec<Tensor>, GraphError> {
    let count = graph.values.len();
    if output.index() >= count || at.iter().any(|id| id.index() >= count) {
        return Err(GraphError::new("the graph has no such value"));
    }
    if seed.shape != graph.shape(output) {
        return Err(GraphError::new(
            "the gradient does not have the output's shape",
        ));
    }
    let depends = dependents(graph, at);
    let mut open: Vec<Option<Tensor>> = vec![None; count];
    open[output.index()] = Some(seed.clone());
    for node in graph.nodes.iter().rev() {
        // A value's gradient is complete before the node that makes it.
        let asked = at.contains(&node.output);
        let Some(gradient) = (if asked {
            open[node.output.index()].clone()
        } else {
            open[node.output.index()].take()
        }) else {
            continue;
        };
        let wanted: Vec<bool> = node.inputs.iter().map(|id| depends[id.index()]).collect();
        if !wanted.contains(&true) {
            continue;
        }
        let name = &graph.value(node.output).name;
        let at_node = |error| GraphError::new(format!("{name}: {error}"));
        let inputs = run.inputs(node).map_err(at_node)?;
        let value = run
            .get(node.output)
            .ok_or_else(|| at_node(GraphError::new("its value was not kept")))?;
        let parts =
            backward(&node.op, &inputs, value, &gradient, &wanted, level).map_err(at_node)?;
        for (id, part) in node.inputs.iter().zip(parts) {
            if let Some(part) = part {
                let open = &mut open[id.index()];
                *open = Some(match open.take() {
                    None => part,
                    Some(sum) => add(&sum, &part),
                });
            }
        }
    }
    let gradient = |id: &ValueId| {
        let gradient = open[id.index()].clone();
        gradient.unwrap_or_else(|| Tensor::zeros(graph.shape(*id)))
    };
    Ok(at.iter().map(gradient).collect())
}

/// Which values are among `at` or depend on them.
fn dependents(graph: &Graph, at: &[ValueId]) -> Vec<bool> {
    let mut depends = vec![false; graph.values.len()];
    for id in at {
        depends[id.index()] = true;
    }
    for node in &graph.nodes {
        if node.inputs.iter().any(|id| depends[id.index()]) {
            depends[node.output.index()] = true;
        }
    }
    depends
}

fn add(a: &Tensor, b: &Tensor) -> Tensor {
    let (a_values, b_values): (Cow<'_, [f64]>, _) = (a.doubles(), b.doubles());
    Tensor::double(&a.shape, map2(&a_values, &b_values, |a, b| a + b))
}
