//! Interleaved rounds of test runs through the wrapper, with its own floor beside each row.

use std::rc::Rc;
use std::time::Duration;

use aya::maps::ProgramArray;
use aya::programs::{SchedClassifier, TestRun, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader};
use keysteer::kernel::Dataplane;
use keysteer_common::program::Hook;

use crate::Options;
use crate::carriers::signing;
use crate::rows::{Row, Variation};

/// The wrapper's object, built and committed with keysteer's.
static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("CARGO_MANIFEST_DIR"), "/../dataplane-ebpf/object/bench.bpf.o"));

/// `XDP_ABORTED`, and at TC `TC_ACT_STOLEN`: the wrapper could not do its work.
const ABORTED: [u32; 2] = [0, 4];

/// Words of `struct __sk_buff`, and those of the segments' number and size.
const SK_BUFF: (usize, usize, usize) = (48, 41, 44);

/// A row ready to be measured.
#[derive(Debug)]
pub(crate) struct Bench {
    row: Row,
    dataplane: Rc<Dataplane>,
    wrapper: Ebpf,
    floors: Vec<f64>,
    totals: Vec<f64>,
}

/// A row's figures, in nanoseconds per packet.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    pub(crate) name: &'static str,
    /// The wrapper and an empty program, least.
    pub(crate) floor: f64,
    /// The wrapper and keysteer, least.
    pub(crate) total: f64,
    /// Least total less least floor.
    pub(crate) net: f64,
    /// Median total less median floor.
    pub(crate) net_median: f64,
    /// The most that it should be, where DESIGN has a budget.
    pub(crate) budget: Option<f64>,
    /// Of how many frames a packet is.
    pub(crate) segments: u32,
}

