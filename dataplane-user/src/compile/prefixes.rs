//! Prefix tables to the index and the steps that [`keysteer_common::prefix`] searches: nested prefixes
//! become disjoint address ranges without gaps, and an index over the leading bits makes the search short.

use ipnet::IpNet;
use keysteer_common::config::{PrefixIndex, PrefixTable};
use keysteer_common::prefix::{MAX_HALVINGS, search, uniform};
use keysteer_common::tables::PrefixStep;

use super::CompileError;
use super::schema::halves;

/// The most steps of a bucket.
const MOST: usize = (1 << MAX_HALVINGS) - 1;

/// All prefix tables of an image.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) index: Vec<u64>,
    pub(super) steps: Vec<PrefixStep>,
    /// Lower halves of the steps' addresses; none as long as there are no IPv6 steps.
    pub(super) low: Vec<u64>,
}

/// A prefix over left-aligned 128-bit addresses.
#[derive(Clone, Copy, Debug)]
struct Range {
    first: u128,
    last: u128,
    value: u32,
}

impl Tables {
    /// Adds a table of prefixes and their numbers, from 1.
    pub(super) fn add(&mut self, name: &str, prefixes: &[(IpNet, u32)]) -> Result<PrefixTable, CompileError> {
        let family = |v4: bool| -> Vec<Range> {
            let found = prefixes.iter().filter(|(net, _)| net.addr().is_ipv4() == v4);
            found.map(|(net, value)| range(*net, *value)).collect()
        };
        Ok(PrefixTable {
            v4: self.add_family(name, &mut family(true), 32)?,
            v6: self.add_family(name, &mut family(false), 64)?,
        })
    }

    /// Adds one family; `length` is how many leading bits an index can go by.
    fn add_family(
        &mut self,
        name: &str,
        ranges: &mut [Range],
        length: u32,
    ) -> Result<PrefixIndex, CompileError> {
        let (Some(first), Some(last)) =
            (ranges.iter().map(|range| range.first).min(), ranges.iter().map(|range| range.last).max())
        else {
            return Ok(PrefixIndex::default());
        };
        let flat = flatten(ranges);
        let shared = (first ^ last).leading_zeros();
        if let Some(value) = single_block(&flat, first, last, shared) {
            return Ok(PrefixIndex { value, ..shares(first, leading_ones(shared)) });
        }
        // One bit is left for the index, which cannot be without.
        let skip = shared.min(length - 1);
        let wanted = flat.len().next_power_of_two().trailing_zeros() + 2;
        let bits = wanted.clamp(1, 16).min(length - skip);
        let common = ((first >> 64) as u64 >> 1) >> (63 - skip);

        let base = position(self.index.len(), "prefix index")?;
        let offset = self.steps.len();
        for bucket in 0..1_u64 << bits {
            let from = leading(common, skip) | leading(bucket, skip + bits);
            let to = from | u128::MAX >> (skip + bits);
            let at = |address: u128| flat.partition_point(|(start, _)| *start <= address).saturating_sub(1);
            let (low, high) = (at(from), at(to));
            let count = high - low + 1;
            if count > MOST {
                return Err(CompileError::Dense { table: name.to_owned(), steps: count, most: MOST });
            }
            self.index.push(if count == 1 {
                uniform(flat.get(low).map_or(0, |(_, value)| *value))
            } else {
                search(position(offset + low, "prefix steps")?, position(count, "prefix steps")?)
            });
        }
        let steps = flat.iter();
        self.steps.extend(steps.map(|(start, value)| PrefixStep {
            start: (start >> 64) as u64,
            value: *value,
            _pad: 0,
        }));
        if length == 64 {
            self.low.resize(offset, 0);
            self.low.extend(flat.iter().map(|(start, _)| *start as u64));
        }
        let narrow = |bits: u32| u8::try_from(bits).unwrap_or(u8::MAX);
        let mask = leading_ones(skip);
        Ok(PrefixIndex { base, skip: narrow(skip), bits: narrow(bits), ..shares(first & mask, mask) })
    }
}

/// An index whose addresses all have the bits `common` under `mask`.
fn shares(common: u128, mask: u128) -> PrefixIndex {
    PrefixIndex {
        common: halves(common),
        mask: halves(mask),
        common4: (common >> 96) as u32,
        mask4: (mask >> 96) as u32,
        ..PrefixIndex::default()
    }
}

/// What all addresses from `first` to `last` map to, where that is one number and they are just the
/// block of addresses that have their first `shared` bits in common.
fn single_block(flat: &[(u128, u32)], first: u128, last: u128, shared: u32) -> Option<u32> {
    let block = first & !leading_ones(shared) == 0 && last == first | !leading_ones(shared);
    let mut inside = flat.iter().filter(|(_, value)| *value != 0);
    match (inside.next(), inside.next()) {
        (Some((start, value)), None) if block && *start == first => {
            let ends = flat.iter().find(|(next, _)| *next > first).map(|(next, _)| next - 1);
            (ends.unwrap_or(u128::MAX) == last).then_some(*value)
        }
        _ => None,
    }
}

/// The first `bits` bits.
fn leading_ones(bits: u32) -> u128 {
    !u128::MAX.checked_shr(bits).unwrap_or(0)
}

/// `value` as the leading `bits` of an address.
fn leading(value: u64, bits: u32) -> u128 {
    u128::from(value).checked_shl(128 - bits).unwrap_or(0)
}

fn position(at: usize, what: &'static str) -> Result<u32, CompileError> {
    u32::try_from(at).map_err(|_| CompileError::TooLarge { what, entries: at })
}

fn range(net: IpNet, value: u32) -> Range {
    let (first, length) = match net {
        IpNet::V4(net) => (u128::from(net.network().to_bits()) << 96, net.prefix_len()),
        IpNet::V6(net) => (net.network().to_bits(), net.prefix_len()),
    };
    Range { first, last: first | u128::MAX.checked_shr(u32::from(length)).unwrap_or(0), value }
}

/// Disjoint steps, from address 0 on, that say what the longest prefix says.
fn flatten(ranges: &mut [Range]) -> Vec<(u128, u32)> {
    // By address, the wider range first: what contains a range comes before it.
    ranges.sort_unstable_by(|a, b| a.first.cmp(&b.first).then(b.last.cmp(&a.last)));
    let mut steps: Vec<(u128, u32)> = vec![(0, 0)];
    let mut step = |start: u128, value: u32| {
        if let Some(last) = steps.last_mut()
            && last.0 == start
        {
            last.1 = value;
        } else {
            steps.push((start, value));
        }
    };
    let mut open: Vec<Range> = Vec::new();
    // Ends what ends before `limit` (all, without one); what lies around it goes on.
    let close = |open: &mut Vec<Range>, limit: Option<u128>, step: &mut dyn FnMut(u128, u32)| {
        while let Some(inner) = open.last().copied()
            && limit.is_none_or(|limit| inner.last < limit)
        {
            open.pop();
            if let Some(next) = inner.last.checked_add(1) {
                step(next, open.last().map_or(0, |outer| outer.value));
            }
        }
    };
    for range in ranges.iter() {
        close(&mut open, Some(range.first), &mut step);
        step(range.first, range.value);
        open.push(*range);
    }
    close(&mut open, None, &mut step);
    steps.dedup_by(|next, before| next.1 == before.1);
    steps
}
