//! Which program a policy needs. The object has two, of the same stages; the smallest that does is loaded, so that what a policy
//! does not use costs it nothing. A third, for what leaves, is loaded by policies that ask for it.
//!
//! ```text
//!  headers   the outer headers, one schema, trust everywhere; most frames at constant positions
//!  deep      labels, tunnels and what is inside, options, several schemas, trust, signatures, fragments that follow
//!  back      the way back: counted, translated, stamped
//! ```
//! One program for both would be too long for the 16 bits of a branch (Linux 6.1 knows no longer one).

use crate::carrier::Carrier;
use crate::config::{Config, fragments};

/// Where a program runs. Each of [`Program`] is in the object once for each place that packets arrive at: the same stages, over another
/// packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hook {
    /// Before the kernel has made a packet of its own of the frame: `XDP`, in the driver or generic.
    Xdp,
    /// After that: TC ingress.
    Tc,
    /// Where packets leave: TC egress.
    Back,
}

/// A program of the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// [`crate::decide::decide`].
    Headers,
    /// [`crate::decide::decide_deep`].
    Deep,
}

impl Program {
    /// The smallest that a configuration needs.
    pub fn of(config: &Config) -> Self {
        let fields = config.fields.as_flattened();
        let deep = config.reads != 0
            || fields.iter().any(|field| field.carrier > Carrier::LAST_PLAIN as u8)
            || config.schemas[0].verify != 0
            || config.schemas[1].levels != 0
            || config.interfaces_len != 0
            || config.has_sources != 0
            || config.fragments == fragments::FOLLOW;
        if deep { Self::Deep } else { Self::Headers }
    }

    /// Its name in the object.
    pub const fn name(self, hook: Hook) -> &'static str {
        match (self, hook) {
            (Self::Headers, Hook::Xdp) => "keysteer_xdp",
            (Self::Deep, Hook::Xdp) => "keysteer_deep",
            (Self::Headers, Hook::Tc) => "keysteer_tc",
            (Self::Deep, Hook::Tc) => "keysteer_tc_deep",
            (_, Hook::Back) => "keysteer_back",
        }
    }
}
