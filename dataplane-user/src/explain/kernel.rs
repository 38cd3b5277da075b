//! The same frame through the program in the kernel, by a test run: it is loaded with the same tables beside
//! whatever steers, is attached to nothing, and ends with the question. What a running agent counts is not
//! touched; that is also why a live generation is not asked this way: a test run of it would count.

use aya::util::online_cpus;
use keysteer_common::forward::Action;

use super::types::KernelRun;
use crate::compile::{LOOPBACK, arrive, reachable};
use crate::counters::Snapshot;
use crate::engine::{Decided, Engine};
use crate::image::Image;
use crate::kernel::{Dataplane, FRAMES, KernelError, TestRunOutcome, pin_to_cpu};

/// The kernel was not asked, or did not answer.
#[derive(Debug, thiserror::Error)]
pub enum KernelRunError {
    /// The kernel refuses such frames.
    #[error("the kernel runs no frame under {} bytes or over {}, and this one has {length}: use --engine host", FRAMES.start(), FRAMES.end())]
    Length {
        /// How many bytes it has.
        length: usize,
    },
    /// The CPUs are not known.
    #[error("cannot find a CPU to run on: {0}")]
    Cpu(String),
    /// The kernel refuses the program, or the run.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

/// Runs a frame that arrives on interface `ingress` through the program with the tables of `image`, and through the host engine, and compares
/// action, resulting bytes and counters; and by the program's variant that records, everything that was found and
/// decided.
///
/// # Errors
/// No privilege, or the kernel refuses.
pub fn run(image: &Image, frame: &[u8], ingress: u32) -> Result<KernelRun, KernelRunError> {
    if !FRAMES.contains(&frame.len()) {
        return Err(KernelRunError::Length { length: frame.len() });
    }
    let cpus = online_cpus().map_err(|(what, error)| KernelRunError::Cpu(format!("{what}: {error}")))?;
    let mut image = image.clone();
    reachable(&mut image.shards, cpus.first().copied().unwrap_or_default());
    arrive(&mut image.config, ingress);
    // A thread of its own: pinning it does not pin whatever comes after.
    let kernel = std::thread::scope(|scope| {
        let thread = scope.spawn(|| ask(&image, frame));
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    let mut engine = Engine::new(&image);
    let mut bytes = frame.to_vec();
    let Decided { action, work } = engine.decide(&mut bytes, LOOPBACK);

    let mut differences = super::trace::differences(&kernel.recorded.work, &work);
    let recorded = (kernel.recorded.action, kernel.recorded.frame);
    for (variant, (its, frame)) in [("", &kernel.forwarded), ("the recording variant: ", &recorded)] {
        if *its != Some(action) {
            differences.push(format!("{variant}action: kernel {its:?}, host {action:?}"));
        }
        if *frame != bytes {
            let (kernel, host) = (super::hex(frame), super::hex(&bytes));
            differences.push(format!("{variant}the frame afterwards: kernel {kernel}, host {host}"));
        }
    }
    if kernel.counted != *engine.counters() {
        differences.push("counters: the kernel and the host count the frame differently".to_owned());
    }
    Ok(KernelRun { program: kernel.tag, differences })
}

/// What the kernel made of a frame.
struct Asked {
    /// The action and the frame afterwards, of the very program that an agent attaches.
    forwarded: (Option<Action>, Vec<u8>),
    /// What that program counted.
    counted: Snapshot,
    /// Its tag.
    tag: String,
    /// The same of the variant that records what it finds.
    recorded: TestRunOutcome,
}

fn ask(image: &Image, frame: &[u8]) -> Result<Asked, KernelRunError> {
    let cpu = nix::sched::sched_getcpu().map_err(|error| KernelRunError::Cpu(error.to_string()))?;
    pin_to_cpu(cpu)?;
    let dataplane = Dataplane::load(image)?;
    let forwarded = dataplane.forward_run(frame, 0)?;
    let (counted, tag) = (dataplane.counters()?, dataplane.program()?.tag);
    drop(dataplane);
    let recorded = Dataplane::load_recording(image)?.test_run(frame, 0, cpu)?;
    Ok(Asked { forwarded, counted, tag, recorded })
}
