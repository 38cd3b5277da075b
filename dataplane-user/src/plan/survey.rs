//! One pass over the keys of both sides, by ascending id, which is the order in which both are held: what changes,
//! what moves, what hangs on what, whom guards concern. There can be a million, so nothing is written down of a key
//! that does not change, and texts are made only of those that will be listed.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::guards::Guards;
use super::mixer::Mixed;
use super::radius::Load;
use super::rows::{NOWHERE, RowId, Rows, SideRows};
use super::traffic::Traffic;
use super::{Side, overlap};
use crate::image::{KeyInfo, Names};

/// The fields of a key that can change, each by its name in the policy. Its bit is its index.
pub(super) const FIELDS: [&str; 14] = [
    "name",
    "tier",
    "pool",
    "width",
    "deny",
    "owner",
    "costCentre",
    "account",
    "region",
    "vip",
    "aliasOf",
    "schema",
    "sources",
    "shards",
];

/// A set of [`FIELDS`].
pub(super) type Mask = u16;

/// How many keys, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sum {
    pub(super) keys: u64,
    pub(super) bytes: u64,
}

impl Sum {
    pub(super) fn add(&mut self, bytes: u64) {
        self.keys += 1;
        self.bytes += bytes;
    }
}

/// A key on one side: its index there, and its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Single {
    pub(super) at: usize,
    pub(super) bytes: u64,
}

/// A key on both sides, that changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Altered {
    pub(super) before: usize,
    pub(super) after: usize,
    pub(super) bytes: u64,
    pub(super) mask: Mask,
}

/// A key on both sides, that moves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moved {
    pub(super) after: usize,
    pub(super) bytes: u64,
    pub(super) from: RowId,
    pub(super) to: RowId,
    pub(super) part: f64,
}

/// Keys of one side's pool that spread over several shards: of each row how many, and two of them.
pub(super) type ByRow = HashMap<RowId, (u64, [usize; 2]), Mixed>;

/// The same of all pools.
#[derive(Debug, Default)]
pub(super) struct Shuffled {
    /// Where in `rows` each pool's are.
    pub(super) pools: HashMap<Arc<str>, usize>,
    rows: Vec<ByRow>,
    /// The pool that was asked for last: keys of a pool often follow each other.
    last: Option<(Arc<str>, usize)>,
}

impl Shuffled {
    /// A pool's.
    pub(super) fn get(&self, pool: &str) -> Option<&ByRow> {
        self.rows.get(*self.pools.get(pool)?)
    }

    /// Counts a key.
    fn count(&mut self, pool: &Arc<str>, row: RowId, at: usize) {
        let index = match &self.last {
            Some((last, index)) if Arc::ptr_eq(last, pool) => *index,
            _ => {
                let next = self.rows.len();
                let index = *self.pools.entry(Arc::clone(pool)).or_insert(next);
                self.last = Some((Arc::clone(pool), index));
                index
            }
        };
        if index == self.rows.len() {
            self.rows.push(ByRow::default());
        }
        let Some(rows) = self.rows.get_mut(index) else { return };
        let (keys, examples) = rows.entry(row).or_insert((0, [at; 2]));
        if *keys == 1 {
            examples[1] = at;
        }
        *keys += 1;
    }
}

/// What one pass finds.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) added: Vec<Single>,
    pub(super) removed: Vec<Single>,
    pub(super) altered: Vec<Altered>,
    pub(super) moved: Vec<Moved>,
    /// Keys that are steered before and after.
    pub(super) stay: u64,
    pub(super) denied: Sum,
    pub(super) allowed: Sum,
    /// By index in [`FIELDS`].
    pub(super) fields: [Sum; FIELDS.len()],
    /// Before and after.
    pub(super) load: [Load; 2],
    /// Before and after.
    pub(super) shuffled: [Shuffled; 2],
}

/// Reads a side's keys in the order of their ids, with their rows.
struct Walk<'s> {
    keys: &'s [KeyInfo],
    rows: SideRows<'s>,
}

impl<'s> Walk<'s> {
    fn new(side: Option<Side<'s>>) -> Option<Self> {
        let side = side?;
        Some(Self { keys: &side.names.keys, rows: SideRows::new(side) })
    }

