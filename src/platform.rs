//! System services: memory, small files, and catching panics.

pub mod allocator;
pub mod memory;
pub mod panics;
pub(crate) mod simd;
pub(crate) mod small_file;
