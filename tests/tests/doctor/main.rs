//! What is read of a host, and what `keysteer doctor` says of it, in network namespaces with real interfaces.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests state what must hold")]

mod checks;
mod features;
mod interfaces;
