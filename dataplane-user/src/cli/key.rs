//! `keysteer key`

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};

use super::output::{Align, Table, print_list, print_one};
use super::word::WordArgs;
use super::{Read, Reveal};
use crate::control::client::segment;
use crate::control::types::{Claim, Key};

/// Show allocation keys, and deny or allow them
#[derive(Debug, Args)]
pub(super) struct KeyArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the registered keys with their counters
    List {
        #[command(flatten)]
        reveal: Reveal,
        #[command(flatten)]
        read: Read,
    },
    /// Show one key
    Get {
        /// Its name in the policy
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        #[command(flatten)]
        reveal: Reveal,
        #[command(flatten)]
        read: Read,
    },
    /// Show who claims keys without right: by key and interface
    Claims {
        /// The key's name in the policy; all keys where not given
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: Option<String>,
        #[command(flatten)]
        read: Read,
    },
    /// Drop a key's packets, whatever the policy says; survives restarts, applies and rollbacks
    Deny {
        #[command(flatten)]
        word: WordArgs,
    },
    /// Steer a key that the policy denies; or, of any other, take back a deny
    Allow {
        #[command(flatten)]
        word: WordArgs,
    },
    /// Take back what was said: the policy decides again
    Clear {
        #[command(flatten)]
        word: WordArgs,
    },
}

pub(super) fn run(args: &KeyArgs) -> anyhow::Result<()> {
    match &args.verb {
        Verb::Deny { word } => word.ask("keys", "deny", "is denied"),
        Verb::Allow { word } => word.ask("keys", "allow", "is allowed"),
        Verb::Clear { word } => word.take_back("keys", "clear", "is as the policy says"),
        Verb::List { reveal, read } => {
            let keys: Vec<Key> = read.client().get(&reveal.path("/v1/keys"))?;
            print_list(read.output, &keys, || render_list(&keys))
        }
        Verb::Get { name, reveal, read } => {
            let path = reveal.path(&format!("/v1/keys/{}", segment(name)));
            let key: Key = read.client().get(&path)?;
            print_one(read.output, &key, || render(&key))
        }
        Verb::Claims { name, read } => {
            let claims: Vec<Claim> = match name {
                Some(name) => read.client().get::<Key>(&format!("/v1/keys/{}", segment(name)))?.claims,
                None => read.client().get("/v1/claims")?,
            };
            print_list(read.output, &claims, || render_claims(&claims))
        }
    }
}

fn render_list(keys: &[Key]) -> String {
    let mut table = Table::new([
        ("KEY", Align::Left),
        ("ID", Align::Right),
        ("POOL", Align::Left),
        ("WIDTH", Align::Right),
        ("TIER", Align::Left),
        ("OWNER", Align::Left),
        ("PACKETS", Align::Right),
        ("BYTES", Align::Right),
        ("FLOWS", Align::Right),
        ("DROPPED", Align::Right),
        ("STATE", Align::Left),
    ]);
    for key in keys {
        table.row([
            key.name.clone(),
            key.id.to_string(),
            key.pool.clone(),
            key.width.clone(),
            key.tier.clone().unwrap_or_default(),
            key.owner.clone().unwrap_or_default(),
            key.packets.to_string(),
            key.bytes.to_string(),
            key.flows.to_string(),
            dropped(key).to_string(),
            state(key),
        ]);
    }
    table.render()
}

/// What becomes of a key's packets.
fn state(key: &Key) -> String {
    let state = if key.denied.is_some() { "denied" } else { "steered" };
    match &key.alias_of {
        Some(other) => format!("{state}, alias of {other}"),
        None => state.to_owned(),
    }
}

fn render(key: &Key) -> String {
    let mut table = Table::new([("", Align::Left), ("", Align::Left)]);
    let mut fact = |name: &str, value: String| table.row([name.to_owned(), value]);
    fact("key", key.name.clone());
    fact("id", key.id.to_string());
    for (field, value) in &key.values {
        fact(&format!("field {field}"), value.clone());
    }
    fact("level", key.level.join(" "));
    fact("schema", key.schemas.iter().map(u8::to_string).collect::<Vec<_>>().join(" and "));
    fact("pool", key.pool.clone());
    fact("width", key.width.clone());
    fact("shards", key.shards.join(" "));
    let named = [
        ("alias of", &key.alias_of),
        ("tier", &key.tier),
        ("owner", &key.owner),
        ("cost centre", &key.cost_centre),
        ("account", &key.account),
        ("denied", &key.denied),
    ];
    for (name, value) in named.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))) {
        fact(name, value);
    }
    if !key.sources.is_empty() {
        fact("sources", key.sources.join(" "));
    }
    fact("packets", key.packets.to_string());
    fact("bytes", key.bytes.to_string());
    fact("flows", key.flows.to_string());
    if let Some(sent) = &key.sent {
        fact("sent", format!("{} packets, {} bytes", sent.packets, sent.bytes));
    }
    for (reason, count) in &key.drops {
        fact(&format!("dropped {reason}"), format!("{} packets, {} bytes", count.packets, count.bytes));
    }
    for claim in &key.claims {
        let interface = claim.interface.as_deref().unwrap_or_default();
        fact(&format!("claimed by {interface}"), format!("{} packets, {} bytes", claim.packets, claim.bytes));
    }
    table.render()
}

fn render_claims(claims: &[Claim]) -> String {
    let mut table = Table::new([
        ("KEY", Align::Left),
        ("INTERFACE", Align::Left),
        ("PACKETS", Align::Right),
        ("BYTES", Align::Right),
    ]);
    for claim in claims {
        let key = match (&claim.key, claim.id, &claim.interface) {
            (Some(key), _, _) => key.clone(),
            (None, 0, None) => "(not told apart)".to_owned(),
            (None, 0, Some(_)) => "(not registered)".to_owned(),
            (None, id, _) => format!("(retired, id {id})"),
        };
        let interface = claim.interface.clone().unwrap_or_default();
        table.row([key, interface, claim.packets.to_string(), claim.bytes.to_string()]);
    }
    table.render()
}

fn dropped(key: &Key) -> u64 {
    key.drops.values().map(|count| count.packets).sum()
}
