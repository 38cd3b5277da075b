//! Wrong table entries on purpose, for the test that shows that the demo can fail.

use std::fmt::Display;

use keysteer_common::headers::NO_SHARD;

use super::DemoError;
use crate::control::client::Client;
use crate::control::types::Status;
use crate::kernel::{KEYS_MAP, change_keys};

/// Makes every key in the kernel name the next shard instead of its own.
///
/// # Errors
/// The map is not there or cannot be written.
pub(super) fn wrong_shards(client: &Client) -> Result<(), DemoError> {
    fn failed(error: impl Display) -> DemoError {
        DemoError::Plant(error.to_string())
    }
    let status: Status = client.get("/v1/status")?;
    let map = status.maps.iter().find(|map| map.name == KEYS_MAP);
    let map = map.ok_or_else(|| failed("the agent names no map of keys"))?;
    let shards = u16::try_from(status.policy.shards.max(1)).map_err(failed)?;
    change_keys(map.id, |entry| {
        if entry.meta.is_direct() && entry.place != NO_SHARD {
            entry.place = (entry.place + 1) % shards;
        }
    })
    .map_err(failed)
}
