//! Which shards are asked whether they live, and what comes of it: `spec.health`, with what shards and pools say for themselves.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::share::Share;
use super::versions::span_text;

/// `spec.health`, resolved for each shard and pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// How each shard is asked, by its index in the policy; none is asked whose entry is none.
    pub shards: Vec<Option<Check>>,
    /// The floor of each pool, by its index in the policy: where less of its weight would be left, the network is doubted.
    pub floors: Vec<Share>,
}

/// How a shard is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What it is asked.
    pub probe: Probe,
    /// Where: the service's address, or that of the pod itself where it is reached by translation.
    pub address: IpAddr,
    /// From one question to the next.
    pub interval: Duration,
    /// How long an answer is waited for.
    pub timeout: Duration,
    /// How many answers in a row bring a shard back that is down.
    pub rise: u32,
    /// How many questions without a right answer in a row take it out.
    pub fall: u32,
    /// By how much of itself an interval may be shorter, so that nodes do not ask in step.
    pub jitter: Share,
    /// How long one that came back takes to have its full share; nothing: it has it at once.
    pub slow_start: Duration,
    /// When one that comes and goes is kept out.
    pub damping: Option<Damping>,
}

/// What a shard is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// For a connection.
    Tcp {
        /// The port.
        port: u16,
    },
    /// For a page, by HTTP/1.1.
    Http {
        /// The port.
        port: u16,
        /// The path, with its query.
        path: String,
        /// The `Host`; the address and port where none is given.
        host: Option<String>,
        /// The right answers.
        status: Vec<u16>,
    },
    /// For an echo.
    Icmp,
}

/// When a shard that comes and goes is kept out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damping {
    /// How often it went down.
    pub flaps: u32,
    /// Within which time.
    pub within: Duration,
    /// How long it is kept out then, at first.
    pub hold: Duration,
}

/// As output has it, such as `tcp 203.0.113.10 port 443`.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, .. } = self;
        match &self.probe {
            Probe::Tcp { port } => write!(f, "tcp {address} port {port}"),
            Probe::Http { port, path, .. } => write!(f, "http {address} port {port} {path}"),
            Probe::Icmp => write!(f, "icmp {address}"),
        }
    }
}

impl Check {
    /// All of it in words that differ when what is done does.
    pub fn text(&self) -> String {
        let Self { interval, timeout, rise, fall, jitter, .. } = self;
        let mut text = self.to_string();
        if let Probe::Http { host, status, .. } = &self.probe {
            let status: Vec<String> = status.iter().map(u16::to_string).collect();
            let host = host.as_ref().map(|host| format!(" host {host}")).unwrap_or_default();
            text.push_str(&format!("{host} status {}", status.join(" ")));
        }
        let [interval, timeout] = [interval, timeout].map(|span| exact(*span));
        text.push_str(&format!(
            " every {interval} timeout {timeout} rise {rise} fall {fall} jitter {jitter}"
        ));
        if !self.slow_start.is_zero() {
            text.push_str(&format!(" slow start {}", exact(self.slow_start)));
        }
        match self.damping {
            Some(Damping { flaps, within, hold }) => {
                let [within, hold] = [within, hold].map(exact);
                text.push_str(&format!(" held {hold} after {flaps} flaps within {within}"));
            }
            None => text.push_str(" undamped"),
        }
        text
    }
}

/// A span to the millisecond.
fn exact(span: Duration) -> String {
    let whole = Duration::from_secs(span.as_secs());
    match span.subsec_millis() {
        0 => span_text(whole),
        millis if whole.is_zero() => format!("{millis}ms"),
        millis => format!("{}{millis}ms", span_text(whole)),
    }
}
