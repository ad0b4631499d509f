//! How the C library's allocator keeps memory.

/// From this size on, memory goes back to the system as soon as it is freed: 512 KiB.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE: i32 = 1 << 19;

/// Has large blocks returned to the system when they are freed. By itself glibc raises the
/// size from which it does that with each large block that is freed, up to 32 MB, and keeps
/// the smaller ones in the heaps of the threads that made them: of the memory of a decoded
/// photo and of a run in f64 about 24 MB stayed with the window (measured). Does nothing
/// with another C library.
#[allow(unsafe_code)]
pub fn return_large_blocks() {
    // SAFETY: mallopt takes two integers by value and sets a number within glibc's
    // allocator, under its lock; it is sound at any time, with any arguments.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    let accepted = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) } == 1;
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let accepted = true;
    if !accepted {
        log::debug!("the allocator keeps freed memory its own way");
    }
}
