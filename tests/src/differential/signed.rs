//! Signed shims, right and wrong.

use std::net::IpAddr;

use keysteer_common::shim::{
    Claim, Secret, Signing, epoch, flag, secret_words, sign, source_prefix, to_bytes,
};

use crate::dice::Dice;
use crate::frames::Packet;

/// Unix time, in nanoseconds, at which all packets are made and decided: an epoch's second second.
const NOW: u64 = 30_000 * 64_000_000_000 + 1_000_000_000;
/// How much of a source address a shim is bound to.
const SOURCE_BITS: (u8, u8) = (24, 48);

/// The secret with an id.
fn secret(id: u8) -> [u64; 2] {
    secret_words([id; 16])
}

/// What both homes verify with: secrets 1 and 2, at one moment.
pub(super) fn signing() -> Signing {
    let secrets = [1, 2].map(|id| Secret { key: secret(id), id: id.into(), live: 1 });
    Signing {
        secrets,
        clock_offset: NOW,
        require: 0,
        source_bits4: SOURCE_BITS.0,
        source_bits6: SOURCE_BITS.1,
        ..Signing::default()
    }
}

/// An address as shims have it.
fn mapped(address: IpAddr) -> [u64; 2] {
    let bits = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    };
    [(bits >> 64) as u64, bits as u64]
}

/// A shim for a packet, most often a right one: else of another epoch, of an unknown secret, or for somebody else.
pub(super) fn shim(packet: &Packet, key: u64, dice: &mut Dice) -> Vec<u8> {
    let right = epoch(NOW);
    let claim = Claim {
        flags: dice.one([0, flag::SOURCE, flag::DESTINATION, flag::ALL]),
        secret_id: if dice.once_in(12) { 3 } else { dice.one([1, 2]) },
        epoch: if dice.once_in(12) { dice.any() as u16 } else { dice.one([right - 1, right, right + 1]) },
        key,
    };
    let source = source_prefix(mapped(packet.source), SOURCE_BITS.0, SOURCE_BITS.1);
    let destination = if dice.once_in(12) { [0, 1] } else { mapped(packet.destination) };
    to_bytes(sign(secret(claim.secret_id), claim, source, destination)).to_vec()
}
