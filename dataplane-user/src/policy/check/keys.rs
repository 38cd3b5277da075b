//! Keys, from the document and from the file beside it: values fit their fields, the fields are a level,
//! no two keys are the same, and each has somewhere to go.

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;

use crate::both::{MANY, both};
use crate::policy::diagnostic::{Place, Problem};
use crate::policy::document::{KeyRest, RawKey};
use crate::policy::lint;
use crate::policy::model::{Field, Key, PrefixTable, Schema, Width};
use crate::policy::reader::At;
use crate::policy::values;

use super::Checker;
use super::duplicates::duplicates;
use super::residency::{Region, Residency, misplaced};
use super::shards::{Places, too_wide};

/// A key as declared, its field names resolved.
pub(super) struct Draft<'a> {
    pub(super) name: At<&'a str>,
    /// Where its values are.
    pub(super) at: Place,
    /// Field index and value, each field at most once.
    pub(super) values: &'a [(usize, At<&'a str>)],
    pub(super) rest: &'a KeyRest<'a>,
    /// Its index in `spec.keys`; none from the file.
    pub(super) index: Option<usize>,
}

/// Where a draft's problems go: place, field of the key, problem.
pub(super) type Fail<'f> = &'f mut dyn FnMut(Place, &str, Problem);

/// Keys as they are found good.
pub(super) struct Keys<'c> {
    tables: &'c [PrefixTable],
    pub(super) schema: &'c Schema,
    places: &'c Places<'c>,
    residency: &'c Residency,
    fields: HashMap<&'c str, usize>,
    /// By field: the numbers of the labels of its table.
    labels: Vec<HashMap<&'c str, u32>>,
    /// Sets of fields, as bits, and their level.
    levels: Vec<(u8, u8)>,
    /// Owners and the like, each kept once.
    texts: HashSet<Arc<str>>,
    /// What looks personal of them: key by its index in `spec.keys`, place, field, problem.
    personal: Vec<(Option<usize>, Place, &'static str, String)>,
    /// The same of lists of sources.
    sources: HashSet<Arc<[IpNet]>>,
    found: Vec<Key>,
    /// By key: its index in `spec.keys`.
    indices: Vec<Option<usize>>,
}

impl<'c> Keys<'c> {
    pub(super) fn new(
        tables: &'c [PrefixTable],
        schema: &'c Schema,
        places: &'c Places<'c>,
        residency: &'c Residency,
    ) -> Self {
        let labels = schema.fields.iter().map(|field| {
            let table = field.table.and_then(|at| tables.get(at));
            table.into_iter().flat_map(|table| table.labels.iter().map(String::as_str).zip(1..)).collect()
        });
        let levels =
            schema.levels.iter().zip(0..).map(|(level, number)| (bits(level.iter().copied()), number));
        Self {
            tables,
            schema,
            places,
            residency,
            fields: schema.fields.iter().enumerate().map(|(at, field)| (field.name.as_str(), at)).collect(),
            labels: labels.collect(),
            levels: levels.collect(),
            texts: HashSet::new(),
            personal: Vec::new(),
            sources: HashSet::new(),
            found: Vec::new(),
            indices: Vec::new(),
        }
    }

    /// Makes room for so many more.
    pub(super) fn reserve(&mut self, keys: usize) {
        self.found.reserve(keys);
        self.indices.reserve(keys);
    }

