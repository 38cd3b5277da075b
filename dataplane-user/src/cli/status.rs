//! `keysteer status`

use clap::Args;

use super::Read;
use super::output::{Align, Table, print_one};
use super::share::far;
use crate::control::types::{
    Count, HealthStatus, NamedHealth, PolicyStatus, SchemaStatus, SecretStatus, Standing, Status,
};

/// How many operators' words are shown.
const WORDS: usize = 20;

/// Show what the agent does
///
/// The policy in force, where it is attached, the program and its maps, and every frame seen, by
/// what happened to it and why.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    read: Read,
}

pub(super) fn run(args: &StatusArgs) -> anyhow::Result<()> {
    let status: Status = args.read.client().get("/v1/status")?;
    print_one(args.read.output, &status, || render(&status))
}

/// The versions of the schema; of several, or of one that is deprecated, each in a line of its own as well.
fn versions(policy: &PolicyStatus) -> String {
    let all: Vec<String> = policy.schemas.iter().map(|schema| schema.version.to_string()).collect();
    if all.is_empty() { policy.schema.to_string() } else { all.join(" and ") }
}

/// What is known of a version.
fn version(schema: &SchemaStatus) -> String {
    let counted = match schema.counted {
        Some(Count { packets, bytes }) => format!("{packets} packets, {bytes} bytes of registered keys"),
        None => "not counted by itself".to_owned(),
    };
    let deprecated = schema.deprecated.as_ref().map(|day| format!(", deprecated {day}")).unwrap_or_default();
    format!("{counted}{deprecated}")
}

fn render(status: &Status) -> String {
    let Status { policy, program, received, .. } = status;
    let mut facts = Table::new([("", Align::Left), ("", Align::Left)]);
    let mut fact = |name: &str, value: String| facts.row([name.to_owned(), value]);
    fact("agent", format!("version {}, pid {}", status.version, status.pid));
    fact("policy", format!("{} ({}), environment {}", policy.name, policy.file, policy.environment));
    if let Some(trouble) = &policy.trouble {
        fact("trouble", format!("the file is not in force: {}", trouble.lines().next().unwrap_or_default()));
    }
    let digest: String = policy.digest.chars().take(12).collect();
    let back = match status.last {
        Some(last) => format!("`keysteer rollback` goes back to {last}"),
        None => "none to roll back to".to_owned(),
    };
    fact("generation", format!("{}, digest {digest}; {back}", policy.generation));
    if !status.words.is_empty() {
        fact("words", format!("{}, over any policy", counted(&status.words)));
    }
    if let Some(moving) = &status.migration {
        fact("migration", far(moving));
    }
    if let Some(rollout) = &status.rollout {
        fact("rollout", super::rollout::far(rollout));
    }
    if let Some(health) = &status.health {
        fact("health", self::health(health));
    }
    for secret in &status.secrets {
        fact("secret", self::secret(secret));
    }
    fact(
        "mode",
        format!(
            "{}, schema {}, {} keys, {} shards",
            policy.mode,
            versions(policy),
            policy.keys,
            policy.shards
        ),
    );
    if policy.schemas.len() > 1 || policy.schemas.iter().any(|schema| schema.deprecated.is_some()) {
        for schema in &policy.schemas {
            fact(&format!("schema {}", schema.version), version(schema));
        }
    }
    fact(
        "program",
        format!(
            "id {}, tag {}, {} instructions verified, {} bytes",
            program.id, program.tag, program.verified_instructions, program.jited_bytes
        ),
    );
    let bytes: u64 = status.maps.iter().map(|map| map.bytes).sum();
    fact("maps", format!("{}, {bytes} bytes", status.maps.len()));
    fact("received", format!("{} packets, {} bytes", received.packets, received.bytes));
    if let Some(egress) = &status.egress {
        let sent = |(class, count): (&String, &Count)| {
            format!("{} packets, {} bytes {class}", count.packets, count.bytes)
        };
        let sent: Vec<String> = egress.sent.iter().map(sent).collect();
        let sent = if sent.is_empty() { "nothing yet".to_owned() } else { sent.join("; ") };
        fact("sent", format!("by {}: {sent}", egress.interfaces.join(", ")));
    }
    // While packets flow a reading can fall between two counters of one frame.
    let sums = if status.balanced { "balanced" } else { "not balanced in this reading; ask again at rest" };
    fact("sums", sums.to_owned());

    let mut interfaces = Table::new([
        ("INTERFACE", Align::Left),
        ("INDEX", Align::Right),
        ("MODE", Align::Left),
        ("NOTE", Align::Left),
    ]);
    for at in &status.interfaces {
        let fallback = at.fallback.as_ref().map(|why| format!("not native: {why}"));
        let notes: Vec<String> = at.note.clone().into_iter().chain(fallback).collect();
        interfaces.row([at.name.clone(), at.index.to_string(), at.mode.clone(), notes.join("; ")]);
    }
    let mut verdicts =
        Table::new([("VERDICT", Align::Left), ("PACKETS", Align::Right), ("BYTES", Align::Right)]);
    for (verdict, count) in status.verdicts.iter().filter(|(_, count)| count.packets > 0) {
        verdicts.row([verdict.clone(), count.packets.to_string(), count.bytes.to_string()]);
    }
    let mut outcomes = Table::new([
        ("CLASS", Align::Left),
        ("REASON", Align::Left),
        ("PACKETS", Align::Right),
        ("BYTES", Align::Right),
    ]);
    for outcome in &status.outcomes {
        outcomes.row([
            outcome.class.clone(),
            outcome.reason.clone(),
            outcome.packets.to_string(),
            outcome.bytes.to_string(),
        ]);
    }
    let mut parts = vec![facts.render(), interfaces.render()];
    if !status.words.is_empty() {
        parts.push(words(&status.words));
    }
    if let Some(health) = status.health.as_ref().filter(|health| !health.others.is_empty()) {
        parts.push(others(&health.others));
    }
    if received.packets > 0 {
        parts.extend([verdicts.render(), outcomes.render()]);
    }
    parts.join("\n")
}

