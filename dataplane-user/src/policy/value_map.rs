//! Names of a field's values: several values of one name are one value of the key.

/// The most values that have a name in one field.
pub(super) const MAPPED: usize = 64;

/// Names of values; none where there are no names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValueMap {
    /// Names and their values, ascending.
    names: Vec<(String, Vec<u128>)>,
}

impl ValueMap {
    /// Of names with their values, each value once.
    pub(super) fn new(mut names: Vec<(String, Vec<u128>)>) -> Self {
        names.sort_unstable();
        names.iter_mut().for_each(|(_, values)| values.sort_unstable());
        Self { names }
    }

    /// Whether no value has a name.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The name of a value.
    pub fn name(&self, value: u128) -> Option<&str> {
        let has = |(_, values): &&(String, Vec<u128>)| values.binary_search(&value).is_ok();
        self.names.iter().find(has).map(|(name, _)| name.as_str())
    }

    /// The values of a name, ascending.
    pub fn values(&self, name: &str) -> Option<&[u128]> {
        let at = self.names.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok()?;
        self.names.get(at).map(|(_, values)| values.as_slice())
    }

    /// The names with their values, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u128])> + Clone {
        self.names.iter().map(|(name, values)| (name.as_str(), values.as_slice()))
    }
}
