//! The files of one agent, in a directory that goes with the test.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use keysteer::world::{Namespace, Pinboard};
use tempfile::TempDir;

use super::agent::Agent;
use super::binary::{self, Said};

/// Where the agents of these tests serve metrics, each in its node's namespace.
pub const METRICS: &str = "127.0.0.1:9477";

/// A policy, a state directory and a socket.
#[derive(Debug)]
pub struct Place {
    directory: TempDir,
    pinboard: Pinboard,
    classic: bool,
}

impl Place {
    /// A new place with a policy.
    ///
    /// # Panics
    /// The disk is full.
    pub fn new(policy: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let pins = directory.path().join("bpf");
        fs::create_dir(&pins).unwrap();
        let place = Self { pinboard: Pinboard::new(&pins).unwrap(), directory, classic: false };
        fs::write(place.policy(), policy).unwrap();
        place
    }

    /// The same, for agents that take their kernel for one without TCX.
    ///
    /// # Panics
    /// The disk is full.
    pub fn classic(policy: &str) -> Self {
        Self { classic: true, ..Self::new(policy) }
    }

    /// From now on agents here do not, or do, take their kernel for one without TCX.
    pub fn set_classic(&mut self, classic: bool) {
        self.classic = classic;
    }

    /// A file in the directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The policy.
    pub fn policy(&self) -> PathBuf {
        self.file("policy.yaml")
    }

    /// The control socket.
    pub fn socket(&self) -> PathBuf {
        self.file("agent.sock")
    }

    /// The state directory.
    pub fn state(&self) -> PathBuf {
        self.file("state")
    }

    /// Where the agent pins.
    pub fn pins(&self) -> PathBuf {
        self.file("bpf/keysteer")
    }

    /// The BPF file system that they are on.
    pub fn pinboard(&self) -> &Pinboard {
        &self.pinboard
    }

    /// The agent's messages.
    pub fn log(&self) -> PathBuf {
        self.file("agent.log")
    }

    /// The command that runs an agent here, in `namespace`, with which steering ends.
    pub fn command(&self, namespace: &Namespace) -> Command {
        let mut command = self.lasting(namespace);
        command.arg("--detach-on-exit");
        command
    }

    /// The command that runs an agent here, in `namespace`, after which steering goes on.
    pub fn lasting(&self, namespace: &Namespace) -> Command {
        let mut command = binary::command(&["agent", "--metrics-address", METRICS]);
        command.arg("--policy").arg(self.policy());
        command.arg("--state-dir").arg(self.state());
        command.arg("--socket").arg(self.socket());
        command.arg("--bpffs").arg(self.pins());
        if self.classic {
            command.env("KEYSTEER_TC", "classic");
        }
        self.pinboard.put(namespace.put(&mut command));
        command
    }

    /// Starts an agent, and waits until it steers.
    ///
    /// # Panics
    /// It does not; the message has what it said.
    pub fn start(&self, namespace: &Namespace) -> Agent {
        self.start_as(self.command(namespace))
    }

    /// Starts an agent by a command of [`Place::command`].
    ///
    /// # Panics
    /// It does not steer; the message has what it said.
    pub fn start_as(&self, mut command: Command) -> Agent {
        let log = File::create(self.log()).unwrap();
        Agent::start(command.stderr(log), self)
    }

    /// The same; nothing where it ends before it steers.
    ///
    /// # Panics
    /// It neither steers nor ends.
    pub fn try_start_as(&self, mut command: Command) -> Option<Agent> {
        let log = File::create(self.log()).unwrap();
        Agent::try_start(command.stderr(log), self)
    }

    /// Runs an agent that cannot start, to its end.
    pub fn refused(&self, namespace: &Namespace) -> Said {
        binary::run(&mut self.command(namespace))
    }

    /// Ends steering, as after a crash.
    pub fn clean_up(&self, namespace: &Namespace) -> Said {
        let mut command = binary::command(&["agent", "--cleanup"]);
        command.arg("--bpffs").arg(self.pins());
        binary::run(self.pinboard.put(namespace.put(&mut command)))
    }
}
