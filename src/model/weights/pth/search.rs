//! Where the tensors are within what a training script saved.

use std::collections::{HashSet, VecDeque};

use super::super::layout::Dictionary;
use super::super::modules::Modules;
use super::{Found, Id, MAX_DEPTH, Node, Reader};

/// What is never looked into: the optimiser's state is as large as the network and has its
/// names.
const SKIPPED: [&str; 4] = ["optim", "scheduler", "lr_scheduler", "scaler"];

impl Reader {
    /// Every dictionary of tensors and every module saved whole, from the outermost inwards.
    /// What is there several times counts once, by the shortest way to it.
    pub(super) fn dictionaries(&self) -> Vec<Dictionary> {
        let root = self.pickle.root();
        let mut found = Vec::new();
        let mut seen = HashSet::from([root]);
        let mut queue = VecDeque::from([(root, String::new(), 0)]);
        while let Some((id, key, depth)) = queue.pop_front() {
            let id = self.compiled(id).unwrap_or(id);
            let mut inside = Found::default();
            let state = self.pickle.state(id);
            let is_module = state.is_some_and(|state| self.pickle.get(state, "_modules").is_some());
            let collected = if is_module {
                self.module(id, "", MAX_DEPTH, &mut inside)
            } else {
                self.dictionary(id, "", &mut inside)
            };
            if !inside.tensors.is_empty() || collected.is_err() {
                found.push(Dictionary {
                    key: key.clone(),
                    entries: inside.tensors,
                    modules: Modules::new(inside.modules),
                    problem: collected.err(),
                });
            }
            if is_module || depth == MAX_DEPTH {
                continue;
            }
            for (name, child) in self.children(id) {
                if self.tensor(child).is_none() && seen.insert(child) {
                    let key = if key.is_empty() {
                        name
                    } else {
                        format!("{key}.{name}")
                    };
                    queue.push_back((child, key, depth + 1));
                }
            }
        }
        found
    }

    /// The module within `torch.compile`'s wrapper, which is pickled as a call with it.
    fn compiled(&self, id: Id) -> Option<Id> {
        match self.pickle.call(id) {
            Some(("torch._dynamo.eval_frame", "OptimizedModule", [module, ..])) => Some(*module),
            _ => None,
        }
    }

    /// The containers within one, with their keys or places.
    fn children(&self, id: Id) -> Vec<(String, Id)> {
        let is_container = |id: Id| {
            matches!(
                self.pickle.node(id),
                Node::Dict(_) | Node::Object { .. } | Node::Sequence(_)
            )
        };
        if let Some(items) = self.pickle.sequence(id) {
            let items = items.iter().enumerate();
            return items
                .filter(|(_, item)| is_container(**item))
                .map(|(index, item)| (index.to_string(), *item))
                .collect();
        }
        let entries = self.pickle.entries(id).unwrap_or_default().iter();
        entries
            .filter_map(|(key, value)| Some((self.pickle.text(*key)?, *value)))
            .filter(|(key, value)| {
                is_container(*value) && !SKIPPED.iter().any(|skipped| key.starts_with(skipped))
            })
            .map(|(key, value)| (key.to_owned(), value))
            .collect()
    }
}
