//! Keys that are another spelling of a key: they go where that one does, and belong to whom it belongs to.

use std::collections::{BTreeMap, HashMap};

use crate::policy::diagnostic::{Place, Problem};
use crate::policy::document::KeyRest;
use crate::policy::model::Key;

/// An alias that is yet to be resolved: the index of the key, what it names, and where.
pub(super) struct Alias {
    pub(super) key: usize,
    pub(super) of: String,
    pub(super) at: Place,
}

/// What an alias may not say, because it has it from the other key: the place and the name of the first such.
pub(super) fn said(rest: &KeyRest<'_>) -> Option<(Option<Place>, &'static str)> {
    let at = |name: &'static str, at: Option<Place>| at.map(|at| (Some(at), name));
    let text = |it: &Option<crate::policy::reader::At<&str>>| it.as_ref().map(|it| it.at);
    at("tier", text(&rest.tier))
        .or_else(|| at("pool", text(&rest.pool)))
        .or_else(|| at("width", rest.width.as_ref().map(|it| it.at)))
        .or_else(|| at("owner", text(&rest.owner)))
        .or_else(|| at("costCentre", text(&rest.cost_centre)))
        .or_else(|| at("account", text(&rest.account)))
        .or_else(|| at("region", text(&rest.region)))
        .or_else(|| at("shards", rest.shards.as_ref().map(|it| it.at)))
        .or_else(|| at("sources", rest.sources.as_ref().map(|it| it.at)))
        .or_else(|| rest.vip.map(|_| (None, "vip")))
}

/// Gives each alias what the key has that it is an alias of. Gives what is wrong: key, place, problem.
pub(super) fn resolve(keys: &mut [Key], aliases: &[Alias]) -> Vec<(usize, Place, Problem)> {
    if aliases.is_empty() {
        return Vec::new();
    }
    let mut wrong = Vec::new();
    let mut by_name: HashMap<&str, usize> = HashMap::with_capacity(keys.len());
    for (at, key) in keys.iter().enumerate() {
        by_name.entry(key.name.as_str()).or_insert(at);
    }
    let next: BTreeMap<usize, &str> = aliases.iter().map(|alias| (alias.key, alias.of.as_str())).collect();
    let mut resolved = Vec::with_capacity(aliases.len());
    for alias in aliases {
        let name = |at: usize| keys.get(at).map_or("", |key| key.name.as_str());
        let problem = match by_name.get(alias.of.as_str()) {
            None => Problem::unknown("key", &alias.of, keys.iter().map(|key| key.name.as_str())),
            Some(of) if *of == alias.key => "is an alias of itself: name another key".into(),
            Some(of) => match next.get(of) {
                None => {
                    resolved.push((alias.key, *of));
                    continue;
                }
                Some(further) if *further == name(alias.key) => format!(
                    "\"{}\" and \"{further}\" are aliases of each other: one must be a key of its own",
                    alias.of
                )
                .into(),
                Some(further) => {
                    format!("\"{}\" is an alias itself, of \"{further}\": name a key that is none", alias.of)
                        .into()
                }
            },
        };
        wrong.push((alias.key, alias.at, problem));
    }
    for (at, of) in resolved {
        let Some(other) = keys.get(of).cloned() else { continue };
        let Some(key) = keys.get_mut(at) else { continue };
        let denied = key.denied.take();
        *key = Key {
            name: std::mem::take(&mut key.name),
            key: key.key,
            level: key.level,
            also: std::mem::take(&mut key.also),
            alias_of: Some(of),
            denied: denied.or(other.denied),
            at: key.at,
            from_file: key.from_file,
            ..other
        };
    }
    wrong
}
