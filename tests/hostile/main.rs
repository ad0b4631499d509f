//! Files that are odd, damaged or lie about themselves: `tests/corpus`, and what can't be
//! committed.

#![allow(clippy::unwrap_used)] // a test that can't go on has failed

mod corpus;
mod exports;
mod found;
mod inputs;
mod names;
mod resnet;
