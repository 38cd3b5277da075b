//! A checked policy: names are resolved to indices, values are parsed, nothing contradicts itself. What
//! depends on the host (interfaces, CPUs) is checked when it is compiled.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use keysteer_common::config::Ports;
use keysteer_common::tables::Service;

use super::date::Date;
use super::diagnostic::{Diagnostic, Place};
use super::egress::{Addresses, Egress};
use super::health::Health;
use super::migration::{Migration, Udp};
use super::rollout::Rollout;
use super::share::Share;
use super::signing::Signing;
use super::trust::Trust;

mod field;

pub use field::{Field, mac_text};

/// A checked policy.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The file it was read from, as it was named to us.
    pub file: String,
    /// `metadata.name`.
    pub name: String,
    /// `spec.environment`.
    pub environment: String,
    /// Whether it steers or only observes.
    pub mode: Mode,
    /// Interfaces to attach to; at least one.
    pub interfaces: Vec<Interface>,
    /// What is ours; at least one destination.
    pub scope: Vec<Destination>,
    /// Prefix tables, in the order of the document.
    pub tables: Vec<PrefixTable>,
    /// How a key is read from a packet: 1 to 4 versions, in the order that they are tried.
    pub schemas: Vec<Schema>,
    /// Where tunnels and connection ids are found.
    pub carriers: Carriers,
    /// Shards, in the order of the document; their index is the dense shard index.
    pub shards: Vec<Shard>,
    /// Pools, in the order of the document.
    pub pools: Vec<Pool>,
    /// Tiers, in the order of the document.
    pub tiers: Vec<Tier>,
    /// Keys: those of the document, then those of the file beside it.
    pub keys: Vec<Key>,
    /// Who may assert keys where; where not given, anybody anywhere, but signed keys need their signature.
    pub trust: Option<Trust>,
    /// What the other classes meet.
    pub classes: Classes,
    /// How many datagrams' first fragments are remembered, so that their later ones follow; none where that is not asked for.
    pub datagrams: Option<u32>,
    /// How much may hang on one shard.
    pub blast_radius: BlastRadius,
    /// Name of the field that is a key's region.
    pub residency: Option<String>,
    /// How signed keys are verified; without it there are none.
    pub signing: Option<Signing>,
    /// What is done on the way back.
    pub egress: Option<Egress>,
    /// How flows are treated while their keys move; `None`: they move at once.
    pub migration: Option<Migration>,
    /// How a change moves keys step by step; all together where not given.
    pub rollout: Option<Rollout>,
    /// How shards are asked whether they live; none is where not given.
    pub health: Option<Health>,
    /// What is not wrong but looks like a slip, or personal.
    pub warnings: Vec<Diagnostic>,
    /// How many of its texts that are shown look personal or secret; each text once.
    pub findings: u64,
}

/// What a policy does with traffic that is ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Decides, counts and steers.
    #[default]
    Steer,
    /// Decides and counts, and passes everything unmodified.
    Observe,
}

/// How the program is attached to an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AttachMode {
    /// In the driver where it can, else at TC where that can be had, else generic.
    #[default]
    Auto,
    /// In the driver, or not at all.
    Native,
    /// In the kernel's generic receive path.
    Generic,
    /// At TC ingress, behind what others have attached there.
    Tc,
}

impl AttachMode {
    /// As the policy writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Native => "native",
            Self::Generic => "generic",
            Self::Tc => "tc",
        }
    }
}

/// An interface to attach to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// How.
    pub mode: AttachMode,
    /// Where the policy names it.
    pub at: Place,
}

/// A destination that is ours, with everything that it inherits from wider prefixes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The addresses.
    pub prefix: IpNet,
    /// What of them is ours, sorted, disjoint, at most [`keysteer_common::tables::SERVICES`]; empty:
    /// everything.
    pub services: Vec<Service>,
}

/// A prefix table. A label's number, in `prefixes`, is its index in `labels` plus one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixTable {
    /// Its name.
    pub name: String,
    /// Its labels, sorted.
    pub labels: Vec<String>,
    /// Prefixes and their label's number, from 1.
    pub prefixes: Vec<(IpNet, u32)>,
}

impl PrefixTable {
    /// The number of a label, from 1.
    pub fn number(&self, label: &str) -> Option<u32> {
        let at = self.labels.binary_search_by(|known| known.as_str().cmp(label)).ok()?;
        u32::try_from(at + 1).ok()
    }

    /// The label with a number.
    pub fn label(&self, number: u32) -> Option<&str> {
        self.labels.get(usize::try_from(number.checked_sub(1)?).ok()?).map(String::as_str)
    }
}

/// Where tunnels and connection ids are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carriers {
    /// The UDP ports that say what a datagram carries.
    pub ports: Ports,
    /// Bytes of the connection id in a QUIC packet with a short header, at most 20.
    pub quic_length: u8,
}

impl Default for Carriers {
    fn default() -> Self {
        Self { ports: Ports::IANA, quic_length: 8 }
    }
}

/// How a key is read from a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// Its version, 1 to 255.
    pub version: u8,
    /// 1 to 4 fields, most significant first.
    pub fields: Vec<Field>,
    /// 1 to 4 levels as ascending field indices, most specific first.
    pub levels: Vec<Vec<usize>>,
    /// Since when it is accepted.
    pub since: Option<Date>,
    /// From when on nobody should send it any more.
    pub deprecated: Option<Date>,
    /// How long at least it is accepted together with another version before one of them goes.
    pub dual_accept: Option<Duration>,
    /// Where the policy declares it.
    pub at: Place,
}

