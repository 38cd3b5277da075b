//! What a change of policy takes, from the request to the answer, with the real agent steering: `keysteer apply` of many
//! keys, `keysteer rollback`, and the agent's memory. Meanwhile a client asks some thousand questions a second, one at a
//! time on each of its sockets: every one must be answered. A client that asks without pause, and the server that
//! answers, would take most of a machine of two cores for themselves, and the figures would be theirs.

use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use keysteer_tests::site::agent::Agent;
use keysteer_tests::site::place::Place;
use keysteer_tests::site::{PORT, SERVICE, Site, v4};
use serde_json::Value;

/// Changes of a policy of so many keys.
#[derive(Clone, Debug)]
pub(crate) struct Changes {
    pub(crate) keys: usize,
    /// Milliseconds of each apply, and their budget.
    pub(crate) apply: (Vec<f64>, f64),
    /// Milliseconds of each rollback, and their budget.
    pub(crate) rollback: (Vec<f64>, f64),
    /// The agent's resident memory between changes and its peak, in MiB.
    pub(crate) memory: (f64, f64),
    /// Questions that were asked meanwhile, and those without an answer.
    pub(crate) asked: u64,
    pub(crate) lost: u64,
}

/// How long an answer may take before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a socket waits between an answer and the next question.
const PAUSE: Duration = Duration::from_micros(900);
/// Sockets that ask.
const SOCKETS: u8 = 4;

/// Measures both sizes.
pub(crate) fn measure() -> Result<Vec<Changes>, String> {
    [(10_000, 11, 100.0), (1_000_000, 3, 2_000.0)]
        .into_iter()
        .map(|(keys, rounds, budget)| of(keys, rounds, budget))
        .collect()
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// The policy; `keys.csv` lies beside it.
const POLICY: &str = "apiVersion: keysteer.dev/v1alpha1
kind: SteeringPolicy
metadata: {name: bench}
spec:
  environment: bench
  interfaces: [{name: up0}]
  scope:
    - {destinations: [203.0.113.10/32], services: [udp/7000]}
  schemas:
    - version: 1
      fields:
        - {name: address, from: ipv4.src}
      levels: [[address]]
  shards:
    - {name: a, target: {interface: {name: to-a, mac: \"02:00:00:00:00:0a\"}}}
    - {name: b, target: {interface: {name: to-b, mac: \"02:00:00:00:00:0b\"}}}
    - {name: c, target: {interface: {name: to-c, mac: \"02:00:00:00:00:0c\"}}}
  pools: [{name: all, shards: [a, b, c]}]
  tiers: [{name: one, pool: all, width: 1}]
  keysFrom: keys.csv
  classes: {missing: {pool: all}, unregistered: {pool: all}, malformed: drop}
";

/// So many keys, of which one in a hundred is not in the other of the two policies.
fn keys(count: usize, other: bool) -> String {
    let mut csv = String::from("name,match.address,tier\n");
    let own = if other { count } else { 0 };
    for number in 0..count {
        let number = if number % 100 == 0 { number + own } else { number };
        // Writing to a string cannot fail.
        let _ = writeln!(csv, "key-{number},{},one", 0x0a00_0000 + number);
    }
    csv
}

fn of(count: usize, rounds: usize, budget: f64) -> Result<Changes, String> {
    eprintln!("changing {count} keys ...");
    let site = Site::new(1500);
    let place = Place::new(POLICY);
    fs::write(place.file("keys.csv"), keys(count, false)).map_err(text)?;
    let other = place.file("other");
    fs::create_dir(&other).map_err(text)?;
    fs::write(other.join("policy.yaml"), POLICY).map_err(text)?;
    fs::write(other.join("keys.csv"), keys(count, true)).map_err(text)?;
    let agent = place.start(&site.node);
    let policies = [other.join("policy.yaml"), place.policy()];

    let (over, asked, lost) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let (mut apply, mut rollback) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| -> Result<(), String> {
        for number in 1..=SOCKETS {
            let (client, over, asked, lost) = (&site.client, &over, &asked, &lost);
            scope.spawn(move || client.run(|| ask(number, over, asked, lost)));
        }
        let done = (0..rounds).try_for_each(|round| {
            // The agent readies itself for the next change while there is none.
            std::thread::sleep(Duration::from_secs(2));
            let policy = policies.get(round % 2).ok_or("two policies")?;
            let applied = answer(&agent, &["apply", &policy.display().to_string(), "-o", "json"])?;
            if applied["changed"] != true {
                return Err(format!("nothing changed: {applied}"));
            }
            apply.push(applied["millis"].as_f64().ok_or("no milliseconds")?);
            std::thread::sleep(Duration::from_secs(1));
            for _ in 0..2 {
                let back = answer(&agent, &["rollback", "-o", "json"])?;
                rollback.push(back["micros"].as_f64().ok_or("no microseconds")? / 1e3);
            }
            Ok(())
        });
        over.store(true, Ordering::Relaxed);
        done
    })?;
    let memory = (memory(&agent, "VmRSS")?, memory(&agent, "VmHWM")?);
    let (asked, lost) = (asked.into_inner(), lost.into_inner());
    Ok(Changes { keys: count, apply: (apply, budget), rollback: (rollback, 50.0), memory, asked, lost })
}

fn answer(agent: &Agent, arguments: &[&str]) -> Result<Value, String> {
    let said = agent.read(arguments);
    if said.code != Some(0) {
        return Err(said.err);
    }
    serde_json::from_str(&said.out).map_err(text)
}

/// Asks until it is over.
fn ask(number: u8, over: &AtomicBool, asked: &AtomicU64, lost: &AtomicU64) -> Result<(), String> {
    let socket = UdpSocket::bind(SocketAddr::new(v4(1, number), 0)).map_err(text)?;
    socket.connect(SocketAddr::new(SERVICE[0], PORT)).map_err(text)?;
    socket.set_read_timeout(Some(PATIENCE)).map_err(text)?;
    let mut answer = [0; 64];
    while !over.load(Ordering::Relaxed) {
        socket.send(b"?").map_err(text)?;
        asked.fetch_add(1, Ordering::Relaxed);
        if socket.recv(&mut answer).is_err() {
            lost.fetch_add(1, Ordering::Relaxed);
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

/// A size of proc_pid_status(5), in MiB.
fn memory(agent: &Agent, name: &str) -> Result<f64, String> {
    let status = fs::read_to_string(format!("/proc/{}/status", agent.pid())).map_err(text)?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib: f64 =
        line.ok_or("no memory")?.trim().trim_end_matches(" kB").parse().map_err(|_| "no number")?;
    Ok(kib / 1024.0)
}

impl Changes {
    /// The median.
    pub(crate) fn median(values: &[f64]) -> f64 {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }

    /// Whether no packet was lost: what must hold anywhere.
    pub(crate) fn harmless(&self) -> bool {
        self.asked > 0 && self.lost == 0
    }
}
