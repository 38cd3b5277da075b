//! By which schemas a key is registered: by each that has a level of exactly its fields and whose fields can take its
//! values. That a value is called the same by all of them is checked, so that a key is the same key whichever schemas there
//! are.

use std::collections::HashMap;

use crate::policy::diagnostic::{Place, Problem};
use crate::policy::model::{Field, PrefixTable, Schema, Spelling};
use crate::policy::reader::At;
use crate::policy::value_map::ValueMap;

use super::field_value::{plain_value, unknown_label};
use super::keys::Draft;

/// The most entries of the key table that one key can have.
const ENTRIES: usize = 4096;

/// A schema, as keys are held against it.
struct Lens<'c> {
    schema: &'c Schema,
    /// By field name, as [`Lenses`] numbers them: the field.
    fields: Vec<Option<usize>>,
    /// By field: the numbers of the labels of its table.
    labels: Vec<HashMap<&'c str, u32>>,
    /// Sets of field names, as bits, and their level's number over all schemas.
    levels: Vec<(u16, u8)>,
}

/// All schemas.
pub(super) struct Lenses<'c> {
    tables: &'c [PrefixTable],
    lenses: Vec<Lens<'c>>,
    /// The names that fields have, each once.
    names: Vec<&'c str>,
    by_name: HashMap<&'c str, usize>,
}

/// Where a key is registered.
pub(super) struct Spelled {
    pub(super) first: Spelling,
    pub(super) also: Vec<Spelling>,
}

/// What is wrong with a value: where, of which field, what.
type Wrong<'c> = (Place, &'c str, Problem);

/// The values that a text stands for.
enum Values<'c> {
    One(u128),
    Named(&'c [u128]),
}

