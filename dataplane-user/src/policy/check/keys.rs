//! Keys, from the document and from the file beside it: values fit their fields, the fields are a level,
//! no two keys are the same, and each has somewhere to go.

use std::collections::HashSet;
use std::sync::Arc;

use ipnet::IpNet;

use crate::both::{MANY, both};
use crate::policy::diagnostic::{Place, Problem};
use crate::policy::document::{KeyRest, RawKey};
use crate::policy::lint;
use crate::policy::model::{Key, PrefixTable, Schema, Spelling, Width};
use crate::policy::reader::At;

use super::Checker;
use super::alias::{self, Alias};
use super::duplicates::duplicates;
use super::pin;
use super::residency::{Residency, misplaced};
use super::shards::{Places, too_wide};
use super::spelling::{Lenses, Spelled};

/// A key as declared, its field names resolved.
pub(super) struct Draft<'a> {
    pub(super) name: At<&'a str>,
    /// Where its values are.
    pub(super) at: Place,
    /// Number of the field's name ([`Lenses::field`]) and value, each field at most once.
    pub(super) values: &'a [(usize, At<&'a str>)],
    pub(super) rest: &'a KeyRest<'a>,
    /// Its index in `spec.keys`; none from the file.
    pub(super) index: Option<usize>,
}

/// Where a draft's problems go: place, field of the key, problem.
pub(super) type Fail<'f> = &'f mut dyn FnMut(Place, &str, Problem);

/// Keys as they are found good.
pub(super) struct Keys<'c> {
    lenses: Lenses<'c>,
    places: &'c Places<'c>,
    residency: &'c Residency,
    /// Owners and the like, each kept once.
    texts: HashSet<Arc<str>>,
    /// What looks personal of them: key by its index in `spec.keys`, place, field, problem.
    personal: Vec<(Option<usize>, Place, &'static str, String)>,
    /// The same of lists of sources.
    sources: HashSet<Arc<[IpNet]>>,
    /// The same of shards that keys are pinned to.
    pinned: HashSet<Arc<[usize]>>,
    found: Vec<Key>,
    /// By key: its index in `spec.keys`.
    indices: Vec<Option<usize>>,
    aliases: Vec<Alias>,
}

impl<'c> Keys<'c> {
    pub(super) fn new(
        tables: &'c [PrefixTable],
        schemas: &'c [Schema],
        places: &'c Places<'c>,
        residency: &'c Residency,
    ) -> Self {
        Self {
            lenses: Lenses::new(tables, schemas),
            places,
            residency,
            texts: HashSet::new(),
            personal: Vec::new(),
            sources: HashSet::new(),
            pinned: HashSet::new(),
            found: Vec::new(),
            indices: Vec::new(),
            aliases: Vec::new(),
        }
    }

    /// Makes room for so many more.
    pub(super) fn reserve(&mut self, keys: usize) {
        self.found.reserve(keys);
        self.indices.reserve(keys);
    }

    /// The number of a field's name, or what is wrong with it.
    pub(super) fn field(&self, name: &str) -> Result<usize, Problem> {
        self.lenses.field(name)
    }

    /// The names that fields have.
    pub(super) fn fields(&self) -> &[&'c str] {
        self.lenses.names()
    }

