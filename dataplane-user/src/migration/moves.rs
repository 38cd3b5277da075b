//! What moves between the tables in force and new ones.

use std::collections::HashMap;

use keysteer_common::config::{ClassConfig, class_action};
use keysteer_common::headers::NO_SHARD;
use keysteer_common::migrate::{Move, class_move, key_move};
use keysteer_common::tables::{KeyEntry, Pod, SLOTS, ShardEntry, Slot, SlotTable, WIDTH_ALL, target};
use keysteer_common::vocabulary::{CLASSES, Class};

use crate::image::{Image, Moves};

/// What is known of the node beside its tables.
pub struct Settings<'a> {
    /// For how many flows that open meanwhile there is room.
    pub pins: u32,
    /// Whether the datagrams of a new pool stay where they were, by the first slot of its table of width 1.
    pub holds: &'a dyn Fn(u32) -> bool,
    /// Whether there is an interface of this index.
    pub exists: &'a dyn Fn(u32) -> bool,
}

/// What moves when `new` takes the place of `live`, which is read back from the kernel with what moves there; `None` where nothing does.
///
/// Shards that `new` does not have any more, and that flows are still with, are added to it.
pub fn begin(live: &Image, new: &mut Image, settings: &Settings<'_>) -> Option<Moves> {
    let mut finder = Finder {
        live,
        old: places(live),
        given: HashMap::new(),
        equal: HashMap::new(),
        moves: Moves { units: units_of_shards(live, new), pins: settings.pins, ..Moves::default() },
    };
    for (class, (before, after)) in live.config.classes.iter().zip(&new.config.classes).enumerate() {
        finder.class(new, class, before, after, settings);
    }
    let mut last = 0;
    let ids = new.keys.iter().map(|entry| entry.id as usize + 1).max().unwrap_or(0);
    let mut seen = vec![false; ids];
    for entry in new.keys.iter().filter(|entry| !entry.meta.is_empty() && !entry.meta.is_denied()) {
        // A key's other spellings are placed as it is.
        if seen.get(entry.id as usize).is_some_and(|seen| !*seen) {
            seen[entry.id as usize] = true;
            last = last.max(entry.id);
            finder.key(new, entry, settings);
        }
    }
    let mut moves = finder.moves;
    if moves.words.is_empty() {
        return None;
    }
    moves.words.resize(moves.words.len().max(key_move(last) as usize + 1), 0);
    keep_shards(live, new, &moves, settings);
    Some(moves)
}

/// Units before those of keys and classes: 0, and one for each shard.
pub fn units_of_shards(live: &Image, new: &Image) -> u32 {
    u32::try_from(live.shards.len().max(new.shards.len())).unwrap_or(u32::MAX - 1) + 1
}

/// How flows find their shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Target {
    /// All to one.
    Shard(Slot),
    /// By the flow, in a row of `width` slots, or over a whole pool.
    Row {
        /// First slot of the table.
        first: u32,
        /// As [`SlotTable::width`].
        width: u32,
        /// Which row.
        row: u16,
    },
}

/// A target, and in which tables: those of the generation, or those before it.
type Was = (Target, bool);

struct Finder<'a> {
    live: &'a Image,
    /// By key id.
    old: Vec<Option<Target>>,
    /// Numbers of old tables that are taken along, by first slot and width, and whether it is from before the live generation.
    given: HashMap<(u32, u32, bool), u16>,
    /// Whether two whole tables have the same slots.
    equal: HashMap<(u32, bool, u32), bool>,
    moves: Moves,
}

/// Where each key's flows go, by key id.
fn places(image: &Image) -> Vec<Option<Target>> {
    let ids = image.keys.iter().map(|entry| entry.id as usize + 1).max().unwrap_or(0);
    let mut places = vec![None; ids];
    for entry in image.keys.iter().filter(|entry| !entry.meta.is_empty() && !entry.meta.is_denied()) {
        if let Some(place) = places.get_mut(entry.id as usize) {
            *place = target_of(image, entry);
        }
    }
    places
}

fn target_of(image: &Image, entry: &KeyEntry) -> Option<Target> {
    if entry.meta.is_direct() {
        return (entry.place != NO_SHARD).then_some(Target::Shard(entry.place));
    }
    let table = image.slot_tables.get(entry.meta.table() as usize)?;
    Some(row(table, entry.place))
}

fn row(table: &SlotTable, place: u16) -> Target {
    let row = if table.width == WIDTH_ALL { 0 } else { place };
    Target::Row { first: table.first, width: table.width, row }
}

