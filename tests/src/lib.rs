//! Shared parts of the kernel tests.
//!
//! ```text
//!  lab           a network namespace with interfaces, and a thread in it that stays on one CPU
//!  fuzzing       the bodies of the fuzz targets, and their seeds
//!  frames        packets described in words, and their bytes
//!  pair          one image in the kernel and on the host; frames run through both and compared
//!  leaving       what leaves a node after a frame has come to it
//!  captures      frames from capture files
//!  carriers      packets with every carrier, as some of these files hold
//!  dice          repeatable choices
//!  differential  generated packets through pairs, with what they covered
//!  site          a world with the real agent in it, for tests end to end
//!  tour          the capture of the documentation's tour
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests state what must hold; this library is part of them"
)]

pub mod captures;
pub mod carriers;
pub mod dice;
pub mod differential;
pub mod frames;
pub mod fuzzing;
pub mod lab;
mod leaving;
pub mod pair;
pub mod site;
pub mod tour;
