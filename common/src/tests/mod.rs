//! Tests of the pure code, over hand-made frames and junk. The tables are [`world::World`]: ordinary
//! vectors, filled by each test with what it needs.

mod aiming;
mod decide;
mod deep;
mod flow;
mod hash;
mod inside;
mod junk;
mod migrate;
mod nat;
mod overlay;
mod parse;
mod prefix;
mod segments;
mod shim;
mod vocabulary;
mod world;
