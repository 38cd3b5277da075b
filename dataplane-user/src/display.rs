//! How values of the schema's fields are shown: plainly, as a hash that only tells equal ones, or not at all. Whatever
//! leaves the process for people or collectors (answers of the local API, the command line, logs, events) has its values
//! from here; what is kept in the state directory, and what packets are decided by, is plain.
//!
//! ```text
//!  policy    a field's `display`                           -> Display
//!  secrets   a key of the node, or of one run              -> Veil
//!  image     a field and a value, through the veil         -> the text that is shown
//! ```

use std::fmt;

use siphasher::sip::SipHasher24;

/// What is shown of a value that is masked.
pub const MASK: &str = "****";

/// What a shown hash begins with.
pub const HASHED: &str = "h:";

/// How a field's values are shown. The later hides more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Display {
    /// As they are.
    #[default]
    Plain,
    /// As a hash under a secret of the node: equal values look equal, and that is all.
    KeyedHash,
    /// As [`MASK`].
    Masked,
}

impl Display {
    /// All, by their names in the policy.
    pub const NAMED: [(&'static str, Self); 3] =
        [("plain", Self::Plain), ("keyed-hash", Self::KeyedHash), ("masked", Self::Masked)];

    /// The name in the policy.
    pub fn name(self) -> &'static str {
        Self::NAMED.iter().find(|(_, it)| *it == self).map_or("", |(name, _)| name)
    }

    /// Whether values are not shown as they are.
    pub fn hides(self) -> bool {
        self != Self::Plain
    }
}

/// What values are shown through: the secret of the hash, unless it was lifted for somebody who may see all.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Veil {
    key: [u64; 2],
    lifted: bool,
}

/// The secret is nobody's to read.
impl fmt::Debug for Veil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Veil").field("lifted", &self.lifted).finish_non_exhaustive()
    }
}

impl Veil {
    /// A veil whose hashes are keyed with `key`, the two halves of a SipHash-2-4 key.
    pub fn new(key: [u64; 2]) -> Self {
        Self { key, lifted: false }
    }

    /// The same, lifted if `reveal`: then everything is shown plainly.
    #[must_use]
    pub fn lift(self, reveal: bool) -> Self {
        Self { lifted: self.lifted || reveal, ..self }
    }

    /// Whether everything is shown plainly.
    pub fn is_lifted(&self) -> bool {
        self.lifted
    }

    /// A value as it is shown. `of` is what it is a value of: equal values of the same look equal. `plain` is its text,
    /// which is asked for only if it is needed.
    pub fn show(&self, display: Display, of: &str, plain: impl FnOnce() -> String) -> String {
        match display {
            _ if self.lifted => plain(),
            Display::Plain => plain(),
            Display::KeyedHash => self.hash(of, &plain()),
            Display::Masked => MASK.to_owned(),
        }
    }

    /// `h:` and 16 hexadecimal digits.
    fn hash(&self, of: &str, plain: &str) -> String {
        let [one, other] = self.key;
        // Names hold no zero byte, so no two pairs make the same text.
        let text = [of.as_bytes(), &[0], plain.as_bytes()].concat();
        format!("{HASHED}{:016x}", SipHasher24::new_with_keys(one, other).hash(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(key: u64, display: Display, of: &str, plain: &str) -> String {
        Veil::new([key, 7]).show(display, of, || plain.to_owned())
    }

    #[test]
    fn a_hash_tells_equal_values_of_one_field_on_one_node_and_nothing_else() {
        let hash = |key, of: &str, plain: &str| shown(key, Display::KeyedHash, of, plain);
        let acme = hash(1, "tenants", "acme");
        assert_eq!(acme, hash(1, "tenants", "acme"));
        let others = [
            hash(1, "tenants", "globex"),
            hash(2, "tenants", "acme"),
            hash(1, "sites", "acme"),
            hash(1, "tenantsa", "cme"),
        ];
        assert!(others.iter().all(|other| *other != acme), "{acme} {others:?}");
        let digits = acme.strip_prefix(HASHED).unwrap();
        assert!(digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()), "{acme}");
    }

    /// The reference vectors of SipHash-2-4 (key and message of ascending bytes), for a message of 15 bytes of which the
    /// first is the zero between the two names.
    #[test]
    fn the_hash_is_siphash_2_4() {
        let key = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        let text: String = (1..15).map(char::from).collect();
        let shown = Veil::new(key).show(Display::KeyedHash, "", || text);
        assert_eq!(shown, "h:a129ca6149be45e5");
    }

    #[test]
    fn a_mask_tells_nothing_and_plain_everything() {
        assert_eq!(shown(1, Display::Masked, "f", "a"), shown(2, Display::Masked, "g", "much longer"));
        assert_eq!(shown(1, Display::Plain, "f", "acme"), "acme");
        for (_, display) in Display::NAMED {
            assert_eq!(Veil::new([1, 7]).lift(true).show(display, "f", || "acme".to_owned()), "acme");
            assert_eq!(Veil::default().lift(true).lift(false), Veil::default().lift(true));
        }
    }

    #[test]
    fn the_secret_is_not_in_debug_output() {
        assert_eq!(format!("{:?}", Veil::new([0x5a5a, 0xa5a5])), "Veil { lifted: false, .. }");
    }
}
