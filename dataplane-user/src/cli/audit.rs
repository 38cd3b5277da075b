//! `keysteer audit`

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::error::safe;
use super::output::{self, Align, Format, Table, print_list, print_one};
use crate::state::audit::{Entry, Filter, Report, Subject, Verdict, list, verify};
use crate::state::{DEFAULT_DIRECTORY, Timestamp, time};

/// Show who changed what
///
/// Every change of a running agent (policies applied and rolled back, keys denied and allowed,
/// shards disabled and enabled) is in a log in its state directory, also one that was refused or
/// failed. The log is read there: no agent has to run, and none is asked.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, args_conflicts_with_subcommands = true)]
pub(super) struct AuditArgs {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Check that no entry was changed, taken out or put in
    ///
    /// Each entry holds the hash of the one before, and the log's end is kept beside it. The hash
    /// of the last entry is printed: kept elsewhere, it tells later that the log still begins as it
    /// does now, also when somebody hashed everything anew.
    #[command(verbatim_doc_comment)]
    Verify {
        #[command(flatten)]
        read: Read,
    },
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Only since then: `2026-01-31T12:00:00Z`, or how long ago, such as `90m` or `7d`
    #[arg(long, value_name = "WHEN", value_parser = since)]
    since: Option<Timestamp>,
    /// Only changes of this key
    #[arg(long, value_name = "NAME", conflicts_with_all = ["shard", "subject"])]
    key: Option<String>,
    /// Only changes of this shard
    #[arg(long, value_name = "NAME", conflicts_with = "subject")]
    shard: Option<String>,
    /// Only changes of this, as the list shows it
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// Only this action, such as `apply`
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    #[command(flatten)]
    read: Read,
}

/// Where the log is, and how it is shown.
#[derive(Debug, Args)]
struct Read {
    /// How to show it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    /// The agent's state directory
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DIRECTORY)]
    state_dir: PathBuf,
}

/// A moment, or how long ago it was.
fn since(text: &str) -> Result<Timestamp, String> {
    text.parse().or_else(|error| match time::span(text) {
        Ok(span) => Ok(Timestamp::now().before(span)),
        Err(_) => Err(format!("{error}, or how long ago: 90m, 7d")),
    })
}

pub(super) fn run(args: &AuditArgs) -> anyhow::Result<()> {
    match &args.verb {
        None => show(&args.list),
        Some(Verb::Verify { read }) => check(read),
    }
}

fn show(args: &ListArgs) -> anyhow::Result<()> {
    let named = |subject: fn(String) -> Subject, name: &Option<String>| name.clone().map(subject);
    let subject = named(Subject::Key, &args.key)
        .or_else(|| named(Subject::Shard, &args.shard))
        .or_else(|| args.subject.as_ref().map(|text| Subject::parse(text)));
    let filter = Filter { since: args.since, subject, action: args.action.clone() };
    let entries = list(&args.read.state_dir, &filter)?;
    print_list(args.read.output, &entries, || render(&entries))
}

fn render(entries: &[Entry]) -> String {
    let mut table = Table::new([
        ("SEQ", Align::Right),
        ("TIME", Align::Left),
        ("BY", Align::Left),
        ("ACTION", Align::Left),
        ("SUBJECT", Align::Left),
        ("FROM", Align::Right),
        ("TO", Align::Right),
        ("RESULT", Align::Left),
        ("WHY", Align::Left),
    ]);
    for Entry { seq, time, event, .. } in entries {
        let generation = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
        let why: Vec<&str> = event.reason.iter().chain(&event.detail).map(String::as_str).collect();
        table.row([
            seq.to_string(),
            time.to_string(),
            event.who.to_string(),
            event.action.clone(),
            event.subject.as_ref().map(ToString::to_string).unwrap_or_default(),
            generation(event.from),
            generation(event.to),
            event.result.to_string(),
            why.join("; "),
        ]);
    }
    table.render()
}

fn check(read: &Read) -> anyhow::Result<()> {
    match verify(&read.state_dir)? {
        Verdict::Whole(report) => match read.output {
            Format::Table => {
                let mut out = output::stdout();
                let text = safe(&tell(&read.state_dir, &report));
                output::finish(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
            }
            format => print_one(format, &report, String::new),
        },
        Verdict::Broken(broken) => {
            let place = match broken.line {
                0 => broken.file,
                line => format!("{}:{line}", broken.file),
            };
            anyhow::bail!(
                "{place}: {}; keep a copy of the files as evidence, and compare with copies of the log and hashes that are \
                 kept elsewhere",
                broken.what
            )
        }
    }
}

fn tell(directory: &Path, report: &Report) -> String {
    let directory = directory.display();
    let Report { entries, first, last, hash, unfinished, torn } = report;
    let mut text = match (first, last) {
        (Some(first), Some(last)) => {
            format!(
                "{directory}: {entries} entries from {first} to {last}, none changed, none missing\nlast hash: {hash}\n"
            )
        }
        _ => format!("{directory}: no entries\n"),
    };
    if *unfinished > 0 {
        text += &format!(
            "{unfinished} bytes at the end are of an entry that is being written, or was when the agent was killed\n"
        );
    }
    if *torn {
        text += "audit.torn has what was being written when an agent was killed\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_moment_or_how_long_ago() {
        assert_eq!(since("1970-01-01T00:00:01Z"), Ok(Timestamp::from_millis(1000)));
        let hour = Timestamp::now().since(since("1h").unwrap()).as_secs();
        assert!((3600..3660).contains(&hour), "{hour}");
        let error = since("yesterday").unwrap_err();
        assert!(error.contains("`yesterday`") && error.contains("7d"), "{error}");
    }
}
