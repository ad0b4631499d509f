//! Prefetches memory before it is needed.

/// Prefetches the cache line of the first value. Weights are read from memory once per run, page
/// after page, and the processor's own prefetching stops at the end of each page. With this, the
/// last stage of a ResNet runs 1.3 to 1.4 times as fast (measured).
#[inline(always)]
#[allow(unsafe_code)]
pub fn prefetch(values: &[f32]) {
    // SAFETY: the instruction is part of every x86-64 processor, has no effect that the program can
    // observe, and does not fault at any address; this address belongs to a slice.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(values.as_ptr().cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = values; // no stable prefetch instruction
}