impl<'c> Lenses<'c> {
    pub(super) fn new(tables: &'c [PrefixTable], schemas: &'c [Schema]) -> Self {
        let mut names = Vec::new();
        let mut by_name = HashMap::new();
        for name in schemas.iter().flat_map(|schema| &schema.fields).map(|field| field.name.as_str()) {
            by_name.entry(name).or_insert_with(|| {
                names.push(name);
                names.len() - 1
            });
        }
        let mut number = 0..;
        let mut lens = |schema: &'c Schema| {
            let at = |name: &&str| schema.fields.iter().position(|field| field.name == *name);
            let labels = schema.fields.iter().map(|field| {
                let table = field.table.and_then(|at| tables.get(at));
                table.into_iter().flat_map(|table| table.labels.iter().map(String::as_str).zip(1..)).collect()
            });
            let member = |at: &usize| Some(*by_name.get(schema.fields.get(*at)?.name.as_str())?);
            let levels = schema.levels.iter().zip(&mut number);
            Lens {
                schema,
                fields: names.iter().map(at).collect(),
                labels: labels.collect(),
                levels: levels.map(|(level, nth)| (bits(level.iter().filter_map(member)), nth)).collect(),
            }
        };
        let lenses = schemas.iter().map(&mut lens).collect();
        Self { tables, lenses, names, by_name }
    }

    /// The number of a field's name, or what is wrong with it.
    pub(super) fn field(&self, name: &str) -> Result<usize, Problem> {
        let unknown = || Problem::unknown("field", name, self.names.iter().copied());
        self.by_name.get(name).copied().ok_or_else(unknown)
    }

    /// The names that fields have.
    pub(super) fn names(&self) -> &[&'c str] {
        &self.names
    }

    /// The value of a field of this name in a spelling, in canonical text.
    pub(super) fn text_of(&self, name: &str, spelling: Spelling) -> Option<String> {
        let lens =
            self.lenses.iter().find(|lens| lens.levels.iter().any(|(_, nth)| *nth == spelling.level))?;
        let at = self.by_name.get(name)?;
        let (members, _) = lens.levels.iter().find(|(_, nth)| *nth == spelling.level)?;
        let field = lens.field(*at).filter(|_| members >> at & 1 != 0)?;
        Some(field.text(self.tables, field.value(spelling.key)))
    }

    /// Whether there are several schemas.
    pub(super) fn are_several(&self) -> bool {
        self.lenses.len() > 1
    }

    /// What a spelling is called by any schema: its fields, by name, with their values.
    pub(super) fn called(&self, spelling: Spelling) -> String {
        let mut fields: Vec<(&str, String)> =
            self.names.iter().filter_map(|name| Some((*name, self.text_of(name, spelling)?))).collect();
        fields.sort_unstable();
        let words: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        words.join(", ")
    }

    /// Where a key is registered; `None` where that was said to be wrong.
    pub(super) fn spell(
        &self,
        draft: &Draft<'_>,
        fail: &mut impl FnMut(Place, &str, Problem),
    ) -> Option<Spelled> {
        let only = draft.rest.schema.as_ref();
        if let Some(only) = only
            && self.lenses.iter().all(|lens| u32::from(lens.schema.version) != only.value)
        {
            let versions: Vec<String> =
                self.lenses.iter().map(|lens| lens.schema.version.to_string()).collect();
            let problem =
                format!("there is no version {} of the schema: there is {}", only.value, versions.join(", "));
            fail(only.at, "schema", problem.into());
            return None;
        }
        let members = bits(draft.values.iter().map(|(at, _)| *at));
        let wanted = |lens: &&Lens<'_>| only.is_none_or(|only| u32::from(lens.schema.version) == only.value);
        let wanted = || self.lenses.iter().filter(wanted);
        let mut found: Option<(Spelled, &Lens<'_>)> = None;
        let mut wrong: Vec<(u8, Vec<Wrong<'_>>)> = Vec::new();
        let mut has_level = false;
        for lens in wanted() {
            let Some((_, level)) = lens.levels.iter().find(|(fields, _)| *fields == members) else {
                continue;
            };
            has_level = true;
            let keys = match self.keys(lens, draft) {
                Ok(keys) => keys,
                Err(problems) => {
                    wrong.push((lens.schema.version, problems));
                    continue;
                }
            };
            let mut spellings = keys.into_iter().map(|key| Spelling { level: *level, key });
            let Some(first) = spellings.next() else { continue };
            match &mut found {
                None => found = Some((Spelled { first, also: spellings.collect() }, lens)),
                Some((spelled, before)) => {
                    if let Some(problem) = self.differs(draft, (spelled.first, before), (first, lens)) {
                        fail(draft.at, "match", problem);
                        return None;
                    }
                    spelled.also.push(first);
                    spelled.also.extend(spellings);
                }
            }
        }
        match found {
            Some((spelled, _)) if spelled.also.len() < ENTRIES => Some(spelled),
            Some((spelled, _)) => {
                let problem = format!(
                    "stands for {} combinations of values: at most {ENTRIES} are possible for one key",
                    spelled.also.len() + 1
                );
                fail(draft.at, "match", problem.into());
                None
            }
            None => {
                let lenses: Vec<&Lens<'_>> = wanted().collect();
                if !has_level {
                    fail(draft.at, "match", self.no_level(draft, &lenses));
                    // What else is wrong, where it is clear by which schema.
                    if let [lens] = lenses[..] {
                        wrong.extend(self.keys(lens, draft).err().map(|it| (lens.schema.version, it)));
                    }
                }
                let several = wrong.len() > 1;
                for (version, problems) in wrong {
                    for (at, field, mut problem) in problems {
                        if several {
                            problem.message = format!("by version {version}: {}", problem.message);
                        }
                        fail(at, &format!("match.{field}"), problem);
                    }
                }
                None
            }
        }
    }

    /// The canonical keys of a draft by one schema: several where values have names. Fields that the schema does not have
    /// are left out.
    fn keys(&self, lens: &Lens<'c>, draft: &Draft<'_>) -> Result<Vec<u128>, Vec<Wrong<'c>>> {
        let mut keys = vec![0];
        let mut wrong = Vec::new();
        for (at, text) in draft.values {
            let Some(field) = lens.field(*at) else { continue };
            match self.value(lens, *at, field, text.value) {
                Ok(Values::One(value)) => keys.iter_mut().for_each(|key| *key |= field.placed(value)),
                Ok(Values::Named(values)) if keys.len() * values.len() <= ENTRIES => {
                    keys = keys
                        .iter()
                        .flat_map(|key| values.iter().map(move |value| key | field.placed(*value)))
                        .collect();
                }
                Ok(Values::Named(values)) => {
                    let many = keys.len() * values.len();
                    let problem = format!(
                        "stands for {many} combinations of values: at most {ENTRIES} are possible for one key"
                    );
                    wrong.push((text.at, field.name.as_str(), problem.into()));
                }
                Err(problem) => wrong.push((text.at, field.name.as_str(), problem)),
            }
        }
        if wrong.is_empty() { Ok(keys) } else { Err(wrong) }
    }

    /// A field's values from their text.
    fn value(&self, lens: &Lens<'c>, at: usize, field: &'c Field, text: &str) -> Result<Values<'c>, Problem> {
        if let Some(table) = field.table.and_then(|at| self.tables.get(at)) {
            let labels = lens.fields.get(at).copied().flatten().and_then(|at| lens.labels.get(at));
            let number = labels.and_then(|labels| labels.get(text));
            return number
                .map(|number| Values::One(u128::from(*number)))
                .ok_or_else(|| unknown_label(field, table, text));
        }
        if let Some(values) = field.values.values(text) {
            return Ok(Values::Named(values));
        }
        plain_value(field, text).map(Values::One)
    }

    /// What is wrong when two schemas call a value of one key by different names: which key it is would hang on which
    /// schemas there are.
    fn differs(
        &self,
        draft: &Draft<'_>,
        (one, before): (Spelling, &Lens<'_>),
        (other, lens): (Spelling, &Lens<'_>),
    ) -> Option<Problem> {
        draft.values.iter().find_map(|(at, text)| {
            let (first, field) = (before.field(*at)?, lens.field(*at)?);
            let called = first.text(self.tables, first.value(one.key));
            let here = field.text(self.tables, field.value(other.key));
            let (old, new) = (before.schema.version, lens.schema.version);
            (called != here).then(|| {
                let hides = [first, field].into_iter().find(|field| field.display.hides());
                let name = &first.name;
                if let Some(how) = hides.map(|field| field.display.name()) {
                    return format!(
                        "a value of {name} is another by version {old} than by version {new} (display is {how}: it is not shown): two keys, so say `schema: {old}` or `schema: {new}` with each"
                    )
                    .into();
                }
                format!(
                    "{} is {}={called} by version {old} and {}={here} by version {new}: two keys, so say `schema: {old}` or `schema: {new}` with each",
                    text.value, first.name, field.name
                )
                .into()
            })
        })
    }

    /// What is wrong with a set of fields that is no level.
    fn no_level(&self, draft: &Draft<'_>, lenses: &[&Lens<'_>]) -> Problem {
        let list = |names: Vec<&str>| format!("[{}]", names.join(", "));
        let levels = |lens: &Lens<'_>| -> String {
            let name = |at: &usize| Some(lens.schema.fields.get(*at)?.name.as_str());
            let levels: Vec<String> = lens
                .schema
                .levels
                .iter()
                .map(|level| list(level.iter().filter_map(name).collect()))
                .collect();
            levels.join(" and ")
        };
        let mut given: Vec<usize> = draft.values.iter().map(|(at, _)| *at).collect();
        given.sort_unstable();
        let given = list(given.iter().filter_map(|at| self.names.get(*at).copied()).collect());
        match lenses {
            [lens] if self.lenses.len() == 1 => {
                format!("can never be reached: {given} is no level of the schema, which has {}", levels(lens))
            }
            _ => {
                let each: Vec<String> = lenses
                    .iter()
                    .map(|lens| {
                        let fields: Vec<&str> =
                            lens.schema.fields.iter().map(|it| it.name.as_str()).collect();
                        format!(
                            "version {} has the fields {} and the levels {}",
                            lens.schema.version,
                            list(fields),
                            levels(lens)
                        )
                    })
                    .collect();
                let what = if lenses.len() == 1 { "that schema" } else { "any schema" };
                format!("can never be reached: {given} is no level of {what}; {}", each.join("; "))
            }
        }
        .into()
    }
}

