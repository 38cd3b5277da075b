//! What the API says. Every field is part of the contract: add, never change.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::image::SchemaInfo;
use crate::plan::{Base, Guard};
use crate::policy::Bundle;
use crate::state::generations::{self, Record};
use crate::state::overlay::Word;
use crate::state::{Timestamp, Who};

pub use super::health::{HealthStatus, NamedHealth, ShardHealth};
pub use super::rollout::{Promote, Promoted, RolloutStatus};

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
    /// The generation that a rollback goes back to, where there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last: Option<u64>,
    /// What operators said that stands, whatever the policy says.
    #[serde(default)]
    pub words: Vec<Standing>,
    /// The secrets that signed keys are verified with, by where they are.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub secrets: Vec<SecretStatus>,
    /// What moves, if anything does.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub migration: Option<MigrationStatus>,
    /// The steps of a change, while one is made so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rollout: Option<RolloutStatus>,
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
    /// What leaves, where the policy has it seen.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub egress: Option<EgressStatus>,
    /// How shards are that are asked whether they live, where the policy has any asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub health: Option<HealthStatus>,
    /// Whether `received = Σ verdicts = Σ keys + Σ other classes` held in this reading. While packets
    /// flow, one can be seen between two counters; at rest it always holds.
    pub balanced: bool,
}

/// Keys that move to other shards, while flows that were there stay where they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrationStatus {
    /// The generation that they move with.
    pub generation: u64,
    /// Since when, RFC 3339.
    pub since: String,
    /// Keys, and classes that are spread over pools, that still move.
    pub moving: u64,
    /// Of how many.
    pub of: u64,
    /// About how many flows went to shards that their keys leave, lately.
    pub flows: u64,
    /// What went there since it began.
    pub left: Count,
    /// Flows that opened on the new shards meanwhile.
    pub pinned: u64,
    /// Flows that opened on the shards before, because there was no room to remember them.
    pub without_room: u64,
    /// Flows that are remembered now.
    pub pins: u32,
    /// How many can be.
    pub room: u32,
    /// About how many flows were cut off at the deadline.
    pub cut: u64,
    /// How many seconds it takes if nothing more goes to shards before.
    pub seconds_at_least: u64,
    /// How many seconds it takes at most.
    pub seconds_at_most: u64,
    /// The keys that still move, those with the most flows first; a hundred at most.
    pub keys: Vec<KeyMoving>,
}

/// A key that moves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyMoving {
    /// Its name, or that of a class.
    pub key: String,
    /// What went to other shards than the new ones since it began.
    pub left: Count,
    /// About how many flows these were, lately.
    pub flows: u64,
    /// Flows that opened on the new shards.
    pub pinned: u64,
    /// Flows that opened on the shards before, because there was no room.
    pub without_room: u64,
}

/// What leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EgressStatus {
    /// The interfaces where it is seen.
    pub interfaces: Vec<String>,
    /// By class name, where it is counted: packets that leave, as what they answer.
    pub sent: BTreeMap<String, Count>,
}

/// The policy in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
    /// Its `metadata.name`.
    pub name: String,
    /// The policy file that the agent follows.
    pub file: String,
    /// What is wrong with that file as it is now, where another policy is in force for it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub trouble: Option<String>,
    /// Number of the generation in force.
    pub generation: u64,
    /// Digest of its policy.
    pub digest: String,
    /// Its environment.
    pub environment: String,
    /// `steer` or `observe`.
    pub mode: String,
    /// Version of the first schema.
    pub schema: u32,
    /// Every version of the schema that is accepted, in the order that they are tried.
    #[serde(default)]
    pub schemas: Vec<SchemaStatus>,
    /// Registered keys.
    pub keys: usize,
    /// Shards.
    pub shards: usize,
}

