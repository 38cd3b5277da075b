//! Shared parts of the kernel tests.
