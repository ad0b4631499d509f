//! Pickles as data: the stream is taken apart and nothing in it is ever run.
//!
//! What a pickle would call (`REDUCE`, `NEWOBJ`, `BUILD`) becomes a [`Node::Object`]
//! that says what would have been called, with what. Opcodes: CPython's
//! `pickletools.py`, protocols 0 to 5.
//!
//! Values live in one list and refer to each other by index, so that shared and
//! even cyclic values need no recursion. Their number is bounded ([`MAX_VALUES`]), and
//! so is what may be looked at afterwards ([`MAX_LOOKS`]): a few shared values can stand
//! for a tree without end.

mod machine;

use std::cell::Cell;
use std::rc::Rc;

use crate::model::weights::layout::Refusal;
use crate::model::weights::pickle::machine::Machine;

/// The most values of a pickle. A ResNet-152 saved whole with its optimizer has 60,000.
const MAX_VALUES: usize = 1 << 19;
/// The most entries that are looked at. A ResNet-152 saved whole needs 100,000.
const MAX_LOOKS: usize = 10_000_000;

/// A value's place in [`Pickle::nodes`].
pub type Id = usize;

/// One value.
#[derive(Debug)]
pub enum Node {
    /// Anything that no weight file needs: None, bytes.
    Other,
    /// An integer that fits.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// True or False.
    Bool(bool),
    /// A string.
    Text(Rc<str>),
    /// A list or a tuple.
    Sequence(Vec<Id>),
    /// A dictionary, in the order of its entries.
    Dict(Vec<(Id, Id)>),
    /// `module.name`: a class or a function.
    Global(Rc<str>, Rc<str>),
    /// What the file keeps outside the pickle.
    Persistent(Id),
    /// What a call would have made.
    Object {
        /// What would have been called.
        callable: Id,
        /// With these arguments.
        arguments: Id,
        /// Its `__setstate__` or `__dict__`.
        state: Option<Id>,
        /// What would have been set by `object[key] = value`.
        entries: Vec<(Id, Id)>,
    },
}

/// A pickle taken apart.
#[derive(Debug)]
pub struct Pickle {
    nodes: Vec<Node>,
    root: Id,
    suspicious: Option<String>,
    /// How many entries may still be looked at.
    looks: Cell<usize>,
}

impl Pickle {
    /// Takes a pickle apart.
    ///
    /// # Errors
    /// What is wrong with it, to be put in parentheses.
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

    /// The value that the whole pickle stands for.
    #[must_use]
    pub fn root(&self) -> Id {
        self.root
    }

    /// The first function in it that no weights need and attacks are made of.
    #[must_use]
    pub fn suspicious(&self) -> Option<&str> {
        self.suspicious.as_deref()
    }

    /// Whether so much was looked at that nothing is found any more.
    #[must_use]
    pub fn exhausted(&self) -> bool {
        self.looks.get() == 0
    }

    /// Counts what is looked at; none once it was too much.
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

    /// A whole number that is not negative.
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

    /// The entries of a dictionary or of an object that is one (`OrderedDict`).
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

    /// The value of a dictionary's text key.
    #[must_use]
    pub fn get(&self, id: Id, key: &str) -> Option<Id> {
        let entries = self.entries(id)?.iter();
        let mut values = entries.filter(|(k, _)| self.text(*k) == Some(key));
        values.next().map(|(_, value)| *value)
    }

    /// What an object's call would have been: module, name, arguments.
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
