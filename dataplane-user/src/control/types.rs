//! What the API says. Every field is part of the contract: add, never change.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Where the socket is, unless the command line says otherwise.
pub const DEFAULT_SOCKET: &str = "/run/keysteer/agent.sock";

/// Packets and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Frames.
    pub packets: u64,
    /// Bytes from the Ethernet header on.
    pub bytes: u64,
}

/// `GET /v1/status`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The agent's version.
    pub version: String,
    /// The agent's process id.
    pub pid: u32,
    /// When it began to steer, in seconds since 1970.
    pub since: u64,
    /// The policy in force.
    pub policy: PolicyStatus,
    /// Where it is attached.
    pub interfaces: Vec<InterfaceStatus>,
    /// The program in the kernel.
    pub program: ProgramStatus,
    /// Its maps.
    pub maps: Vec<MapStatus>,
    /// Every frame seen.
    pub received: Count,
    /// By verdict name.
    pub verdicts: BTreeMap<String, Count>,
    /// By class and reason; only those that ever counted.
    pub outcomes: Vec<Outcome>,
    /// Whether `received = Σ verdicts = Σ keys + Σ other classes` held in this reading. While packets
    /// flow, one can be seen between two counters; at rest it always holds.
    pub balanced: bool,
}

/// The policy in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
    /// Its `metadata.name`.
    pub name: String,
    /// The file it was read from.
    pub file: String,
    /// Its environment.
    pub environment: String,
    /// `steer` or `observe`.
    pub mode: String,
    /// Schema version.
    pub schema: u32,
    /// Registered keys.
    pub keys: usize,
    /// Shards.
    pub shards: usize,
}

/// An interface that is steered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InterfaceStatus {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// `native` or `generic`.
    pub mode: String,
    /// Why not native, where it was tried and refused.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fallback: Option<String>,
}

/// The program in the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProgramStatus {
    /// Program id, as in `bpftool prog`.
    pub id: u32,
    /// Program tag: a digest of its instructions.
    pub tag: String,
    /// Instructions that the verifier looked at.
    pub verified_instructions: u32,
    /// Bytes of machine code.
    pub jited_bytes: u32,
}

/// A map of the program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MapStatus {
    /// Its name.
    pub name: String,
    /// Map id, as in `bpftool map`.
    pub id: u32,
    /// How many entries it holds.
    pub entries: u32,
    /// Memory that the kernel accounts to it, in bytes.
    pub bytes: u64,
}

/// Frames of one class that ended for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Class name.
    pub class: String,
    /// Reason name.
    pub reason: String,
    /// Frames.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// `GET /v1/keys` (a list) and `GET /v1/keys/NAME`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    /// Dense id.
    pub id: u32,
    /// Name in the policy.
    pub name: String,
    /// Field values as declared.
    pub values: BTreeMap<String, String>,
    /// The fields of its level, most significant first.
    pub level: Vec<String>,
    /// Its pool.
    pub pool: String,
    /// Shards its flows spread over, or `all`.
    pub width: String,
    /// The shards it may use.
    pub shards: Vec<String>,
    /// Its tier.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tier: Option<String>,
    /// Who answers for it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub owner: Option<String>,
    /// Cost centre to charge.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cost_centre: Option<String>,
    /// Account to bill.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub account: Option<String>,
    /// Why it is denied, when it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub denied: Option<String>,
    /// Frames received.
    pub packets: u64,
    /// Bytes received.
    pub bytes: u64,
    /// TCP flows opened.
    pub flows: u64,
    /// Of those received, the dropped, by reason name.
    pub drops: BTreeMap<String, Count>,
}

/// `GET /v1/shards` (a list)
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shard {
    /// Dense index.
    pub index: u16,
    /// Name in the policy.
    pub name: String,
    /// Declared weight.
    pub weight: u32,
    /// Its target in words.
    pub target: String,
    /// Pools it belongs to.
    pub pools: Vec<String>,
    /// Frames decided for it.
    pub packets: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// TCP flows opened towards it.
    pub flows: u64,
    /// Of `packets`, the dropped.
    pub dropped: u64,
    /// Rates over `10s`, `1m`, `5m` and `1h`; a window not yet full covers what there is.
    pub rates: BTreeMap<String, Rate>,
}

/// A rate over a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rate {
    /// Packets per second.
    pub packets_per_second: f64,
    /// Bytes per second.
    pub bytes_per_second: f64,
    /// Flows opened per second.
    pub flows_per_second: f64,
}

/// Any answer but 2xx.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What is wrong, and what to do next.
    pub error: String,
}
