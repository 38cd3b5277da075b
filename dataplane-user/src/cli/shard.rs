//! `keysteer shard`

use clap::{Args, Subcommand};

use super::Read;
use super::output::{Align, Table, print_list};
use super::word::WordArgs;
use crate::control::types::Shard;

/// Show shards, and take them out or back in
#[derive(Debug, Args)]
pub(super) struct ShardArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the shards with their counters and rates
    List {
        #[command(flatten)]
        read: Read,
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
        Verb::Disable { word } => word.ask("shards", "disable", "is disabled"),
        Verb::Enable { word } => word.take_back("shards", "enable", "is used again"),
    }
}

fn render(shards: &[Shard]) -> String {
    let mut table = Table::new([
        ("SHARD", Align::Left),
        ("WEIGHT", Align::Right),
        ("POOLS", Align::Left),
        ("TARGET", Align::Left),
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
