//! `keysteer pool`

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};

use super::Read;
use super::output::{Align, Table, finish, print_one, stdout};
use super::share::HowArgs;
use crate::control::client::Client;
use crate::control::pools::{Imported, Pool, Pools};
use crate::control::types::DEFAULT_SOCKET;
use crate::messages::say;
use crate::suggest::nearest;

/// Show how pools place keys, and carry that from node to node
#[derive(Debug, Args)]
pub(super) struct PoolArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show each shard's share and slots, and what the last change moved
    ///
    /// Tables depend on the policy and the tables before it. Nodes with equal digests place equally.
    /// OVERLAP is what part of pairs of rows have 0, 1, 2 ... shards in common.
    #[command(verbatim_doc_comment)]
    Show {
        /// The pool; all where not given
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: Option<String>,
        #[command(flatten)]
        read: Read,
    },
    /// Make the tables of pools anew, from nothing but the policy
    ///
    /// What is in force moves as little as it can with each change, so this moves more than it must. It
    /// is for nodes whose tables differ because their histories did. Shows what moves, then does it.
    #[command(verbatim_doc_comment)]
    Rebalance {
        /// The pools
        #[arg(required = true, value_name = "POOL")]
        names: Vec<String>,
        #[command(flatten)]
        how: HowArgs,
    },
    /// Write the tables in force, for other nodes to import
    Export {
        /// Where to; to stdout where not given
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// The agent's socket
        #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
        socket: PathBuf,
    },
    /// Take up another node's tables: the next apply begins with them
    ///
    /// Both nodes must have the same pools with the same shards in force. Apply the policy again
    /// afterwards: the plan shows what moves.
    #[command(verbatim_doc_comment)]
    Import {
        /// What `keysteer pool export` wrote
        file: PathBuf,
        /// The agent's socket
        #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
        socket: PathBuf,
    },
}

pub(super) fn run(args: &PoolArgs) -> anyhow::Result<()> {
    match &args.verb {
        Verb::Show { name, read } => {
            let mut pools: Pools = read.client().get("/v1/pools")?;
            if let Some(name) = name {
                only(&mut pools, name)?;
            }
            print_one(read.output, &pools, || render(&pools))
        }
        Verb::Rebalance { names, how } => how.rebalance(names.iter().cloned().collect()),
        Verb::Export { out, socket } => {
            let bytes = Client::new(socket).get_bytes("/v1/placement")?;
            match out {
                Some(path) => std::fs::write(path, &bytes).with_context(|| {
                    format!("cannot write {}; name another file with --out", path.display())
                }),
                None => finish(stdout().write_all(&bytes)),
            }
        }
        Verb::Import { file, socket } => {
            let bytes = std::fs::read(file).with_context(|| {
                format!("cannot read {}; `keysteer pool export --out FILE` writes one", file.display())
            })?;
            let imported: Imported = Client::new(socket).post_bytes("/v1/placement", bytes)?;
            say(&match imported.in_force {
                true => "these tables are in force already: there is nothing to do".to_owned(),
                false => format!(
                    "the next apply begins with the tables of digest {}: apply the policy again",
                    imported.digest
                ),
            });
            Ok(())
        }
    }
}

/// Leaves one pool.
fn only(pools: &mut Pools, name: &str) -> anyhow::Result<()> {
    if !pools.pools.iter().any(|pool| pool.name == name) {
        let hint = match nearest(name, pools.pools.iter().map(|pool| pool.name.as_str())) {
            Some(near) => format!("did you mean {near}?"),
            None => "`keysteer pool show` shows all that something is sent to".to_owned(),
        };
        anyhow::bail!("there is no pool {name}; {hint}");
    }
    pools.pools.retain(|pool| pool.name == name);
    Ok(())
}

fn render(pools: &Pools) -> String {
    let mut text = format!("placement version {}, digest {}\n", pools.version, pools.digest);
    for pool in &pools.pools {
        text.push('\n');
        text.push_str(&render_pool(pool));
    }
    text
}

fn render_pool(pool: &Pool) -> String {
    let mut text = format!("pool {}: since version {}, digest {}", pool.name, pool.since, pool.digest);
    if !pool.zones.is_empty() {
        text.push_str(&format!(", zones {}", pool.zones.join(" ")));
    }
    text.push('\n');
    let mut shards = Table::new([
        ("SHARD", Align::Left),
        ("ZONE", Align::Left),
        ("WEIGHT", Align::Right),
        ("SHARE", Align::Right),
        ("SLOTS", Align::Right),
        ("DEVIATION", Align::Right),
    ]);
    for shard in &pool.shards {
        shards.row([
            shard.name.clone(),
            shard.zone.clone().unwrap_or_default(),
            shard.weight.to_string(),
            format!("{:.3} %", shard.share * 100.0),
            shard.slots.to_string(),
            format!("{:+.2}", shard.deviation),
        ]);
    }
    text.push_str(&shards.render());
    let mut tables = Table::new([
        ("WIDTH", Align::Right),
        ("CELLS", Align::Right),
        ("MOVED", Align::Right),
        ("UNAVOIDABLE", Align::Right),
        ("DEVIATION", Align::Right),
        ("OVERLAP", Align::Left),
    ]);
    for table in &pool.tables {
        let overlap = table.overlap.iter().enumerate();
        let overlap = overlap.map(|(shards, part)| format!("{shards}: {:.2} %", part * 100.0));
        tables.row([
            table.width.to_string(),
            table.cells.to_string(),
            table.moved.to_string(),
            table.unavoidable.to_string(),
            table.deviation.to_string(),
            overlap.collect::<Vec<_>>().join(", "),
        ]);
    }
    text.push_str(&tables.render());
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::pools::{PoolShard, PoolTable};

    fn pools() -> Pools {
        let shard = |name: &str, zone: &str, slots| PoolShard {
            name: name.to_owned(),
            zone: Some(zone.to_owned()),
            weight: 1,
            share: 0.5,
            slots,
            deviation: slots as f64 - 32_768.0,
        };
        let table = PoolTable {
            width: 2,
            cells: 131_072,
            moved: 5,
            unavoidable: 4,
            deviation: 1,
            overlap: vec![0.25, 0.5, 0.25],
        };
        let pool = Pool {
            name: "general".to_owned(),
            since: 2,
            digest: "ab".to_owned(),
            zones: vec!["east".to_owned(), "west".to_owned()],
            shards: vec![shard("a", "east", 32_768), shard("b", "west", 32_767)],
            tables: vec![table],
        };
        Pools { version: 3, digest: "cd".to_owned(), pools: vec![pool] }
    }

    #[test]
    fn shows_shares_against_slots() {
        let text = render(&pools());
        for line in [
            "placement version 3, digest cd",
            "pool general: since version 2, digest ab, zones east west",
            "a      east       1  50.000 %  32768      +0.00",
            "b      west       1  50.000 %  32767      -1.00",
            "    2  131072      5            4          1  0: 25.00 %, 1: 50.00 %, 2: 25.00 %",
        ] {
            assert!(text.lines().any(|it| it.trim_end() == line), "{line}\n{text}");
        }
    }

    #[test]
    fn one_pool_is_picked_and_a_slip_is_told() {
        let mut one = pools();
        only(&mut one, "general").unwrap();
        let error = only(&mut one, "genral").unwrap_err().to_string();
        assert_eq!(error, "there is no pool genral; did you mean general?");
    }
}
