//! Which program a policy needs. The object has two, of the same stages; the smallest that does is loaded, so that what a policy
//! does not use costs it nothing.
//!
//! ```text
//!  headers   the outer headers, one schema, trust everywhere; most frames at constant positions
//!  deep      labels, tunnels and what is inside, options, several schemas, trust, signatures, fragments that follow
//! ```
//! One program for both would be too long for the 16 bits of a branch (Linux 6.1 knows no longer one).

use crate::carrier::Carrier;
use crate::config::{Config, fragments};

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
    pub const fn name(self) -> &'static str {
        match self {
            Self::Headers => "keysteer_xdp",
            Self::Deep => "keysteer_deep",
        }
    }
}
