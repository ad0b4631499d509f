//! Reads pickles as data: the stream is parsed, and nothing in it is ever run.
//!
//! A call in the pickle (`REDUCE`, `NEWOBJ`, `BUILD`) becomes a [`Node::Object`] that records what
//! would have been called and with which arguments. Opcodes are from CPython's `pickletools.py`,
//! protocols 0 to 5.
//!
//! Values live in one list and refer to each other by index, so that shared and
//! even cyclic values need no recursion. Their number is bounded ([`MAX_VALUES`](node::MAX_VALUES)), and
//! so is what may be looked at afterwards ([`MAX_LOOKS`]): a few shared values can
//! describe an endless tree.

mod machine;
mod node;

use std::cell::Cell;

use crate::model::weights::pickle::machine::Machine;
pub use crate::model::weights::pickle::node::{Id, Node};
use crate::model::weights::refusal::Refusal;

/// The most entries that are read afterwards. A ResNet-152 saved whole needs 100,000.
const MAX_LOOKS: usize = 10_000_000;

/// A parsed pickle.
#[derive(Debug)]
pub struct Pickle {
    nodes: Vec<Node>,
    root: Id,
    suspicious: Option<String>,
    /// How many more entries may be visited.
    looks: Cell<usize>,
}

impl Pickle {
    /// Parses a pickle.
    ///
    /// # Errors
    /// What is wrong with it, as text to be put in parentheses.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let mut machine = Machine::new(bytes);
        let root = machine.run().map_err(|problem| {
            if machine.is_full() {
                Refusal::TooMuch(problem)
            } else {
                Refusal::Format(problem)
            }
        })?;
        Ok(Self {
            nodes: machine.nodes,
            root,
            suspicious: machine.suspicious,
            looks: Cell::new(MAX_LOOKS),
        })
    }

    /// The value of the whole pickle.
    #[must_use]
    pub fn root(&self) -> Id {
        self.root
    }

    /// The first function in it that weights do not need and that attacks use.
    #[must_use]
    pub fn suspicious(&self) -> Option<&str> {
        self.suspicious.as_deref()
    }

    /// Whether the limit on visited entries was reached, so that nothing more is found.
    #[must_use]
    pub fn exhausted(&self) -> bool {
        self.looks.get() == 0
    }

    /// Counts visited entries; `None` once the limit is exceeded.
    fn display_options(&self, count: usize) -> Option<()> {
        let left = self.looks.get().saturating_sub(count);
        self.looks.set(left);
        (left > 0).then_some(())
    }

    /// A value.
    #[must_use]
    pub fn node(&self, id: Id) -> &Node {
        &self.nodes[id]
    }

    /// The text of a string.
    #[must_use]
    pub fn text(&self, id: Id) -> Option<&str> {
        match self.node(id) {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A non-negative integer.
    #[must_use]
    pub fn size(&self, id: Id) -> Option<usize> {
        match self.node(id) {
            Node::Int(number) => usize::try_from(*number).ok(),
            _ => None,
        }
    }

    /// A number of any kind; True is 1.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // sizes are far below 2^53
    pub fn number(&self, id: Id) -> Option<f64> {
        match self.node(id) {
            Node::Int(number) => Some(*number as f64),
            Node::Float(number) => Some(*number),
            Node::Bool(is) => Some(f64::from(u8::from(*is))),
            _ => None,
        }
    }

    /// The elements of a list or tuple.
    #[must_use]
    pub fn sequence(&self, id: Id) -> Option<&[Id]> {
        match self.node(id) {
            Node::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The entries of a dictionary, or of an object that is a dictionary (`OrderedDict`).
    #[must_use]
    pub fn entries(&self, id: Id) -> Option<&[(Id, Id)]> {
        let entries = match self.node(id) {
            Node::Dict(entries) => entries,
            Node::Object { entries, .. } if !entries.is_empty() => entries,
            _ => return None,
        };
        self.display_options(1 + entries.len())?;
        Some(entries)
    }

    /// The value of a text key in a dictionary.
    #[must_use]
    pub fn get(&self, id: Id, key: &str) -> Option<Id> {
        let entries = self.entries(id)?.iter();
        let mut values = entries.filter(|(k, _)| self.text(*k) == Some(key));
        values.next().map(|(_, value)| *value)
    }

    /// The call that would have created an object: module, name, arguments.
    #[must_use]
    pub fn call(&self, id: Id) -> Option<(&str, &str, &[Id])> {
        let Node::Object {
            callable,
            arguments,
            ..
        } = self.node(id)
        else {
            return None;
        };
        let Node::Global(module, name) = self.node(*callable) else {
            return None;
        };
        self.display_options(1)?;
        Some((module, name, self.sequence(*arguments).unwrap_or_default()))
    }

    /// An object's `__dict__`.
    #[must_use]
    pub fn state(&self, id: Id) -> Option<Id> {
        match self.node(id) {
            Node::Object { state, .. } => *state,
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
