//! How data is shown: aligned tables for people, JSON for programs.

use std::io::{self, StdoutLock, Write};

use clap::ValueEnum;
use serde::Serialize;

/// A way to show data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns
    #[default]
    Table,
    /// One indented document
    Json,
    /// One object a line
    Jsonl,
}

/// Where data goes.
pub(super) fn stdout() -> StdoutLock<'static> {
    io::stdout().lock()
}

/// A reader that has seen enough, such as `head`, is no error.
pub(super) fn finish(written: io::Result<()>) -> anyhow::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written.map_err(|error| anyhow::anyhow!("cannot write to stdout: {error}"))?),
    }
}

/// Prints one object.
pub(super) fn print_one<T: Serialize>(
    format: Format,
    item: &T,
    table: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    print(format, item, std::slice::from_ref(item), table)
}

/// Prints a list.
pub(super) fn print_list<T: Serialize>(
    format: Format,
    items: &[T],
    table: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    print(format, &items, items, table)
}

fn print<T: Serialize>(
    format: Format,
    whole: &impl Serialize,
    lines: &[T],
    table: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    let text = match format {
        Format::Table => table(),
        Format::Json => serde_json::to_string_pretty(whole)? + "\n",
        Format::Jsonl => lines.iter().try_fold(String::new(), |text, line| {
            serde_json::to_string(line).map(|line| text + &line + "\n")
        })?,
    };
    let mut out = stdout();
    finish(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// On which side of its column a cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A table of `N` columns.
#[derive(Clone, Debug)]
pub struct Table<const N: usize> {
    columns: [(&'static str, Align); N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// An empty table. Without any title it has no title line.
    pub fn new(columns: [(&'static str, Align); N]) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(plain));
    }

    /// The lines, with two blanks between columns and none at the end; titles also without any row.
    pub fn render(&self) -> String {
        let titles = self.columns.map(|(title, _)| title.to_owned());
        let titled = titles.iter().any(|title| !title.is_empty());
        let lines: Vec<&[String; N]> = titled.then_some(&titles).into_iter().chain(&self.rows).collect();
        let widths: [usize; N] = std::array::from_fn(|column| {
            lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default()
        });
        let mut text = String::new();
        for line in lines {
            let begun = text.len();
            for ((cell, width), (_, align)) in line.iter().zip(widths).zip(&self.columns) {
                let blanks = std::iter::repeat_n(' ', width - cell.chars().count());
                match align {
                    Align::Left => {
                        text.push_str(cell);
                        text.extend(blanks);
                    }
                    Align::Right => {
                        text.extend(blanks);
                        text.push_str(cell);
                    }
                }
                text.push_str("  ");
            }
            let end = text.trim_end().len().max(begun);
            text.truncate(end);
            text.push('\n');
        }
        text
    }
}

/// Names are text from a file: control characters must not reach a terminal, nor break a row.
fn plain(cell: String) -> String {
    if !cell.contains(char::is_control) {
        return cell;
    }
    let mut shown = String::with_capacity(cell.len());
    for c in cell.chars() {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_do_not_trail() {
        let mut table = Table::new([("KEY", Align::Left), ("PACKETS", Align::Right), ("OWNER", Align::Left)]);
        table.row(["acme".to_owned(), "7".to_owned(), String::new()]);
        table.row(["acme-video".to_owned(), "123456789".to_owned(), "team".to_owned()]);
        let lines = "KEY           PACKETS  OWNER\nacme                7\nacme-video  123456789  team\n";
        assert_eq!(table.render(), lines);
    }

    #[test]
    fn a_table_without_titles_has_no_title_line() {
        let mut table = Table::new([("", Align::Left), ("", Align::Left)]);
        table.row(["policy".to_owned(), "edge".to_owned()]);
        assert_eq!(table.render(), "policy  edge\n");
    }

    #[test]
    fn control_characters_are_shown_not_obeyed() {
        let mut table = Table::new([("KEY", Align::Left)]);
        table.row(["a\x1b[31m\nb\u{e9}".to_owned()]);
        assert_eq!(table.render(), "KEY\na\\u{1b}[31m\\nb\u{e9}\n");
    }

    #[test]
    fn a_broken_pipe_is_no_error() {
        assert!(finish(Err(io::ErrorKind::BrokenPipe.into())).is_ok());
        assert!(finish(Err(io::ErrorKind::StorageFull.into())).is_err());
    }
}
