//! Headers to positions and facts. Any junk survives: what cannot be read leaves its bit in
//! [`Headers::found`](crate::headers::Headers::found) unset, what contradicts itself sets a fault.
//!
//! ```text
//!  link       Ethernet, up to two VLAN tags       -> EtherType, where IP begins
//!  network    IPv4 with options, IPv6             -> addresses, protocol, fragment
//!  transport  IPv6 extensions, TCP UDP SCTP ICMP  -> ports, opens
//!  quote      the packet inside an ICMP error     -> the flow it is about
//!
//!  below      labels, a service header            -> where IP begins                 \
//!  tunnel     VXLAN Geneve GTP-U GRE, IP in IP    -> its identifier, what it carries  } the deep program
//!  inner      the packet inside                   -> its addresses, protocol, ports   |
//!  option     one option among many               -> where its data are              /
//!
//!  plain      the same for the frames that most are, at constant positions
//! ```
//!
//! Scope is decided between `network` and `transport`, so that foreign traffic costs no more than
//! its destination's look-up.

pub mod below;
pub mod inner;
pub mod link;
pub mod network;
mod nsh;
pub mod option;
pub mod plain;
pub mod quote;
pub mod transport;
pub mod tunnel;
