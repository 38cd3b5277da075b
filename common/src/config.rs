//! What is constant for one loaded program: it is placed in `.rodata`, so that the verifier knows
//! every value and removes the branches of what the policy does not use (decision 2).

use crate::headers::{ALL_LEVELS, FIELDS, SCHEMAS};
use crate::tables::Service;
use crate::vocabulary::CLASSES;

/// Version of everything that crosses the boundary between the program and user space: [`Config`],
/// the table entries, the counters, the vocabulary. Raise it with any change to them.
pub const ABI: u32 = 8;

/// Where one address family's prefixes of a table are; see [`crate::prefix`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrefixIndex {
    /// The leading bits that all prefixes share, left-aligned.
    pub common: [u64; 2],
    /// Which bits those are.
    pub mask: [u64; 2],
    /// First entry of this family in the index table.
    pub base: u32,
    /// Of an IPv4 family: the common bits and their mask once more, as an address.
    pub common4: u32,
    /// See `common4`.
    pub mask4: u32,
    /// What every address with the common bits maps to, where `bits` is 0; 0: no prefixes at all.
    pub value: u32,
    /// How many leading bits come before those that select an index entry, at most 63.
    pub skip: u8,
    /// How many bits select an index entry, 1 to 16; 0: none, see `value`.
    pub bits: u8,
    /// Explicit padding.
    pub _pad: [u8; 6],
}

const _: () = assert!(size_of::<PrefixIndex>() == 56);

/// A prefix table: addresses of both families to numbers.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrefixTable {
    /// IPv4 prefixes.
    pub v4: PrefixIndex,
    /// IPv6 prefixes.
    pub v6: PrefixIndex,
}

/// One field of the schema.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldConfig {
    /// Where its value is turned into a number, when `through_table` is set.
    pub prefixes: PrefixTable,
    /// Mask of the value once shifted, most significant half first.
    pub mask: [u64; 2],
    /// A [`crate::carrier::Carrier`]; 0: no field.
    pub carrier: u8,
    /// Right shift that puts the wanted bits of the carrier at the bottom, 0 to 127.
    pub shift: u8,
    /// Left shift that puts the value at its place in the key, 0 to 127.
    pub place: u8,
    /// 1 when the address is looked up in `prefixes` and the field is the number found.
    pub through_table: u8,
    /// 1 when the carrier has at most 64 bits and the value's place does not straddle the middle of the
    /// key: then one word does it all.
    pub narrow: u8,
    /// Of a carrier of many bytes: the first that is read.
    pub from: u8,
    /// And how many are, 1 to 16.
    pub length: u8,
    /// 1 where what is read is a signed block ([`crate::shim`]), of which the key is the value.
    pub signed: u8,
    /// Which one, of a carrier that there are several of: see [`crate::parse::option`]. Of a connection id
    /// the configuration rotation, [`ANY_ROTATION`] for any.
    pub which: u32,
    /// Explicit padding.
    pub _pad: [u8; 4],
}

const _: () = assert!(size_of::<FieldConfig>() == 144);

/// [`FieldConfig::which`] of a connection id whose first bits are not looked at.
pub const ANY_ROTATION: u32 = 0xff;

/// One version of the schema: its fields are those of its index in [`Config::fields`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SchemaConfig {
    /// Its first level, an index into [`Config::levels`].
    pub first_level: u8,
    /// How many levels it has.
    pub levels: u8,
    /// How many fields it has.
    pub fields: u8,
    /// Its version, 1 to 255.
    pub version: u8,
    /// Whether its assertions need proof, where nothing is said of the interface: 0 or 1.
    pub verify: u8,
    /// Explicit padding.
    pub _pad: [u8; 3],
}

const _: () = assert!(size_of::<SchemaConfig>() == 8);

/// What may be asserted on an interface.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InterfaceConfig {
    /// Its index; 0 for those that are not listed.
    pub index: u32,
    /// By schema: bit `i` is set where field `i` may be asserted here; without any, the schema is ignored.
    pub allowed: [u8; SCHEMAS],
    /// Bit `i` is set where what schema `i` asserts needs proof: a valid signature, or a source that the key lists.
    pub verify: u8,
    /// Explicit padding.
    pub _pad: [u8; 3],
}