/// A version of the schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SchemaStatus {
    /// Its number.
    pub version: u8,
    /// The day from which nobody should send it any more.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub deprecated: Option<String>,
    /// Frames of registered keys that it was the version of; absent where the program in force does not tell versions
    /// apart, and never did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub counted: Option<Count>,
}

impl SchemaStatus {
    /// What the policy says of it.
    pub fn of(info: &SchemaInfo) -> Self {
        let deprecated = info.deprecated.map(|day| day.to_string());
        Self { version: info.version, deprecated, counted: None }
    }
}

/// A secret that signed keys are verified with, by where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretStatus {
    /// Its public id.
    pub id: u8,
    /// Its file.
    pub file: String,
    /// Whether keys that are signed with it are accepted.
    pub in_force: bool,
    /// Why the file as it is now cannot be used; what is in force then is what was read before.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub trouble: Option<String>,
}

/// An interface that is steered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InterfaceStatus {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// `native`, `tc` or `generic`.
    pub mode: String,
    /// Why not native, where it was tried and refused.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fallback: Option<String>,
    /// For which other interfaces that the policy names: VLANs on it, parts of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<String>,
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
    /// Field values as they are shown: plainly, or as the field's `display` says.
    pub values: BTreeMap<String, String>,
    /// The fields of its level, most significant first.
    pub level: Vec<String>,
    /// The versions of the schema that have it, in the order that they are tried.
    #[serde(default)]
    pub schemas: Vec<u8>,
    /// The key that it is an alias of.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub alias_of: Option<String>,
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
    /// What left for it, where that is counted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sent: Option<Count>,
    /// Of those received, the dropped, by reason name.
    pub drops: BTreeMap<String, Count>,
    /// The source prefixes that may use it; any where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub sources: Vec<String>,
    /// Frames that claimed it without right, which are none of those received.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub claims: Vec<Claim>,
}

/// `GET /v1/claims` (a list): frames that claimed a key without right, by key and interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// The name of the key that was claimed; absent where the policy has none of that id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<String>,
    /// Its id; 0: no registered key.
    pub id: u32,
    /// The interface that they came in by; absent of those that there was no room to tell apart.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub interface: Option<String>,
    /// Frames.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
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
    /// What left that answers for it, where that is counted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sent: Option<Count>,
    /// Of `packets`, the dropped.
    pub dropped: u64,
    /// How it is, where it is asked whether it lives.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub health: Option<ShardHealth>,
    /// Whether operators have taken it out.
    #[serde(default)]
    pub disabled: bool,
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

/// `POST /v1/apply`: puts a policy in force. Answered by a line of [`Step`] for each stage.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplyRequest {
    /// The policy and what it reads.
    pub bundle: Bundle,
    /// Guards that are lifted.
    #[serde(default)]
    pub allow: Vec<Guard>,
    /// Digest of the plan that must come out.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub plan: Option<String>,
    /// The generation that must be in force.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub base: Option<Base>,
    /// Whether all keys move together, where the policy has them move in steps.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub at_once: bool,
}

/// `POST /v1/shares` and `POST /v1/shares/plan`: the policy in force with other weights. Answered as [`ApplyRequest`], or with a plan.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShareRequest {
    /// What the audit log calls it: `shard-drain` and so on.
    pub action: String,
    /// Weights by shard name: 0 for no share, null for the policy's again.
    #[serde(default)]
    pub shares: BTreeMap<String, Option<u32>>,
    /// Pools whose tables are made anew.
    #[serde(default)]
    pub rebalance: BTreeSet<String>,
    /// Guards that are lifted.
    #[serde(default)]
    pub allow: Vec<Guard>,
    /// Digest of the plan that must come out.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub plan: Option<String>,
}

/// A line of the answer to `POST /v1/apply`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// A stage has begun.
    Stage(String),
    /// The policy is in force.
    Done(Applied),
    /// It is not; what was in force still is.
    Failed(String),
}

