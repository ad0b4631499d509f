//! Memory, panics, and small files: what the system gives and how faults are caught.

pub mod allocator;
pub mod memory;
pub mod panics;
pub(crate) mod simd;
pub(crate) mod small_file;
