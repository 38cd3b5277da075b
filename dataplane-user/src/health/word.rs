//! What the kernel is told of a shard. The only place that knows by which bits.

use std::collections::BTreeMap;

use keysteer_common::overlay::shard_word;

use super::Wanted;

/// The bits of a shard's word that are health's; operators' come beside them.
pub fn health_word(wanted: Option<Wanted>) -> u64 {
    match wanted {
        Some(Wanted::Down) => shard_word::DISABLED,
        Some(Wanted::Recovering { .. }) | None => 0,
    }
}

/// What health has said to the `kernel`, by shard index, where `operators` have said the rest.
pub fn inherited(kernel: &BTreeMap<u32, u64>, operators: &BTreeMap<u32, u64>) -> BTreeMap<u32, u64> {
    let down = health_word(Some(Wanted::Down));
    let said = |index: &u32| operators.get(index).copied().unwrap_or_default();
    let ours = kernel.iter().map(|(index, word)| (*index, word & !said(index) & down));
    ours.filter(|(_, word)| *word != 0).collect()
}
