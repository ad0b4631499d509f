//! Cut vertices: the values through which every path from the input to the logits runs.

use crate::model::graph::{Graph, ValueId};

/// The part of a graph between its input and its logits.
#[derive(Clone, Debug)]
pub struct Relevant {
    /// The indices of the nodes on a path from the input to the logits, ascending.
    pub nodes: Vec<usize>,
    /// For each value that depends on the input, the nodes that read it on the way to the logits,
    /// ascending.
    pub readers: Vec<Vec<usize>>,
}

impl Relevant {
    /// Finds the nodes on a path from the input to `logits`.
    #[must_use]
    pub fn new(graph: &Graph, logits: ValueId) -> Self {
        let mut from_input = vec![false; graph.values.len()];
        from_input[graph.input.index()] = true;
        for node in &graph.nodes {
            from_input[node.output.index()] = node.inputs.iter().any(|id| from_input[id.index()]);
        }
        let mut to_logits = vec![false; graph.values.len()];
        to_logits[logits.index()] = true;
        let mut nodes = Vec::new();
        let mut readers = vec![Vec::new(); graph.values.len()];
        for (index, node) in graph.nodes.iter().enumerate().rev() {
            if !to_logits[node.output.index()] {
                continue;
            }
            if from_input[node.output.index()] {
                nodes.push(index);
            }
            for input in &node.inputs {
                to_logits[input.index()] = true;
                let readers: &mut Vec<usize> = &mut readers[input.index()];
                if from_input[input.index()] && readers.last() != Some(&index) {
                    readers.push(index);
                }
            }
        }
        nodes.reverse();
        readers.iter_mut().for_each(|readers| readers.reverse());
        Self { nodes, readers }
    }

    /// The cut vertices in the order in which they are computed, without the input.
    ///
    /// Nodes run one after the other, so a value bypasses another one exactly if it is computed
    /// before it and read after it.
    #[must_use]
    pub fn cuts(&self, graph: &Graph) -> Vec<ValueId> {
        let mut cuts = Vec::new();
        let last_reader = |id: ValueId| self.readers[id.index()].last().copied().unwrap_or(0);
        let mut furthest = last_reader(graph.input);
        for index in &self.nodes {
            let output = graph.nodes[*index].output;
            if furthest <= *index {
                cuts.push(output);
            }
            furthest = furthest.max(last_reader(output));
        }
        cuts
    }

    /// The only node that reads a value, if there is exactly one.
    #[must_use]
    pub fn only_reader(&self, id: ValueId) -> Option<usize> {
        match self.readers[id.index()][..] {
            [reader] => Some(reader),
            _ => None,
        }
    }
}
