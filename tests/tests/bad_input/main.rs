//! Whatever is wrong is told in one line that ends with what to do next, with exit code 1, and leaves
//! nothing behind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests state what must hold"
)]

mod commands;
mod policy;
mod privilege;
mod start;

use std::fs;

use keysteer_tests::site::binary::Said;
use keysteer_tests::site::place::Place;
use keysteer_tests::site::residue::no_program_is_left;
use keysteer_tests::site::{Site, UP0};

/// Runs an agent that must refuse with these phrases, and checks that nothing is left of it.
fn refused(site: &Site, place: &Place, phrases: &[&str]) {
    let before = fs::symlink_metadata(place.socket()).ok().map(|it| it.file_type());
    let said = place.refused(&site.node);
    said.refuses(phrases);
    let after = fs::symlink_metadata(place.socket()).ok().map(|it| it.file_type());
    assert_eq!(before, after, "{said:?}: the socket's place");
    nothing_attached(site, &said);
}

fn nothing_attached(site: &Site, said: &Said) {
    for interface in [UP0, "lo", "to-a"] {
        assert_eq!(site.attached(interface), None, "{said:?}: {interface}");
    }
    no_program_is_left();
}
