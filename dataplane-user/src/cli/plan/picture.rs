//! A plan for people: first what matters in a few lines, then what changes, what moves, what hangs on what, and why
//! it may not be applied.

use std::fmt::Write as _;

use crate::cli::output::{Align, Table};
use crate::plan::Plan;
use crate::plan::types::{
    Changed, Difference, FieldChange, Histogram, KeyChanged, KeyNamed, List, Named, Overruled, Radius,
    Refusal, ShardRadius, Totals,
};
use crate::policy::Share;

/// How many rows of a kind are shown.
const SHOWN: usize = 20;
/// How many keys or shards a refusal names.
const NAMED: usize = 5;

/// The picture, which ends with a line end.
pub(in crate::cli) fn draw(plan: &Plan) -> String {
    let mut text = head(plan);
    if plan.is_empty() {
        text.push_str("nothing would change\n");
    } else {
        section(&mut text, "In short", &in_short(plan));
        section(&mut text, "Changes", &changes(plan).render());
        section(&mut text, "Keys that move", &moves(plan));
        section(&mut text, "Classes that move", &classes(plan));
        section(&mut text, "What is lost if a shard fails (before ▸ after)", &shards(plan));
        section(&mut text, "Shards that keys have in common (before ▸ after)", &overlap(plan));
    }
    section(&mut text, "Operators' words", &overruled(plan));
    section(&mut text, "Refused", &refusals(plan));
    section(&mut text, "Notes", &plan.notes.iter().fold(String::new(), |text, note| text + note + "\n"));
    text
}

fn section(text: &mut String, title: &str, body: &str) {
    if !body.is_empty() {
        let _ = writeln!(text, "\n{title}");
        body.lines().for_each(|line| {
            let _ = writeln!(text, "  {line}");
        });
    }
}

fn head(plan: &Plan) -> String {
    let from = match (&plan.from, &plan.base) {
        (Some(from), Some(base)) => format!("policy {from} (generation {})", base.generation),
        (Some(from), None) => format!("policy {from} (not in force)"),
        (None, _) => "nothing".to_owned(),
    };
    format!("{from} ▸ policy {} ({})\n", plan.policy, plan.bundle.get(..12).unwrap_or_default())
}

/// A share with one decimal.
fn percent(share: Share) -> String {
    match share.as_f64() * 100.0 {
        share if share > 0.0 && share < 0.05 => "<0.1 %".to_owned(),
        share if (99.95..100.0).contains(&share) => ">99.9 %".to_owned(),
        share => format!("{share:.1} %"),
    }
}

fn keys(count: u64) -> String {
    if count == 1 { "1 key".to_owned() } else { format!("{count} keys") }
}

/// `, 12.5 % of live traffic`, where some was read.
fn carrying(totals: &Totals) -> String {
    totals.traffic.map_or(String::new(), |share| format!(", {} of live traffic", percent(share)))
}

fn in_short(plan: &Plan) -> String {
    let mut lines = Vec::new();
    let moves = &plan.moves;
    if moves.keys.keys > 0 {
        let mut line = format!("{} of {} move{}", moves.keys.keys, keys(moves.of), carrying(&moves.keys));
        if let Some(share) = moves.traffic {
            let _ = write!(line, "; {} goes to another shard", percent(share));
        }
        lines.push(line);
    } else {
        lines.push("no key moves".to_owned());
    }
    for (totals, what) in [
        (&plan.keys.denied, "will be denied"),
        (&plan.keys.allowed, "will be denied no more"),
        (&plan.keys.added, "will be added"),
        (&plan.keys.removed, "will be removed"),
    ] {
        if totals.keys > 0 {
            lines.push(format!("{} {what}{}", keys(totals.keys), carrying(totals)));
        }
    }
    for (field, what) in [("costCentre", "another cost centre"), ("account", "another account")] {
        if let Some(totals) = plan.keys.fields.get(field) {
            lines.push(format!("{} charged to {what}{}", keys(totals.keys), carrying(totals)));
        }
    }
    let worst = |radius: fn(&ShardRadius) -> Option<Radius>| {
        let all = plan.shards.iter().filter_map(|shard| Some((radius(shard)?, &shard.shard)));
        all.max_by(|(one, a), (other, b)| one.keys.cmp(&other.keys).then(b.cmp(a)))
    };
    let most = |(radius, shard): (Radius, &String)| format!("{} ({shard})", percent(radius.keys));
    if let Some(after) = worst(|shard| shard.after) {
        let before =
            worst(|shard| shard.before).map_or(String::new(), |before| format!("{} ▸ ", most(before)));
        lines.push(format!("most keys on one shard: {before}{}", most(after)));
    }
    let refused = plan.refused().count();
    if refused > 0 {
        let names: Vec<&str> = plan.refused().map(|refusal| refusal.name.name()).collect();
        lines.push(format!("refused: {}", names.join(", ")));
    }
    lines.join("\n")
}

