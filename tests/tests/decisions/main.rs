//! Decisions in the kernel, one sentence each: a policy, a frame, what becomes of it to the last byte, and
//! which counters moved, while no other did. The host engine is asked the same and must agree.

mod carriers;
mod classes;
mod headers;
mod jumbo;
mod levels;
mod planted;
mod scope;
mod table;
mod targets;
mod widths;
