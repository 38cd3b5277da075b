//! What the agent and the interfaces counted, all at one moment.

use std::thread;
use std::time::{Duration, Instant};

use super::DemoError;
use super::site::{ETH0, Site, Taps};
use crate::control::client::Client;
use crate::control::types::{Key, Shard, Status};
use crate::world::Statistics;

/// How long the world may take to become quiet.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it must be quiet.
const QUIET: Duration = Duration::from_millis(300);

/// The agent's counters.
pub(super) struct Counted {
    /// Of the node.
    pub(super) status: Status,
    /// By key.
    pub(super) keys: Vec<Key>,
    /// By shard.
    pub(super) shards: Vec<Shard>,
}

/// Everything, while nothing moved.
pub(super) struct Settled {
    /// The agent's counters.
    pub(super) counted: Counted,
    /// How many frames the client's interfaces counted as sent.
    pub(super) client: u64,
    /// What each shard's interface counted, in the order of the site.
    pub(super) shards: Vec<Statistics>,
    /// How many frames the captures held by then.
    pub(super) sent: u64,
    /// Likewise of the node's own stack.
    pub(super) routed: u64,
}

/// Asks the agent.
///
/// # Errors
/// It does not answer.
pub(super) fn ask(client: &Client) -> Result<Counted, DemoError> {
    Ok(Counted {
        status: client.get("/v1/status")?,
        keys: client.get("/v1/keys")?,
        shards: client.get("/v1/shards")?,
    })
}

/// Reads everything with no frame in between. A neighbour probe can come at any moment, so it is read
/// again until none came; if the sums still do not agree when patience ends, the proofs will say so.
///
/// # Errors
/// The agent or the kernel does not answer.
pub(super) fn settled(client: &Client, site: &Site, taps: &Taps) -> Result<Settled, DemoError> {
    let end = Instant::now() + PATIENCE;
    loop {
        super::signals::check()?;
        let (sent, routed) = (taps.sent.seen(), taps.routed.seen());
        thread::sleep(QUIET);
        let counted = ask(client)?;
        let mut of_client = 0;
        for way in &site.ways {
            of_client += site.client.statistics(way.client)?.tx_packets;
        }
        let shards =
            site.shards.iter().map(|shard| shard.host.statistics(ETH0)).collect::<Result<Vec<_>, _>>()?;
        // The captures run behind the frames by a moment.
        thread::sleep(QUIET);
        let quiet = (sent, routed) == (taps.sent.seen(), taps.routed.seen());
        let agreed = counted.status.received.packets == of_client;
        if (quiet && agreed) || Instant::now() > end {
            return Ok(Settled { counted, client: of_client, shards, sent, routed });
        }
    }
}
