//! Signed keys in user space: secrets as files hold them, addresses and times as the packet path has them. What is made
//! and verified is [`keysteer_common::shim`]; the format is specified in `docs/wire-format.md`.

mod files;
mod secret;
mod table;

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use keysteer_common::shim;

pub use files::{Files, SecretFileError, read};
pub use secret::{SecretKey, SecretTextError};
pub use table::{steps, table};

/// An address as [`shim`] takes it: most significant half first, of IPv4 the IPv4-mapped one.
pub fn address(address: IpAddr) -> [u64; 2] {
    let address = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    let bits = address.to_bits();
    [(bits >> 64) as u64, bits as u64]
}

/// Nanoseconds since 1970.
pub fn unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds by `CLOCK_MONOTONIC`, which is what a program in the kernel reads.
pub fn monotonic_ns() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).map(Duration::from);
    now.map_or(0, |now| u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}

/// Nanoseconds: Unix time less `CLOCK_MONOTONIC`.
pub fn clock_offset() -> u64 {
    unix_ns().wrapping_sub(monotonic_ns())
}

/// The present epoch.
pub fn epoch() -> u16 {
    shim::epoch(unix_ns())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_leads_from_one_clock_to_the_other() {
        let before = clock_offset();
        std::thread::sleep(Duration::from_millis(20));
        assert!(clock_offset().abs_diff(before) < 10_000_000, "it does not move with time");
        let now = monotonic_ns().wrapping_add(before);
        assert!(now.abs_diff(unix_ns()) < 1_000_000_000);
    }

    #[test]
    fn addresses_are_numbers_and_ipv4_is_mapped() {
        assert_eq!(address("192.0.2.1".parse().unwrap()), [0, 0xffff_c000_0201]);
        assert_eq!(address("2001:db8::1".parse().unwrap()), [0x2001_0db8_0000_0000, 1]);
    }
}