    /// The index of a field, or what is wrong with its name.
    pub(super) fn field(&self, name: &str) -> Result<usize, Problem> {
        self.fields.get(name).copied().ok_or_else(|| {
            Problem::unknown("field", name, self.schema.fields.iter().map(|field| field.name.as_str()))
        })
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
        let mut key = 0;
        for (at, text) in draft.values {
            let Some(field) = self.schema.fields.get(*at) else { continue };
            match self.value(*at, field, text.value) {
                Ok(value) => key |= field.placed(value),
                Err(problem) => fail(text.at, &format!("match.{}", field.name), problem),
            }
        }
        let members = bits(draft.values.iter().map(|(at, _)| *at));
        let level = self.levels.iter().find(|(fields, _)| *fields == members).map(|(_, level)| *level);
        if level.is_none() {
            fail(draft.at, "match", self.no_level(draft.values));
        }
        let rest = draft.rest;
        let (tier, pool, width) = self.place(draft, &mut fail);
        if let (Some(reason), false) = (&rest.reason, rest.deny) {
            fail(reason.at, "reason", "only goes with deny: true".into());
        }
        let region = self.region(draft, key, pool, &mut fail);
        let (Some(level), true) = (level, sound) else {
            return;
        };
        let tier_entry = tier.and_then(|tier| self.places.tiers.get(tier));
        let key = Key {
            name: draft.name.value.to_owned(),
            key,
            level,
            pool,
            width,
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
        key: u128,
        pool: Option<usize>,
        fail: &mut impl FnMut(Place, &str, Problem),
    ) -> Option<String> {
        let field = self.residency.field.and_then(|at| Some((at, self.schema.fields.get(at)?)));
        let carried = field.and_then(|(at, field)| {
            let (_, text) = draft.values.iter().find(|(member, _)| *member == at)?;
            Some((Region::Value(field.value(key)), text))
        });
        let declared = match (&draft.rest.region, field) {
            (None, _) => None,
            (Some(text), None) => Some((Region::Text(text.value.into()), text.value.to_owned())),
            (Some(text), Some((at, field))) => match self.value(at, field, text.value) {
                Ok(value) => Some((Region::Value(value), field.text(self.tables, value))),
                Err(problem) => {
                    fail(text.at, "region", problem);
                    return None;
                }
            },
        };
        if let (Some((carried, value)), Some((declared, _)), Some(text)) =
            (&carried, &declared, &draft.rest.region)
            && carried != declared
        {
            let said = field.map_or_else(String::new, |(_, field)| field.quoted(value.value));
            let problem = format!("the key says that its region is {said}: leave this out");
            fail(text.at, "region", problem.into());
        }
        let (region, text) = match (&carried, &declared) {
            (Some((region, text)), _) => (region, text.value),
            (None, Some((region, text))) => (region, text.as_str()),
            (None, None) => return None,
        };
        if let Some(pool) = pool.and_then(|at| Some((at, self.places.pools.get(at)?)))
            && let Some(problem) =
                misplaced(self.residency, field.map(|(_, field)| field), pool, region, text)
        {
            let (at, field) = match (&draft.rest.pool, &draft.rest.tier) {
                (Some(pool), _) => (pool.at, "pool"),
                (None, Some(tier)) => (tier.at, "tier"),
                (None, None) => (draft.name.at, ""),
            };
            fail(at, field, problem);
        }
        declared.map(|(_, text)| text)
    }

    /// A field's value from its text.
    fn value(&self, index: usize, field: &Field, text: &str) -> Result<u128, Problem> {
        if let Some(table) = field.table.and_then(|at| self.tables.get(at)) {
            let number = self.labels.get(index).and_then(|labels| labels.get(text));
            return number.map(|number| u128::from(*number)).ok_or_else(|| unknown_label(field, table, text));
        }
        plain_value(field, text)
    }

    fn no_level(&self, values: &[(usize, At<&str>)]) -> Problem {
        let names = |members: &[usize]| {
            let names = members.iter().filter_map(|at| self.schema.fields.get(*at));
            format!("[{}]", names.map(|field| field.name.as_str()).collect::<Vec<_>>().join(", "))
        };
        let mut sorted: Vec<usize> = values.iter().map(|(at, _)| *at).collect();
        sorted.sort_unstable();
        let levels: Vec<String> = self.schema.levels.iter().map(|level| names(level)).collect();
        format!(
            "can never be reached: {} is no level of the schema, which has {}",
            names(&sorted),
            levels.join(" and ")
        )
        .into()
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

    fn keep(&mut self, text: &str) -> Arc<str> {
        if let Some(kept) = self.texts.get(text) {
            return kept.clone();
        }
        let kept: Arc<str> = text.into();
        self.texts.insert(kept.clone());
        kept
    }

    /// The keys, once none is there twice. `keys_file` is what the file beside the document is called.
    pub(super) fn finish(self, checker: &mut Checker<'_>, keys_file: Option<&str>) -> Vec<Key> {
        let Self { found, indices, personal: texts, .. } = self;
        let keys_file = keys_file.unwrap_or_default();
        let index_of = |at: usize| indices.get(at).copied().flatten();
        let place_of = |at: usize| {
            let line = found.get(at).map_or(0, |key| key.at.line);
            match index_of(at) {
                Some(index) => format!("spec.keys[{index}] in line {line}"),
                None => format!("{keys_file} line {line}"),
            }
        };
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
            || {
                let matches = duplicates(found.len(), |at| found.get(at).map(|key| (key.level, key.key)));
                (duplicates(found.len(), name), matches)
            },
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
            checker.warnings.add(file, at, field, problem.into());
        }
        found
    }
}

/// What is wrong with a label that a table does not have.
pub(super) fn unknown_label(field: &Field, table: &PrefixTable, text: &str) -> Problem {
    if field.display.hides() {
        let how = field.display.name();
        return format!("is no label of prefix table {} (display is {how}: neither is shown)", table.name)
            .into();
    }
    let what = format!("label of prefix table {}:", table.name);
    Problem::unknown(&what, text, table.labels.iter().map(String::as_str))
}

/// The value of a field that is behind no table, from its text.
pub(super) fn plain_value(field: &Field, text: &str) -> Result<u128, Problem> {
    let found = read_value(field, text);
    if !field.display.hides() {
        return found;
    }
    found.map_err(|_| {
        let (carrier, bits, how) = (field.carrier.name(), field.bits, field.display.name());
        format!("is no value of {bits} bits of {carrier} (display is {how}: it is not shown)").into()
    })
}

fn read_value(field: &Field, text: &str) -> Result<u128, Problem> {
    let address = |what: &str| Problem::from(format!("\"{text}\" is not an {what} address"));
    let value = match field.carrier {
        carrier if carrier.is_mac() && field.is_whole() && text.contains(':') => {
            let [a, b, c, d, e, f] = values::mac(text)?;
            u128::from(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
        }
        carrier if carrier.family() == Some(true) && field.is_whole() && text.contains(['.', ':']) => {
            u128::from(text.parse::<Ipv4Addr>().map_err(|_| address("IPv4"))?.to_bits())
        }
        carrier if carrier.family() == Some(false) && field.is_whole() && text.contains(['.', ':']) => {
            text.parse::<Ipv6Addr>().map_err(|_| address("IPv6"))?.to_bits()
        }
        _ => values::number(text)?,
    };
    if value > field.largest() {
        return Err(format!(
            "{text} does not fit the {} bits of the field: at most {} does",
            field.bits,
            field.largest()
        )
        .into());
    }
    Ok(value)
}

/// A set of fields as bits.
fn bits(fields: impl Iterator<Item = usize>) -> u8 {
    fields.filter(|field| *field < 8).fold(0, |bits, field| bits | 1 << field)
}