/// What holds whatever the policy says.
fn overruled(plan: &Plan) -> String {
    let mut text = String::new();
    for word in plan.words.iter().take(SHOWN) {
        let Overruled { kind, name, effect, reason, until, .. } = word;
        let _ = write!(text, "{kind} {name} {effect}");
        if let Some(until) = until {
            let _ = write!(text, ", until {until}");
        }
        let _ = writeln!(text, "{}", reason.as_ref().map_or(String::new(), |why| format!(" ({why})")));
    }
    let more = plan.words.len().saturating_sub(SHOWN);
    if more > 0 {
        let _ = writeln!(text, "and {more} more: -o json has all");
    }
    text
}

type Lines = Table<3>;

fn changes(plan: &Plan) -> Lines {
    let mut table = Table::new([("", Align::Left), ("", Align::Left), ("", Align::Left)]);
    let changes = &plan.changes;
    for change in &changes.settings {
        setting(&mut table, &change.field, change);
    }
    difference(&mut table, "interface", &changes.interfaces);
    difference(&mut table, "scope", &changes.scope);
    for change in &changes.schema {
        setting(&mut table, &format!("schema {}", change.field), change);
    }
    difference(&mut table, "prefix", &changes.prefixes);
    difference(&mut table, "shard", &changes.shards);
    difference(&mut table, "pool", &changes.pools);
    difference(&mut table, "tier", &changes.tiers);
    let named = |key: &KeyNamed| (format!("key {}", key.name), key.what.clone() + &share(key.traffic));
    rows(&mut table, "-", "keys", &plan.keys.removed_list, named);
    rows(&mut table, "~", "keys", &plan.keys.changed_list, |KeyChanged { name, fields, traffic }| {
        (format!("key {name}"), words(fields) + &share(*traffic))
    });
    rows(&mut table, "+", "keys", &plan.keys.added_list, named);
    table
}

fn share(share: Option<Share>) -> String {
    share.filter(|share| *share > Share::NONE).map_or(String::new(), |share| format!("; {}", percent(share)))
}

fn setting(table: &mut Lines, name: &str, change: &FieldChange) {
    let sign = match (&change.before, &change.after) {
        (None, _) => "+",
        (_, None) => "-",
        _ => "~",
    };
    let value = match (&change.before, &change.after) {
        (Some(before), Some(after)) => format!("{before} ▸ {after}"),
        (before, after) => before.clone().or_else(|| after.clone()).unwrap_or_default(),
    };
    table.row([sign.to_owned(), name.to_owned(), value]);
}

fn difference(table: &mut Lines, kind: &str, difference: &Difference) {
    let Difference { added, removed, changed } = difference;
    let named = |it: &Named| (format!("{kind} {}", it.name), it.what.clone());
    rows(table, "-", kind, removed, named);
    rows(table, "~", kind, changed, |Changed { name, fields }| (format!("{kind} {name}"), words(fields)));
    rows(table, "+", kind, added, named);
}

fn rows<T>(table: &mut Lines, sign: &str, kind: &str, list: &List<T>, row: impl Fn(&T) -> (String, String)) {
    for item in list.items.iter().take(SHOWN) {
        let (name, what) = row(item);
        table.row([sign.to_owned(), name, what]);
    }
    let more = list.total.saturating_sub(SHOWN as u64);
    if more > 0 {
        table.row([sign.to_owned(), format!("{kind}: {more} more"), String::new()]);
    }
}

/// Fields that change: `tier standard ▸ spread, width 1 ▸ 2`.
fn words(fields: &[FieldChange]) -> String {
    let word = |change: &FieldChange| {
        let FieldChange { field, before, after } = change;
        if let ("shards" | "services", Some(before), Some(after)) = (field.as_str(), before, after) {
            return format!("{field} {}", members(before, after));
        }
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
        format!("{field} {} ▸ {}", value(before), value(after))
    };
    fields.iter().map(word).collect::<Vec<_>>().join(", ")
}

/// Members of a set that go and come: `-a +d`.
fn members(before: &str, after: &str) -> String {
    let [one, other] = [before, after].map(|members| members.split(' ').collect::<Vec<_>>());
    let gone = one.iter().filter(|member| !other.contains(member)).map(|member| format!("-{member}"));
    let come = other.iter().filter(|member| !one.contains(member)).map(|member| format!("+{member}"));
    gone.chain(come).collect::<Vec<_>>().join(" ")
}

fn joined(names: &List<String>) -> String {
    let mut text = names.items.join(" ");
    if names.omitted() > 0 {
        let _ = write!(text, " and {} more", names.omitted());
    }
    text
}

fn moves(plan: &Plan) -> String {
    if plan.moves.list.is_empty() {
        return String::new();
    }
    let mut table = Table::new([
        ("KEY", Align::Left),
        ("TRAFFIC", Align::Right),
        ("FLOWS THAT MOVE", Align::Right),
        ("FROM", Align::Left),
        ("TO", Align::Left),
    ]);
    for key in plan.moves.list.items.iter().take(SHOWN) {
        let traffic = key.traffic.map_or("-".to_owned(), percent);
        table.row([key.name.clone(), traffic, percent(key.flows), joined(&key.before), joined(&key.after)]);
    }
    let more = plan.moves.list.total.saturating_sub(SHOWN as u64);
    let mut text = table.render();
    if more > 0 {
        let _ = writeln!(text, "{more} more; -o json has the first {}", crate::plan::types::LISTED);
    }
    text
}