    /// Counts a key where it goes; gives its row.
    fn count(
        &mut self,
        at: usize,
        key: &KeyInfo,
        bytes: u64,
        rows: &mut Rows,
        load: &mut Load,
        shuffled: &mut Shuffled,
    ) -> RowId {
        let row = self.rows.of(key, rows);
        if row == NOWHERE {
            return row;
        }
        load.key(row, bytes);
        if rows.get(row).is_some_and(super::rows::Row::is_shuffled) {
            shuffled.count(&key.pool, row, at);
        }
        row
    }
}

impl Survey {
    /// Makes the pass.
    pub(super) fn of(
        old: Option<Side<'_>>,
        new: Side<'_>,
        traffic: Option<&Traffic>,
        rows: &mut Rows,
        guards: &mut Guards<'_>,
    ) -> Self {
        let mut found = Self::default();
        let mut before = Walk::new(old);
        let Some(mut after) = Walk::new(Some(new)) else { return found };
        let bytes_of = |key: &KeyInfo| traffic.map_or(0, |traffic| traffic.key(key.id));
        let mut same = Same::of(old, new);
        let mut olds = before.as_ref().map_or(&[][..], |walk| walk.keys).iter().enumerate().peekable();
        let mut news = after.keys.iter().enumerate().peekable();
        loop {
            let order = match (olds.peek(), news.peek()) {
                (Some((_, one)), Some((_, other))) => one.id.cmp(&other.id),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (None, None) => break,
            };
            let one = if order.is_le() { olds.next() } else { None };
            let other = if order.is_ge() { news.next() } else { None };
            let bytes = one.or(other).map_or(0, |(_, key)| bytes_of(key));
            let [load_before, load_after] = &mut found.load;
            let [shuffled_before, shuffled_after] = &mut found.shuffled;
            let from = match (one, &mut before) {
                (Some((at, key)), Some(walk)) => {
                    walk.count(at, key, bytes, rows, load_before, shuffled_before)
                }
                _ => NOWHERE,
            };
            // What is there on one side alone has no traffic of its own on the other.
            let to = match other {
                Some((at, key)) => after.count(at, key, bytes, rows, load_after, shuffled_after),
                None => NOWHERE,
            };
            match (one, other) {
                (Some((at, key)), None) => {
                    found.removed.push(Single { at, bytes });
                    guards.removed(key, bytes);
                }
                (None, Some((at, _))) => found.added.push(Single { at, bytes }),
                (Some((at, one)), Some((nth, other))) => {
                    let mask = same.compare(one, other);
                    guards.both(one, other, one.vip, bytes);
                    found.altered(Altered { before: at, after: nth, bytes, mask }, one, other);
                    found.row(from, to, nth, bytes, rows);
                }
                (None, None) => {}
            }
        }
        found
    }

    fn altered(&mut self, altered: Altered, before: &KeyInfo, after: &KeyInfo) {
        if altered.mask == 0 {
            return;
        }
        for (bit, sum) in self.fields.iter_mut().enumerate() {
            if altered.mask >> bit & 1 == 1 {
                sum.add(altered.bytes);
            }
        }
        match (&before.denied, &after.denied) {
            (None, Some(_)) => self.denied.add(altered.bytes),
            (Some(_), None) => self.allowed.add(altered.bytes),
            _ => {}
        }
        self.altered.push(altered);
    }

    fn row(&mut self, from: RowId, to: RowId, after: usize, bytes: u64, rows: &mut Rows) {
        if from == NOWHERE || to == NOWHERE {
            return;
        }
        self.stay += 1;
        let part = rows.moved(from, to);
        if part > 0.0 {
            self.moved.push(Moved { after, bytes, from, to, part });
        }
    }

    /// The shuffled keys of one side's pool, as groups. Shards are numbered for this alone.
    pub(super) fn groups(shuffled: &ByRow, rows: &Rows) -> Vec<overlap::Group> {
        let mut numbers: HashMap<u32, u16> = HashMap::new();
        let mut groups: HashMap<Vec<u16>, overlap::Group> = HashMap::new();
        let mut sorted: Vec<_> = shuffled.iter().collect();
        sorted.sort_unstable_by_key(|(row, _)| **row);
        for (row, (keys, examples)) in sorted {
            let Some(row) = rows.get(*row) else { continue };
            let mut shards: Vec<u16> = Vec::with_capacity(row.parts.len());
            for (shard, _) in &row.parts {
                // A pool has fewer shards than there are numbers.
                let next = u16::try_from(numbers.len()).unwrap_or(u16::MAX);
                shards.push(*numbers.entry(*shard).or_insert(next));
            }
            shards.sort_unstable();
            match groups.get_mut(&shards) {
                // The same shards in another order.
                Some(group) => {
                    let mut all = [group.examples, *examples].concat();
                    all.sort_unstable();
                    all.dedup();
                    if let [first, second, ..] = all[..] {
                        group.examples = [first, second];
                    }
                    group.keys += keys;
                }
                None => {
                    let group = overlap::Group { shards: shards.clone(), keys: *keys, examples: *examples };
                    groups.insert(shards, group);
                }
            }
        }
        let mut groups: Vec<overlap::Group> = groups.into_values().collect();
        groups.sort_unstable_by_key(|group| group.examples[0]);
        groups
    }
}