const _: () = assert!(size_of::<InterfaceConfig>() == 12);

/// How many interfaces [`Config::interfaces`] can tell apart.
pub const INTERFACES: usize = 16;

/// What the deep program parses beyond the outer headers: bits of [`Config::reads`].
pub mod reads {
    /// Label stacks.
    pub const MPLS: u32 = 1 << 0;
    /// Service headers.
    pub const NSH: u32 = 1 << 1;
    /// VXLAN headers.
    pub const VXLAN: u32 = 1 << 2;
    /// Geneve headers.
    pub const GENEVE: u32 = 1 << 3;
    /// GRE headers.
    pub const GRE: u32 = 1 << 4;
    /// GTP-U headers.
    pub const GTPU: u32 = 1 << 5;
    /// QUIC connection ids.
    pub const QUIC: u32 = 1 << 6;
    /// The packet inside any tunnel.
    pub const INNER: u32 = 1 << 7;
    /// All of them, for tools.
    pub const ALL: u32 = 0xff;
}

/// Ports that say what a UDP datagram carries.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// VXLAN's.
    pub vxlan: u16,
    /// Geneve's.
    pub geneve: u16,
    /// GTP-U's.
    pub gtpu: u16,
    /// QUIC's.
    pub quic: u16,
    /// The shim's; 0: any.
    pub shim: u16,
    /// Explicit padding.
    pub _pad: u16,
}

impl Ports {
    /// As the Internet Assigned Numbers Authority has them.
    pub const IANA: Self = Self { vxlan: 4789, geneve: 6081, gtpu: 2152, quic: 443, shim: 0, _pad: 0 };
}

/// What a datagram's later fragments meet, where the key is not in them: [`Config::fragments`].
pub mod fragments {
    /// What any packet without a key meets: no field is in what only the first fragment has.
    pub const ALIKE: u32 = 0;
    /// What [`super::Config::classes`] says at [`super::FRAGMENT_CLASS`].
    pub const AS_CLASS: u32 = 1;
    /// They follow their first fragment, from a bounded table; those that cannot, as above.
    pub const FOLLOW: u32 = 2;
}

/// Where [`Config::classes`] says what later fragments without a key meet; they are counted as `missing`.
pub const FRAGMENT_CLASS: usize = 7;

/// One level: a subset of the fields.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LevelConfig {
    /// The bits of the canonical key that belong to the level.
    pub mask: [u64; 2],
    /// The secret odd multipliers that this level's look-ups are hashed with.
    pub multipliers: [u64; 2],
    /// Bit `i`: field `i` must be present.
    pub fields: u8,
    /// Explicit padding.
    pub _pad: [u8; 7],
}

const _: () = assert!(size_of::<LevelConfig>() == 40);

/// What to do with a class.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassConfig {
    /// For [`class_action::STEER`]: first entry of the pool's width-1 table in the slot tables.
    pub slots: u32,
    /// One of [`class_action`].
    pub action: u32,
}

/// What a class that is not `assigned` meets.
pub mod class_action {
    /// Passes to the host unmodified.
    pub const PASS: u32 = 0;
    /// Is dropped.
    pub const DROP: u32 = 1;
    /// Is spread over a pool by flow.
    pub const STEER: u32 = 2;
}

/// What is done on the way back, at TC egress: see [`crate::back`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackConfig {
    /// Addresses of those whose traffic is a key's: to the key's id.
    pub senders: PrefixTable,
    /// Addresses of pods whose answers are translated: to the shard's index plus one.
    pub pods: PrefixTable,
    /// The service's IPv6 address, as in the packet, where there are such.
    pub service6: [[u8; 8]; 2],
    /// The service's IPv4 address.
    pub service4: [u8; 4],
    /// 1 where there is anything to do.
    pub on: u8,
    /// 1 where it is counted.
    pub count: u8,
    /// 1 where pods' answers are translated.
    pub nat: u8,
    /// 1 where keys are stamped on what leaves.
    pub stamps: u8,
    /// 1 where marked packets are sent to the shard that their mark names.
    pub probes: u8,
    /// Bit `i` is set where field `i` of the first schema can be read on the way back.
    pub fields: u8,
    /// Explicit padding.
    pub _pad: [u8; 6],
}

