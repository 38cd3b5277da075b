//! `keysteer explain`

mod packet;

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args, ValueEnum};

use super::Read;
use super::error::{Usage, safe};
use super::output::print_one;
use crate::capture::Capture;
use crate::explain::offline::Offline;
use crate::explain::types::{Explanation, Question};
use crate::explain::{LONGEST, hex, picture, unhex};
use packet::PacketArgs;

/// Explain where a packet goes, and why
///
/// The packet is a five-tuple (--src, --dst, ...), a frame (--hex), or one of a capture. It is
/// asked of the running agent, or of a policy file (--policy), which needs no privilege. Shown is
/// every stage with what it found, and what would change the outcome. Nothing is counted and
/// nothing is forwarded.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
#[command(group(ArgGroup::new("of").required(true).args(["src", "hex", "capture"])))]
#[command(override_usage = "keysteer explain --src IP --dst IP [--dport PORT ...] [OPTIONS]\n       \
    keysteer explain --hex FRAME [OPTIONS]\n       \
    keysteer explain --capture FILE --packet N [OPTIONS]")]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    packet: PacketArgs,
    /// A frame from the Ethernet header on, in hexadecimal digits
    #[arg(long, value_name = "FRAME", conflicts_with = "PacketArgs")]
    hex: Option<String>,
    /// A capture file: pcap, pcapng, also gzipped
    #[arg(long, value_name = "FILE", requires = "number", conflicts_with = "PacketArgs")]
    capture: Option<PathBuf>,
    /// Which packet of the capture, from 1
    #[arg(long = "packet", id = "number", value_name = "N", requires = "capture", value_parser = clap::value_parser!(u64).range(1..))]
    number: Option<u64>,
    /// The interface it arrives on [default: the policy's first]
    #[arg(long, value_name = "NAME")]
    interface: Option<String>,
    /// Ask this policy in place of the agent
    #[arg(long, value_name = "FILE", conflicts_with = "socket")]
    policy: Option<PathBuf>,
    /// With --policy: a node's state directory, whose secrets and key ids are then used
    #[arg(long, value_name = "DIR", requires = "policy", hide_short_help = true)]
    state_dir: Option<PathBuf>,
    /// With --policy: what decides
    ///
    /// `kernel` also runs the frame through the program in the kernel, loaded beside whatever
    /// steers and attached to nothing, and says whether it decides the same. Needs the agent's
    /// privileges; a running agent is never asked this way, because such a run would count.
    #[arg(
        long,
        value_enum,
        default_value_t,
        requires_if("kernel", "policy"),
        hide_short_help = true,
        verbatim_doc_comment
    )]
    engine: Engine,
    #[command(flatten)]
    read: Read,
}

/// What decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Engine {
    /// The packet path's code in user space
    #[default]
    Host,
    /// The same, compared with the program in the kernel
    Kernel,
}

pub(super) fn run(args: &ExplainArgs) -> anyhow::Result<()> {
    let Asked { frame, missing } = asked(args)?;
    let mut explanation: Explanation = match &args.policy {
        None => {
            let question = Question { frame: hex(&frame).to_string(), interface: args.interface.clone() };
            args.read.client().post("/v1/explain", &question)?
        }
        Some(file) => {
            let offline = Offline::open(file, args.state_dir.as_deref())?;
            let mut explanation = offline.explain(&frame, args.interface.as_deref())?;
            if args.engine == Engine::Kernel {
                explanation.kernel = Some(offline.kernel(&frame, args.interface.as_deref())?);
            }
            explanation
        }
    };
    if missing > 0 {
        let whole = frame.len() as u64 + u64::from(missing);
        let there = frame.len();
        explanation
            .assumed
            .push(format!("the frame ends where the capture cut it: {there} of {whole} bytes"));
    }
    show(args, &explanation)
}

/// A frame that is asked about.
struct Asked {
    frame: Vec<u8>,
    /// Bytes of it that the capture does not have.
    missing: u32,
}

fn asked(args: &ExplainArgs) -> anyhow::Result<Asked> {
    if let Some(text) = &args.hex {
        let frame = unhex(text).map_err(|error| Usage(format!("--hex: {error}")))?;
        return Ok(Asked { frame, missing: 0 });
    }
    if let (Some(file), Some(number)) = (&args.capture, args.number) {
        return captured(file, number);
    }
    Ok(Asked { frame: args.packet.frame()?, missing: 0 })
}

/// Packet `number` of a capture, which is read no further.
fn captured(file: &Path, number: u64) -> anyhow::Result<Asked> {
    let mut capture = Capture::open(file)?;
    while let Some(packet) = capture.next()? {
        if packet.number < number {
            continue;
        }
        let length = packet.frame.len();
        anyhow::ensure!(
            length <= LONGEST,
            "{}: packet {number} has {length} bytes, which is more than a frame can have ({LONGEST})",
            file.display()
        );
        return Ok(Asked { frame: packet.frame.to_vec(), missing: packet.missing });
    }
    let (name, packets) = (capture.name(), capture.packets());
    anyhow::bail!(
        "{name} has no packet {number}: its last is {packets}; give --packet a number from 1 to that"
    )
}

fn show(args: &ExplainArgs, explanation: &Explanation) -> anyhow::Result<()> {
    print_one(args.read.output, explanation, || safe(&picture::draw(explanation)))?;
    if explanation.kernel.as_ref().is_some_and(|run| !run.agrees()) {
        anyhow::bail!(
            "the program in the kernel decides this frame differently than the host: this is a defect of keysteer; \
             report it with the output of -o json"
        );
    }
    Ok(())
}
