//! Pickles as data: the stream is taken apart and nothing in it is ever run.
//!
//! What a pickle would call (`REDUCE`, `NEWOBJ`, `BUILD`) becomes a [`Node::Object`]
//! that says what would have been called, with what. Opcodes: CPython's
//! `pickletools.py`, protocols 0 to 5.
//!
//! Values live in one list and refer to each other by index, so that shared and
//! even cyclic values need no recursion. Their number is bounded by the number of
//! bytes: no opcode makes more than it costs.

mod machine;

use machine::Machine;

/// A value's place in [`Pickle::nodes`].
pub type Id = usize;

/// One value.
#[derive(Debug)]
pub enum Node {
    /// Anything that no weight file needs: None, floats, bytes, sets.
    Other,
    /// An integer that fits.
    Int(i64),
    /// A string.
    Text(String),
    /// A list or a tuple.
    Sequence(Vec<Id>),
    /// A dictionary, in the order of its entries.
    Dict(Vec<(Id, Id)>),
    /// `module.name`: a class or a function.
    Global(String, String),
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
}

impl Pickle {
    /// Takes a pickle apart.
    ///
    /// # Errors
    /// What is wrong with it, to be put in parentheses.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut machine = Machine::new(bytes);
        let root = machine.run()?;
        Ok(Self {
            nodes: machine.nodes,
            root,
        })
    }

    /// The value that the whole pickle stands for.
    #[must_use]
    pub fn root(&self) -> Id {
        self.root
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
        match self.node(id) {
            Node::Dict(entries) => Some(entries),
            Node::Object { entries, .. } if !entries.is_empty() => Some(entries),
            _ => None,
        }
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
