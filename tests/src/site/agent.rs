//! The real agent, as a child of the test.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use keysteer::control::client::{Client, ClientError};
use keysteer::control::types::{Key, Shard, Status};
use keysteer::explain::hex;
use keysteer::explain::types::{Explanation, Question};
use keysteer::world::Namespace;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::de::DeserializeOwned;

use super::binary::{self, Said};
use super::metrics::Metrics;
use super::place::{METRICS, Place};

/// How long it may take to start, or to end, unless `KEYSTEER_TEST_PATIENCE` says more seconds, for slower machines.
const PATIENCE: Duration = Duration::from_secs(20);

/// See [`PATIENCE`].
fn patience() -> Duration {
    let seconds = std::env::var("KEYSTEER_TEST_PATIENCE").ok();
    seconds.map_or(PATIENCE, |seconds| Duration::from_secs(seconds.parse().expect("a number of seconds")))
}

/// A running agent. It is killed on drop, and dies with the test.
#[derive(Debug)]
pub struct Agent {
    child: Child,
    socket: PathBuf,
    log: PathBuf,
}

impl Agent {
    pub(super) fn start(command: &mut Command, place: &Place) -> Self {
        let agent = Self::try_start(command, place);
        agent.unwrap_or_else(|| panic!("no agent: {}", fs::read_to_string(place.log()).unwrap_or_default()))
    }

    /// Starts it and waits until it steers; nothing where it ends before.
    pub(super) fn try_start(command: &mut Command, place: &Place) -> Option<Self> {
        // SAFETY: between fork and exec the closure makes one system call on a plain integer.
        unsafe { command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?)) };
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut agent = Self { child, socket: place.socket(), log: place.log() };
        let end = Instant::now() + patience();
        while !agent.log().lines().any(is_ready) {
            if agent.has_ended() {
                return None;
            }
            assert!(Instant::now() < end, "the agent does not steer: {}", agent.log());
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(agent)
    }

    /// Whether it has ended by itself.
    ///
    /// # Panics
    /// The system does not say.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// A command that works on the state directory.
    pub fn read_state(&self, arguments: &[&str], place: &Place) -> Said {
        binary::run(binary::command(arguments).arg("--state-dir").arg(place.state()))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All it has said.
    ///
    /// # Panics
    /// Its log has gone.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// A read of the command line, on this agent's socket.
    pub fn read(&self, arguments: &[&str]) -> Said {
        binary::run(binary::command(arguments).arg("--socket").arg(&self.socket))
    }

    /// An answer of its API. On a slower machine it may be silent for longer than the command line waits.
    fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        let end = Instant::now() + patience().saturating_sub(PATIENCE);
        loop {
            match Client::new(&self.socket).get(path) {
                Err(ClientError::Silent { .. }) if Instant::now() < end => {}
                answer => return answer.unwrap(),
            }
        }
    }

    /// `GET /v1/status`
    ///
    /// # Panics
    /// It does not answer.
    pub fn status(&self) -> Status {
        self.get("/v1/status")
    }

    /// `GET /v1/keys`
    ///
    /// # Panics
    /// It does not answer.
    pub fn keys(&self) -> Vec<Key> {
        self.get("/v1/keys")
    }

    /// One of its keys.
    ///
    /// # Panics
    /// There is no such key.
    pub fn key(&self, name: &str) -> Key {
        self.keys().into_iter().find(|key| key.name == name).unwrap_or_else(|| panic!("no key {name}"))
    }

    /// `GET /v1/shards`
    ///
    /// # Panics
    /// It does not answer.
    pub fn shards(&self) -> Vec<Shard> {
        self.get("/v1/shards")
    }

    /// `POST /v1/explain` for a frame that arrives on the first interface.
    ///
    /// # Panics
    /// It does not answer.
    pub fn explain(&self, frame: &[u8]) -> Explanation {
        let question = Question { frame: hex(frame).to_string(), interface: None };
        Client::new(&self.socket).post("/v1/explain", &question).unwrap()
    }

    /// What it serves at `/metrics`, asked from within its namespace.
    ///
    /// # Panics
    /// It serves nothing, or no OpenMetrics.
    pub fn metrics(&self, namespace: &Namespace) -> Metrics {
        let answer = namespace.run(|| {
            let mut connection = TcpStream::connect(METRICS)?;
            connection.write_all(b"GET /metrics HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n")?;
            let mut answer = String::new();
            connection.read_to_string(&mut answer).map(|_| answer)
        });
        Metrics::parse(&answer.unwrap().unwrap())
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// It has been waited for.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// It goes on.
    pub fn wait(&mut self) -> ExitStatus {
        wait(&mut self.child, patience())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a line of its log says that it steers, whatever the log's format.
fn is_ready(line: &str) -> bool {
    line == "ready" || line.starts_with('{') && line.contains(r#""message":"ready""#)
}

/// Waits for a child's end.
///
/// # Panics
/// It goes on.
pub fn wait(child: &mut Child, patience: Duration) -> ExitStatus {
    let end = Instant::now() + patience;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < end, "process {} does not end", child.id());
        std::thread::sleep(Duration::from_millis(5));
    }
}
