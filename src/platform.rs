//! What the system gives: memory, small files, and how panics are caught.

pub mod allocator;
pub mod memory;
pub mod panics;
pub(crate) mod simd;
pub(crate) mod small_file;
