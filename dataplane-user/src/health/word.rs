//! What the kernel is told of a shard. The only place that knows by which bits.

use std::collections::BTreeMap;

use keysteer_common::overlay::shard_word;

use super::Wanted;

/// The bits of a shard's word that are health's; operators' come beside them.
pub const HEALTHS: u64 = shard_word::DOWN | shard_word::RECOVERING | 0xff << shard_word::SHARE;

/// What is said of a shard that answers again and takes all that opens: flows that it lost meanwhile stay where they are.
pub const WHOLE: u64 = shard_word::RECOVERING | 0xff << shard_word::SHARE;

/// What is said of a shard that is so.
pub fn health_word(wanted: Option<Wanted>) -> u64 {
    match wanted {
        Some(Wanted::Down) => shard_word::DOWN,
        Some(Wanted::Recovering { share }) => shard_word::RECOVERING | u64::from(share) << shard_word::SHARE,
        None => 0,
    }
}

/// What health has said to the `kernel`, by shard index.
pub fn inherited(kernel: &BTreeMap<u32, u64>) -> BTreeMap<u32, u64> {
    let ours = kernel.iter().map(|(index, word)| (*index, word & HEALTHS));
    ours.filter(|(_, word)| *word != 0).collect()
}
