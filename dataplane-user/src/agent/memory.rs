//! What the C library's allocator does with memory that is let go. A start needs several times what the
//! agent keeps (the policy, the tables), and so does a reading of many counters; by default most of it
//! would stay with the process, in as many arenas as threads ever met.

/// Makes large blocks go back to the kernel when they are let go, however many there were, and all
/// threads share one arena: none is in the packet path.
pub fn be_sparing() {
    #[cfg(target_env = "gnu")]
    {
        // Below this glibc keeps what is let go; by default the threshold grows with what it sees.
        const LARGE: libc::c_int = 128 << 10;
        // SAFETY: two parameters of the allocator, documented in mallopt(3); memory in use stays as it is.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
            libc::mallopt(libc::M_ARENA_MAX, 1);
        }
    }
}

/// Gives free memory back to the kernel.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) touches nothing that is in use, and may be called from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
