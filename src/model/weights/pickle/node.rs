//! The values of a pickle.

use std::rc::Rc;

/// Maximum number of values in a pickle. A ResNet-152 saved whole with its optimizer has 60,000.
pub const MAX_VALUES: usize = 1 << 19;

/// The index of a value in the list of values.
pub type Id = usize;

/// A value.
#[derive(Debug)]
pub enum Node {
    /// Anything that weights do not need: None, bytes.
    Other,
    /// An integer that fits into an i64.
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
    /// A value that the file stores outside the pickle.
    Persistent(Id),
    /// The object that a call would have created.
    Object {
        /// The function that would have been called.
        callable: Id,
        /// Its arguments.
        arguments: Id,
        /// Its `__setstate__` or `__dict__`.
        state: Option<Id>,
        /// Entries that would have been set with `object[key] = value`.
        entries: Vec<(Id, Id)>,
    },
}
