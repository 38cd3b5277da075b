//! What operators say of keys and shards, over the policy: `keysteer key deny` and so on.

use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use crate::control::client::{Client, segment};
use crate::control::types::{DEFAULT_SOCKET, WordRequest};
use crate::messages::say;
use crate::state::time::span;

/// Of what, why, and for how long.
#[derive(Debug, Args)]
pub(super) struct WordArgs {
    /// Its name in the policy
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    name: String,
    /// For how long, such as 30m, 1h or 2d; else until it is taken back
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    time: Option<u64>,
    /// Why; it is shown, and kept in the audit log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// The agent's socket
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
    socket: PathBuf,
}

fn seconds(text: &str) -> Result<u64, String> {
    span(text).map(|span| span.as_secs().max(1)).map_err(|error| error.to_string())
}

impl WordArgs {
    /// Asks for `verb` on one of `kind` (the API's plural), and says `done` of it.
    pub(super) fn ask(&self, kind: &str, verb: &str, done: &str) -> anyhow::Result<()> {
        let Self { name, time, reason, socket } = self;
        let request = WordRequest { reason: reason.clone(), seconds: *time };
        Client::new(socket).post::<()>(&format!("/v1/{kind}/{}/{verb}", segment(name)), &request)?;
        say(&format!(
            "{name} {done}, over any policy, until {}",
            match time {
                Some(seconds) => format!("{seconds} s have passed"),
                None => "it is taken back".to_owned(),
            }
        ));
        Ok(())
    }

    /// Takes back what was said.
    pub(super) fn take_back(&self, kind: &str, verb: &str, done: &str) -> anyhow::Result<()> {
        let Self { name, reason, socket, .. } = self;
        let request = WordRequest { reason: reason.clone(), seconds: None };
        Client::new(socket).post::<()>(&format!("/v1/{kind}/{}/{verb}", segment(name)), &request)?;
        say(&format!("{name} {done}"));
        Ok(())
    }
}
