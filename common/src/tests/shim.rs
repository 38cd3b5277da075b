//! The signed shim: what is accepted, and that everything else is not.

use proptest::prelude::*;

use crate::shim::{
    Block, Claim, EPOCH_SECONDS, Secret, Signing, epoch, flag, from_bytes, secret_words, sign, source_prefix,
    to_bytes, verify,
};

const SECOND: u64 = 1_000_000_000;
/// In the middle of an epoch.
const NOW: u64 = (1_800_000_000 / EPOCH_SECONDS * EPOCH_SECONDS + EPOCH_SECONDS / 2) * SECOND;
/// What the monotonic clock says then.
const UPTIME: u64 = 12_345 * SECOND;
const SOURCE: [u64; 2] = [0x2001_0db8_0001_0000, 0x1234];
const SOURCE4: [u64; 2] = [0, 0xffff_c000_0207];
const DESTINATION: [u64; 2] = [0, 0xffff_c633_6401];
const SECRETS: [[u64; 2]; 2] = [[1, 2], [3, 4]];

fn signing() -> Signing {
    Signing {
        secrets: [Secret { key: SECRETS[0], id: 7, live: 1 }, Secret { key: SECRETS[1], id: 8, live: 1 }],
        clock_offset: NOW - UPTIME,
        require: 0,
        source_bits4: 24,
        source_bits6: 48,
        _pad: [0; 5],
    }
}

fn claim() -> Claim {
    Claim { flags: flag::ALL, secret_id: 7, epoch: epoch(NOW), key: 0x0102_0304_0506_0708 }
}

fn signed(claim: Claim) -> Block {
    sign(SECRETS[0], claim, source_prefix(SOURCE, 24, 48), DESTINATION)
}

fn accepted(block: Block, signing: &Signing) -> bool {
    verify(&block, signing, UPTIME, SOURCE, DESTINATION)
}

proptest! {
    #[test]
    fn what_is_signed_is_accepted(
        secrets: [[u64; 2]; 2], which in 0..2usize, ids in proptest::array::uniform2(0..=255_u8), key: u64,
        flags in 0..=flag::ALL, now: u64, source: [u64; 2], source4: Option<u32>, destination: [u64; 2],
        bits4 in 0..=32_u8, bits6 in 0..=128_u8,
    ) {
        prop_assume!(ids[0] != ids[1]);
        let source = source4.map_or(source, |low| [0, 0xffff_0000_0000 | u64::from(low)]);
        let mut signing = signing();
        for ((secret, key), id) in signing.secrets.iter_mut().zip(secrets).zip(ids) {
            *secret = Secret { key, id: id.into(), live: 1 };
        }
        signing.clock_offset = now.wrapping_sub(UPTIME);
        signing.source_bits4 = bits4;
        signing.source_bits6 = bits6;
        let claim = Claim { flags, secret_id: ids[which], epoch: epoch(now), key };
        let block = sign(secrets[which], claim, source_prefix(source, bits4, bits6), destination);
        prop_assert_eq!(block[1], key);
        prop_assert!(verify(&block, &signing, UPTIME, source, destination));
    }

    #[test]
    fn junk_is_refused(block: [u64; 3]) {
        prop_assert!(!accepted(block, &signing()));
    }
}

#[test]
fn one_changed_bit_is_refused() {
    for flags in 0..=flag::ALL {
        let block = signed(Claim { flags, ..claim() });
        assert!(accepted(block, &signing()));
        for bit in 0..192 {
            let mut changed = block;
            changed[bit / 64] ^= 1 << (bit % 64);
            assert!(!accepted(changed, &signing()), "flags {flags}, bit {bit}");
        }
    }
}

#[test]
fn a_changed_address_is_refused_where_the_shim_is_bound_to_it() {
    for bit in 0..128 {
        let flip = |address: [u64; 2]| {
            let number = u128::from(address[0]) << 64 | u128::from(address[1]);
            let changed = number ^ 1 << (127 - bit);
            [(changed >> 64) as u64, changed as u64]
        };
        for flags in 0..=flag::ALL {
            let block = signed(Claim { flags, ..claim() });
            let by_source = verify(&block, &signing(), UPTIME, flip(SOURCE), DESTINATION);
            assert_eq!(by_source, bit >= 48 || flags & flag::SOURCE == 0, "flags {flags}, source bit {bit}");
            let by_destination = verify(&block, &signing(), UPTIME, SOURCE, flip(DESTINATION));
            assert_eq!(
                by_destination,
                flags & flag::DESTINATION == 0,
                "flags {flags}, destination bit {bit}"
            );
        }
    }
}

#[test]
fn an_ipv4_source_is_bound_by_its_own_prefix_length() {
    let claim = Claim { flags: flag::SOURCE, ..claim() };
    let block = sign(SECRETS[0], claim, source_prefix(SOURCE4, 24, 48), DESTINATION);
    let from = |last: u64, third: u64| {
        verify(&block, &signing(), UPTIME, [0, SOURCE4[1] ^ third << 8 ^ last], [0, 0])
    };
    assert!(from(0, 0) && from(0xff, 0));
    assert!(!from(0, 1));
}

