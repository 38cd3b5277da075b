//! Tells the compiler which ways few packets take, so that in the kernel home they pay for the registers.

/// Marks the way it is called on as one that few packets take.
#[inline(always)]
pub(crate) fn rare() {
    #[cfg(target_arch = "bpf")]
    core::intrinsics::cold_path();
}