impl<'c> Lens<'c> {
    /// The field of a name.
    fn field(&self, name: usize) -> Option<&'c Field> {
        self.schema.fields.get(self.fields.get(name).copied().flatten()?)
    }
}

/// What is wrong with a text that is no name of a value, where values have names.
pub(super) fn unknown_name(field: &Field, names: &ValueMap, text: &str) -> Problem {
    let what = format!("value of field {}:", field.name);
    Problem::unknown(&what, text, names.iter().map(|(name, _)| name))
}

/// The value of the first of some texts' fields; the same as a key's `match`.
pub(super) fn canonical(field: &Field, tables: &[PrefixTable], text: &At<&str>) -> Result<String, Problem> {
    let value = match field.table.and_then(|at| tables.get(at)) {
        Some(table) => {
            table.number(text.value).map(u128::from).ok_or_else(|| unknown_label(field, table, text.value))?
        }
        None if field.values.values(text.value).is_some() => return Ok(text.value.to_owned()),
        None => plain_value(field, text.value)?,
    };
    Ok(field.text(tables, value))
}

/// A set of names as bits. There are at most 16: four schemas of four fields.
fn bits(names: impl Iterator<Item = usize>) -> u16 {
    names.filter(|name| *name < 16).fold(0, |bits, name| bits | 1 << name)
}