/// A secret of signed keys, by where it is.
fn secret(secret: &SecretStatus) -> String {
    let SecretStatus { id, file, in_force, trouble } = secret;
    match (in_force, trouble) {
        (true, None) => format!("{id} ({file}), in force"),
        (true, Some(why)) => format!("{id} ({file}), in force as it was read before: {why}"),
        (false, None) => format!("{id} ({file}), not in force"),
        (false, Some(why)) => format!("{id} ({file}), not in force: {why}"),
    }
}

/// How many shards answer, and what is doubted.
fn health(health: &HealthStatus) -> String {
    let HealthStatus { asked, up, doubted, .. } = health;
    let doubted = match doubted.as_slice() {
        [] => String::new(),
        pools => format!(
            "; so much of {} does not answer that the network is doubted: all shards there are used",
            pools.join(", ")
        ),
    };
    format!("{up} of {asked} shards that are asked answer{doubted}")
}

/// The first shards that are not simply up.
fn others(others: &[NamedHealth]) -> String {
    let mut table = Table::new([
        ("SHARD", Align::Left),
        ("HEALTH", Align::Left),
        ("FAILURES", Align::Right),
        ("ASKED", Align::Left),
        ("WHY", Align::Left),
    ]);
    for NamedHealth { shard, health } in others.iter().take(WORDS) {
        let why = health.why.clone().filter(|_| health.failures > 0).unwrap_or_default();
        table.row([shard.clone(), health.text(), health.failures.to_string(), health.check.clone(), why]);
    }
    match others.len().saturating_sub(WORDS) {
        0 => table.render(),
        more => format!("{}and {more} more: `keysteer shard list` has all\n", table.render()),
    }
}

/// How many words there are of each kind.
fn counted(words: &[Standing]) -> String {
    let kinds = [("deny", "denied"), ("allow", "allowed"), ("disable", "disabled")];
    let counts = kinds.iter().filter_map(|(word, done)| {
        let of = words.iter().filter(|standing| standing.word == *word);
        let kind = of.clone().next()?.kind.clone();
        let count = of.count();
        Some(format!("{count} {kind}{} {done}", if count == 1 { "" } else { "s" }))
    });
    counts.collect::<Vec<_>>().join(", ")
}

/// The first words that stand.
fn words(words: &[Standing]) -> String {
    let mut table = Table::new([
        ("WORD", Align::Left),
        ("ON", Align::Left),
        ("BY", Align::Left),
        ("UNTIL", Align::Left),
        ("WHY", Align::Left),
    ]);
    for standing in words.iter().take(WORDS) {
        let Standing { kind, name, word, reason, by, until, .. } = standing;
        let until = until.map_or_else(|| "taken back".to_owned(), |until| until.to_string());
        let reason = reason.clone().unwrap_or_default();
        table.row([word.clone(), format!("{kind} {name}"), by.to_string(), until, reason]);
    }
    let more = words.len().saturating_sub(WORDS);
    match more {
        0 => table.render(),
        _ => format!("{}and {more} more: `keysteer status -o json` has all\n", table.render()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Who;

    #[test]
    fn words_are_counted_and_the_first_are_shown() {
        let standing = |number: usize, kind: &str, word: &str| Standing {
            kind: kind.to_owned(),
            name: format!("n{number}"),
            word: word.to_owned(),
            reason: Some("abuse".to_owned()),
            by: Who::default(),
            since: Default::default(),
            until: None,
        };
        let mut all: Vec<_> = (0..30).map(|number| standing(number, "key", "deny")).collect();
        all.push(standing(30, "shard", "disable"));
        assert_eq!(counted(&all), "30 keys denied, 1 shard disabled");
        let text = words(&all);
        assert_eq!(text.lines().count(), 1 + WORDS + 1);
        assert!(
            text.contains("key n19") && !text.contains("key n20") && text.contains("and 11 more"),
            "{text}"
        );
        let row = text.lines().nth(1).unwrap();
        assert!(row.starts_with("deny  key n0") && row.ends_with("taken back  abuse"), "{row}");
    }
}
