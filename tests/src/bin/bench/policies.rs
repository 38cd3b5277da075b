//! The configurations that rows are measured with, as policies.

use std::fmt::Write as _;

use keysteer::image::Image;
use keysteer::migration::{Settings, begin};
use keysteer_common::program::Hook;
use keysteer_common::tables::KeyEntry;

/// A policy, what is done to its image, and its budgets.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) name: &'static str,
    pub(crate) text: String,
    /// Its `keysFrom`, to be put into [`KEYS`].
    pub(crate) csv: String,
    pub(crate) change: fn(&mut Image),
    /// The hook that it is for: the program whose size is reported.
    pub(crate) hook: Hook,
    pub(crate) verified_budget: u32,
    pub(crate) memory_budget: Option<u64>,
}

/// The name of the file that keys come from.
pub(crate) const KEYS: &str = "keys.csv";

/// The parts of a policy that rows differ in.
pub(crate) struct Parts<'a> {
    pub(crate) scope: String,
    pub(crate) tables: String,
    pub(crate) fields: &'a str,
    pub(crate) levels: &'a str,
    pub(crate) target: &'a str,
    pub(crate) shards: usize,
    pub(crate) tier: &'a str,
    pub(crate) classes: &'a str,
    pub(crate) spec: &'a str,
    /// In the place of the one schema that `fields` and `levels` make.
    pub(crate) schemas: Option<&'a str>,
}

impl Default for Parts<'_> {
    fn default() -> Self {
        Self {
            scope: String::from(
                "    - {destinations: [203.0.113.10/32, \"2001:db8:10::10/128\"], services: [tcp/443, udp/443]}\n",
            ),
            tables: String::new(),
            fields: "        - {name: tenant, from: ipv4.src}\n",
            levels: "[[tenant]]",
            // The loopback is what a test run arrives on, so that this is XDP_TX.
            target: "{nextHop: {interface: lo, mac: \"02:00:00:00:00:0a\"}}",
            shards: 16,
            tier: "{name: t, pool: p, width: 1}",
            classes: "{missing: {pool: p}, unregistered: {pool: p}, malformed: drop}",
            spec: "",
            schemas: None,
        }
    }
}

/// The verifier may look at so many instructions for any policy of these.
const VERIFIED: u32 = 120_000;

pub(crate) fn policy(
    name: &'static str,
    parts: &Parts<'_>,
    header: &str,
    keys: impl Iterator<Item = String>,
) -> Policy {
    let one = || format!("    - version: 1\n      fields:\n{}      levels: {}\n", parts.fields, parts.levels);
    let schemas = parts.schemas.map_or_else(one, str::to_owned);
    let mut text = format!(
        "apiVersion: keysteer.dev/v1alpha1\nkind: SteeringPolicy\nmetadata: {{name: bench}}\nspec:\n  \
         environment: bench\n{}  interfaces: [{{name: lo}}]\n  scope:\n{}{}  schemas:\n{schemas}  shards:\n",
        parts.spec, parts.scope, parts.tables
    );
    let mut names = Vec::new();
    for shard in 0..parts.shards {
        let _ = writeln!(text, "    - {{name: s{shard}, target: {}}}", parts.target);
        names.push(format!("s{shard}"));
    }
    let _ = write!(
        text,
        "  pools: [{{name: p, shards: [{}]}}]\n  tiers: [{}]\n  keysFrom: {KEYS}\n  classes: {}\n",
        names.join(", "),
        parts.tier,
        parts.classes
    );
    let mut csv = format!("{header}\n");
    for key in keys {
        csv.push_str(&key);
        csv.push('\n');
    }
    Policy {
        name,
        text,
        csv,
        change: |_| {},
        hook: Hook::Xdp,
        verified_budget: VERIFIED,
        memory_budget: None,
    }
}

pub(crate) const BY_TENANT: &str = "name,match.tenant,tier";

pub(crate) fn by_source(count: u32) -> impl Iterator<Item = String> {
    (0..count).map(|n| format!("k{n},{},t", 0x0a00_0000 + n))
}

pub(crate) fn numbered(count: u32) -> impl Iterator<Item = String> {
    (0..count).map(|n| format!("k{n},{n},t"))
}

/// A scope of so many /24 and /48, none of which holds the address that rows use as foreign.
fn scope(count: u32) -> String {
    let mut text = String::from("    - services: [tcp/443, udp/443]\n      destinations:\n");
    for n in 0..count / 2 {
        let _ = writeln!(text, "        - 198.{}.{}.0/24", 18 + n / 256, n % 256);
        let _ = writeln!(text, "        - \"2001:db8:{:x}::/48\"", 0x10 + n);
    }
    text
}

/// So many random prefixes inside 10.0.0.0/8, /10 to /28, over 1,024 tenants.
fn prefixes(count: usize) -> String {
    let mut text = String::from("  prefixTables:\n    tenants:\n      10.0.0.0/8: t0\n");
    let mut seen = std::collections::HashSet::new();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    while seen.len() < count - 1 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let length = 10 + (state >> 40) % 19;
        let address = 0x0a00_0000 | (state as u32 & 0x00ff_ffff) & (u32::MAX << (32 - length));
        if seen.insert((address, length)) {
            let [a, b, c, d] = address.to_be_bytes();
            let _ = writeln!(text, "      {a}.{b}.{c}.{d}/{length}: t{}", seen.len() % 1024);
        }
    }
    text
}

