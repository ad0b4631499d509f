//! Files that are unusual, damaged or have wrong headers: `tests/corpus`, and files that can't be
//! committed.

#![allow(clippy::unwrap_used)] // panics are fine in tests

#[path = "../common/mod.rs"]
mod common;
mod corpus;
mod exports;
mod found;
mod inputs;
mod names;
