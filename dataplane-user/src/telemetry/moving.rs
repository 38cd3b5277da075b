//! Keys that move, as metrics: see [`crate::migration`].

use std::fmt;

use super::families::{Families, In};
use crate::control::types::{KeyMoving, MigrationStatus};

/// What moves; zeroes while nothing does, and then no key has series of its own.
pub(super) fn encode(status: Option<&MigrationStatus>, families: &mut Families<'_>) -> fmt::Result {
    let none = MigrationStatus::default();
    let status = status.unwrap_or(&none);
    families.gauge(
        ("migration_keys", In::Plain, "Keys and classes that still move to other shards"),
        status.moving,
    )?;
    families.gauge(
        ("migration_left", In::Flows, "About how many flows went to shards that their keys leave, lately"),
        status.flows,
    )?;
    families.gauge(
        ("migration_pinned", In::Flows, "Flows that opened on new shards in this migration"),
        status.pinned,
    )?;
    families.gauge(
        (
            "migration_full",
            In::Flows,
            "Flows that opened on shards before, for lack of room to remember them",
        ),
        status.without_room,
    )?;
    families.gauge(
        ("migration_cut", In::Flows, "About how many flows were cut off at the deadline"),
        status.cut,
    )?;
    families.gauge(("migration_pins", In::Plain, "Flows that are remembered now"), status.pins.into())?;
    families.gauge(("migration_pins_room", In::Plain, "How many can be"), status.room.into())?;
    families.gauge(
        ("migration_at_most", In::Seconds, "How long the migration takes at most"),
        status.seconds_at_most,
    )?;
    let rows = |value: fn(&KeyMoving) -> u64| {
        status.keys.iter().map(move |key| ([("key", key.key.as_str())], value(key)))
    };
    families.gauges(
        (
            "migration_key_left",
            In::Flows,
            "Of a key that moves: about how many flows are left where they were",
        ),
        rows(|key| key.flows),
    )?;
    families.gauges(
        ("migration_key_left", In::Packets, "Of a key that moves: frames that went to shards that it leaves"),
        rows(|key| key.left.packets),
    )?;
    families.gauges(
        ("migration_key_pinned", In::Flows, "Of a key that moves: flows that opened on its new shards"),
        rows(|key| key.pinned),
    )
}
