//! The kernel home: load the object, fill its maps, attach it, read its counters.

pub mod interfaces;
