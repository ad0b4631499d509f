//! Text from files and users, made fit to be shown.

pub(crate) mod elide;
pub mod printable;