fn labelled() -> impl Iterator<Item = String> {
    (0..1024).map(|n| format!("k{n},t{n},t"))
}

fn prefix_policy(name: &'static str, count: usize) -> Policy {
    let parts = Parts {
        tables: prefixes(count),
        fields: "        - {name: tenant, from: ip.src, table: tenants}\n",
        ..Parts::default()
    };
    policy(name, &parts, BY_TENANT, labelled())
}

/// Puts fifteen other keys before the only one.
fn crowd(image: &mut Image) {
    let Some(at) = image.keys.iter().position(|entry| entry.id != 0) else { return };
    let entry = std::mem::take(&mut image.keys[at]);
    let len = image.keys.len();
    for before in 0..15 {
        image.keys[(at + before) % len] = KeyEntry { key: 1 << 40 | before as u64, ..entry };
    }
    image.keys[(at + 15) % len] = entry;
    image.config.key_probes = 16;
}

/// Has every key come from the next shard.
fn moving(image: &mut Image) {
    let mut live = image.clone();
    let shards = u16::try_from(image.config.shards).unwrap_or(1);
    for entry in live.keys.iter_mut().filter(|entry| entry.meta.is_direct()) {
        entry.place = (entry.place + 1) % shards;
    }
    let settings = Settings { pins: 1 << 17, holds: &|_| false, exists: &|_| true };
    let moves = begin(&live, image, &settings);
    image.migrate(moves);
}

/// Every configuration.
pub(crate) fn all() -> Vec<Policy> {
    let parts = Parts::default;
    let target =
        |name, target| policy(name, &Parts { target, shards: 1, ..parts() }, BY_TENANT, by_source(1));
    vec![
        Policy {
            memory_budget: Some(24 << 20),
            ..policy("1,024 keys", &parts(), BY_TENANT, by_source(1024))
        },
        Policy { hook: Hook::Tc, ..policy("1,024 keys at TC", &parts(), BY_TENANT, by_source(1024)) },
        Policy { change: moving, ..policy("1,024 keys that move", &parts(), BY_TENANT, by_source(1024)) },
        // Apart, so that the flows of one are no pins among those of the other.
        Policy { change: moving, ..policy("moving, 65,536 pins", &parts(), BY_TENANT, by_source(1024)) },
        policy("65,536 keys", &parts(), BY_TENANT, by_source(65_536)),
        policy("1,048,576 keys", &parts(), BY_TENANT, by_source(1 << 20)),
        policy(
            "levels",
            &Parts {
                fields: "        - {name: tenant, from: ipv4.src}\n        - {name: product, from: ip.dscp}\n",
                levels: "[[tenant, product], [tenant]]",
                ..parts()
            },
            "name,match.tenant,match.product,tier",
            (0..1024).flat_map(|n| {
                let tenant = 0x0a00_0000 + n;
                [format!("k{n},{tenant},,t"), format!("v{n},{tenant},34,t")]
            }),
        ),
        policy(
            "classes",
            &Parts {
                tables: String::from("  prefixTables: {tenants: {10.0.0.0/8: ten, 11.0.0.0/8: eleven}}\n"),
                fields: "        - {name: tenant, from: ip.src, table: tenants}\n",
                classes: "{missing: pass, unregistered: drop, malformed: drop}",
                ..parts()
            },
            BY_TENANT,
            std::iter::once(String::from("k,ten,t")),
        ),
        Policy { change: crowd, ..policy("16 probes", &parts(), BY_TENANT, by_source(1)) },
        prefix_policy("1,024 prefixes", 1024),
        prefix_policy("100,000 prefixes", 100_000),
        policy(
            "IPv6",
            &Parts {
                fields: "        - {name: tenant, from: ipv6.src, bits: {offset: 32, length: 32}}\n",
                ..parts()
            },
            BY_TENANT,
            numbered(1024),
        ),
        policy(
            "VLAN",
            &Parts { fields: "        - {name: tenant, from: vlan.id}\n", ..parts() },
            BY_TENANT,
            numbered(1024),
        ),
        policy(
            "width 4",
            &Parts { tier: "{name: t, pool: p, width: 4}", ..parts() },
            BY_TENANT,
            by_source(1024),
        ),
        policy("scope of 64", &Parts { scope: scope(64), ..parts() }, BY_TENANT, by_source(1024)),
        policy("scope of 1,000", &Parts { scope: scope(1000), ..parts() }, BY_TENANT, by_source(1024)),
        target("target pass", "pass"),
        target("target drop", "drop"),
        target("target cpu", "{cpu: 0}"),
        target("target interface", "{interface: {name: lo, mac: \"02:00:00:00:00:0a\"}}"),
        target("target next hop", "{nextHop: {interface: lo, mac: \"02:00:00:00:00:0a\"}}"),
        policy("observe", &Parts { spec: "  mode: observe\n", ..parts() }, BY_TENANT, by_source(1)),
        policy(
            "denied",
            &parts(),
            "name,match.tenant,tier,deny,reason",
            std::iter::once(format!("k,{},t,true,unpaid", 0x0a00_0000)),
        ),
    ]
}