impl Schema {
    /// Whether keys of it are signed.
    pub fn is_signed(&self) -> bool {
        self.fields.iter().any(|field| field.signed)
    }
}

/// A shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its name.
    pub name: String,
    /// Its share relative to the others of its pool, 1 to 65,535.
    pub weight: u32,
    /// How it is reached.
    pub target: Target,
    /// Where it is: rows of shards are spread over zones. All shards of a pool have one, or none.
    pub zone: Option<String>,
    /// Where the policy names what the host must have: the interface or the CPU.
    pub at: Place,
}

/// How a shard is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The host's own stack.
    Pass,
    /// Nowhere: drop.
    Drop,
    /// The host's own stack, on this CPU.
    Cpu(u32),
    /// A local interface, such as a container's veth.
    Interface {
        /// Its name.
        interface: String,
        /// MAC address behind it.
        mac: [u8; 6],
        /// Where what is behind it does not own the service's address: its own, which packets are then translated to.
        nat: Option<Addresses>,
    },
    /// A next hop behind an interface.
    NextHop {
        /// The interface's name.
        interface: String,
        /// MAC address of the next hop.
        mac: [u8; 6],
    },
}

/// A set of shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// Indices of its shards, at least one, each once.
    pub shards: Vec<usize>,
    /// The region that its shards are in: in canonical text where a field is the region.
    pub region: Option<Arc<str>>,
    /// What its datagrams do while their keys move.
    pub udp: Udp,
}

/// Over how many shards of its pool a key spreads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// Exactly so many, 1 or more.
    Shards(u16),
    /// All of the pool.
    All,
}

/// Defaults that keys share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    /// Its name.
    pub name: String,
    /// Index of its pool.
    pub pool: usize,
    /// Width of its keys.
    pub width: Width,
    /// Who answers for its keys.
    pub owner: Option<Arc<str>>,
    /// Cost centre that its keys are charged to.
    pub cost_centre: Option<Arc<str>>,
    /// Account that its keys are billed to.
    pub account: Option<Arc<str>>,
    /// How good it is: a larger number is better.
    pub rank: u16,
    /// Whether its keys are VIPs.
    pub vip: bool,
}

/// A place of the key table: a level, and a canonical key at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Spelling {
    /// The number of the level, over all schemas.
    pub level: u8,
    /// The values of the level's fields, each at its [`Field::place`].
    pub key: u128,
}

/// A registered key, the tier's defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name.
    pub name: String,
    /// The canonical key: the values of the level's fields, each at its [`Field::place`].
    pub key: u128,
    /// The number of its level, over all schemas.
    pub level: u8,
    /// Where else it is registered: by other versions of the schema, and by other values of the same names.
    pub also: Box<[Spelling]>,
    /// Index of the key that it is another spelling of: it goes where that one does.
    pub alias_of: Option<usize>,
    /// Index of its pool; none only when it is denied.
    pub pool: Option<usize>,
    /// Over how many shards of its pool it spreads.
    pub width: Width,
    /// Indices of the shards of its pool that it is pinned to, in place of its pool's placement: in the order of their names,
    /// each once, as many as `width` says.
    pub shards: Option<Arc<[usize]>>,
    /// Index of its tier.
    pub tier: Option<usize>,
    /// Who answers for it.
    pub owner: Option<Arc<str>>,
    /// Cost centre that it is charged to.
    pub cost_centre: Option<Arc<str>>,
    /// Account that it is billed to.
    pub account: Option<Arc<str>>,
    /// Why it is denied, when it is.
    pub denied: Option<Arc<str>>,
    /// Its region, where it is declared with the key: in canonical text where a field is the region.
    pub region: Option<Arc<str>>,
    /// Whether it may not come to a lower tier unnoticed.
    pub vip: bool,
    /// The source addresses that may use it, sorted, each once; all where not given.
    pub sources: Option<Arc<[IpNet]>>,
    /// Where it is declared: in the policy, or in the file beside it when `from_file`.
    pub at: Place,
    /// Whether it comes from `keysFrom`.
    pub from_file: bool,
}

/// The largest share that may hang on one shard, of what is steered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlastRadius {
    /// Of the keys.
    pub keys: Option<Share>,
    /// Of their traffic.
    pub traffic: Option<Share>,
}

/// What the classes other than `assigned` meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classes {
    /// Not all fields of any level are in the packet.
    pub missing: ClassAction,
    /// A well-formed key that is not registered.
    pub unregistered: ClassAction,
    /// Headers that contradict themselves or are cut off.
    pub malformed: ClassAction,
    /// A key that is asserted without right.
    pub unauthenticated: ClassAction,
    /// A later fragment, where a field is in what only the first has: it is missing, and may be treated otherwise.
    pub fragments: ClassAction,
}

impl Classes {
    /// Each treatment, by the path in `spec` that says it.
    pub const fn all(&self) -> [(&'static str, ClassAction); 5] {
        [
            ("classes.missing", self.missing),
            ("classes.unregistered", self.unregistered),
            ("classes.malformed", self.malformed),
            ("classes.unauthenticated", self.unauthenticated),
            ("fragments", self.fragments),
        ]
    }
}

impl Default for Classes {
    fn default() -> Self {
        Self {
            missing: ClassAction::Pass,
            unregistered: ClassAction::Pass,
            malformed: ClassAction::Drop,
            unauthenticated: ClassAction::Drop,
            fragments: ClassAction::Pass,
        }
    }
}

/// What a class meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassAction {
    /// Passes to the host.
    Pass,
    /// Is dropped.
    Drop,
    /// Is spread over the pool with this index, by flow.
    Pool(usize),
}
