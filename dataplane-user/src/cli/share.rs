//! Verbs that change shards' shares: each shows its plan, then does it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::error::safe;
use super::output::{Format, print_one};
use super::plan::picture;
use crate::control::client::{Client, segment};
use crate::control::types::{DEFAULT_SOCKET, MigrationStatus, ShareRequest, Status, WordRequest};
use crate::messages::say;
use crate::plan::{Guard, Plan};

/// How a change of shares is made.
#[derive(Debug, Args)]
pub(super) struct HowArgs {
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
    /// Wait until no flow is left on shards before, and show how far it is
    #[arg(long, conflicts_with = "dry_run")]
    wait: bool,
    /// Lift a guard that refuses the plan
    #[arg(long, value_enum, value_name = "GUARD")]
    allow: Vec<Guard>,
    /// How to show the plan
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    /// The agent's socket
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
    socket: PathBuf,
}

/// A shard.
#[derive(Debug, Args)]
pub(super) struct ShardName {
    /// The shard's name in the policy
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(super) name: String,
}

/// How often it is looked how far a change is.
const EVERY: Duration = Duration::from_secs(1);

impl HowArgs {
    /// Gives a shard another weight, 0 for none, or with `None` the policy's again.
    pub(super) fn weight(&self, action: &str, shard: &str, weight: Option<u32>) -> anyhow::Result<()> {
        let shares: BTreeMap<String, Option<u32>> = [(shard.to_owned(), weight)].into();
        self.carry_out(ShareRequest { action: action.to_owned(), shares, ..ShareRequest::default() })
    }

    /// Makes the tables of pools anew.
    pub(super) fn rebalance(&self, pools: BTreeSet<String>) -> anyhow::Result<()> {
        let action = "pool-rebalance".to_owned();
        self.carry_out(ShareRequest { action, rebalance: pools, ..ShareRequest::default() })
    }

    /// Takes all of a shard's traffic away at once.
    pub(super) fn remove(&self, shard: &str) -> anyhow::Result<()> {
        self.weight("shard-remove", shard, Some(0))?;
        if self.dry_run {
            return Ok(());
        }
        let word = WordRequest { reason: Some("removed".to_owned()), seconds: None };
        Client::new(&self.socket).post::<()>(&format!("/v1/shards/{}/disable", segment(shard)), &word)?;
        say(&format!(
            "{shard} takes no packets any more; `keysteer shard undrain {shard}` and `shard enable {shard}` take that back"
        ));
        Ok(())
    }

    fn carry_out(&self, mut request: ShareRequest) -> anyhow::Result<()> {
        let client = Client::new(&self.socket);
        request.allow.clone_from(&self.allow);
        let plan: Plan = client.post("/v1/shares/plan", &request)?;
        print_one(self.output, &plan, || safe(&picture::draw(&plan)))?;
        let refused: Vec<&str> = plan.refused().map(|refusal| refusal.name.name()).collect();
        if !refused.is_empty() {
            anyhow::bail!(
                "the plan is refused: {}; lift a guard with --allow, or leave it",
                refused.join(", ")
            );
        }
        if self.dry_run {
            return Ok(());
        }
        request.plan = Some(plan.digest());
        let applied = client.change("/v1/shares", &request, |_| {})?;
        if applied.changed {
            say(&format!("generation {} is in force ({} ms)", applied.generation, applied.millis));
        } else {
            say(&format!("nothing to change: generation {} already means this", applied.generation));
        }
        if self.wait { wait(&client) } else { Ok(()) }
    }
}

/// Waits until nothing moves, and says how far it is.
fn wait(client: &Client) -> anyhow::Result<()> {
    let mut last = String::new();
    loop {
        let status: Status = client.get("/v1/status")?;
        let Some(moving) = status.migration else {
            say("nothing moves any more");
            return Ok(());
        };
        let said = far(&moving);
        if said != last {
            say(&said);
            last = said;
        }
        std::thread::sleep(EVERY);
    }
}

/// How far it is that keys move, and how long it may take.
pub(super) fn far(it: &MigrationStatus) -> String {
    let full = match it.without_room {
        0 => String::new(),
        flows => format!(", {flows} flows found no room"),
    };
    let cut = if it.cut == 0 { String::new() } else { format!(", about {} flows cut off", it.cut) };
    format!(
        "{} of {} keys move, about {} flows are left where they were, {} of {} pins{full}{cut}; over in {} s if these end now, in {} s at the latest",
        it.moving, it.of, it.flows, it.pins, it.room, it.seconds_at_least, it.seconds_at_most
    )
}
