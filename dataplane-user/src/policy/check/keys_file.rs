//! `keysFrom`: keys in a CSV file beside the policy, one per line, with the same checks. Made for a
//! million of them: a row is read in place, and only a problem costs more.

use csv::{ReaderBuilder, StringRecord};

use crate::policy::ReadKeys;
use crate::policy::diagnostic::{Place, Problem, Report};
use crate::policy::document::KeyRest;
use crate::policy::reader::At;
use crate::policy::values;

use super::Checker;
use super::keys::{Draft, Keys};

/// Columns other than `match.<field>`.
const COLUMNS: [&str; 15] = [
    "name",
    "tier",
    "pool",
    "width",
    "owner",
    "costCentre",
    "account",
    "deny",
    "reason",
    "region",
    "vip",
    "schema",
    "aliasOf",
    "sources",
    "shards",
];

/// What a column holds.
#[derive(Clone, Copy, PartialEq)]
enum Column {
    Named(&'static str),
    /// The value of the field whose name has this number.
    Match(usize),
}

pub(super) fn read(checker: &mut Checker<'_>, keys: &mut Keys<'_>, from: &At<&str>, read_keys: ReadKeys<'_>) {
    let text = match read_keys(from.value) {
        Ok(text) => text,
        Err(why) => {
            checker.error(from.at, "spec.keysFrom", why);
            return;
        }
    };
    rows(&mut checker.errors, keys, from.value, &text);
}

fn rows(report: &mut Report, keys: &mut Keys<'_>, file: &str, text: &str) {
    let mut reader = ReaderBuilder::new().has_headers(false).comment(Some(b'#')).from_reader(text.as_bytes());
    keys.reserve(text.bytes().filter(|byte| *byte == b'\n').count());
    let mut record = StringRecord::new();
    let mut columns: Option<Vec<Column>> = None;
    loop {
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                report.add(file, broken_at(text, &error), "", broken(&error).into());
                return;
            }
        }
        let row = Row { file, text, record: &record, begin: begin(text, record.position()) };
        match &columns {
            Some(columns) => row.read(report, keys, columns),
            None => match row.header(report, keys) {
                Some(found) => columns = Some(found),
                None => return,
            },
        }
    }
    if columns.is_none() {
        report.add(file, Place::default(), "", "is empty: the first line must name the columns".into());
    }
}

/// One line of the file.
struct Row<'r> {
    file: &'r str,
    text: &'r str,
    record: &'r StringRecord,
    /// Its first byte, and its line.
    begin: (usize, u32),
}

impl<'r> Row<'r> {
    /// What the columns are.
    fn header(&self, report: &mut Report, keys: &Keys<'_>) -> Option<Vec<Column>> {
        let mut columns = Vec::with_capacity(self.record.len());
        for (at, name) in self.record.iter().map(str::trim).enumerate() {
            let column = match name.strip_prefix("match.") {
                Some(field) => keys.field(field).map(Column::Match),
                None => match COLUMNS.iter().find(|column| **column == name) {
                    Some(column) => Ok(Column::Named(column)),
                    None => Err(self.unknown_column(name, keys)),
                },
            };
            let column = column.and_then(|column| {
                if columns.contains(&column) { Err("is there twice".into()) } else { Ok(column) }
            });
            match column {
                Ok(column) => columns.push(column),
                Err(problem) => report.add(self.file, self.place(at), name, problem),
            }
        }
        if columns.len() != self.record.len() {
            return None;
        }
        if !columns.contains(&Column::Named("name")) {
            report.add(self.file, self.place(0), "name", "the column is required but missing".into());
            return None;
        }
        if !columns.iter().any(|column| matches!(column, Column::Match(_))) {
            report.add(self.file, self.place(0), "match", "there is no match.<field> column".into());
            return None;
        }
        Some(columns)
    }

    fn unknown_column(&self, name: &str, keys: &Keys<'_>) -> Problem {
        let fields: Vec<String> = keys.fields().iter().map(|field| format!("match.{field}")).collect();
        Problem::unknown("column", name, COLUMNS.iter().copied().chain(fields.iter().map(String::as_str)))
    }

