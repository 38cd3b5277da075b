//! From a shard's death to the first packet that goes elsewhere, with the real agent asking: what health promises is `interval x fall`
//! after the last right answer was asked for, and 10 ms for the rest of the way into the kernel.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use keysteer::world::{Echo, Namespace};
use keysteer_tests::site::agent::Agent;
use keysteer_tests::site::place::Place;
use keysteer_tests::site::policy::{THREE_SHARDS, policy};
use keysteer_tests::site::{PORT, SERVICE, Site, v4};

/// How long packets went on to a shard that had died.
#[derive(Clone, Debug)]
pub(crate) struct Failover {
    pub(crate) interval: Duration,
    pub(crate) fall: u32,
    /// Milliseconds, of each death.
    pub(crate) took: Vec<f64>,
}

/// What is promised beyond `interval x fall`.
const BEYOND: Duration = Duration::from_millis(10);
/// The port at which shards say whether they live.
const LIFE: u16 = 8080;
/// How long an answer is waited for before the next question is put.
const SOON: Duration = Duration::from_millis(5);
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Measures two intervals.
pub(crate) fn measure() -> Result<Vec<Failover>, String> {
    [(1_000, 3, 5), (100, 2, 15)].into_iter().map(|(millis, fall, rounds)| of(millis, fall, rounds)).collect()
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn of(millis: u64, fall: u32, rounds: usize) -> Result<Failover, String> {
    eprintln!("killing shards that are asked every {millis} ms ...");
    let site = Site::new(1500);
    let life = |at: usize| -> Result<Echo, String> {
        let host = site.shards.get(at).ok_or("no such shard")?;
        Echo::start(&host.namespace, host.name, &SERVICE, LIFE).map_err(text)
    };
    let mut alive: Vec<Option<Echo>> =
        (0..site.shards.len()).map(|at| life(at).map(Some)).collect::<Result<_, _>>()?;
    let health = format!(
        "health: {{probe: {{tcp: {{port: {LIFE}}}}}, interval: {millis}ms, fall: {fall}, damping: off}}"
    );
    let place = Place::new(&policy("", "{name: up0}", &format!("{THREE_SHARDS}\n  {health}\n")));
    let agent = place.start(&site.node);
    let mut took = Vec::new();
    for _ in 0..rounds {
        await_up(&agent, site.shards.len())?;
        // Not always at the same moment between two questions.
        std::thread::sleep(Duration::from_millis(2 * millis + took.len() as u64 * millis / rounds as u64));
        let name = who(&site.client, None)?;
        let at = site.shards.iter().position(|host| host.name == name).ok_or("nobody answers")?;
        let dies = Instant::now();
        *alive.get_mut(at).ok_or("no such shard")? = None;
        who(&site.client, Some(&name))?;
        took.push(dies.elapsed().as_secs_f64() * 1e3);
        *alive.get_mut(at).ok_or("no such shard")? = Some(life(at)?);
    }
    Ok(Failover { interval: Duration::from_millis(millis), fall, took })
}

/// Waits until so many shards are up.
fn await_up(agent: &Agent, shards: usize) -> Result<(), String> {
    let end = Instant::now() + PATIENCE;
    while agent.status().health.is_none_or(|health| health.up < shards) {
        if Instant::now() > end {
            return Err("shards do not come up".to_owned());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Asks until somebody answers, who is not `but`; says who.
fn who(client: &Namespace, but: Option<&str>) -> Result<String, String> {
    let asked = client.run(|| -> Result<String, String> {
        let socket = UdpSocket::bind(SocketAddr::new(v4(2, 1), 0)).map_err(text)?;
        socket.connect(SocketAddr::new(SERVICE[0], PORT)).map_err(text)?;
        socket.set_read_timeout(Some(SOON)).map_err(text)?;
        let end = Instant::now() + PATIENCE;
        let mut answer = [0; 64];
        while Instant::now() < end {
            socket.send(b"?").map_err(text)?;
            let Ok(many) = socket.recv(&mut answer) else { continue };
            let name = String::from_utf8_lossy(answer.get(..many).unwrap_or_default()).trim().to_owned();
            if but != Some(name.as_str()) {
                return Ok(name);
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        Err("nobody else answers".to_owned())
    });
    asked.map_err(text)?
}

impl Failover {
    /// What is promised, in milliseconds.
    pub(crate) fn budget(&self) -> f64 {
        (self.interval * self.fall + BEYOND).as_secs_f64() * 1e3
    }

    /// The longest.
    pub(crate) fn most(&self) -> f64 {
        self.took.iter().copied().fold(0.0, f64::max)
    }
}
