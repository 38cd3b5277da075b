//! How flows are treated while a change moves their keys.

use std::time::Duration;

/// `spec.migration`; without it (`migration: none`) flows move at once with their keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migration {
    /// How long nothing of a key must have gone to another shard than the current one for its move to be over. A flow that says nothing for
    /// longer may be cut off.
    pub idle: Duration,
    /// When a move is over, whatever still goes elsewhere.
    pub deadline: Duration,
    /// How many flows that open meanwhile are remembered; further ones open on the previous shard.
    pub pins: u32,
}

impl Migration {
    /// How many pins are possible.
    pub const PINS: (u32, u32) = (1, 4_194_304);
}

impl Default for Migration {
    fn default() -> Self {
        Self { idle: Duration::from_secs(60), deadline: Duration::from_secs(3_600), pins: 65_536 }
    }
}

/// What datagrams without a flow do while their key moves: all UDP but QUIC, and protocols that are neither TCP nor UDP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Udp {
    /// They go to the new shard at once.
    #[default]
    Flip,
    /// They stay with the previous one until nothing has come for the idle time.
    Hold,
}

impl Udp {
    /// As the policy writes them.
    pub const ALL: [(&'static str, Self); 2] = [("flip", Self::Flip), ("hold", Self::Hold)];

    /// As the policy writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flip => "flip",
            Self::Hold => "hold",
        }
    }
}
