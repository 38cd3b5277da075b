//! Signed keys in user space: secrets as files hold them, addresses and times as the packet path has them. What is made
//! and verified is [`keysteer_common::shim`]; the format is specified in `docs/wire-format.md`.

mod secret;

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use keysteer_common::shim;

pub use secret::{SecretKey, SecretTextError};

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

/// The present epoch.
pub fn epoch() -> u16 {
    shim::epoch(unix_ns())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_numbers_and_ipv4_is_mapped() {
        assert_eq!(address("192.0.2.1".parse().unwrap()), [0, 0xffff_c000_0201]);
        assert_eq!(address("2001:db8::1".parse().unwrap()), [0x2001_0db8_0000_0000, 1]);
    }
}