const _: () = assert!(size_of::<BackConfig>() == 112 * 2 + 16 + 4 + 12);

/// How many services fit [`Config::services`].
pub const INLINE_SERVICES: usize = 4;

/// [`Config::services_len`] where the services are in the table of service sets.
pub const SERVICES_IN_TABLE: u32 = u32::MAX;

/// The size of each table in bytes, a power of two, less one. The kernel home masks offsets with these, which
/// is what lets the verifier see that no access leaves a table; an index inside a table is not changed by it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Of the prefix index.
    pub prefix_index: u32,
    /// Of the prefix steps.
    pub prefix_steps: u32,
    /// Of the steps' lower halves.
    pub prefix_low: u32,
    /// Of the key table.
    pub keys: u32,
    /// Of the keys' upper halves.
    pub keys_high: u32,
    /// Of the list of slot tables.
    pub slot_tables: u32,
    /// Of all slots.
    pub slots: u32,
    /// Of the shards.
    pub shards: u32,
    /// Of the pairs of sources and keys.
    pub pairs: u32,
    /// Of the pods.
    pub pods: u32,
    /// Of the stamps.
    pub stamps: u32,
    /// Of the slot tables of a placement before.
    pub old_tables: u32,
    /// Of their slots.
    pub old_slots: u32,
    /// Explicit padding.
    pub _pad: u32,
}

const _: () = assert!(size_of::<Bounds>() == 56);

/// The whole configuration of one program.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// [`ABI`].
    pub abi: u32,
    /// 1 for `mode: observe`: decide and count, then pass unmodified.
    pub observe: u8,
    /// 1 where the schema's fields take more than the lower 64 bits of the key.
    pub wide: u8,
    /// 1 to note every packet's headers, key and decision in the work area, for tests and tools: the traced
    /// variant of a program.
    pub record: u8,
    /// 1 to heed operators' words ([`crate::overlay`]): the variant of a program that is attached while there are any.
    pub overlay: u8,
    /// The secret of the flow hash (SipHash key).
    pub flow_secret: [u64; 2],
    /// Destinations that are ours: address to number of a [`crate::tables::ServiceSet`]; 0 is foreign.
    pub scope: PrefixTable,
    /// The services of every destination in scope, where all have the same and they fit.
    pub services: [Service; INLINE_SERVICES],
    /// By schema, its fields; a `carrier` of 0 ends a list.
    pub fields: [[FieldConfig; FIELDS]; SCHEMAS],
    /// The levels of all schemas, of each the most specific first; `fields` of 0 ends the list.
    pub levels: [LevelConfig; ALL_LEVELS],
    /// The versions of the schema, in the order that they are tried; those without levels are none.
    pub schemas: [SchemaConfig; SCHEMAS],
    /// What may be asserted where; the first is for interfaces that are not listed.
    pub interfaces: [InterfaceConfig; INTERFACES],
    /// How many of `interfaces` count; 0: everything may be asserted everywhere.
    pub interfaces_len: u32,
    /// What the deep program parses: bits of [`reads`].
    pub reads: u32,
    /// Where it finds tunnels.
    pub ports: Ports,
    /// Bytes of the connection id in a QUIC packet with a short header.
    pub quic_length: u8,
    /// 1 where keys list the sources that may use them.
    pub has_sources: u8,
    /// Explicit padding.
    pub _pad: [u8; 2],
    /// One of [`fragments`].
    pub fragments: u32,
    /// How many datagrams are remembered, where later fragments follow.
    pub datagrams: u32,
    /// Addresses to numbers of sets of keys, for [`crate::trust`].
    pub sources: PrefixTable,
    /// Entries of the table of pairs minus one; its size is a power of two.
    pub pair_mask: u32,
    /// How many entries a look-up of a pair may have to read, at most [`MAX_KEY_PROBES`].
    pub pair_probes: u32,
    /// By class number.
    pub classes: [ClassConfig; CLASSES],
    /// Entries of the key table minus one; the table's size is a power of two.
    pub key_mask: u32,
    /// How many entries a look-up may have to read, 1 to 16; 0: there are no keys.
    pub key_probes: u32,
    /// Right shift that leaves a key's hash as an index into the key table: 64 minus the number of
    /// bits of `key_mask`, at most 63.
    pub key_shift: u32,
    /// How many of `services` count, 0 for "everything", or [`SERVICES_IN_TABLE`].
    pub services_len: u32,
    /// How many shards there are.
    pub shards: u32,
    /// 1 while some placement changes ([`crate::migrate`]): the variant of a program that is attached meanwhile.
    pub migrating: u32,
    /// The way back.
    pub back: BackConfig,
    /// How the program's address arithmetic is kept inside its tables.
    pub bounds: Bounds,
}