    /// One key.
    fn read(&self, report: &mut Report, keys: &mut Keys<'_>, columns: &[Column]) {
        // A place's column is the number of the cell until a problem makes it worth counting characters.
        let mut fail = |at: Place, field: &str, problem: Problem| {
            report.add(self.file, self.place(at.column as usize), field, problem);
        };
        let mut name = None;
        let mut values = Vec::with_capacity(columns.len());
        let mut rest = KeyRest::default();
        let mut sound = true;
        for (nth, (cell, column)) in (0..).zip(self.record.iter().map(str::trim).zip(columns)) {
            if cell.is_empty() {
                continue;
            }
            let cell = At { value: cell, at: Place { line: self.begin.1, column: nth } };
            let mut keep = |slot: &mut Option<At<&'r str>>, free: bool, column: &str| match if free {
                values::free_text(cell.value).map(|_| ())
            } else {
                Ok(())
            } {
                Ok(()) => *slot = Some(cell.clone()),
                Err(problem) => {
                    sound = false;
                    fail(cell.at, column, problem);
                }
            };
            match column {
                Column::Match(field) => values.push((*field, cell)),
                Column::Named("name") => keep(&mut name, true, "name"),
                Column::Named("tier") => keep(&mut rest.tier, false, "tier"),
                Column::Named("pool") => keep(&mut rest.pool, false, "pool"),
                Column::Named("owner") => keep(&mut rest.owner, true, "owner"),
                Column::Named("costCentre") => keep(&mut rest.cost_centre, true, "costCentre"),
                Column::Named("account") => keep(&mut rest.account, true, "account"),
                Column::Named("reason") => keep(&mut rest.reason, true, "reason"),
                Column::Named("region") => keep(&mut rest.region, true, "region"),
                Column::Named("aliasOf") => keep(&mut rest.alias_of, true, "aliasOf"),
                Column::Named("schema") => match cell.value.parse() {
                    Ok(version) => rest.schema = Some(At { value: version, at: cell.at }),
                    Err(_) => {
                        sound = false;
                        let problem = format!("expected a version of the schema, found \"{}\"", cell.value);
                        fail(cell.at, "schema", problem.into());
                    }
                },
                Column::Named("width") => match values::width(cell.value) {
                    Ok(width) => rest.width = Some(At { value: width, at: cell.at }),
                    Err(problem) => {
                        sound = false;
                        fail(cell.at, "width", problem);
                    }
                },
                Column::Named("shards") => {
                    let names = cell.value.split_whitespace().map(|name| At { value: name, at: cell.at });
                    rest.shards = Some(At { value: names.collect(), at: cell.at });
                }
                Column::Named("sources") => match values::prefixes(cell.value) {
                    Ok(prefixes) => rest.sources = Some(At { value: prefixes, at: cell.at }),
                    Err(problem) => {
                        sound = false;
                        fail(cell.at, "sources", problem);
                    }
                },
                Column::Named(column) => match (*column, cell.value.parse()) {
                    ("vip", Ok(vip)) => rest.vip = Some(vip),
                    (_, Ok(deny)) => rest.deny = deny,
                    (_, Err(_)) => {
                        sound = false;
                        let found = cell.value;
                        fail(cell.at, column, format!("expected true or false, found \"{found}\"").into());
                    }
                },
            }
        }
        let start = Place { line: self.begin.1, column: 0 };
        let Some(mut name) = name else {
            if sound {
                fail(start, "name", "is required but missing".into());
            }
            return;
        };
        if sound {
            // From here on the key's place outlives the row; a row's key is found by its line.
            name.at = start;
            let draft = Draft { name, at: start, values: &values, rest: &rest, index: None };
            keys.add(&draft, &mut fail);
        }
    }

    /// Where cell `nth` is: its line and its first character, from 1.
    fn place(&self, nth: usize) -> Place {
        let (from, line) = self.begin;
        let mut place = Place { line, column: 1 };
        let mut quoted = false;
        let mut cells = 0;
        for c in self.text.get(from..).unwrap_or_default().chars() {
            if cells == nth {
                break;
            }
            place.column += 1;
            match c {
                '"' => quoted = !quoted,
                ',' if !quoted => cells += 1,
                '\n' => {
                    place = Place { line: place.line + 1, column: 1 };
                }
                _ => {}
            }
        }
        place
    }
}

/// Where a record begins. The reader's position is that of the blank lines and comments before it.
fn begin(text: &str, position: Option<&csv::Position>) -> (usize, u32) {
    let mut at = position.and_then(|position| usize::try_from(position.byte()).ok()).unwrap_or(0);
    let mut line = position.and_then(|position| u32::try_from(position.line()).ok()).unwrap_or(1);
    let bytes = text.as_bytes();
    loop {
        match bytes.get(at) {
            Some(b'\n') => {
                at += 1;
                line += 1;
            }
            Some(b'\r') => at += 1,
            Some(b'#') => {
                at += bytes.iter().skip(at).take_while(|byte| **byte != b'\n').count();
            }
            _ => return (at, line),
        }
    }
}

fn broken_at(text: &str, error: &csv::Error) -> Place {
    let (_, line) = begin(text, error.position());
    Place { line, column: 1 }
}

fn broken(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("the line has {len} cells, the first line names {expected_len} columns")
        }
        _ => format!("not a CSV file: {error}"),
    }
}
