//! Who may assert a key, as the policy has it: by interface. By key it is [`super::Key::sources`].

use keysteer_common::carrier::Carrier;

use super::diagnostic::Place;
use super::model::Schema;

/// What an interface's packets need for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustMode {
    /// Nothing: what they say is so.
    Trusted,
    /// Proof: a valid signature, or a source that the key lists.
    Verify,
    /// They have none, whatever they say.
    Ignore,
}

impl TrustMode {
    /// All of them, by name.
    pub const ALL: [(&'static str, Self); 3] =
        [("trusted", Self::Trusted), ("verify", Self::Verify), ("ignore", Self::Ignore)];

    /// As the policy writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::Verify => "verify",
            Self::Ignore => "ignore",
        }
    }
}

/// `spec.trust`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// Of interfaces that are not named.
    pub default: TrustRule,
    /// Of those that are, in the order of the document.
    pub interfaces: Vec<InterfaceTrust>,
}

/// What may be asserted on one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceTrust {
    /// Its name.
    pub name: String,
    /// What may.
    pub rule: TrustRule,
    /// Where the policy names it.
    pub at: Place,
}

/// What may be asserted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustRule {
    /// What it needs; where not given, a signature where the schema has signed fields, else nothing.
    pub mode: Option<TrustMode>,
    /// The versions of the schema that are read; all where not given.
    pub schemas: Option<Vec<u8>>,
    /// The carriers that are read; all where not given.
    pub carriers: Option<Vec<Carrier>>,
}

impl TrustRule {
    /// Which fields of a schema are read: bit `i` of field `i`.
    pub fn allowed(&self, schema: &Schema) -> u8 {
        let ignored = self.mode == Some(TrustMode::Ignore)
            || self.schemas.as_ref().is_some_and(|versions| !versions.contains(&schema.version));
        if ignored {
            return 0;
        }
        let read = |carrier: &Carrier| self.carriers.as_ref().is_none_or(|list| list.contains(carrier));
        let fields = schema.fields.iter().zip(0..8).filter(|(field, _)| read(&field.carrier));
        fields.fold(0, |bits, (_, field)| bits | 1 << field)
    }

    /// Whether what a schema asserts needs proof.
    pub fn verifies(&self, schema: &Schema) -> bool {
        self.mode.map_or_else(|| schema.is_signed(), |mode| mode == TrustMode::Verify)
    }
}

impl Trust {
    /// The rule of an interface.
    pub fn rule(&self, interface: &str) -> &TrustRule {
        let named = self.interfaces.iter().find(|it| it.name == interface);
        named.map_or(&self.default, |named| &named.rule)
    }
}
