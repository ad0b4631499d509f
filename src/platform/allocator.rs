//! Settings of the C library's allocator.

/// Blocks of at least this size go back to the system when they are freed, and at most this much
/// free memory stays at the end of a heap: 2 MB. That is smaller than any photo or activation worth
/// returning, and larger than the colors of a map, which every class change allocates: fresh memory
/// costs a page fault for every 4 KB.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE: i32 = 2 << 20;

/// Returns large blocks to the system when they are freed. By default, glibc raises the threshold
/// for this with each large block that is freed, up to 32 MB, and keeps smaller ones in the heaps
/// of the threads that allocated them: about 20 MB of the memory of a decoded photo and of a run in
/// f64 stayed with the window (measured). Does nothing with another C library.
#[allow(unsafe_code)]
pub fn return_large_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for parameter in [libc::M_MMAP_THRESHOLD, libc::M_TRIM_THRESHOLD] {
        // SAFETY: mallopt takes two integers by value and sets a number within glibc's allocator,
        // under its lock; it is sound at any time, with any arguments.
        let accepted = unsafe { libc::mallopt(parameter, LARGE) } == 1;
        if !accepted {
            log::debug!("mallopt failed: the allocator keeps its default threshold");
        }
    }
}