    /// The keys of the document.
    pub(super) fn of_document(&mut self, checker: &mut Checker<'_>, keys: &[RawKey<'_>]) {
        self.reserve(keys.len());
        for (index, raw) in keys.iter().enumerate() {
            let mut fail = |at: Place, field: &str, problem: Problem| {
                let dot = if field.is_empty() { "" } else { "." };
                checker.error(at, format_args!("spec.keys[{index}]{dot}{field}"), problem);
            };
            let mut values = Vec::with_capacity(raw.values.value.len());
            for (name, value) in &raw.values.value {
                match self.field(name.value) {
                    Ok(field) => values.push((field, value.clone())),
                    Err(problem) => fail(name.at, &format!("match.{}", name.value), problem),
                }
            }
            if values.len() == raw.values.value.len() {
                let draft = Draft {
                    name: raw.name.clone(),
                    at: raw.values.at,
                    values: &values,
                    rest: &raw.rest,
                    index: Some(index),
                };
                self.add(&draft, &mut fail);
            }
        }
    }

    /// Checks a key and keeps it when it is good.
    pub(super) fn add(&mut self, draft: &Draft<'_>, fail: Fail<'_>) {
        let mut sound = true;
        let mut fail = |at: Place, field: &str, problem: Problem| {
            sound = false;
            fail(at, field, problem);
        };
        let spelled = self.lenses.spell(draft, &mut fail);
        let rest = draft.rest;
        let (tier, pool, width) = match &rest.alias_of {
            Some(_) => (None, None, Width::Shards(1)),
            None => self.place(draft, &mut fail),
        };
        let pinned = match (&rest.shards, &rest.alias_of) {
            (Some(names), None) => pin::pinned(self.places, rest, names, pool, &mut fail),
            _ => None,
        };
        let width = pinned.as_ref().map_or(width, |(_, width)| *width);
        let shards = pinned.map(|(shards, _)| self.keep_shards(shards));
        if let (Some(of), Some((at, field))) = (&rest.alias_of, alias::said(rest)) {
            let problem = format!("an alias has it from \"{}\": leave it out", of.value);
            fail(at.unwrap_or(draft.name.at), field, problem.into());
        }
        if let (Some(reason), false) = (&rest.reason, rest.deny) {
            fail(reason.at, "reason", "only goes with deny: true".into());
        }
        let first = spelled.as_ref().map(|spelled| spelled.first);
        let region = self.region(draft, first, pool, &mut fail);
        let (Some(Spelled { first, also }), true) = (spelled, sound) else {
            return;
        };
        if let Some(of) = &rest.alias_of {
            let key = self.found.len();
            self.aliases.push(Alias { key, of: of.value.to_owned(), at: of.at });
        }
        let tier_entry = tier.and_then(|tier| self.places.tiers.get(tier));
        let key = Key {
            name: draft.name.value.to_owned(),
            key: first.key,
            level: first.level,
            also: also.into(),
            alias_of: None,
            pool,
            width,
            shards,
            tier,
            owner: self.shared(draft, "owner", &rest.owner).or_else(|| tier_entry?.owner.clone()),
            cost_centre: self
                .shared(draft, "costCentre", &rest.cost_centre)
                .or_else(|| tier_entry?.cost_centre.clone()),
            account: self.shared(draft, "account", &rest.account).or_else(|| tier_entry?.account.clone()),
            denied: self
                .shared(draft, "reason", &rest.reason)
                .filter(|_| rest.deny)
                .or_else(|| rest.deny.then(|| self.keep("denied"))),
            region: region.map(|region| self.keep(&region)),
            vip: rest.vip.unwrap_or_else(|| tier_entry.is_some_and(|tier| tier.vip)),
            sources: rest.sources.as_ref().map(|sources| self.keep_sources(&sources.value)),
            // A row's places count cells; the key is found by its line.
            at: if draft.index.is_some() { draft.name.at } else { Place { column: 1, ..draft.name.at } },
            from_file: draft.index.is_none(),
        };
        self.found.push(key);
        self.indices.push(draft.index);
    }

    /// Tier, pool and width of a key: its own, else the tier's.
    fn place(
        &self,
        draft: &Draft<'_>,
        fail: &mut impl FnMut(Place, &str, Problem),
    ) -> (Option<usize>, Option<usize>, Width) {
        let rest = draft.rest;
        let mut resolve = |names: &super::Names<'_>, what: &str, name: &Option<At<&str>>| {
            let name = name.as_ref()?;
            let found = names.by_name.get(name.value).copied();
            if found.is_none() {
                fail(name.at, what, names.unknown(what, name.value));
            }
            found
        };
        let tier = resolve(&self.places.tier_names, "tier", &rest.tier);
        let own_pool = resolve(&self.places.pool_names, "pool", &rest.pool);
        let tier_entry = tier.and_then(|tier| self.places.tiers.get(tier));
        let pool = match &rest.pool {
            Some(_) => own_pool,
            None => tier_entry.map(|tier| tier.pool),
        };
        let width = rest.width.as_ref().map(|width| width.value);
        let width = width.or(tier_entry.map(|tier| tier.width)).unwrap_or(Width::Shards(1));
        if rest.pool.is_none() && rest.tier.is_none() && !rest.deny {
            fail(draft.name.at, "", "goes nowhere: give it a pool or a tier, or deny: true".into());
        }
        // Without a width or a pool of its own it is the tier that is too wide, and that is reported.
        let (at, field) = match (&rest.width, &rest.pool) {
            _ if rest.shards.is_some() => return (tier, pool, width),
            (Some(width), _) => (width.at, "width"),
            (None, Some(pool)) => (pool.at, "pool"),
            (None, None) => return (tier, pool, width),
        };
        if let Some(pool) = pool.and_then(|pool| self.places.pools.get(pool))
            && let Some(problem) = too_wide(width, pool)
        {
            fail(at, field, problem.into());
        }
        (tier, pool, width)
    }

    /// Checks that a key stays in its region; gives the region that is declared with it.
    fn region(
        &self,
        draft: &Draft<'_>,
        first: Option<Spelling>,
        pool: Option<usize>,
        fail: &mut impl FnMut(Place, &str, Problem),
    ) -> Option<String> {
        let carried = first.and_then(|first| self.carried(first));
        let declared = match draft.rest.region.as_ref().map(|text| (text.at, self.residency.canonical(text)))
        {
            None => None,
            Some((_, Ok(region))) => Some(region),
            Some((at, Err(problem))) => {
                fail(at, "region", problem);
                return None;
            }
        };
        if let (Some(carried), Some(declared), Some(text)) = (&carried, &declared, &draft.rest.region)
            && carried != declared
        {
            let said = self.residency.quoted(carried);
            let problem = format!("the key says that its region is {said}: leave this out");
            fail(text.at, "region", problem.into());
        }
        let region = carried.as_ref().or(declared.as_ref())?;
        if let Some(problem) = self.misplaced(pool, region) {
            let (at, field) = match (&draft.rest.pool, &draft.rest.tier) {
                (Some(pool), _) => (pool.at, "pool"),
                (None, Some(tier)) => (tier.at, "tier"),
                (None, None) => (draft.name.at, ""),
            };
            fail(at, field, problem);
        }
        declared
    }

    /// The region that a key carries.
    fn carried(&self, spelling: Spelling) -> Option<String> {
        self.lenses.text_of(self.residency.field.as_deref()?, spelling)
    }

    fn misplaced(&self, pool: Option<usize>, region: &str) -> Option<Problem> {
        let pool = pool.and_then(|at| Some((at, self.places.pools.get(at)?)))?;
        misplaced(self.residency, pool, region)
    }

    /// A text of a key that other keys may have as well. The first to have it is warned of if it looks personal.
    fn shared(
        &mut self,
        draft: &Draft<'_>,
        field: &'static str,
        text: &Option<At<&str>>,
    ) -> Option<Arc<str>> {
        let text = text.as_ref()?;
        if let Some(kept) = self.texts.get(text.value) {
            return Some(kept.clone());
        }
        if let Some(problem) = lint::personal(text.value) {
            // A row's places count cells.
            let at = if draft.index.is_some() { text.at } else { Place { column: 1, ..text.at } };
            self.personal.push((draft.index, at, field, problem));
        }
        Some(self.keep(text.value))
    }

    /// A list of sources in an order of its own, without those that others hold.
    fn keep_sources(&mut self, sources: &[IpNet]) -> Arc<[IpNet]> {
        let mut sources: Vec<IpNet> = IpNet::aggregate(&sources.to_vec());
        sources.sort_unstable();
        if let Some(kept) = self.sources.get(sources.as_slice()) {
            return kept.clone();
        }
        let kept: Arc<[IpNet]> = sources.into();
        self.sources.insert(kept.clone());
        kept
    }

    /// The shards of a key, once for all keys that have the same.
    fn keep_shards(&mut self, shards: Vec<usize>) -> Arc<[usize]> {
        if let Some(kept) = self.pinned.get(shards.as_slice()) {
            return kept.clone();
        }
        let kept: Arc<[usize]> = shards.into();
        self.pinned.insert(kept.clone());
        kept
    }

    fn keep(&mut self, text: &str) -> Arc<str> {
        if let Some(kept) = self.texts.get(text) {
            return kept.clone();
        }
        let kept: Arc<str> = text.into();
        self.texts.insert(kept.clone());
        kept
    }

    /// The keys, once none is there twice. `keys_file` is what the file beside the document is called.
    pub(super) fn finish(mut self, checker: &mut Checker<'_>, keys_file: Option<&str>) -> Vec<Key> {
        let mut wrong = alias::resolve(&mut self.found, &self.aliases);
        for alias in self.aliases.iter().filter(|_| self.residency.field.is_some()) {
            let Some(key) = self.found.get(alias.key) else { continue };
            let region = self.carried(Spelling { level: key.level, key: key.key });
            let problem = region.and_then(|region| self.misplaced(key.pool, &region));
            wrong.extend(problem.map(|problem| (alias.key, alias.at, problem)));
        }
        let Self { found, indices, lenses, personal: texts, .. } = self;
        let keys_file = keys_file.unwrap_or_default();
        let index_of = |at: usize| indices.get(at).copied().flatten();
        let place_of = |at: usize| {
            let line = found.get(at).map_or(0, |key| key.at.line);
            match index_of(at) {
                Some(index) => format!("spec.keys[{index}] in line {line}"),
                None => format!("{keys_file} line {line}"),
            }
        };
        for (at, place, problem) in wrong {
            match index_of(at) {
                Some(index) => checker.error(place, format_args!("spec.keys[{index}].aliasOf"), problem),
                None => {
                    let place = found.get(at).map(|key| key.at).unwrap_or_default();
                    checker.errors.add(keys_file, place, "aliasOf", problem);
                }
            }
        }
        let mut fail = |at: usize, field: &str, problem: String| {
            let place = found.get(at).map(|key| key.at).unwrap_or_default();
            match index_of(at) {
                Some(index) => checker.error(place, format_args!("spec.keys[{index}].{field}"), problem),
                None => checker.errors.add(keys_file, place, field, problem.into()),
            }
        };
        let name = |at: usize| found.get(at).map_or("", |key| key.name.as_str());
        let ((names, matches), personal) = both(
            found.len() >= MANY,
            || (duplicates(found.len(), name), matches(&lenses, &found)),
            || -> Vec<_> {
                let named = found.iter().enumerate();
                named.filter_map(|(at, key)| Some((at, lint::personal(&key.name)?))).collect()
            },
        );
        for (at, first) in names {
            let problem = format!("the name \"{}\" is already taken by {}", name(at), place_of(first));
            fail(at, "name", problem);
        }
        for (at, first) in matches {
            fail(at, "match", format!("has the same values as \"{}\", {}", name(first), place_of(first)));
        }
        let place = |at: usize| found.get(at).map(|key| key.at).unwrap_or_default();
        let names = personal.into_iter().map(|(at, problem)| (index_of(at), place(at), "name", problem));
        for (index, at, field, problem) in names.chain(texts) {
            let (file, field) = match index {
                Some(index) => (checker.file, format!("spec.keys[{index}].{field}")),
                None => (keys_file, field.to_owned()),
            };
            checker.finding(file, at, field, problem);
        }
        found
    }
}