impl Finder<'_> {
    fn class(
        &mut self,
        new: &Image,
        class: usize,
        before: &ClassConfig,
        after: &ClassConfig,
        settings: &Settings<'_>,
    ) {
        if before.action != class_action::STEER || after.action != class_action::STEER || class >= CLASSES {
            return;
        }
        let over = |slots| Target::Row { first: slots, width: WIDTH_ALL, row: 0 };
        let holds = (settings.holds)(after.slots);
        self.compare(new, class_move(class), Some(over(before.slots)), over(after.slots), holds);
    }

    fn key(&mut self, new: &Image, entry: &KeyEntry, settings: &Settings<'_>) {
        let Some(after) = target_of(new, entry) else { return };
        let known = self.old.get(entry.id as usize).copied().flatten();
        // What was no key was spread by flow with all others that were none.
        let strangers = self.live.config.classes.get(Class::Unregistered as usize);
        let strangers = strangers.filter(|class| class.action == class_action::STEER);
        let before = known.or(strangers.map(|it| Target::Row { first: it.slots, width: WIDTH_ALL, row: 0 }));
        let pool = new.slot_tables.get(entry.meta.table() as usize).map(|table| table.pool);
        let holds = pool.is_some_and(settings.holds);
        self.compare(new, key_move(entry.id), before, after, holds);
    }

    /// Adds a move, if flows may be elsewhere than at `after`.
    fn compare(&mut self, new: &Image, at: u32, before: Option<Target>, after: Target, holds: bool) {
        let Some(before) = before else { return };
        // Of a move that is not over: flows are where they were before it, and those that opened since are pinned.
        let pending = Move(self.live.moves.words.get(at as usize).copied().unwrap_or_default());
        let earlier = if pending == Move::NONE { None } else { self.pending(pending) };
        let was: Was = earlier.map_or((before, false), |earlier| (earlier, true));
        let same = self.same(new, was, after);
        if same && earlier.is_none() {
            return;
        }
        let unit = self.moves.units;
        let moving = match was.0 {
            Target::Shard(shard) => Move::from_shard(unit, shard),
            Target::Row { first, width, row } => match self.take_along(first, width, was.1) {
                Some(table) => Move::from_table(unit, table, row),
                None => return,
            },
        };
        let moving = moving.hold(holds).stray(earlier.is_some());
        let words = &mut self.moves.words;
        words.resize(words.len().max(at as usize + 1), 0);
        words[at as usize] = moving.0;
        self.moves.units += 1;
    }

    /// Where flows were before a move that is not over.
    fn pending(&self, moving: Move) -> Option<Target> {
        if moving.is_direct() {
            return Some(Target::Shard(moving.place()));
        }
        self.live.moves.tables.get(moving.table() as usize).map(|table| row(table, moving.place()))
    }

    /// Slots that were in force, or before.
    fn slots(&self, first: u32, length: usize, earlier: bool) -> &[Slot] {
        let slots = if earlier { &self.live.moves.slots } else { &self.live.slots };
        slots.get(first as usize..).and_then(|slots| slots.get(..length)).unwrap_or_default()
    }

    /// Whether every flow has the same shard.
    fn same(&mut self, new: &Image, (before, earlier): Was, after: Target) -> bool {
        match (before, after) {
            (Target::Shard(before), Target::Shard(after)) => before == after,
            (
                Target::Row { first, width: WIDTH_ALL, .. },
                Target::Row { first: to, width: WIDTH_ALL, .. },
            ) => {
                if let Some(equal) = self.equal.get(&(first, earlier, to)) {
                    return *equal;
                }
                let there = new.slots.get(to as usize..).and_then(|slots| slots.get(..SLOTS as usize));
                let equal = there.is_some_and(|there| there == self.slots(first, SLOTS as usize, earlier));
                self.equal.insert((first, earlier, to), equal);
                equal
            }
            (Target::Row { first, width, row }, Target::Row { first: to, width: into, row: at })
                if width == into =>
            {
                let from = u64::from(first) + u64::from(row) * u64::from(width);
                let to = to as usize + usize::from(at) * into as usize;
                let there = new.slots.get(to..).and_then(|slots| slots.get(..into as usize));
                let from = u32::try_from(from).unwrap_or(u32::MAX);
                there.is_some_and(|there| there == self.slots(from, width as usize, earlier))
            }
            _ => false,
        }
    }

    /// Copies an old slot table, once; gives its number.
    fn take_along(&mut self, first: u32, width: u32, earlier: bool) -> Option<u16> {
        if let Some(number) = self.given.get(&(first, width, earlier)) {
            return Some(*number);
        }
        let number = u16::try_from(self.moves.tables.len()).ok().filter(|number| *number < 1 << 12)?;
        let to = u32::try_from(self.moves.slots.len()).ok()?;
        let slots = self.slots(first, SLOTS as usize * width.max(1) as usize, earlier).to_vec();
        self.moves.slots.extend(slots);
        self.moves.tables.push(SlotTable::new(to, width, to));
        self.given.insert((first, width, earlier), number);
        Some(number)
    }
}

/// Adds to `new` the shards of `live` that flows are still with.
fn keep_shards(live: &Image, new: &mut Image, moves: &Moves, settings: &Settings<'_>) {
    let direct = moves.words.iter().map(|word| Move(*word)).filter(|it| it.is_direct() && it.unit() != 0);
    let mut with: Vec<bool> = vec![false; live.shards.len()];
    // Those that are pinned may be with any that there was.
    let strays = moves.words.iter().any(|word| Move(*word).has_strays());
    for shard in direct.map(Move::place).chain(moves.slots.iter().copied()) {
        if let Some(with) = with.get_mut(usize::from(shard)) {
            *with = true;
        }
    }
    for (index, entry) in live.shards.iter().enumerate().filter(|(index, _)| strays || with[*index]) {
        let gone = new.shards.get(index).is_none_or(|there| *there == ShardEntry::default());
        let needs = matches!(entry.target, target::INTERFACE | target::NEXT_HOP);
        if gone && entry.target != target::DROP && (!needs || (settings.exists)(entry.port)) {
            if new.shards.len() <= index {
                new.shards.resize(index + 1, ShardEntry::default());
            }
            new.shards[index] = *entry;
            if let Some(pod) = live.pods.get(index).filter(|pod| **pod != Pod::default()) {
                new.pods.resize(new.pods.len().max(index + 1), Pod::default());
                new.pods[index] = *pod;
            }
        }
    }
    new.config.shards = u32::try_from(new.shards.len()).unwrap_or(u32::MAX);
}

#[cfg(test)]
#[path = "moves_tests.rs"]
mod tests;
