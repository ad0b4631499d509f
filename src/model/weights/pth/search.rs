//! Where the tensors are within what a training script saved.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::model::weights::layout::{Dictionary, check_name, short};
use crate::model::weights::modules::Modules;
use crate::model::weights::pth::{Found, Id, MAX_DEPTH, Node, Reader};

/// Something that holds other values, on the way from the root to the tensors. Keys are put
/// together only where there are tensors: one long key may be that of many.
struct Step {
    id: Id,
    /// The place of the step before; the root's is its own.
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
    /// Every dictionary of tensors and every module saved whole, from the outermost inwards.
    /// What is there several times counts once, by the shortest way to it.
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
            // Nothing is read from it: it need not be kept.
            problem => Dictionary {
                key,
                problem: problem.err(),
                ..Dictionary::default()
            },
        }
    }

    /// The keys on the way to a step with dots between them; shortened, and what is wrong with
    /// it, if it is too long.
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

    /// The module within `torch.compile`'s wrapper, which is pickled as a call with it.
    fn compiled(&self, id: Id) -> Option<Id> {
        match self.pickle.call(id) {
            Some(("torch._dynamo.eval_frame", "OptimizedModule", [module, ..])) => Some(*module),
            _ => None,
        }
    }

    /// The containers within one, with their keys or places.
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
            return; // an optimizer's, whatever its key
        }
        for (key, value) in entries {
            let key = match self.pickle.node(*key) {
                Node::Text(text) if !is_skipped(text) => Key::Text(*key),
                // `{0: …, 1: …}`, as the folds of a cross-validation.
                Node::Int(number) => Key::Number(*number),
                _ => continue,
            };
            if is_container(*value) {
                each(key, *value);
            }
        }
    }
}

/// What is never looked into: the optimizer's state is as large as the network and has its
/// names. By whole words: `optimal_state_dict` is none.
fn is_skipped(key: &str) -> bool {
    // One long key may be that of many.
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
