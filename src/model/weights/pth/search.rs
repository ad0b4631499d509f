//! Finds the tensors in what a training script saved.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::model::weights::layout::{Dictionary, check_name};
use crate::model::weights::modules::Modules;
use crate::model::weights::pth::{Found, Id, MAX_DEPTH, Node, Reader};
use crate::model::weights::refusal::short;

/// A container on the way from the root to the tensors. Keys are joined only where there are
/// tensors, because one long key may be shared by many containers.
struct Step {
    id: Id,
    /// The index of the parent step; the root is its own parent.
    parent: usize,
    key: Key,
    depth: usize,
}

#[derive(Clone, Copy)]
enum Key {
    Text(Id),
    Number(i64),
}

impl Reader {
    /// Every dictionary of tensors and every module saved whole, from the outermost inwards. A
    /// value that is reachable in several ways counts once, by its shortest path.
    pub(super) fn dictionaries(&self) -> Vec<Dictionary> {
        let root = self.pickle.root();
        let mut found = Vec::new();
        let mut seen = HashSet::from([root]);
        let mut steps = vec![Step {
            id: root,
            parent: 0,
            key: Key::Number(0),
            depth: 0,
        }];
        let mut place = 0;
        while let Some(Step { id, depth, .. }) = steps.get(place) {
            let (id, depth) = (self.compiled(*id).unwrap_or(*id), *depth);
            let mut inside = Found::default();
            let state = self.pickle.state(id);
            let is_module = state.is_some_and(|state| self.pickle.get(state, "_modules").is_some());
            let collected = if is_module {
                self.module(id, "", MAX_DEPTH, &mut inside)
            } else {
                self.dictionary(id, "", &mut inside)
            };
            if !inside.tensors.is_empty() || collected.is_err() {
                found.push(self.found(&steps, place, inside, collected));
            }
            if self.too_much(&found).is_some() {
                break;
            }
            if !is_module && depth < MAX_DEPTH {
                self.children(id, |key, child| {
                    if self.tensor(child).is_none() && seen.insert(child) {
                        steps.push(Step {
                            id: child,
                            parent: place,
                            key,
                            depth: depth + 1,
                        });
                    }
                });
            }
            place += 1;
        }
        found
    }

    fn found(
        &self,
        steps: &[Step],
        place: usize,
        inside: Found,
        collected: Result<(), String>,
    ) -> Dictionary {
        let (key, named) = self.key(steps, place);
        match named.and(collected) {
            Ok(()) => Dictionary {
                key,
                entries: inside.tensors,
                modules: Modules::new(inside.modules),
                problem: None,
            },
            // The dictionary is not read, so its contents need not be kept.
            problem => Dictionary {
                key,
                problem: problem.err(),
                ..Dictionary::default()
            },
        }
    }

    /// The keys on the way to a step, joined with dots. If the result is too long, it is shortened
    /// and returned with the error.
    fn key(&self, steps: &[Step], mut place: usize) -> (String, Result<(), String>) {
        let mut parts: Vec<Cow<str>> = Vec::new();
        while place != steps[place].parent {
            parts.push(match steps[place].key {
                Key::Text(id) => self.pickle.text(id).unwrap_or_default().into(),
                Key::Number(number) => number.to_string().into(),
            });
            place = steps[place].parent;
        }
        parts.reverse();
        let length = parts.iter().map(|part| part.len() + 1).sum::<usize>();
        match check_name(length.saturating_sub(1)) {
            Ok(()) => (parts.join("."), Ok(())),
            problem => {
                let parts: Vec<String> = parts.iter().map(|part| short(part)).collect();
                (short(&parts.join(".")), problem)
            }
        }
    }

    /// The module inside the wrapper of `torch.compile`, which is pickled as a call with the module
    /// as argument.
    fn compiled(&self, id: Id) -> Option<Id> {
        match self.pickle.call(id) {
            Some(("torch._dynamo.eval_frame", "OptimizedModule", [module, ..])) => Some(*module),
            _ => None,
        }
    }

    /// The containers inside a container, with their keys or positions.
    fn children(&self, id: Id, mut each: impl FnMut(Key, Id)) {
        let is_container = |id: Id| {
            matches!(
                self.pickle.node(id),
                Node::Dict(_) | Node::Object { .. } | Node::Sequence(_)
            )
        };
        if let Some(items) = self.pickle.sequence(id) {
            for (index, item) in (0..).zip(items) {
                if is_container(*item) {
                    each(Key::Number(index), *item);
                }
            }
            return;
        }
        let entries = self.pickle.entries(id).unwrap_or_default();
        let has = |name: &str| {
            let mut keys = entries.iter().map(|(key, _)| self.pickle.text(*key));
            keys.any(|key| key == Some(name))
        };
        if has("state") && has("param_groups") {
            return; // an optimizer's state, whatever its key
        }
        for (key, value) in entries {
            let key = match self.pickle.node(*key) {
                Node::Text(text) if !is_skipped(text) => Key::Text(*key),
                // `{0: …, 1: …}`, such as the folds of a cross-validation.
                Node::Int(number) => Key::Number(*number),
                _ => continue,
            };
            if is_container(*value) {
                each(key, *value);
            }
        }
    }
}

/// Whether a key is never searched: the optimizer's state is as large as the network and has the
/// same names. Whole words are compared, so `optimal_state_dict` is not skipped.
fn is_skipped(key: &str) -> bool {
    // One long key may be shared by many values.
    if check_name(key.len()).is_err() {
        return false;
    }
    let mut words = key.split(|letter: char| !letter.is_ascii_alphanumeric());
    words.find(|word| *word != "lr").is_some_and(|word| {
        matches!(word, "optim" | "optims" | "scaler")
            || ["optimizer", "optimizer", "scheduler"]
                .iter()
                .any(|start| word.starts_with(start))
    })
}
