use crate::config::PrefixIndex;
use crate::prefix::{find4, find6, search, uniform};
use crate::tables::PrefixStep;

use super::world::World;

fn step(start: u128, value: u32) -> (PrefixStep, u64) {
    (PrefixStep { start: (start >> 64) as u64, value, _pad: 0 }, start as u64)
}

/// 10.0.0.0/8 -> 1 with 10.1.0.0/16 -> 2 inside it and 10.1.2.3/32 -> 3 inside that.
fn nested() -> World {
    let address = |a: u32| u128::from(a) << 96;
    let steps = [
        step(0, 0),
        step(address(0x0a00_0000), 1),
        step(address(0x0a01_0000), 2),
        step(address(0x0a01_0203), 3),
        step(address(0x0a01_0204), 2),
        step(address(0x0a02_0000), 1),
        step(address(0x0b00_0000), 0),
    ];
    let (prefix_steps, prefix_low) = steps.into_iter().unzip();
    let mut world = World { prefix_steps, prefix_low, ..World::default() };
    world.config.scope.v4 = PrefixIndex { bits: 8, ..Default::default() };
    world.prefix_index = (0..256).map(|top| if top == 10 { search(1, 5) } else { uniform(0) }).collect();
    world
}

#[test]
fn longest_prefix_wins_at_every_boundary() {
    let world = nested();
    let table = &world.config.scope;
    let cases = [
        (0x09ff_ffff, 0),
        (0x0a00_0000, 1),
        (0x0a00_ffff, 1),
        (0x0a01_0000, 2),
        (0x0a01_0202, 2),
        (0x0a01_0203, 3),
        (0x0a01_0204, 2),
        (0x0a01_ffff, 2),
        (0x0a02_0000, 1),
        (0x0aff_ffff, 1),
        (0x0b00_0000, 0),
    ];
    for (address, value) in cases {
        assert_eq!(find4(&world, table, address), value, "{address:08x}");
    }
}

#[test]
fn bits_that_all_prefixes_share_are_checked_first() {
    let mut world = World::default();
    // 2001:db8::/32 shared; the next bit chooses.
    world.config.scope.v6 =
        PrefixIndex { common: [DB8, 0], mask: [!0 << 32, 0], skip: 32, bits: 1, ..Default::default() };
    world.prefix_index = vec![uniform(4), uniform(5)];
    let table = &world.config.scope;
    assert_eq!(find6(&world, table, [0x2001_0db8_7fff_0000, 9]), 4);
    assert_eq!(find6(&world, table, [0x2001_0db8_8000_0000, 9]), 5);
    assert_eq!(find6(&world, table, [0x2001_0db9_8000_0000, 9]), 0);
}

const DB8: u64 = 0x2001_0db8_0000_0000;

#[test]
fn a_single_block_needs_no_index() {
    let mut world = World::default();
    world.config.scope.v6 = PrefixIndex { common: [DB8, 5], mask: [!0, !0], value: 3, ..Default::default() };
    let table = &world.config.scope;
    assert_eq!(find6(&world, table, [DB8, 5]), 3);
    assert_eq!(find6(&world, table, [DB8, 4]), 0);
    assert_eq!(find6(&world, table, [DB8 + 1, 5]), 0);
}

#[test]
fn a_family_without_prefixes_finds_nothing() {
    let world = nested();
    assert_eq!(find6(&world, &world.config.scope, [u64::MAX, 0]), 0);
}