const _: () = assert!(
    size_of::<Config>()
        == 8 + 16
            + 112
            + 4 * 8
            + 16 * 144
            + 7 * 40
            + 4 * 8
            + 16 * 12
            + 32
            + 112
            + 8
            + 8 * 8
            + 20
            + 256
            + 56
            + 4
);

impl Config {
    /// All zeroes: no scope, so everything is foreign.
    pub const ZERO: Self = {
        const INDEX: PrefixIndex = PrefixIndex {
            common: [0; 2],
            mask: [0; 2],
            base: 0,
            common4: 0,
            mask4: 0,
            value: 0,
            skip: 0,
            bits: 0,
            _pad: [0; 6],
        };
        const PREFIXES: PrefixTable = PrefixTable { v4: INDEX, v6: INDEX };
        const FIELD: FieldConfig = FieldConfig {
            prefixes: PREFIXES,
            mask: [0; 2],
            carrier: 0,
            shift: 0,
            place: 0,
            through_table: 0,
            narrow: 0,
            from: 0,
            length: 0,
            signed: 0,
            which: 0,
            _pad: [0; 4],
        };
        const LEVEL: LevelConfig = LevelConfig { mask: [0; 2], multipliers: [0; 2], fields: 0, _pad: [0; 7] };
        Self {
            abi: 0,
            observe: 0,
            wide: 0,
            record: 0,
            overlay: 0,
            flow_secret: [0; 2],
            scope: PREFIXES,
            services: [Service { low: 0, high: 0 }; INLINE_SERVICES],
            fields: [[FIELD; FIELDS]; SCHEMAS],
            levels: [LEVEL; ALL_LEVELS],
            schemas: [SchemaConfig {
                first_level: 0,
                levels: 0,
                fields: 0,
                version: 0,
                verify: 0,
                _pad: [0; 3],
            }; SCHEMAS],
            interfaces: [InterfaceConfig { index: 0, allowed: [0; SCHEMAS], verify: 0, _pad: [0; 3] };
                INTERFACES],
            interfaces_len: 0,
            reads: 0,
            ports: Ports { vxlan: 0, geneve: 0, gtpu: 0, quic: 0, shim: 0, _pad: 0 },
            quic_length: 0,
            has_sources: 0,
            _pad: [0; 2],
            fragments: fragments::ALIKE,
            datagrams: 0,
            sources: PREFIXES,
            pair_mask: 0,
            pair_probes: 0,
            classes: [ClassConfig { slots: 0, action: class_action::PASS }; CLASSES],
            key_mask: 0,
            key_probes: 0,
            key_shift: 0,
            services_len: 0,
            shards: 0,
            migrating: 0,
            back: BackConfig {
                senders: PREFIXES,
                pods: PREFIXES,
                service6: [[0; 8]; 2],
                service4: [0; 4],
                on: 0,
                count: 0,
                nat: 0,
                stamps: 0,
                probes: 0,
                fields: 0,
                _pad: [0; 6],
            },
            bounds: Bounds {
                prefix_index: 0,
                prefix_steps: 0,
                prefix_low: 0,
                keys: 0,
                keys_high: 0,
                slot_tables: 0,
                slots: 0,
                shards: 0,
                pairs: 0,
                pods: 0,
                stamps: 0,
                old_tables: 0,
                old_slots: 0,
                _pad: 0,
            },
        }
    };
}

/// The most entries of the key table that a look-up reads.
pub const MAX_KEY_PROBES: u32 = 16;
