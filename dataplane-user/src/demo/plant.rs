//! Wrong table entries on purpose, for the test that shows that the demo can fail.

use std::fmt::Display;

use aya::maps::{Array, Map, MapData};
use keysteer_common::headers::NO_SHARD;

use super::DemoError;
use crate::control::client::Client;
use crate::control::types::Status;

/// The map of slots.
const SLOTS: &str = "SLOTS";

/// Makes every slot in the kernel name the next shard instead of its own.
///
/// # Errors
/// The map is not there or cannot be written.
pub(super) fn wrong_slots(client: &Client) -> Result<(), DemoError> {
    fn failed(error: impl Display) -> DemoError {
        DemoError::Plant(error.to_string())
    }
    let status: Status = client.get("/v1/status")?;
    let map = status.maps.iter().find(|map| map.name == SLOTS);
    let map = map.ok_or_else(|| failed("the agent names no map SLOTS"))?;
    let data = MapData::from_id(map.id).and_then(Map::from_map_data).map_err(failed)?;
    let mut slots: Array<_, u64> = data.try_into().map_err(failed)?;
    let shards = u64::try_from(status.policy.shards.max(1)).map_err(failed)?;
    for index in 0..slots.len() {
        let slot = slots.get(&index, 0).map_err(failed)?;
        let shard = slot & 0xffff;
        if shard != u64::from(NO_SHARD) {
            slots.set(index, (slot & !0xffff) | ((shard + 1) % shards), 0).map_err(failed)?;
        }
    }
    Ok(())
}
