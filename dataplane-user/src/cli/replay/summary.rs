//! The sums of a replay, for people.

use keysteer_common::account::Counter;
use keysteer_common::vocabulary::{Class, Reason};

use crate::cli::output::{Align, Table};
use crate::image::{Image, Names};
use crate::replay::Tally;

/// Tables by class, reason, key and shard, then how evenly keys and shards have their parts, and what must be known
/// of the captures. Of the keys the `top` busiest are named.
pub(super) fn summary(tally: &Tally, image: &Image, top: usize) -> String {
    let names = &image.names;
    let mut parts = vec![format!(
        "{}, {} bytes; policy {}, environment {}, schema {}\n",
        count(tally.all.packets, "packet"),
        tally.all.bytes,
        names.policy,
        names.environment,
        versions(names)
    )];
    let all = tally.all.packets;
    parts.push(by(
        "CLASS",
        Class::ALL.iter().map(|class| (class.name().to_owned(), tally.class(*class))),
        all,
    ));
    parts.push(by(
        "REASON",
        Reason::ALL.iter().map(|reason| (reason.name().to_owned(), tally.reason(*reason))),
        all,
    ));
    if names.schemas.len() > 1 {
        let version = |(version, counter): (&u32, &Counter)| (version.to_string(), *counter);
        parts.push(by("SCHEMA", tally.versions.iter().map(version), all));
    }
    parts.extend(keys(tally, image, top));
    parts.extend(shards(tally, image));
    let notes = notes(tally);
    if !notes.is_empty() {
        parts.push(notes);
    }
    parts.join("\n")
}

/// The versions of the schema, in the order that they are tried.
fn versions(names: &Names) -> String {
    let versions: Vec<String> = names.schemas.iter().map(|schema| schema.version.to_string()).collect();
    versions.join(" and ")
}

/// What must be known of the captures to read the sums.
fn notes(tally: &Tally) -> String {
    let mut notes = String::new();
    if tally.cut > 0 {
        notes.push_str(&format!(
            "note: {} not whole in the capture, so most of them look malformed: record with `tcpdump -s 0`\n",
            are(tally.cut)
        ));
    }
    if tally.elsewhere > 0 {
        notes.push_str(&format!(
            "note: {} too short or too long for a test run in the kernel, and decided in user space\n",
            are(tally.elsewhere)
        ));
    }
    notes
}

/// So many packets are.
fn are(packets: u64) -> String {
    format!("{} {}", count(packets, "packet"), if packets == 1 { "is" } else { "are" })
}

fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn percent(part: f64, whole: u64) -> String {
    format!("{:.1} %", if whole == 0 { 0.0 } else { 100.0 * part / whole as f64 })
}

fn share(part: u64, whole: u64) -> String {
    percent(part as f64, whole)
}

/// A table of what has any packets.
fn by(title: &'static str, rows: impl Iterator<Item = (String, Counter)>, all: u64) -> String {
    let mut table = Table::new([
        (title, Align::Left),
        ("PACKETS", Align::Right),
        ("BYTES", Align::Right),
        ("SHARE", Align::Right),
    ]);
    for (name, counter) in rows.filter(|(_, counter)| counter.packets > 0) {
        let cells = [counter.packets.to_string(), counter.bytes.to_string(), share(counter.packets, all)];
        let [packets, bytes, share] = cells;
        table.row([name, packets, bytes, share]);
    }
    table.render()
}

/// The busiest keys and the rest, and how skewed they are.
fn keys(tally: &Tally, image: &Image, top: usize) -> Option<String> {
    let counted = image.names.keys.iter().map(|key| (key, tally.key(key.id)));
    let mut counted: Vec<_> = counted.filter(|(_, counter)| counter.packets > 0).collect();
    counted.sort_by_key(|(_, counter)| std::cmp::Reverse(counter.packets));
    let (busiest, most) = counted.first().map(|(key, counter)| (&key.name, counter.packets))?;
    let all = tally.class(Class::Assigned).packets;
    let (named, rest) = counted.split_at(top.min(counted.len()));
    let mut rows: Vec<(String, Counter)> =
        named.iter().map(|(key, counter)| (key.name.clone(), *counter)).collect();
    if !rest.is_empty() {
        let mut sum = Counter::default();
        rest.iter().for_each(|(_, counter)| crate::counters::add(&mut sum, *counter));
        rows.push((format!("({} more)", rest.len()), sum));
    }
    let mut text = by("KEY", rows.into_iter(), all);
    text.push_str(&format!(
        "skew: {busiest} has {} of the packets with a key, {:.2} times an equal share of {}\n",
        share(most, all),
        most as f64 * counted.len() as f64 / all.max(1) as f64,
        count(counted.len() as u64, "key")
    ));
    Some(text)
}

/// The shards, against what their weights would give them.
fn shards(tally: &Tally, image: &Image) -> Option<String> {
    let shards = image.names.shards.iter().enumerate().map(|(at, shard)| (shard, tally.shard(at)));
    let rows: Vec<_> = shards.zip(tally.by_weight(&image.names)).collect();
    let all: u64 = rows.iter().map(|((_, counter), _)| counter.packets).sum();
    let ratio = |counter: &Counter, fair: f64| counter.packets as f64 / fair;
    let (furthest, most, times) = rows
        .iter()
        .filter(|(_, fair)| *fair > 0.0)
        .map(|((shard, counter), fair)| (&shard.name, counter.packets, ratio(counter, *fair)))
        .max_by(|a, b| a.2.total_cmp(&b.2))?;
    let mut table = Table::new([
        ("SHARD", Align::Left),
        ("PACKETS", Align::Right),
        ("BYTES", Align::Right),
        ("SHARE", Align::Right),
        ("BY WEIGHT", Align::Right),
    ]);
    for ((shard, counter), fair) in
        rows.iter().filter(|((_, counter), fair)| counter.packets > 0 || *fair > 0.0)
    {
        table.row([
            shard.name.clone(),
            counter.packets.to_string(),
            counter.bytes.to_string(),
            share(counter.packets, all),
            percent(*fair, all),
        ]);
    }
    Some(format!(
        "{}skew: {furthest} has {} of the packets with a shard, {times:.2} times its part by weight\n",
        table.render(),
        share(most, all)
    ))
}
