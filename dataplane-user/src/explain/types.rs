//! What an explanation says. It is what `POST /v1/explain` answers and what `keysteer explain -o json`
//! prints: every field is part of the contract, add, never change. A stage that is absent was not reached.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::control::types::PolicyStatus;

/// What is asked of an agent: `POST /v1/explain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Question {
    /// The frame from the Ethernet header on, as hexadecimal digits.
    pub frame: String,
    /// The interface that it arrives on; the first of the policy where not given.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub interface: Option<String>,
}

/// A frame's way, stage by stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Whether a running agent answered, by its live tables; else the policy was compiled for this.
    pub live: bool,
    /// The policy.
    pub policy: PolicyStatus,
    /// What is taken for granted because no agent was asked.
    pub assumed: Vec<String>,
    /// The interface that the frame arrives on.
    pub interface: String,
    /// The frame as hexadecimal digits.
    pub frame: String,
    /// Its length in bytes, as it would be counted.
    pub bytes: usize,
    /// Positions and facts.
    pub parse: Parse,
    /// Whether it is ours.
    pub scope: Scope,
    /// The version of the schema that decided; without a key, of several the first that a field was found of.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub schema: Option<u32>,
    /// The schema's fields as they are in this frame.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub extract: Option<Vec<Field>>,
    /// The schema's levels, the most specific first.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub resolve: Option<Vec<Level>>,
    /// The other versions of the schema, in the order that they are tried.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub others: Vec<ByVersion>,
    /// Whether it may assert its key; absent where nothing is asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub trust: Option<Trust>,
    /// What it is to us: `foreign`, `assigned`, `unregistered`, `missing`, `malformed`, `unauthenticated`.
    pub class: String,
    /// Its key, where it is assigned.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<Key>,
    /// What the key's policy forbids.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub enforce: Option<Enforce>,
    /// How its shard was picked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub select: Option<Select>,
    /// What happens to it.
    pub forward: Forward,
    /// What would change the outcome, in words, the most likely wish first.
    pub would_change: Vec<String>,
    /// What the program in the kernel made of the same frame, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kernel: Option<KernelRun>,
}

/// A frame by a version of the schema that did not decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ByVersion {
    /// The version.
    pub schema: u32,
    /// Its fields as they are in this frame.
    pub extract: Vec<Field>,
    /// Its levels, the most specific first.
    pub resolve: Vec<Level>,
}

/// Positions (bytes from the start of the frame) and facts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parse {
    /// The Ethernet header, at 0; absent where the frame is too short for one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ethernet: Option<Ethernet>,
    /// VLAN tags, the outer first.
    pub vlans: Vec<Vlan>,
    /// The IP header.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ip: Option<Ip>,
    /// The transport header, where there is one to be read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub transport: Option<Transport>,
    /// The flow that an ICMP error is about, which it is decided as.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub quoted: Option<Flow>,
    /// What is beyond the outer headers, as far as the policy reads it: labels, tunnels, and what is inside.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub beyond: Vec<Found>,
    /// What contradicts itself or is cut off.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fault: Option<String>,
}

/// Something beyond the outer headers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// Where it begins.
    pub at: usize,
    /// `mpls`, `nsh`, `vxlan`, `geneve`, `gre`, `gtpu`, `quic`, `tcp option`, `inner ethernet`, `inner ipv4` or `inner ipv6`.
    pub what: String,
    /// What it says, in words.
    pub says: String,
}

/// The Ethernet header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ethernet {
    /// Source address.
    pub source: String,
    /// Destination address.
    pub destination: String,
    /// The type after VLAN tags.
    pub ether_type: u16,
}

/// A VLAN tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Vlan {
    /// Where the tag begins.
    pub at: usize,
    /// VLAN id, 12 bits.
    pub id: u16,
    /// Priority, 3 bits.
    pub pcp: u8,
}

/// The IP header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ip {
    /// Where it begins.
    pub at: usize,
    /// 4 or 6.
    pub version: u8,
    /// Source address.
    pub source: String,
    /// Destination address.
    pub destination: String,
    /// DSCP, 6 bits.
    pub dscp: u8,
    /// IPv6 flow label, 20 bits.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub flow_label: Option<u32>,
    /// Whether it is one of several fragments of a datagram.
    pub fragment: bool,
}

/// The transport header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transport {
    /// Where it begins: after the IP header and its extension headers.
    pub at: usize,
    /// `tcp`, `udp`, `sctp`, `icmp`, `icmpv6`, or the protocol's number.
    pub protocol: String,
    /// Source port.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source_port: Option<u16>,
    /// Destination port.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub destination_port: Option<u16>,
    /// Whether it opens a TCP flow: SYN without ACK.
    pub opens: bool,
}

/// A flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Flow {
    /// Source address.
    pub source: String,
    /// Destination address.
    pub destination: String,
    /// As in [`Transport`].
    pub protocol: String,
    /// Source port.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source_port: Option<u16>,
    /// Destination port.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub destination_port: Option<u16>,
}