/// A policy was applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// The generation in force.
    pub generation: u64,
    /// Whether anything changed.
    pub changed: bool,
    /// Digest of the plan that was carried out.
    pub plan: String,
    /// How long it took, in milliseconds.
    pub millis: u64,
}

/// `POST /v1/rollback`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RollbackRequest {
    /// The generation that must be in force.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<u64>,
}

/// The answer to `POST /v1/rollback`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolledBack {
    /// The generation in force.
    pub generation: u64,
    /// The one that was.
    pub from: u64,
    /// How long until packets met it, in microseconds.
    pub micros: u64,
}

/// `POST /v1/probe`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeRequest {
    /// The shard.
    pub shard: String,
    /// The service's address and port.
    pub service: String,
}

/// What came of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProbeOutcome {
    /// A TCP connection was opened.
    Connected,
    /// It was refused: somebody is there, and does not listen.
    Refused,
    /// Nobody answered in time.
    Silent,
    /// The network says that nobody can be reached.
    Unreachable,
}

/// The answer to a [`ProbeRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    /// The shard.
    pub shard: String,
    /// What was asked there: the service, or the pod's own address.
    pub address: String,
    /// What came of it.
    pub outcome: ProbeOutcome,
    /// How long that took, in microseconds.
    pub micros: u64,
}

/// `POST /v1/keys/NAME/{deny,allow,clear}` and `POST /v1/shards/NAME/{disable,enable}`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WordRequest {
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// For how many seconds; else until it is taken back.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seconds: Option<u64>,
}

/// `GET /v1/words` (a list): what operators said that stands, whatever the policy says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// `key` or `shard`.
    pub kind: String,
    /// Its name; of a key that the policy does not have its identity, as it is shown.
    pub name: String,
    /// `deny`, `allow` or `disable`.
    pub word: String,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Who said it.
    pub by: Who,
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<Timestamp>,
}

impl Standing {
    /// A word that stands.
    pub fn new<W>(kind: &str, name: String, word: &str, said: &Word<W>) -> Self {
        Self {
            kind: kind.to_owned(),
            name,
            word: word.to_owned(),
            reason: said.reason.clone(),
            by: said.by.clone(),
            since: said.since,
            until: said.until,
        }
    }
}

/// `GET /v1/generations` (a list, the newest first)
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GenerationStatus {
    /// Its number.
    pub number: u64,
    /// `prepared`, `live`, `last`, `retired` or `failed`.
    pub status: String,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub why: Option<String>,
    /// When it was made.
    pub made_at: Timestamp,
    /// Who asked for it.
    pub by: Who,
    /// By what, such as `apply` or `watch`.
    pub action: String,
    /// `metadata.name` of its policy.
    pub policy: String,
    /// Digest of its policy.
    pub digest: String,
    /// Registered keys.
    pub keys: u64,
    /// Shards.
    pub shards: u64,
    /// How far it is, or how it ended, where its keys moved in steps.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rollout: Option<String>,
}

impl GenerationStatus {
    /// What a record says.
    pub fn of(record: &Record) -> Self {
        let (status, why) = match &record.status {
            generations::Status::Prepared => ("prepared", None),
            generations::Status::Live => ("live", None),
            generations::Status::Last => ("last", None),
            generations::Status::Retired => ("retired", None),
            generations::Status::Failed { why } => ("failed", Some(why.clone())),
        };
        Self {
            number: record.number,
            status: status.to_owned(),
            why,
            made_at: record.made_at,
            by: record.by.clone(),
            action: record.action.clone(),
            policy: record.policy.clone(),
            digest: record.bundle.clone(),
            keys: record.keys,
            shards: record.shards,
            rollout: record.rollout.as_ref().map(|rolling| {
                rolling.ended.clone().unwrap_or_else(|| format!("step {} is watched", rolling.step + 1))
            }),
        }
    }
}

/// Any answer but 2xx.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What is wrong, and what to do next.
    pub error: String,
}
