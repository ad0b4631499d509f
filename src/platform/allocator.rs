//! How the C library's allocator keeps memory.

/// Blocks from this size on go back to the system when they are freed, and so many free
/// bytes at the end of a heap stay with the program: 2 MB. Smaller than any photo or
/// activation worth returning, larger than the colors of a map, which every class change
/// makes anew: memory fresh from the system costs a page fault for every 4 KB.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE: i32 = 2 << 20;

/// Has large blocks returned to the system when they are freed. By itself glibc raises the
/// size from which it does that with each large block that is freed, up to 32 MB, and keeps
/// the smaller ones in the heaps of the threads that made them: of the memory of a decoded
/// photo and of a run in f64 about 20 MB stayed with the window (measured). Does nothing
/// with another C library.
#[allow(unsafe_code)]
pub fn return_large_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for parameter in [libc::M_MMAP_THRESHOLD, libc::M_TRIM_THRESHOLD] {
        // SAFETY: mallopt takes two integers by value and sets a number within glibc's
        // allocator, under its lock; it is sound at any time, with any arguments.
        let accepted = unsafe { libc::mallopt(parameter, LARGE) } == 1;
        if !accepted {
            log::debug!("the allocator keeps freed memory its own way");
        }
    }
}