/// Pairs of keys of which one has a spelling of the other's, or is called the same by another version of the schema; the
/// earlier second.
fn matches(lenses: &Lenses<'_>, found: &[Key]) -> Vec<(usize, usize)> {
    let first = |key: &Key| Spelling { level: key.level, key: key.key };
    let mut called = if lenses.are_several() {
        duplicates(found.len(), |at| found.get(at).map(|key| lenses.called(first(key))))
    } else {
        Vec::new()
    };
    if called.is_empty() && found.iter().all(|key| key.also.is_empty()) {
        return duplicates(found.len(), |at| found.get(at).map(|key| (key.level, key.key)));
    }
    let spellings = |(at, key): (usize, &Key)| {
        let all: Vec<_> =
            std::iter::once(first(key)).chain(key.also.iter().copied()).map(|it| (at, it)).collect();
        all
    };
    let all: Vec<(usize, Spelling)> = found.iter().enumerate().flat_map(spellings).collect();
    let owner = |at: usize| all.get(at).map_or(0, |(key, _)| *key);
    let pairs = duplicates(all.len(), |at| all.get(at).map(|(_, spelling)| *spelling));
    let mut pairs: Vec<_> = pairs.into_iter().map(|(at, first)| (owner(at), owner(first))).collect();
    pairs.append(&mut called);
    pairs.sort_unstable();
    pairs.dedup_by_key(|(at, _)| *at);
    pairs
}
