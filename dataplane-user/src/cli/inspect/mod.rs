//! `keysteer inspect`

mod render;

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::output::{self, Format};
use super::progress::Progress;
use crate::capture::{Capture, CaptureError};
use crate::inspect::{Inspection, Report};

/// Show what captured traffic carries, and propose a policy
///
/// Reads pcap or pcapng files (gzip too, of any size, `-` for stdin): which carriers the packets
/// have, how many values each takes and how unevenly, and which services are asked. From that it
/// proposes a schema and a policy to begin with, which only observes. Needs no privilege and
/// touches nothing.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct InspectArgs {
    /// Captures; `-` is stdin
    #[arg(required = true, value_name = "CAPTURE")]
    captures: Vec<PathBuf>,
    /// How to show it
    #[arg(short, long, value_enum, default_value_t)]
    output: Shown,
    /// Write the proposed policy to a new file
    #[arg(long, value_name = "FILE")]
    write_policy: Option<PathBuf>,
}

/// A way to show the findings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Shown {
    /// Aligned columns, and what is proposed in words
    #[default]
    Table,
    /// One document
    Json,
    /// One carrier a line
    Jsonl,
    /// The proposed policy alone
    Yaml,
}

pub(super) fn run(args: &InspectArgs) -> anyhow::Result<()> {
    let mut inspection = Inspection::default();
    let read = read(&args.captures, &mut inspection);
    let report = inspection.report();
    // What could be read of a damaged capture is shown, but no policy is made of it.
    if report.packets > 0 && (read.is_ok() || args.output != Shown::Yaml) {
        show(args.output, &report)?;
    }
    read?;
    args.write_policy.as_deref().map_or(Ok(()), |path| write(path, &report.proposal.policy))
}

/// Reads captures, one after the other.
fn read(paths: &[PathBuf], inspection: &mut Inspection) -> Result<(), CaptureError> {
    for path in paths {
        let mut progress = Progress::new(true);
        let mut capture = Capture::open(path)?;
        inspection.begin(capture.name());
        loop {
            progress.tick(&capture);
            let Some(mut packet) = capture.next()? else { break };
            inspection.packet(&mut packet);
        }
        if capture.packets() == 0 {
            return Err(CaptureError::no_packets(capture.name()));
        }
    }
    Ok(())
}

fn show(shown: Shown, report: &Report) -> anyhow::Result<()> {
    match shown {
        Shown::Table => output::print_one(Format::Table, report, || render::render(report)),
        Shown::Json => output::print_one(Format::Json, report, String::new),
        Shown::Jsonl => output::print_list(Format::Jsonl, &report.carriers, String::new),
        Shown::Yaml => output::finish(output::stdout().write_all(report.proposal.policy.as_bytes())),
    }
}

/// Writes a policy where there is none.
fn write(path: &Path, policy: &str) -> anyhow::Result<()> {
    let write = || -> io::Result<()> { File::create_new(path)?.write_all(policy.as_bytes()) };
    write().map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            anyhow::anyhow!("{} is there already, and is left as it is; name another file", path.display())
        }
        _ => anyhow::anyhow!("cannot write {}: {error}; name another file", path.display()),
    })
}
