//! Metrics: readings of the counters, shared out over a bounded number of series, and rates over
//! windows.
//!
//! ```text
//!  every 10 s  reading ─> attribute ─> rank keys, sample shards, notice keys seen first
//!  a scrape    reading ─> attribute ─> show ─> OpenMetrics text
//! ```
//! Readings are serialised by one lock, so that a series never falls between two of them. An agent
//! never reads per packet; nothing here is in the packet path.

pub mod claims;
pub mod exposition;
mod families;
pub mod first_seen;
mod health;
mod moving;
mod rollout;
pub mod server;
pub mod tally;
pub mod topk;
mod versions;
pub mod windows;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use self::claims::Claims;
use self::exposition::Exposition;
use self::first_seen::FirstSeen;
use self::topk::TopKeys;
use self::windows::Windows;
use crate::agent::meter::{Cause, Source};
use crate::agent::node::Node;
use crate::control::types::Rate;
use crate::counters::Snapshot;

/// Readings of one program's counters.
pub struct Telemetry {
    source: Arc<dyn Source>,
    state: Mutex<State>,
}

/// What one reading leaves for the next.
#[derive(Debug)]
struct State {
    keys: TopKeys,
    claims: Claims,
    windows: Windows,
    first_seen: FirstSeen,
    errors: u64,
    /// The generation whose keys have series.
    generation: u64,
}

impl State {
    /// Has series for the keys of `node`.
    fn register(&mut self, node: &Node) {
        if self.generation != node.generation {
            self.generation = node.generation;
            self.keys.register(node.names.keys.iter().map(|key| key.id));
            self.claims.register(&node.names);
        }
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Telemetry {
    /// Telemetry of `source`, with series for about `top` keys at a time.
    pub fn new(source: Arc<dyn Source>, top: usize) -> Self {
        let keys = TopKeys::new(top, source.node().names.keys.iter().map(|key| key.id));
        let state = State {
            keys,
            claims: Claims::new(top),
            windows: Windows::default(),
            first_seen: FirstSeen::default(),
            errors: 0,
            generation: source.node().generation,
        };
        Self { source, state: Mutex::new(state) }
    }

    /// Takes the regular sample: attributes, ranks, feeds the windows, reports keys seen first; `taken` gets it too.
    ///
    /// # Errors
    /// The counters cannot be read; counted in `keysteer_scrape_errors_total`.
    pub fn sample(&self, taken: impl FnOnce(&Snapshot)) -> Result<(), Cause> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = self.source.counters().inspect_err(|_| state.errors += 1)?;
        let node = self.source.node();
        state.register(&node);
        state.keys.attribute(&snapshot);
        state.claims.attribute(&node, &snapshot);
        state.keys.rank();
        state.claims.rank();
        state.windows.push(Instant::now(), &snapshot.shards);
        state.first_seen.report(&node.names, &snapshot);
        drop(state);
        taken(&snapshot);
        Ok(())
    }

    /// The OpenMetrics text.
    ///
    /// # Errors
    /// The counters cannot be read; counted in `keysteer_scrape_errors_total`.
    pub fn scrape(&self) -> Result<String, Cause> {
        let exposition = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let snapshot = self.source.counters().inspect_err(|_| state.errors += 1)?;
            let node = self.source.node();
            state.register(&node);
            state.keys.attribute(&snapshot);
            let shares = state.keys.show();
            state.claims.attribute(&node, &snapshot);
            let claims = state.claims.show();
            let (posted, health) = (self.source.posted(), self.source.health());
            Exposition { node, posted, snapshot, shares, claims, errors: state.errors, health }
        };
        Ok(exposition.encode()?)
    }

    /// The rates of shard `index` by window name.
    pub fn rates(&self, index: usize) -> BTreeMap<String, Rate> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).windows.rates(index)
    }
}

#[cfg(test)]
#[path = "telemetry_tests.rs"]
mod tests;
