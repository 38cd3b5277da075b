//! Shared parts of the kernel tests.

pub mod site;