impl Figures {
    /// What each frame of a packet costs.
    pub(crate) fn net_per_segment(&self) -> f64 {
        self.net / f64::from(self.segments)
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Loads the wrapper for one variation.
pub(crate) fn load_wrapper(variation: &Variation) -> Result<Ebpf, String> {
    let bytes = variation.bytes();
    let mut wrapper =
        EbpfLoader::new().override_global("VARIATION", bytes.as_slice(), true).load(OBJECT).map_err(text)?;
    for name in ["bench_wrapper_tc", "bench_empty_tc"] {
        let program: &mut SchedClassifier = wrapper
            .program_mut(name)
            .ok_or("the wrapper's object is not the benchmark's")?
            .try_into()
            .map_err(text)?;
        program.load().map_err(text)?;
    }
    for name in ["bench_wrapper", "bench_empty", "bench_transmit", "bench_drop"] {
        let program: &mut Xdp = wrapper
            .program_mut(name)
            .ok_or("the wrapper's object is not the benchmark's")?
            .try_into()
            .map_err(text)?;
        program.load().map_err(text)?;
    }
    Ok(wrapper)
}

impl Bench {
    /// Loads the wrapper for a row, and proves what a packet becomes where the row says it.
    pub(crate) fn new(row: Row, dataplane: Rc<Dataplane>) -> Result<Self, String> {
        let wrapper = load_wrapper(&row.variation)?;
        let mut bench = Self { row, dataplane, wrapper, floors: Vec::new(), totals: Vec::new() };
        if let Some(wanted) = bench.row.becomes.clone() {
            bench.choose(false)?;
            let mut frame = vec![0; wanted.len()];
            bench.run(1, Some(&mut frame))?;
            if frame != wanted {
                return Err(format!("{}: a packet became {frame:02x?}, not {wanted:02x?}", bench.row.name));
            }
        }
        Ok(bench)
    }

    /// Puts the empty program or keysteer behind the wrapper.
    fn choose(&mut self, empty: bool) -> Result<(), String> {
        let at_tc = self.row.hook != Hook::Xdp;
        let fd = match (empty, at_tc) {
            (true, false) => self.xdp("bench_empty")?.fd(),
            (true, true) => self.tc("bench_empty_tc")?.fd(),
            (false, false) => self.dataplane.xdp().map_err(text)?.fd(),
            (false, true) => self.dataplane.classifier(self.row.hook).map_err(text)?.fd(),
        };
        let fd = fd.map_err(text)?.try_clone().map_err(text)?;
        let name = if at_tc { "UNDER_TEST_TC" } else { "UNDER_TEST" };
        let mut chosen: ProgramArray<_> =
            self.wrapper.map_mut(name).ok_or("no program array")?.try_into().map_err(text)?;
        chosen.set(0, &fd, 0).map_err(text)
    }

    /// A program of the wrapper's object for XDP.
    fn xdp(&self, name: &str) -> Result<&Xdp, String> {
        self.wrapper.program(name).ok_or("no such program")?.try_into().map_err(text)
    }

    /// A program of the wrapper's object for TC.
    fn tc(&self, name: &str) -> Result<&SchedClassifier, String> {
        self.wrapper.program(name).ok_or("no such program")?.try_into().map_err(text)
    }

    /// What a packet at TC has beside its bytes: of how many segments it is.
    fn context(&self) -> Vec<u8> {
        let (words, segments, size) = SK_BUFF;
        let mut context = vec![0_u32; words];
        for (word, value) in [(segments, self.row.segments), (size, 1_000)] {
            if let Some(word) = context.get_mut(word) {
                *word = value;
            }
        }
        context.into_iter().flat_map(u32::to_ne_bytes).collect()
    }

    /// Nanoseconds per packet of so many packets, the last of which is left in `out`.
    fn run(&self, iterations: u32, out: Option<&mut [u8]>) -> Result<f64, String> {
        let context = self.context();
        let mut options = TestRunOptions::new();
        options.data_in = Some(&self.row.frame);
        options.data_out = out;
        options.repeat = iterations;
        // The kernel's own figure is whole nanoseconds, and elapsed time counts other processes' turns; the
        // system call's share of this one is nothing.
        let begun = thread_time()?;
        let result = match self.row.hook {
            Hook::Xdp => self.xdp("bench_wrapper")?.test_run(options),
            Hook::Tc | Hook::Back => {
                options.ctx_in = (self.row.segments > 1).then_some(&context);
                self.tc("bench_wrapper_tc")?.test_run(options)
            }
        };
        let result = result.map_err(text)?;
        let took = thread_time()?.saturating_sub(begun);
        if result.return_value == ABORTED[usize::from(self.row.hook != Hook::Xdp)] {
            return Err(format!("{}: the wrapper could not call the program", self.row.name));
        }
        Ok(took.as_secs_f64() * 1e9 / f64::from(iterations))
    }

    /// One measurement of the floor and one of the row, the row's path proved by the counters.
    fn round(&mut self, iterations: u32) -> Result<(), String> {
        self.choose(true)?;
        let floor = self.run(iterations, None)?;
        self.choose(false)?;
        self.dataplane.write_signing(&signing()).map_err(text)?;
        let before = self.dataplane.counters().map_err(text)?;
        let total = self.run(iterations, None)?;
        let after = self.dataplane.counters().map_err(text)?;
        let packets = u64::from(iterations) * u64::from(self.row.segments);
        self.row.way.taken(&before, &after, packets).map_err(|what| format!("{}: {what}", self.row.name))?;
        self.floors.push(floor);
        self.totals.push(total);
        Ok(())
    }

    /// The figures of all rounds.
    pub(crate) fn result(&self) -> Figures {
        let least = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
        let median = |values: &[f64]| {
            let mut sorted = values.to_vec();
            sorted.sort_by(f64::total_cmp);
            sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
        };
        Figures {
            name: self.row.name,
            floor: least(&self.floors),
            total: least(&self.totals),
            net: least(&self.totals) - least(&self.floors),
            net_median: median(&self.totals) - median(&self.floors),
            budget: self.row.budget,
            segments: self.row.segments,
        }
    }
}

/// How long this thread has run.
fn thread_time() -> Result<Duration, String> {
    Ok(nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).map_err(text)?.into())
}

/// Measures all rows in turn, again and again, so that a busy moment of the machine hits them alike.
pub(crate) fn rounds(benches: &mut [Bench], options: &Options) -> Result<(), String> {
    for round in 0..=options.rounds {
        eprint!("\rround {round} of {} ", options.rounds);
        for bench in benches.iter_mut() {
            bench.round(options.iterations)?;
            if round == 0 {
                // Warming up.
                bench.floors.clear();
                bench.totals.clear();
            }
        }
    }
    eprintln!();
    Ok(())
}
