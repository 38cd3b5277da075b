//! What an interface can be steered at: whether its driver runs XDP programs, and whether the kernel has TCX.

use std::os::fd::AsFd;

use aya::util::KernelVersion;

use super::link::Link;
use super::sys;

/// A program that returns `XDP_PASS`: `r0 = 2; exit`.
const PASS: [u64; 2] = [0x0000_0002_0000_00b7, 0x95];

/// Whether interface `index` takes a program in its driver, found by asking it to: only from Linux 6.3 on can drivers say it
/// themselves, and not all do. Where a program is attached already it is not asked again.
pub fn has_native_xdp(index: u32) -> bool {
    let asked = sys::load_xdp_program(&PASS).and_then(|program| Link::xdp(program.as_fd(), index, true));
    match asked {
        Ok(_) => true,
        Err(error) => matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EEXIST)),
    }
}

/// Whether programs are attached to TC by links (TCX, Linux 6.6); else by classic filters.
pub fn has_tcx() -> bool {
    !has_classic_alone()
        && KernelVersion::current().is_ok_and(|version| version >= KernelVersion::new(6, 6, 0))
}

/// Whether this is to be taken for a kernel without TCX: `KEYSTEER_TC=classic`, in a test build.
#[cfg(any(test, feature = "faults"))]
fn has_classic_alone() -> bool {
    std::env::var_os("KEYSTEER_TC").is_some_and(|way| way == "classic")
}

#[cfg(not(any(test, feature = "faults")))]
const fn has_classic_alone() -> bool {
    false
}