/// Whether the frame is ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scope {
    /// What was found.
    pub finding: ScopeFinding,
    /// The services of its destination, as the policy writes them; none: everything.
    pub services: Vec<String>,
    /// Which of them it is for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub service: Option<String>,
    /// Whether that was matched by protocol alone, because no port is known: of fragments, for instance.
    pub by_protocol: bool,
}

/// Whether a frame is ours, and why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopeFinding {
    /// For a service of a destination in the scope.
    Ours,
    /// It carries no IP: ARP and the like.
    NotIp,
    /// Its IP header cannot be read or believed.
    Unreadable,
    /// Its destination is not in the scope.
    NoDestination,
    /// Its destination is, with other services.
    NoService,
    /// Neighbour or listener discovery, which is never ours.
    Discovery,
}

/// A field of the schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Where it is read.
    pub carrier: String,
    /// The bits of the carrier that it takes, where not all: the first, counted from the most
    /// significant, and how many.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bits: Option<(u16, u16)>,
    /// What the frame has there, before any table.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub raw: Option<String>,
    /// The prefix table that it is looked up in.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub table: Option<String>,
    /// Its value, as a key's `match` has it; absent where the frame has none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub value: Option<String>,
    /// Why it has no value.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub absent: Option<String>,
}

/// A level of the schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Level {
    /// Its fields.
    pub fields: Vec<String>,
    /// What was found.
    pub finding: LevelFinding,
    /// Those of its fields that have no value.
    pub lacks: Vec<String>,
    /// What was, or would be, looked up: the values of those that have one.
    pub values: BTreeMap<String, String>,
}

/// What became of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LevelFinding {
    /// A registered key: this level decides.
    Taken,
    /// A registered key, claimed without right: this level decides.
    Claimed,
    /// No such key.
    NotRegistered,
    /// Not tried: a field has no value.
    Incomplete,
    /// Not tried: an earlier level has decided.
    Decided,
}

/// Whether a frame may assert its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trust {
    /// Where the policy says what holds on its interface; absent where it says nothing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rule: Option<String>,
    /// What that is: `trusted`, `verify` or `ignore`.
    pub mode: String,
    /// The fields that are not read there.
    pub ignored: Vec<String>,
    /// The key that is asserted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<String>,
    /// The sources that may use it; none: any.
    pub sources: Vec<String>,
    /// The address that the frame's flow comes from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<String>,
    /// What was found.
    pub finding: TrustFinding,
}

/// Whether a key is asserted by right, and why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrustFinding {
    /// No proof is asked for.
    NothingAsked,
    /// It comes from the key's sources.
    FromItsSources,
    /// It is signed.
    Signed,
    /// It does not come from the key's sources.
    NotFromItsSources,
    /// It has no valid signature.
    NotSigned,
    /// Proof is asked for that the key cannot have: it lists no sources, and its schema has no signature.
    NoProof,
    /// There is no registered key in it.
    NothingAsserted,
}

/// A registered key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    /// Dense id.
    pub id: u32,
    /// Name in the policy.
    pub name: String,
    /// The key that it is an alias of.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub alias_of: Option<String>,
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
}

/// What a key's policy forbids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Enforce {
    /// What an operator said of the key, over the policy: `deny` or `allow`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub word: Option<String>,
    /// Why the key is denied, where it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub denied: Option<String>,
}

/// How a shard was picked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Select {
    /// The pool.
    pub pool: String,
    /// Over how many of its shards the key, or the class, spreads; or `all`.
    pub width: String,
    /// The shards that it may use.
    pub shards: Vec<String>,
    /// The slot: a row of the pool's table, where the flow picks in it. The entry of a key of width 1 already names its
    /// slot's shard.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub slot: Option<u32>,
    /// The flow hash, where one was needed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub flow: Option<String>,
    /// The shard that it would be: it takes no packets, by an operator's word or because it does not answer, and `shard` takes its
    /// place.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub instead_of: Option<String>,
    /// The shard; absent where the slot names none, or a disabled one and no other takes its place.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub shard: Option<String>,
}

/// What happens to the frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Forward {
    /// The shard's target in words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub target: Option<String>,
    /// What the hook returns: `XDP_PASS`, `XDP_DROP`, `XDP_TX` or `XDP_REDIRECT`.
    pub action: String,
    /// The MAC address that it is sent to, where that is rewritten; its source becomes the leaving
    /// interface's own.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sent_to: Option<String>,
    /// What happened to it.
    pub verdict: String,
    /// Why.
    pub reason: String,
}

/// What the program in the kernel made of the frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KernelRun {
    /// Tag of the program: a digest of its instructions.
    pub program: String,
    /// What differs from the host's decision, in words; nothing where they agree.
    pub differences: Vec<String>,
}

impl KernelRun {
    /// Whether the kernel decided as the host did.
    pub fn agrees(&self) -> bool {
        self.differences.is_empty()
    }
}
