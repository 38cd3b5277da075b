//! Whether this process may do what an agent does, found out before it tries.

use std::fs;

const CAP_NET_ADMIN: u32 = 12;
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// What an agent needs. `CAP_SYS_ADMIN` stands for all of them, as it did before Linux 5.8.
const NEEDED: [(u32, &str); 3] =
    [(CAP_BPF, "CAP_BPF"), (CAP_NET_ADMIN, "CAP_NET_ADMIN"), (CAP_PERFMON, "CAP_PERFMON")];

/// Capabilities are missing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this process lacks {}: run it as root (sudo keysteer agent ...), or grant CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON",
    missing.join(", ")
)]
pub struct PrivilegeError {
    /// Which.
    pub missing: Vec<&'static str>,
}

/// Checks the capabilities in effect. Where they cannot be read the kernel has the last word later.
///
/// # Errors
/// Some are missing.
pub fn check() -> Result<(), PrivilegeError> {
    match fs::read_to_string("/proc/self/status").ok().as_deref().and_then(effective) {
        Some(effective) => check_mask(effective),
        None => Ok(()),
    }
}

/// The mask behind `CapEff:` in `/proc/PID/status`.
fn effective(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

fn check_mask(effective: u64) -> Result<(), PrivilegeError> {
    let has = |capability: u32| effective >> capability & 1 == 1;
    let lacks = |capability| !has(capability) && !has(CAP_SYS_ADMIN);
    let missing: Vec<_> =
        NEEDED.iter().filter(|(capability, _)| lacks(*capability)).map(|(_, name)| *name).collect();
    if missing.is_empty() { Ok(()) } else { Err(PrivilegeError { missing }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_mask() {
        assert_eq!(effective("Name:\tx\nCapEff:\t000001ffffffffff\nCapBnd:\t0\n"), Some(0x1ff_ffff_ffff));
        assert_eq!(effective("Name:\tx\n"), None);
    }

    #[test]
    fn names_what_is_missing() {
        assert_eq!(check_mask(0x1ff_ffff_ffff), Ok(()));
        assert_eq!(check_mask(1 << CAP_SYS_ADMIN), Ok(()));
        assert_eq!(check_mask(1 << CAP_BPF | 1 << CAP_NET_ADMIN | 1 << CAP_PERFMON), Ok(()));
        let error = check_mask(1 << CAP_BPF).unwrap_err();
        assert_eq!(error.missing, ["CAP_NET_ADMIN", "CAP_PERFMON"]);
        assert!(error.to_string().contains("root"));
    }
}
