//! What an entry says.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::state::{Timestamp, Who};

/// What a change was about; written `key:acme`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A key, by its name in the policy (by its identity where the policy no longer has it).
    Key(String),
    /// A shard, by name.
    Shard(String),
    /// A policy, by `metadata.name`.
    Policy(String),
    /// An interface, by name.
    Interface(String),
    /// Something else.
    Other(String),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(name) => write!(f, "key:{name}"),
            Self::Shard(name) => write!(f, "shard:{name}"),
            Self::Policy(name) => write!(f, "policy:{name}"),
            Self::Interface(name) => write!(f, "interface:{name}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl Subject {
    /// Reads what is written; every text is a subject.
    pub fn parse(text: &str) -> Self {
        match text.split_once(':') {
            Some(("key", name)) => Self::Key(name.to_owned()),
            Some(("shard", name)) => Self::Shard(name.to_owned()),
            Some(("policy", name)) => Self::Policy(name.to_owned()),
            Some(("interface", name)) => Self::Interface(name.to_owned()),
            _ => Self::Other(text.to_owned()),
        }
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Subject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::parse(&text))
    }
}

/// What came of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was made.
    Ok,
    /// It was begun and did not succeed.
    Failed,
    /// It was not begun.
    Refused,
}

impl Outcome {
    /// Its name, as it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Who asked for it.
    #[serde(flatten)]
    pub who: Who,
    /// What was asked for, such as `apply` or `key-deny`.
    pub action: String,
    /// Of what.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub subject: Option<Subject>,
    /// Why, in the asker's words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// The generation that was live before.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<u64>,
    /// The generation that is live after, or would have been.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub to: Option<u64>,
    /// Digest of the plan that was carried out.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub plan: Option<String>,
    /// What came of it.
    pub result: Outcome,
    /// More, in words: why it failed, until when it holds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
}

impl Event {
    /// An event without more.
    pub fn new(who: Who, action: &str, result: Outcome) -> Self {
        let action = action.to_owned();
        Self {
            who,
            action,
            subject: None,
            reason: None,
            from: None,
            to: None,
            plan: None,
            result,
            detail: None,
        }
    }
}

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, from 1.
    pub seq: u64,
    /// When it happened.
    pub time: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
    /// Hash of the entry before; zeros for the first.
    pub prev: String,
    /// Hash of this entry: see [`crate::state::audit`].
    pub hash: String,
}
