//! The numbers that cross the kernel boundary and reach operators: classes, verdicts, reasons, faults.
//!
//! Append-only: a number is never reused, a name never changes its meaning. Each name here is the
//! label value in metrics and the string in JSON.

/// Declares a `u8` enum with its names, `ALL`, `name()` and `from_number()`.
macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant = $number,)* }

        impl $name {
            /// Every value, in numeric order.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name in metrics, JSON and tables.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            /// The value with this number, if there is one.
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

vocabulary! {
    /// What a packet is to us.
    Class {
        /// Not ours to touch: passes unmodified.
        Foreign = 0 "foreign",
        /// Its key is registered.
        Assigned = 1 "assigned",
        /// Its key is well formed but not in the registry.
        Unregistered = 2 "unregistered",
        /// No level's fields are all present.
        Missing = 3 "missing",
        /// Addressed to us, but its headers contradict themselves or are cut off.
        Malformed = 4 "malformed",
        /// A key asserted from where it may not be, or without the proof that is asked for there.
        Unauthenticated = 5 "unauthenticated",
    }
}

vocabulary! {
    /// What happened to a packet.
    Verdict {
        /// To this host's own network stack, unmodified.
        Pass = 0 "pass",
        /// Never forwarded.
        Drop = 1 "drop",
        /// To this host's stack, on the CPU of the shard (CPUMAP).
        Cpu = 2 "cpu",
        /// Out of a local interface, addressed to the shard's MAC (DEVMAP).
        Interface = 3 "interface",
        /// Out of an interface towards a next hop's MAC (XDP_TX or DEVMAP).
        NextHop = 4 "next_hop",
        /// Decided and counted, then passed unmodified: the policy's mode is `observe`.
        Observe = 5 "observe",
    }
}

vocabulary! {
    /// Why it happened.
    Reason {
        /// Outside the declared scope.
        OutOfScope = 0 "out_of_scope",
        /// Its slot's shard took it.
        Steered = 1 "steered",
        /// The policy passes this class.
        ClassPass = 2 "class_pass",
        /// The policy drops this class.
        ClassDrop = 3 "class_drop",
        /// The key is denied, by the policy or by an operator.
        Denied = 4 "denied",
        /// The shard's target is `drop`.
        TargetDrop = 5 "target_drop",
        /// The slot names no shard (its pool is empty), or a disabled one and no other takes its place.
        NoShard = 6 "no_shard",
        /// The shard's interface or CPU has gone: it is not in the map of exits.
        NoExit = 7 "no_exit",
        /// A later fragment of a datagram whose key is in the first one, where the policy passes those.
        FragmentPass = 8 "fragment_pass",
        /// The same, where it drops them.
        FragmentDrop = 9 "fragment_drop",
        /// Longer than what the shard's interface takes (its MTU, when the policy was applied).
        TooBig = 10 "too_big",
    }
}

vocabulary! {
    /// What made a packet `malformed`.
    Fault {
        /// Nothing.
        None = 0 "none",
        /// The IPv4 header is shorter than 20 bytes, or longer than the datagram (RFC 791).
        Ipv4HeaderLength = 1 "ipv4_header_length",
        /// The IPv4 or IPv6 length says more than the frame holds.
        IpLength = 2 "ip_length",
        /// An IPv6 extension header is cut off (RFC 8200).
        ExtensionCut = 3 "extension_cut",
        /// More IPv6 extension headers than are followed.
        TooManyExtensions = 4 "too_many_extensions",
        /// The transport header is cut off.
        TransportCut = 5 "transport_cut",
        /// A transport header says an impossible length.
        TransportLength = 6 "transport_length",
        /// A tunnel's header is cut off, or says an impossible length.
        TunnelCut = 7 "tunnel_cut",
    }
}

/// How many class numbers fit the counters' layout.
pub const CLASSES: usize = 8;
/// How many reason numbers fit the counters' layout.
pub const REASONS: usize = 32;
/// How many verdict numbers fit the counters' layout.
pub const VERDICTS: usize = 8;

const _: () = assert!(Class::ALL.len() <= CLASSES);
const _: () = assert!(Reason::ALL.len() <= REASONS);
const _: () = assert!(Verdict::ALL.len() <= VERDICTS);
