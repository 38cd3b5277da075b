//! Decisions in the kernel, one sentence each: a policy, a frame, what becomes of it to the last byte, and
//! which counters moved, while no other did. The host engine is asked the same and must agree.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "all of this is a test, also what is in no function with #[test]"
)]

mod carriers;
mod classes;
mod explained;
mod fragments;
mod headers;
mod jumbo;
mod levels;
mod many;
mod planted;
mod quoted;
mod replayed;
mod scope;
mod signed;
mod table;
mod targets;
mod trust;
mod versions;
mod widths;
mod words;
