//! `keysteer shard`

use clap::{Args, Subcommand};

use super::Read;
use super::output::{Align, Table, print_list, print_one};
use super::share::{HowArgs, ShardName};
use super::word::WordArgs;
use crate::control::types::{ProbeOutcome, ProbeRequest, Probed, Shard, ShardHealth};

/// Show shards, and take them out or back in
#[derive(Debug, Args)]
pub(super) struct ShardArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the shards with their health, counters and rates
    List {
        #[command(flatten)]
        read: Read,
    },
    /// Ask a shard for a TCP connection, over the road that packets to it take
    ///
    /// The agent's packets are marked, and sent to that shard where they leave, whatever shard a
    /// key would choose. The policy needs `egress: {probes: true}`. Exit code 1 where nobody answers.
    #[command(verbatim_doc_comment)]
    Probe {
        /// The shard
        name: String,
        /// The service's address and port, such as 203.0.113.10:443
        service: String,
        #[command(flatten)]
        read: Read,
    },
    /// Give a shard no share any more: flows that it has stay until they end
    ///
    /// Shows what moves, then does it. Shards are drained until `undrain`, whatever policy is applied;
    /// a rollback goes back to the shares of before. --wait returns once no flow is left.
    #[command(verbatim_doc_comment)]
    Drain {
        #[command(flatten)]
        shard: ShardName,
        #[command(flatten)]
        how: HowArgs,
    },
    /// Give a drained or reweighted shard the policy's share again
    Undrain {
        #[command(flatten)]
        shard: ShardName,
        #[command(flatten)]
        how: HowArgs,
    },
    /// Give a shard another weight than the policy does
    Weight {
        #[command(flatten)]
        shard: ShardName,
        /// Its share relative to the others
        #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        weight: u32,
        #[command(flatten)]
        how: HowArgs,
    },
    /// Drain a shard without waiting for its flows: they go to other shards at once
    Remove {
        #[command(flatten)]
        shard: ShardName,
        #[command(flatten)]
        how: HowArgs,
    },
    /// Send nothing to a shard: its traffic falls back to others of the pool, at once
    Disable {
        #[command(flatten)]
        word: WordArgs,
    },
    /// Use a disabled shard again
    Enable {
        #[command(flatten)]
        word: WordArgs,
    },
}

pub(super) fn run(args: &ShardArgs) -> anyhow::Result<()> {
    match &args.verb {
        Verb::List { read } => {
            let shards: Vec<Shard> = read.client().get("/v1/shards")?;
            print_list(read.output, &shards, || render(&shards))
        }
        Verb::Probe { name, service, read } => probe(name, service, read),
        Verb::Drain { shard, how } => how.weight("shard-drain", &shard.name, Some(0)),
        Verb::Undrain { shard, how } => how.weight("shard-undrain", &shard.name, None),
        Verb::Weight { shard, weight, how } => how.weight("shard-weight", &shard.name, Some(*weight)),
        Verb::Remove { shard, how } => how.remove(&shard.name),
        Verb::Disable { word } => word.ask("shards", "disable", "is disabled"),
        Verb::Enable { word } => word.take_back("shards", "enable", "is used again"),
    }
}

fn probe(name: &str, service: &str, read: &Read) -> anyhow::Result<()> {
    let request = ProbeRequest { shard: name.to_owned(), service: service.to_owned() };
    let probed: Probed = read.client().post("/v1/probe", &request)?;
    print_one(read.output, &probed, || {
        let said = match probed.outcome {
            ProbeOutcome::Connected => "connected",
            ProbeOutcome::Refused => "refused: nobody listens there",
            ProbeOutcome::Silent => "no answer",
            ProbeOutcome::Unreachable => "unreachable, the network says",
        };
        format!("{} ({}): {said}, after {} us\n", probed.shard, probed.address, probed.micros)
    })?;
    match probed.outcome {
        ProbeOutcome::Connected => Ok(()),
        _ => anyhow::bail!("shard {} does not take connections to {service}", probed.shard),
    }
}

/// What operators and health say of a shard.
fn health(shard: &Shard) -> String {
    let disabled = shard.disabled.then(|| "disabled".to_owned());
    let said: Vec<String> =
        disabled.into_iter().chain(shard.health.as_ref().map(ShardHealth::text)).collect();
    if said.is_empty() { "-".to_owned() } else { said.join(", ") }
}

fn render(shards: &[Shard]) -> String {
    let mut table = Table::new([
        ("SHARD", Align::Left),
        ("WEIGHT", Align::Right),
        ("POOLS", Align::Left),
        ("TARGET", Align::Left),
        ("HEALTH", Align::Left),
        ("PACKETS", Align::Right),
        ("BYTES", Align::Right),
        ("FLOWS", Align::Right),
        ("DROPPED", Align::Right),
        ("SENT", Align::Right),
        ("PACKETS/S 10S", Align::Right),
        ("1M", Align::Right),
        ("5M", Align::Right),
        ("1H", Align::Right),
    ]);
    for shard in shards {
        let rate = |window| {
            let rate = shard.rates.get(window).copied().unwrap_or_default();
            format!("{:.1}", rate.packets_per_second)
        };
        table.row([
            shard.name.clone(),
            shard.weight.to_string(),
            shard.pools.join(","),
            shard.target.clone(),
            health(shard),
            shard.packets.to_string(),
            shard.bytes.to_string(),
            shard.flows.to_string(),
            shard.dropped.to_string(),
            shard.sent.map_or_else(|| "-".to_owned(), |sent| sent.packets.to_string()),
            rate("10s"),
            rate("1m"),
            rate("5m"),
            rate("1h"),
        ]);
    }
    table.render()
}
