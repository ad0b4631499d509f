//! Tests of the reader and of the lowering.

mod mutated;
mod node;
mod small;
mod writer;
