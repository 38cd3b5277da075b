//! A policy that reads VLAN tags, on a network card that takes them out of frames before XDP sees them.
//!
//! The kernel keeps such a tag beside the frame: at TC it is read there, and in XDP, native or generic, it is gone. Where
//! `mode: auto` can, it then steers at TC; else the policy is refused before anything changes.

use std::io;

use keysteer_common::carrier::Carrier;

use super::ground::Wanted;
use crate::compile::parts;
use crate::kernel::KernelError;
use crate::kernel::features::Features;
use crate::kernel::interfaces::{Interface, Interfaces, Kind};
use crate::policy::{AttachMode, Policy};

/// A network card that strips tags: its name, and how `ethtool -K` stops it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stripper {
    /// Its name.
    pub card: String,
    /// What `ethtool -K` is given behind the name.
    pub off: &'static str,
}

/// Whether some version of the schema reads a VLAN tag.
pub fn reads_tags(policy: &Policy) -> bool {
    let mut fields = policy.schemas.iter().flat_map(|schema| &schema.fields);
    fields.any(|field| matches!(field.carrier, Carrier::VlanId | Carrier::VlanInnerId | Carrier::VlanPcp))
}

/// The first card that strips tags of what comes in by a device; `ask` gives a card's features. A card that does not say
/// what it does is taken to leave frames alone, as one that was made before there were such features.
///
/// A veth announces the feature, but a tag that its other end put into the frame stays there.
pub fn stripper(
    host: &Interfaces,
    device: &Interface,
    ask: impl Fn(&str) -> io::Result<Features>,
) -> Option<Stripper> {
    let mut cards: Vec<&Interface> = parts(host, device).collect();
    // A bond announces it whatever its parts do.
    if cards.is_empty() {
        cards.push(device);
    }
    cards.into_iter().filter(|card| card.kind != Some(Kind::Veth)).find_map(|card| {
        let off = ask(&card.name).ok()?.strips_tags()?;
        Some(Stripper { card: card.name.clone(), off })
    })
}

/// Has a device whose tags are stripped be steered at TC, where `auto` may and `no_tc` gives no reason why not.
///
/// # Errors
/// It is to be steered by XDP.
pub fn keep(
    wanted: &mut Wanted,
    stripper: &Stripper,
    no_tc: Option<&'static str>,
) -> Result<(), KernelError> {
    let Stripper { card, off } = stripper;
    match (wanted.mode, no_tc) {
        (AttachMode::Tc, _) => Ok(()),
        (AttachMode::Auto, None) => {
            wanted.mode = AttachMode::Tc;
            wanted.fallback = Some(format!(
                "{card} takes VLAN tags out of frames before XDP sees them; after `ethtool -K {card} {off}` and a new apply it is tried"
            ));
            Ok(())
        }
        (mode, no_tc) => Err(KernelError::TagStripped {
            interface: wanted.interface.name.clone(),
            card: card.clone(),
            off,
            mode: mode.name(),
            otherwise: no_tc.unwrap_or("or give it `mode: tc`, which reads tags beside the frame"),
        }),
    }
}

#[cfg(test)]
#[path = "tags_tests.rs"]
mod tests;