#[test]
fn prefixes_of_every_length() {
    for bits in 0..=128 {
        let [high, low] = source_prefix([u64::MAX; 2], 24, bits);
        let number = u128::from(high) << 64 | u128::from(low);
        assert_eq!(number.leading_ones(), u32::from(bits));
        assert_eq!(number.count_ones(), u32::from(bits));
    }
    for bits in 0..=32 {
        let expected =
            0xffff_0000_0000 | (0xffff_ffff_u64 >> (32 - u32::from(bits)) << (32 - u32::from(bits)));
        assert_eq!(source_prefix([0, 0xffff_ffff_ffff], bits, 48), [0, expected]);
    }
}

#[test]
fn a_shim_is_good_for_one_epoch_more_and_one_less() {
    let ages = [(-2, false), (-1, true), (0, true), (1, true), (2, false), (0x7fff, false)];
    // Also where the 16 bits of the epoch begin again.
    for start in [NOW, 0x1_0000 * EPOCH_SECONDS * SECOND] {
        let signing = Signing { clock_offset: start.wrapping_sub(UPTIME), ..signing() };
        for (age, good) in ages {
            let block = signed(Claim { epoch: epoch(start).wrapping_add_signed(age), ..claim() });
            assert_eq!(accepted(block, &signing), good, "{age} epochs from now");
        }
    }
}

#[test]
fn an_epoch_is_64_seconds() {
    assert_eq!(epoch(0), 0);
    assert_eq!(epoch(64 * SECOND - 1), 0);
    assert_eq!(epoch(64 * SECOND), 1);
    assert_eq!(epoch(64 * SECOND * 0x1_0005), 5);
}

#[test]
fn a_secret_is_chosen_by_its_id_and_must_be_live() {
    let by_other =
        sign(SECRETS[1], Claim { secret_id: 8, ..claim() }, source_prefix(SOURCE, 24, 48), DESTINATION);
    assert!(accepted(by_other, &signing()));
    let wrong_id = sign(SECRETS[1], claim(), source_prefix(SOURCE, 24, 48), DESTINATION);
    assert!(!accepted(wrong_id, &signing()));
    assert!(!accepted(signed(Claim { secret_id: 9, ..claim() }), &signing()));
    let mut dead = signing();
    dead.secrets[0].live = 0;
    assert!(!accepted(signed(claim()), &dead));
    assert!(accepted(by_other, &dead));
}

#[test]
fn a_map_of_zeros_accepts_nothing() {
    let block = sign([0, 0], Claim { flags: 0, secret_id: 0, epoch: 0, key: 1 }, [0; 2], [0; 2]);
    assert!(!verify(&block, &Signing::default(), 0, [0; 2], [0; 2]));
}

/// Signs again what was changed, as a holder of the secret could.
fn signed_again(change: impl FnOnce(&mut u64)) -> Block {
    let mut block = signed(claim());
    change(&mut block[0]);
    let mut sip = crate::hash::Sip24::new(SECRETS[0]);
    let source = source_prefix(SOURCE, 24, 48);
    for word in [block[0], block[1], source[0], source[1], DESTINATION[0], DESTINATION[1]] {
        sip.word(word.swap_bytes());
    }
    block[2] = sip.finish();
    block
}

#[test]
fn other_formats_are_refused_however_well_signed() {
    assert!(accepted(signed_again(|_| ()), &signing()));
    for version in (0..16).filter(|v| *v != 1) {
        let block = signed_again(|head| *head = *head & !(0xf << 60) | version << 60);
        assert!(!accepted(block, &signing()), "version {version}");
    }
    for bit in 0..32 {
        assert!(!accepted(signed_again(|head| *head |= 1 << bit), &signing()), "reserved bit {bit}");
    }
    for flags in [4, 8] {
        assert!(!accepted(signed_again(|head| *head |= flags << 56), &signing()), "flags {flags}");
    }
}

#[test]
fn what_must_be_bound_is() {
    for require in 0..=flag::ALL {
        let signing = Signing { require, ..signing() };
        for flags in 0..=flag::ALL {
            let block = signed(Claim { flags, ..claim() });
            assert_eq!(
                accepted(block, &signing),
                flags & require == require,
                "{flags} where {require} is asked"
            );
        }
    }
}

#[test]
fn bytes_are_in_network_order() {
    let bytes = to_bytes(signed(Claim { epoch: 0x1234, ..claim() }));
    assert_eq!(bytes[..16], [0x13, 7, 0x12, 0x34, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    let words = std::array::from_fn(|i| std::array::from_fn(|j| bytes[8 * i + j]));
    assert_eq!(to_bytes(from_bytes(words)), bytes);
}

/// The tag is over bytes as they are on the wire: checked against an implementation that hashes bytes.
#[test]
fn the_tag_is_siphash_of_the_bytes() {
    use std::hash::Hasher;
    let secret: [u8; 16] = std::array::from_fn(|i| i as u8);
    let block = sign(secret_words(secret), claim(), source_prefix(SOURCE, 24, 48), DESTINATION);
    let mut theirs = siphasher::sip::SipHasher24::new_with_key(&secret);
    theirs.write(&to_bytes(block)[..16]);
    theirs.write(&[0x20, 1, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    theirs.write(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xc6, 0x33, 0x64, 1]);
    assert_eq!(block[2], theirs.finish());
}

#[test]
fn debug_output_has_no_secret() {
    let signing =
        Signing { secrets: [Secret { key: [0x5ec2e7, 0x5ec2e8], id: 1, live: 1 }; 2], ..Signing::default() };
    let text = format!("{signing:?} {signing:x?}");
    for part in ["5ec2e7", "5ec2e8", &0x5ec2e7.to_string(), &0x5ec2e8.to_string()] {
        assert!(!text.contains(part), "{text}");
    }
}
