//! Real frames over a veth pair (`BPF_F_TEST_XDP_LIVE_FRAMES`): the wrapper's test run makes frames,
//! keysteer sends them out of the interface that they are said to have come in by, and the other end of
//! the pair, with an empty program, drops them. As a ratio to an empty program that does the same.

use std::sync::Barrier;
use std::time::Instant;

use aya::maps::ProgramArray;
use aya::programs::links::FdLink;
use aya::programs::{TestRun, TestRunAttrs, TestRunOptions, Xdp, XdpMode};
use keysteer::kernel::pin_to_cpu;
use keysteer::world::{End, Namespace, veth};

use crate::configuration;
use crate::frames::{SERVICE4, ipv4};
use crate::measure::load_wrapper;
use crate::policies;
use crate::rows::Variation;

/// Frames per second by number of CPUs: with an empty program, with keysteer.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) rates: Vec<(usize, f64, f64)>,
}

/// Frames per measurement and CPU.
const FRAMES: u32 = 1_000_000;
/// Measurements, of which the best counts.
const ROUNDS: usize = 3;

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Measures on one CPU and on two.
pub(crate) fn measure() -> Result<Live, String> {
    let node = Namespace::new("bench-node").map_err(text)?;
    let sink = Namespace::new("bench-sink").map_err(text)?;
    veth(
        End { namespace: &node, name: "lo-bench", mac: [2, 0, 0, 0, 0, 1] },
        End { namespace: &sink, name: "sink", mac: [2, 0, 0, 0, 0, 2] },
    )
    .map_err(text)?;
    node.up("lo-bench").map_err(text)?;
    sink.up("sink").map_err(text)?;
    let sunk = sink.index("sink").map_err(text)?;
    let _sinking = sink.run(move || attach_empty(sunk)).map_err(text)??;
    let index = node.index("lo-bench").map_err(text)?;
    node.run(move || inside(index)).map_err(text)?
}

/// Receives at the far end: frames sent to a veth arrive only where its peer polls, which a program on
/// the peer makes sure of.
fn attach_empty(index: u32) -> Result<(aya::Ebpf, FdLink), String> {
    let mut object = load_wrapper(&Variation::default())?;
    let program: &mut Xdp =
        object.program_mut("bench_drop").ok_or("no empty program")?.try_into().map_err(text)?;
    let id = program.attach_to_if_index(index, XdpMode::Driver).map_err(text)?;
    let link = FdLink::try_from(program.take_link(id).map_err(text)?).map_err(text)?;
    Ok((object, link))
}

fn inside(index: u32) -> Result<Live, String> {
    let mut policy = policies::all().into_iter().next().ok_or("no policies")?;
    policy.text =
        policy.text.replace("interface: lo,", "interface: lo-bench,").replace("name: lo}", "name: lo-bench}");
    let loaded = configuration::load(&policy)?;
    let ours = loaded.dataplane.xdp().map_err(text)?.fd().map_err(text)?.try_clone().map_err(text)?;
    let mut rates = Vec::new();
    for cpus in [1, 2] {
        let mut best = [0.0_f64; 2];
        for _ in 0..ROUNDS {
            for (at, rate) in best.iter_mut().enumerate() {
                *rate = rate.max(run((at == 1).then_some(&ours), index, cpus)?);
            }
        }
        rates.push((cpus, best[0], best[1]));
    }
    Ok(Live { rates })
}

/// Frames per second of all CPUs together.
fn run(ours: Option<&aya::programs::ProgramFd>, index: u32, cpus: usize) -> Result<f64, String> {
    let barrier = Barrier::new(cpus + 1);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cpus)
            .map(|cpu| {
                let barrier = &barrier;
                scope.spawn(move || -> Result<(), String> {
                    let ready = worker(ours, cpu);
                    barrier.wait();
                    let mut wrapper = ready?;
                    let outcome = send(&mut wrapper, index);
                    barrier.wait();
                    outcome
                })
            })
            .collect();
        barrier.wait();
        let begun = Instant::now();
        barrier.wait();
        let took = begun.elapsed().as_secs_f64();
        for worker in workers {
            worker.join().map_err(|_| String::from("a worker failed"))??;
        }
        Ok(f64::from(FRAMES) * cpus as f64 / took)
    })
}

fn worker(ours: Option<&aya::programs::ProgramFd>, cpu: usize) -> Result<aya::Ebpf, String> {
    pin_to_cpu(cpu).map_err(text)?;
    let mut wrapper = load_wrapper(&Variation::default())?;
    let fd = match ours {
        Some(fd) => fd.try_clone().map_err(text)?,
        None => {
            let program: &Xdp =
                wrapper.program("bench_transmit").ok_or("no program")?.try_into().map_err(text)?;
            program.fd().map_err(text)?.try_clone().map_err(text)?
        }
    };
    let mut chosen: ProgramArray<_> =
        wrapper.map_mut("UNDER_TEST").ok_or("no program array")?.try_into().map_err(text)?;
    chosen.set(0, &fd, 0).map_err(text)?;
    Ok(wrapper)
}

fn send(wrapper: &mut aya::Ebpf, index: u32) -> Result<(), String> {
    let program: &Xdp = wrapper.program("bench_wrapper").ok_or("no wrapper")?.try_into().map_err(text)?;
    let frame = ipv4(17, SERVICE4, 0);
    let length = u32::try_from(frame.len()).map_err(text)?;
    // struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
    let context: Vec<u8> =
        [0, length, 0, index, 0, 0].iter().flat_map(|word: &u32| word.to_ne_bytes()).collect();
    let mut options = TestRunOptions::new();
    options.data_in = Some(&frame);
    options.ctx_in = Some(&context);
    options.repeat = FRAMES;
    options.attrs = TestRunAttrs::new().xdp_live_frames(64);
    program.test_run(options).map(|_| ()).map_err(text)
}