/// Compares texts that are held once for many keys: the same two most often are those of the key before.
#[derive(Default)]
struct Same {
    last: [Option<((usize, usize), bool)>; 7],
    versions: Versions,
}

/// By level, before and after: its version, where both sides have that. That a version comes or goes is no change of a key.
#[derive(Default)]
struct Versions([Vec<Option<u8>>; 2]);

impl Versions {
    fn differ(&self, one: &KeyInfo, other: &KeyInfo) -> bool {
        let Self([before, after]) = self;
        let of = |levels: &[Option<u8>], level: usize| levels.get(level).copied().flatten();
        if one.also.is_empty() && other.also.is_empty() {
            return matches!(
                (of(before, one.level), of(after, other.level)),
                (Some(one), Some(other)) if one != other
            );
        }
        let all = |levels: &[Option<u8>], key: &KeyInfo| -> BTreeSet<u8> {
            let numbers = std::iter::once(key.level).chain(key.also.iter().map(|it| it.level.into()));
            numbers.filter_map(|level| of(levels, level)).collect()
        };
        all(before, one) != all(after, other)
    }
}

impl Same {
    fn of(old: Option<Side<'_>>, new: Side<'_>) -> Self {
        let Some(old) = old else { return Self::default() };
        let has = |names: &Names, version: u8| names.schemas.iter().any(|it| it.version == version);
        let levels = |names: &Names, other: &Names| -> Vec<Option<u8>> {
            let shared = |version: u8| Some(version).filter(|version| has(other, *version));
            let all = names.schemas.iter();
            all.flat_map(|it| std::iter::repeat_n(shared(it.version), it.levels.len())).collect()
        };
        let versions = Versions([levels(old.names, new.names), levels(new.names, old.names)]);
        Self { versions, ..Self::default() }
    }

    fn compare(&mut self, one: &KeyInfo, other: &KeyInfo) -> Mask {
        let texts = [
            self.differ(0, one.tier.as_ref(), other.tier.as_ref()),
            self.differ(1, Some(&one.pool), Some(&other.pool)),
            self.differ(2, one.denied.as_ref(), other.denied.as_ref()),
            self.differ(3, one.owner.as_ref(), other.owner.as_ref()),
            self.differ(4, one.cost_centre.as_ref(), other.cost_centre.as_ref()),
            self.differ(5, one.account.as_ref(), other.account.as_ref()),
            self.differ(6, one.region.as_ref(), other.region.as_ref()),
        ];
        let [tier, pool, denied, owner, cost_centre, account, region] = texts;
        let differ = [
            one.name != other.name,
            tier,
            pool,
            one.width != other.width,
            denied,
            owner,
            cost_centre,
            account,
            region,
            one.vip != other.vip,
            one.alias_of != other.alias_of,
            self.versions.differ(one, other),
            one.sources != other.sources,
            pinned(one) != pinned(other),
        ];
        (0..).zip(differ).fold(0, |mask, (bit, differ)| mask | Mask::from(differ) << bit)
    }

    fn differ(&mut self, nth: usize, one: Option<&Arc<str>>, other: Option<&Arc<str>>) -> bool {
        let address = |text: Option<&Arc<str>>| text.map_or(0, |text| Arc::as_ptr(text).cast::<()>().addr());
        let addresses = (address(one), address(other));
        let Some(last) = self.last.get_mut(nth) else { return one != other };
        match last {
            Some((known, differ)) if *known == addresses => *differ,
            _ => {
                let differ = one != other;
                *last = Some((addresses, differ));
                differ
            }
        }
    }
}

/// The shards that a policy pins a key to, in the order of their names.
pub(super) fn pinned(key: &KeyInfo) -> Option<Vec<&str>> {
    key.pinned.then(|| {
        let mut shards: Vec<&str> = key.shards.iter().map(|shard| &**shard).collect();
        shards.sort_unstable();
        shards
    })
}
