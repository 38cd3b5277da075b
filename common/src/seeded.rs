//! Bugs on purpose, one per stage, so that the differential test can prove that it would see each.
//!
//! They are compiled in by the feature `seeded-bugs`, which only the package `tests` asks for and the
//! eBPF object never has. Without it `bug!` is its second argument and nothing else; with it the
//! third is taken on a thread that has [`plant()`]ed the stage's bug.

/// `bug!(Stage, right, wrong)`: `right`, unless the stage's bug is planted.
#[cfg(not(feature = "seeded-bugs"))]
macro_rules! bug {
    ($stage:ident, $right:expr, $wrong:expr) => {
        $right
    };
}

/// `bug!(Stage, right, wrong)`: `right`, unless the stage's bug is planted.
#[cfg(feature = "seeded-bugs")]
macro_rules! bug {
    ($stage:ident, $right:expr, $wrong:expr) => {
        if $crate::seeded::planted() == Some($crate::seeded::Stage::$stage) { $wrong } else { $right }
    };
}

pub(crate) use bug;

#[cfg(feature = "seeded-bugs")]
pub use plant::{Stage, plant, planted};

#[cfg(feature = "seeded-bugs")]
mod plant {
    use std::cell::Cell;

    /// A stage and the bug that it can be given.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Stage {
        /// The old EtherType of stacked VLANs is not followed.
        Link,
        /// An IPv4 datagram's first fragment is taken for a whole datagram.
        Network,
        /// The length of an authentication header is counted in eight bytes, as all others are.
        Transport,
        /// The ports that an ICMP error quotes are not turned round.
        Quote,
        /// A label is taken with the bits behind it.
        Below,
        /// A checksum before a GRE key is overlooked.
        Tunnel,
        /// The destination port of the packet inside a tunnel is taken to be its source port.
        Inner,
        /// The last port of a service's range is left out.
        Scope,
        /// A bit range that straddles the middle of an IPv6 address loses its upper bits.
        Extract,
        /// Of a schema's levels only the first is looked up.
        Schemas,
        /// The sources that a key lists are not told apart.
        Trust,
        /// The last probe of a key look-up is not made.
        Resolve,
        /// A key's denial is overlooked.
        Enforce,
        /// A first fragment is hashed with its ports, which the later ones do not have.
        Select,
        /// A flow that found no room for a pin is sent to the new shard all the same.
        Migrate,
        /// The frame leaves with the shard's address for a source.
        Forward,
        /// A key's drops are not counted.
        Account,
        /// The address that an ICMP error quotes is not translated.
        Nat,
        /// The ports of an answer are not turned round.
        Back,
        /// A stamp overwrites the congestion bits of IPv4.
        Stamp,
    }

    impl Stage {
        /// Every stage, in the order that a packet meets them.
        pub const ALL: &[Self] = &[
            Self::Link,
            Self::Network,
            Self::Transport,
            Self::Quote,
            Self::Below,
            Self::Tunnel,
            Self::Inner,
            Self::Scope,
            Self::Extract,
            Self::Schemas,
            Self::Trust,
            Self::Resolve,
            Self::Enforce,
            Self::Select,
            Self::Migrate,
            Self::Forward,
            Self::Account,
            Self::Nat,
            Self::Back,
            Self::Stamp,
        ];
    }

    std::thread_local! {
        static PLANTED: Cell<Option<Stage>> = const { Cell::new(None) };
    }

    /// Plants one stage's bug on this thread, or with `None` takes it out.
    pub fn plant(stage: Option<Stage>) {
        PLANTED.set(stage);
    }

    /// The bug that is planted on this thread.
    pub fn planted() -> Option<Stage> {
        PLANTED.get()
    }
}
