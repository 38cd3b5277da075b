//! The real agent, as a child in the node's namespace. It dies with the demo, however that ends.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio, id};
use std::time::{Duration, Instant};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getppid};

use super::place::Place;
use super::site::Site;
use super::ways::Way;
use super::{DemoError, signals};
use crate::control::client::Client;
use crate::control::types::Status;
use crate::world::Pinboard;

/// The policy, in the binary so that the demo runs from anywhere.
pub(super) const POLICY: &str = include_str!("../../../examples/demo.yaml");

/// What it says of interfaces.
const INTERFACES: &str = "interfaces: [{name: ks-client}]";

/// The policy that steers these ways in their modes.
pub(super) fn policy_for(ways: &[Way]) -> String {
    let entry = |way: &Way| format!("{{name: {}, mode: {}}}", way.node, way.mode);
    let entries = ways.iter().map(entry).collect::<Vec<_>>().join(", ");
    POLICY.replacen(INTERFACES, &format!("interfaces: [{entries}]"), 1)
}

/// How long the agent may take to steer, and to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much of its log is shown.
const LAST_WORDS: usize = 20;

/// Where the agent serves metrics, in the node's namespace.
pub(super) const METRICS: &str = "127.0.0.1:9477";

/// A running agent.
pub(super) struct Agent {
    child: Child,
    log: PathBuf,
    /// Its policy.
    pub(super) policy: PathBuf,
    /// Its state directory.
    pub(super) state: PathBuf,
    /// Its control socket.
    pub(super) socket: PathBuf,
}

impl Agent {
    /// Starts it and waits until it steers.
    ///
    /// # Errors
    /// It ends, or does not answer in time; its last words are in the error.
    pub(super) fn start(place: &Place, site: &Site) -> Result<Self, DemoError> {
        let [policy, state, socket, log] =
            ["demo.yaml", "state", "agent.sock", "agent.log"].map(|name| place.file(name));
        fs::write(&policy, policy_for(&site.ways))
            .map_err(DemoError::at(format_args!("write {}", policy.display())))?;
        let opened = File::create(&log).and_then(|file| Ok((file.try_clone()?, file)));
        let (out, err) = opened.map_err(DemoError::at(format_args!("write {}", log.display())))?;
        let program = std::env::current_exe().map_err(DemoError::at("find out which program this is"))?;
        let pins = place.file("bpf");
        fs::create_dir(&pins).map_err(DemoError::at(format_args!("make {}", pins.display())))?;
        let pinboard = Pinboard::new(&pins)?;
        let mut command = Command::new(&program);
        command.arg("agent").arg("--policy").arg(&policy).arg("--state-dir").arg(&state);
        command.arg("--socket").arg(&socket).args(["--metrics-address", METRICS]);
        command.arg("--bpffs").arg(pins.join("keysteer")).arg("--detach-on-exit");
        // In a group of its own: ctrl-C is for us, who end the agent in order.
        command.stdin(Stdio::null()).stdout(out).stderr(err).process_group(0);
        let us = Pid::from_raw(id().cast_signed());
        let die_with_us = move || {
            set_pdeathsig(Signal::SIGKILL)?;
            // We may have died before that was set.
            if getppid() == us { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
        };
        // SAFETY: between fork and exec the closure makes two system calls on plain integers; it takes
        // no lock and allocates nothing.
        unsafe { site.node.put(pinboard.put(&mut command)).pre_exec(die_with_us) };
        let child = command.spawn().map_err(DemoError::at(format_args!("start {}", program.display())))?;
        let mut agent = Self { child, log, policy, state, socket };
        agent.await_steering()?;
        Ok(agent)
    }

    /// A client of its control socket.
    pub(super) fn client(&self) -> Client {
        Client::new(&self.socket)
    }

    /// Fails when it has ended.
    ///
    /// # Errors
    /// [`DemoError::Agent`].
    pub(super) fn check(&mut self) -> Result<(), DemoError> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.failed(format!("ended ({status})"))),
            Err(cause) => Err(DemoError::at("wait for the agent")(cause)),
        }
    }

    fn await_steering(&mut self) -> Result<(), DemoError> {
        let end = Instant::now() + PATIENCE;
        loop {
            self.check()?;
            signals::check()?;
            if self.socket.exists() {
                match self.client().get::<Status>("/v1/status") {
                    Ok(_) => return Ok(()),
                    Err(error) if Instant::now() > end => {
                        return Err(self.failed(format!("does not answer ({error})")));
                    }
                    Err(_) => {}
                }
            } else if Instant::now() > end {
                return Err(self.failed(format!("did not start within {} s", PATIENCE.as_secs())));
            }
            signals::sleep(Duration::from_millis(20))?;
        }
    }

    fn failed(&self, what: String) -> DemoError {
        let log = fs::read_to_string(&self.log).unwrap_or_else(|error| format!("(unreadable: {error})"));
        let lines: Vec<_> = log.lines().collect();
        let log = lines.get(lines.len().saturating_sub(LAST_WORDS)..).unwrap_or_default().join("\n");
        DemoError::Agent { what, log }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It has not been waited for, so the number is still its own. An error means it has ended.
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
        let end = Instant::now() + PATIENCE / 6;
        while let Ok(None) = self.child.try_wait() {
            if Instant::now() > end {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
