//! What is constant for one loaded program: it is placed in `.rodata`, so that the verifier knows
//! every value and removes the branches of what the policy does not use (decision 2).

use crate::headers::{FIELDS, LEVELS};
use crate::tables::Service;
use crate::vocabulary::CLASSES;

/// Version of everything that crosses the boundary between the program and user space: [`Config`],
/// the table entries, the counters, the vocabulary. Raise it with any change to them.
pub const ABI: u32 = 2;

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
    /// Explicit padding.
    pub _pad: [u8; 3],
}

const _: () = assert!(size_of::<FieldConfig>() == 136);

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
}

const _: () = assert!(size_of::<Bounds>() == 32);

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
    /// Explicit padding.
    pub _pad: u8,
    /// The secret of the flow hash (SipHash key).
    pub flow_secret: [u64; 2],
    /// Destinations that are ours: address to number of a [`crate::tables::ServiceSet`]; 0 is foreign.
    pub scope: PrefixTable,
    /// The services of every destination in scope, where all have the same and they fit.
    pub services: [Service; INLINE_SERVICES],
    /// The schema's fields; a `carrier` of 0 ends the list.
    pub fields: [FieldConfig; FIELDS],
    /// The schema's levels, most specific first; `fields` of 0 ends the list.
    pub levels: [LevelConfig; LEVELS],
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
    /// The schema's version.
    pub schema: u32,
    /// How many shards there are.
    pub shards: u32,
    /// How the program's address arithmetic is kept inside its tables.
    pub bounds: Bounds,
}

const _: () = assert!(size_of::<Config>() == 8 + 16 + 112 + 4 * 8 + 4 * 136 + 4 * 40 + 8 * 8 + 24 + 32);

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
            _pad: [0; 3],
        };
        const LEVEL: LevelConfig = LevelConfig { mask: [0; 2], multipliers: [0; 2], fields: 0, _pad: [0; 7] };
        Self {
            abi: 0,
            observe: 0,
            wide: 0,
            record: 0,
            _pad: 0,
            flow_secret: [0; 2],
            scope: PREFIXES,
            services: [Service { low: 0, high: 0 }; INLINE_SERVICES],
            fields: [FIELD; FIELDS],
            levels: [LEVEL; LEVELS],
            classes: [ClassConfig { slots: 0, action: class_action::PASS }; CLASSES],
            key_mask: 0,
            key_probes: 0,
            key_shift: 0,
            services_len: 0,
            schema: 0,
            shards: 0,
            bounds: Bounds {
                prefix_index: 0,
                prefix_steps: 0,
                prefix_low: 0,
                keys: 0,
                keys_high: 0,
                slot_tables: 0,
                slots: 0,
                shards: 0,
            },
        }
    };
}

/// The most entries of the key table that a look-up reads.
pub const MAX_KEY_PROBES: u32 = 16;