fn classes(plan: &Plan) -> String {
    if plan.classes.is_empty() {
        return String::new();
    }
    let mut table = Table::new([
        ("CLASS", Align::Left),
        ("TRAFFIC", Align::Right),
        ("FLOWS THAT MOVE", Align::Right),
        ("FROM", Align::Left),
        ("TO", Align::Left),
    ]);
    for class in &plan.classes {
        let traffic = class.traffic.map_or("-".to_owned(), percent);
        let cells =
            [class.class.clone(), traffic, percent(class.flows), class.before.clone(), class.after.clone()];
        table.row(cells);
    }
    table.render()
}

/// `before ▸ after`, or the one value that both have.
fn both(before: Option<String>, after: Option<String>) -> String {
    let value = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let (before, after) = (value(before), value(after));
    if before == after { after } else { format!("{before} ▸ {after}") }
}

fn shards(plan: &Plan) -> String {
    let mut shards: Vec<&ShardRadius> = plan.shards.iter().collect();
    let share = |radius: &Option<Radius>| radius.map(|radius| radius.keys);
    shards.sort_by_key(|shard| {
        let most = share(&shard.after).max(share(&shard.before));
        (std::cmp::Reverse(most), shard.shard.clone())
    });
    let mut table = Table::new([
        ("SHARD", Align::Left),
        ("KEYS LOST", Align::Right),
        ("KEYS HIT", Align::Right),
        ("OF KEYS", Align::Right),
        ("OF TRAFFIC", Align::Right),
    ]);
    for shard in shards.iter().take(SHOWN) {
        let column = |value: fn(Radius) -> Option<String>| {
            both(shard.before.and_then(value), shard.after.and_then(value))
        };
        table.row([
            shard.shard.clone(),
            column(|radius| Some(radius.lost.to_string())),
            column(|radius| Some(radius.hit.to_string())),
            column(|radius| Some(percent(radius.keys))),
            column(|radius| radius.traffic.map(percent)),
        ]);
    }
    let mut text = table.render();
    if shards.len() > SHOWN {
        let _ = writeln!(text, "{} more; -o json has all", shards.len() - SHOWN);
    }
    text
}

fn overlap(plan: &Plan) -> String {
    let mut text = String::new();
    for pool in &plan.overlap {
        let size = |side: &Option<Histogram>| side.as_ref().map_or(0, |histogram| histogram.pairs.len());
        let widest = size(&pool.before).max(size(&pool.after));
        let count = |side: &Option<Histogram>| side.as_ref().map(|histogram| histogram.keys.to_string());
        let _ = writeln!(
            text,
            "pool {}: {} keys of several shards",
            pool.pool,
            both(count(&pool.before), count(&pool.after))
        );
        let mut table =
            Table::new([("  IN COMMON", Align::Right), ("PAIRS OF KEYS", Align::Right), ("", Align::Right)]);
        for common in 0..widest {
            let pairs = |histogram: &Histogram| histogram.pairs.get(common).copied().unwrap_or(0);
            let sides = [&pool.before, &pool.after];
            if widest > SHOWN && sides.into_iter().flatten().all(|histogram| pairs(histogram) == 0) {
                continue;
            }
            let part = |histogram: &Histogram| {
                let all: u64 = histogram.pairs.iter().sum();
                percent(Share::of(pairs(histogram) as f64, all as f64))
            };
            let column = |value: &dyn Fn(&Histogram) -> String| {
                both(pool.before.as_ref().map(value), pool.after.as_ref().map(value))
            };
            table.row([common.to_string(), column(&|it| pairs(it).to_string()), column(&part)]);
        }
        text.push_str(&table.render());
        if let Some(Histogram { most, example: Some([one, other]), .. }) = &pool.after {
            let shards = if *most == 1 { "shard" } else { "shards" };
            let _ = writeln!(text, "  most after: {most} {shards}, such as {one} and {other}");
        }
    }
    text
}

fn refusals(plan: &Plan) -> String {
    let mut text = String::new();
    for Refusal { name, message, next, allowed, keys, of } in &plan.refusals {
        let sign = if *allowed { "lifted" } else { "✗" };
        let carried = keys.as_ref().map_or(String::new(), carrying);
        let _ = writeln!(text, "{sign} {name}: {message}{carried}");
        let named: Vec<&str> = of.items.iter().take(NAMED).map(String::as_str).collect();
        if !named.is_empty() {
            let more = of.total.saturating_sub(named.len() as u64);
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            let _ = writeln!(text, "    {}{more}", named.join("; "));
        }
        if !allowed {
            let lift = if name.can_be_lifted() {
                format!(", or lift this with --allow {name}")
            } else {
                String::new()
            };
            let _ = writeln!(text, "    {next}{lift}");
        }
    }
    text
}
