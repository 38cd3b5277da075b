//! `keysteer replay`

mod lines;
mod summary;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::Reveal;
use super::error::safe;
use super::output::{self, Format};
use super::progress::Progress;
use crate::capture::{Capture, CaptureError};
use crate::image::Image;
use crate::kernel::KernelError;
use crate::messages::say;
use crate::policy::{self, Policy, PolicyError};
use crate::replay::{self, Engine, Kernel, Replay};
use crate::state;
use lines::Lines;

/// Try a policy on captured traffic
///
/// Runs every packet of pcap or pcapng files (gzip too, of any size, `-` for stdin) through the
/// decision, and says what would become of it: one object per packet, or with `-o table` the
/// sums alone. Nothing is forwarded, attached, or counted in a running agent. The policy's
/// interfaces and CPUs need not be there.
///
/// By default the program in the kernel decides, by test runs, which needs root, or CAP_BPF,
/// CAP_NET_ADMIN and CAP_PERFMON. `--engine host` runs the same code in user space and needs no
/// privilege; both say the same.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct ReplayArgs {
    /// The policy file
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// Captures, in this order; `-` is stdin
    #[arg(required = true, value_name = "CAPTURE")]
    captures: Vec<PathBuf>,
    /// How to show it
    ///
    /// `json` and `jsonl` print an object per packet, and the sums on stderr; `table` prints the
    /// sums.
    #[arg(short, long, value_enum, default_value_t, verbatim_doc_comment)]
    output: Format,
    /// What decides
    #[arg(long, value_enum, default_value_t, value_name = "ENGINE")]
    engine: Home,
    /// Use an agent's secrets and key ids, without changing them
    ///
    /// Then flows of keys that spread go to the very shards that they have there, and keys have
    /// their ids. Otherwise fixed secrets are used, and ids count from 1.
    #[arg(long, value_name = "DIR", verbatim_doc_comment)]
    state_dir: Option<PathBuf>,
    /// How many of the busiest keys the sums name
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
    #[command(flatten)]
    reveal: Reveal,
}

/// Where decisions are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Home {
    /// The program in the kernel
    #[default]
    Kernel,
    /// The same code in user space
    Host,
}

pub(super) fn run(args: &ReplayArgs) -> anyhow::Result<()> {
    let policy = load(&args.policy)?;
    let mut image = compile(&policy, args.state_dir.as_deref())?;
    image.names.veil = image.names.veil.lift(args.reveal.reveal);
    let kernel = match args.engine {
        Home::Kernel => Some(Kernel::load(&image).map_err(|error| without_kernel(&error))?),
        Home::Host => None,
    };
    let engine = match &kernel {
        Some(kernel) => Engine::kernel(&image, kernel).map_err(|error| without_kernel(&error))?,
        None => Engine::host(&image),
    };
    let mut replay = Replay::new(&policy, &image, engine);
    let mut lines = Lines::new(args.output);
    let read = captures(&args.captures, &mut replay, &mut lines);
    let written = lines.finish();
    let summary = || summary::summary(replay.tally(), &image, args.top);
    let some = replay.tally().all.packets > 0;
    match read {
        // Whoever has read enough of the lines does not ask for sums.
        Err(Stopped::Output(error)) => output::finish(Err(error)),
        Err(Stopped::Other(error)) => {
            if some && args.output == Format::Table {
                output::finish(write!(output::stdout(), "{}", summary()))?;
            }
            Err(error)
        }
        Ok(()) => {
            if let Err(error) = written {
                return output::finish(Err(error));
            }
            if args.output == Format::Table {
                return output::finish(write!(output::stdout(), "{}", summary()));
            }
            // Whoever has closed stderr does not ask for sums.
            let _ = write!(io::stderr(), "{}", summary());
            Ok(())
        }
    }
}

/// Why a replay stopped.
enum Stopped {
    /// Stdout does not take any more.
    Output(io::Error),
    /// A capture, or the kernel.
    Other(anyhow::Error),
}

impl From<CaptureError> for Stopped {
    fn from(error: CaptureError) -> Self {
        Self::Other(error.into())
    }
}

/// Replays captures, one after the other.
fn captures(paths: &[PathBuf], replay: &mut Replay<'_>, lines: &mut Lines) -> Result<(), Stopped> {
    for path in paths {
        let mut progress = Progress::new(lines.is_quiet());
        let mut capture = Capture::open(path)?;
        if paths.len() > 1 {
            tracing::info!(capture = capture.name(), first = replay.tally().all.packets + 1, "replaying");
        }
        loop {
            progress.tick(&capture);
            if capture.is_drained() {
                lines.flush().map_err(Stopped::Output)?;
            }
            let Some(mut packet) = capture.next()? else { break };
            let line = replay.packet(&mut packet).map_err(|error| Stopped::Other(error.into()))?;
            lines.write(&line).map_err(Stopped::Output)?;
        }
        if capture.packets() == 0 {
            return Err(CaptureError::no_packets(capture.name()).into());
        }
    }
    Ok(())
}

/// Reads a policy; its problems are listed.
fn load(path: &Path) -> anyhow::Result<Policy> {
    match policy::load(path) {
        Ok(policy) => Ok(policy),
        Err(problems @ PolicyError::Invalid(_)) => {
            say(&safe(&problems.to_string()));
            anyhow::bail!("the policy is not valid; correct what is listed above")
        }
        Err(error) => Err(error.into()),
    }
}

fn compile(policy: &Policy, directory: Option<&Path>) -> anyhow::Result<Image> {
    let (secrets, mut ids) = state::for_trial(directory)?;
    Ok(replay::compile(policy, &secrets, &mut ids)?)
}

/// What to do without the kernel.
fn without_kernel(error: &KernelError) -> anyhow::Error {
    anyhow::anyhow!("{error}; or decide in user space, which says the same: --engine host")
}
