//! The way of a packet through keysteer, as pure, panic-free, `no_std` code with two homes.
//!
//! `dataplane-ebpf` compiles it for the kernel over packet pointers and BPF maps; user space compiles
//! the same code over slices and vectors ([`slice::Frame`], `keysteer::image::Image`) for tests, fuzzing,
//! `explain`, `plan` and replay. The modules read in the order a packet meets them:
//!
//! ```text
//!  access     bounded reads and writes of the packet          (Packet, PacketMut)
//!  parse      headers -> positions and facts, any junk survives (link, network, transport, quote)
//!  scope      is this ours? everything else passes untouched
//!  extract    facts -> canonical 128-bit key
//!  resolve    key -> class, key id, its entry                  (levels, most specific first)
//!  schemas    the same for several versions of the schema      (trust, shim: who may assert a key)
//!  fragment   later fragments to their first one's key
//!  enforce    what the key's policy forbids
//!  select     key, width, flow -> slot -> shard
//!  place      around what is down                             (overlay), with flows that are there already (migrate, pin)
//!  forward    shard -> MAC rewrite and exit                    (nat, checksum: to an address of the shard's own)
//!  account    one slot per key, one per shard, one per class and reason   (segments: what a packet counts as)
//! ```
//!
//! [`decide::decide`] strings them together; [`back::way_back`] does for what leaves ([`stamp`]). What they look things up in is [`tables`]; what is
//! constant for a loaded program is [`config`]; the numbers that cross the kernel boundary are
//! [`vocabulary`].
#![cfg_attr(not(any(test, feature = "seeded-bugs")), no_std)]
#![cfg_attr(target_arch = "bpf", feature(core_intrinsics))]
#![cfg_attr(target_arch = "bpf", expect(internal_features, reason = "hint.rs"))]

pub mod access;
pub mod slice;

pub mod headers;
pub mod inside;
pub mod parse;

pub mod look;
pub mod scope;

pub mod carrier;
pub mod extract;
pub mod shim;

pub mod resolve;
pub mod schemas;
pub mod trust;

pub mod fragment;

pub mod enforce;
pub mod overlay;

pub mod migrate;
pub mod pin;
mod place;
pub mod select;

pub mod checksum;
pub mod forward;
pub mod nat;

pub mod account;
mod segments;
pub mod state;

pub mod decide;

pub mod back;
pub mod stamp;

pub mod config;
pub mod hash;
mod hint;
pub mod prefix;
pub mod program;
pub mod seeded;
pub mod shared;
pub mod tables;
pub mod vocabulary;

#[cfg(test)]
mod tests;
