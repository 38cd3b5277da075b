//! A placement from the slots that the kernel has, where its file was lost.

use std::collections::HashMap;
use std::sync::Arc;

use super::ROWS;
use super::next::Moved;
use super::pools::{Placement, Table};
use super::text::sound;

impl Placement {
    /// The tables that `slots` has, of the pools and widths of `like`, which begin where `first` says. `name` is the name of
    /// the shard with an index. `None` where these are no whole tables of those shards.
    pub fn read_back(
        like: &Self,
        slots: &[u16],
        first: impl Fn(&str, u16) -> Option<u32>,
        name: impl Fn(u16) -> Option<String>,
    ) -> Option<Self> {
        let mut found = like.clone();
        for (pool, placed) in &mut found.pools {
            let mut read = placed.as_ref().clone();
            let places: HashMap<&str, u16> =
                (0..u16::MAX).zip(&placed.shards).map(|(at, shard)| (shard.name.as_str(), at)).collect();
            let mut known: HashMap<u16, u16> = HashMap::new();
            for (width, table) in &mut read.tables {
                let columns = usize::from(*width);
                let begin = first(pool, *width)? as usize;
                let mut cells = Vec::with_capacity(columns * ROWS);
                for slot in slots.get(begin..begin + columns * ROWS)? {
                    let place = match known.get(slot) {
                        Some(place) => *place,
                        None => *known.entry(*slot).or_insert(*places.get(name(*slot)?.as_str())?),
                    };
                    cells.push(place);
                }
                sound(&cells, columns, placed.shards.len()).ok()?;
                *table = Table { cells, moved: Moved::default() };
            }
            *placed = Arc::new(read);
        }
        Some(found)
    }
}
