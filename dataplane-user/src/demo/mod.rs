//! The main job on real traffic, with one command, proved.
//!
//! ```text
//!  root ─> place (lock, files) ─> site (world) ─> agent steers ─> client's link up
//!       ─> traffic, live table ─> all at rest ─> proofs ─> (--keep: wait) ─> everything gone
//! ```
//! The agent is the real one, a child of this process; the traffic is of real sockets. What the kernel
//! did is compared with what the host engine decides about the very frames that left the client.
//!
//! Cleaning up is dropping: on success, on an error and after ctrl-C alike. After `kill -9` the kernel
//! does it: the namespaces die with their only holder, the agent with its parent, and with the agent
//! its program. Only files can stay (`/run/keysteer-demo`, its lock, names under `/run/netns` that
//! lead nowhere), and the next run removes them.

mod answers;
mod child;
mod error;
mod expectation;
mod keep;
mod place;
mod plant;
mod probe;
mod proof;
mod readings;
mod root;
mod signals;
mod site;
mod sums;
mod table;
mod tenants;
mod traffic;
mod ways;

pub use error::DemoError;

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use child::Agent;
use expectation::Expectation;
use place::Place;
use proof::Proof;
use readings::Settled;
use site::{SHARDS, Site, Taps};
use table::Table;
use tenants::to_service;
use traffic::Flow;

use crate::world::Captured;

/// What the command line decides.
#[derive(Clone, Debug)]
pub struct Options {
    /// Leave the world up until ctrl-C.
    pub keep: bool,
    /// For how long sockets talk.
    pub seconds: u64,
    /// The mode of the node's interface towards the client, or `mixed`: two interfaces, in two modes.
    pub mode: String,
    /// Plant wrong table entries, so that the demo must fail.
    pub plant_wrong_slot: bool,
}

/// How often the live table is drawn.
const REDRAW: Duration = Duration::from_millis(250);

/// Runs the demo. Must not be called from within an asynchronous runtime.
///
/// # Errors
/// It cannot be set up, it was interrupted, or something was not as it should be; everything is
/// cleaned up then. [`DemoError::exit_code`] has the exit code.
pub fn run(options: &Options) -> Result<(), DemoError> {
    root::become_root()?;
    signals::watch()?;
    let place = Place::take()?;
    eprintln!("Building a world: a client host, the steering node, three shard hosts ...");
    let (site, taps) = Site::build(&options.mode)?;
    keep::remove_leftovers(&site)?;
    eprintln!("Starting the agent on the node ...");
    let mut agent = Agent::start(&place, &site)?;
    if options.plant_wrong_slot {
        plant::wrong_shards(&agent.client())?;
        eprintln!("Planted wrong slots: the proofs must fail.");
    }
    site.open()?;

    eprintln!("Real sockets talk for about {} s ...", options.seconds);
    let mut table = Table::new();
    let flows = talk(options, &mut agent, &site, &mut table)?;
    let settled = readings::settled(&agent.client(), &site, &taps)?;
    table.draw(&settled.counted);

    let proofs = prove(&agent, &site, taps, &flows, &settled)?;
    let failed = proofs.iter().filter(|proof| !proof.holds()).count();
    println!("\n{}:", if failed == 0 { "Proved" } else { "To be proved" });
    proofs.iter().for_each(Proof::print);
    if failed == 0 {
        println!("\nEvery packet went where its allocation key says, and every one was counted, once.");
    }
    if options.keep {
        keep::until_interrupted(&mut agent, &site)?;
    } else if failed == 0 {
        println!("Next: `keysteer demo --keep` leaves this world up to be looked at.");
    }
    if failed > 0 {
        return Err(DemoError::NotProved { failed, proofs: proofs.len() });
    }
    Ok(())
}

/// Lets sockets talk, and draws the table meanwhile.
fn talk(
    options: &Options,
    agent: &mut Agent,
    site: &Site,
    table: &mut Table,
) -> Result<Vec<Flow>, DemoError> {
    let time = Duration::from_secs(options.seconds.max(1));
    thread::scope(|scope| {
        let traffic = scope.spawn(|| site.client.block_on(|| traffic::talk(time)));
        let client = agent.client();
        while !traffic.is_finished() {
            // Leaving this scope waits for the traffic, which ends soon after a signal.
            signals::sleep(REDRAW)?;
            agent.check()?;
            if table.live() {
                table.draw(&readings::ask(&client)?);
            }
        }
        let flows = traffic.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok(flows)
    })
}

/// Compares what happened with what should have happened.
fn prove(
    agent: &Agent,
    site: &Site,
    taps: Taps,
    flows: &[Flow],
    settled: &Settled,
) -> Result<Vec<Proof>, DemoError> {
    let expectation = Expectation::of(agent, site)?;
    let judged = answers::judge(flows, &expectation);

    // What came after the counters were read is not in them.
    let until = |seen: u64| usize::try_from(seen).unwrap_or(usize::MAX);
    let passages = site.passages()?;
    let mut sent = taps.sent.finish()?;
    sent.truncate(until(settled.sent));
    sent.retain(|captured| passages.iter().any(|passage| passage.out == captured.interface));
    let expected = expectation.count(sent.iter());

    let mut routed = taps.routed.finish()?;
    routed.truncate(until(settled.routed));
    let mut by_port = BTreeMap::new();
    for shard in &SHARDS {
        let port = site.node.index(shard.port)?;
        let own = |captured: &&Captured| captured.interface == port && !to_service(&captured.frame);
        let frames = routed.iter().filter(own).count();
        by_port.insert(shard.port, frames as u64);
    }

    let counted = &settled.counted;
    Ok(vec![
        answers::from_their_shards(&judged),
        answers::denied(&judged, counted),
        answers::widths(&judged, &expectation),
        sums::complete(sent.len(), settled),
        sums::exact(counted, &expected, expectation.image()),
        sums::balanced(counted),
        sums::delivered(settled, site, &by_port),
    ])
}
