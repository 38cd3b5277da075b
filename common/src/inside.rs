//! What the deep program finds beyond the outer headers: labels, tunnels, and the packet inside one.
//!
//! Kept in the work area, like [`crate::headers::Headers`]; each stage reads back what the one before it stored, so that the
//! verifier looks at it once and not on each of the ways that lead there.
//! A field is only meaningful when its bit in [`Inside::found`] is set.

/// Bits of [`Inside::found`].
pub mod within {
    /// A label stack; `label` is its top.
    pub const MPLS: u32 = 1 << 0;
    /// A VXLAN header with a network identifier at `tunnel`.
    pub const VXLAN: u32 = 1 << 1;
    /// It has a group policy.
    pub const VXLAN_POLICY: u32 = 1 << 2;
    /// A Geneve header at `tunnel`.
    pub const GENEVE: u32 = 1 << 3;
    /// A GRE key at `id`.
    pub const GRE_KEY: u32 = 1 << 4;
    /// A GTP-U header at `tunnel`.
    pub const GTPU: u32 = 1 << 5;
    /// A service header at `nsh`.
    pub const NSH: u32 = 1 << 6;
    /// Its metadata are four fixed words.
    pub const NSH_CONTEXT: u32 = 1 << 7;
    /// A connection id at `id`, of `id_length` bytes.
    pub const QUIC: u32 = 1 << 8;
    /// An Ethernet frame at `ethernet`.
    pub const ETHERNET: u32 = 1 << 9;
    /// An IPv4 header at `l3`.
    pub const IPV4: u32 = 1 << 10;
    /// An IPv6 header at `l3`.
    pub const IPV6: u32 = 1 << 11;
    /// `protocol`.
    pub const PROTOCOL: u32 = 1 << 12;
    /// `source_port` and `destination_port`.
    pub const PORTS: u32 = 1 << 13;
}

/// What follows a tunnel's header: values of [`Inside::kind`].
pub mod kind {
    /// Nothing that is read.
    pub const NOTHING: u16 = 0;
    /// An Ethernet frame.
    pub const ETHERNET: u16 = 1;
    /// An IPv4 header.
    pub const IPV4: u16 = 2;
    /// An IPv6 header.
    pub const IPV6: u16 = 3;
    /// An IP header, whose version says which.
    pub const IP: u16 = 4;
    /// A service header.
    pub const NSH: u16 = 5;
}

/// Positions and facts beyond the outer headers.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inside {
    /// What of the rest is meaningful: bits of [`within`].
    pub found: u32,
    /// The label on top of the stack.
    pub label: u32,
    /// Position of the tunnel's header.
    pub tunnel: u16,
    /// Position of what the header identifies by: VNI, GRE key, TEID, connection id.
    pub id: u16,
    /// Bytes of a connection id.
    pub id_length: u16,
    /// Position of the service header.
    pub nsh: u16,
    /// Position of what the tunnel carries.
    pub next: u16,
    /// What that is: one of [`kind`].
    pub kind: u16,
    /// Position of the Ethernet frame inside.
    pub ethernet: u16,
    /// Position of the IP header inside.
    pub l3: u16,
    /// Position of the source address inside, 4 or 16 bytes.
    pub source: u16,
    /// Position of the destination address inside, 4 or 16 bytes.
    pub destination: u16,
    /// Source port inside.
    pub source_port: u16,
    /// Destination port inside.
    pub destination_port: u16,
    /// Position of the data of the option that was looked for last.
    pub option: u16,
    /// Bytes of that data; 0: there is no such option.
    pub option_length: u16,
    /// Transport protocol inside.
    pub protocol: u16,
    /// Position where that protocol's header begins.
    pub l4: u16,
    /// Position of the signed block that a field was read from; 0: none was.
    pub signed: u16,
    /// Explicit padding.
    pub _pad: [u8; 6],
}

const _: () = assert!(size_of::<Inside>() == 48);

impl Inside {
    /// Nothing found.
    pub const NONE: Self = Self {
        found: 0,
        label: 0,
        tunnel: 0,
        id: 0,
        id_length: 0,
        nsh: 0,
        next: 0,
        kind: kind::NOTHING,
        ethernet: 0,
        l3: 0,
        source: 0,
        destination: 0,
        source_port: 0,
        destination_port: 0,
        option: 0,
        option_length: 0,
        protocol: 0,
        l4: 0,
        signed: 0,
        _pad: [0; 6],
    };

    /// Makes it nothing, as far as is looked at: what is not marked as found may hold what another frame left there.
    #[inline(always)]
    pub fn clear(&mut self) {
        self.found = 0;
        self.kind = kind::NOTHING;
    }

    /// Whether every bit of `bits` was found.
    #[inline(always)]
    pub const fn has(&self, bits: u32) -> bool {
        self.found & bits == bits
    }

    /// Marks `bits` as found.
    #[inline(always)]
    pub fn set(&mut self, bits: u32) {
        self.found |= bits;
    }
}
