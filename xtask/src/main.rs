//! keysteer's chores. `cargo xtask --help` lists them.

mod bench;
mod btf;
mod differential;
mod ebpf;
mod fuzz;
mod kernels;
mod setup;
mod shell;
mod test;

#[path = "../../dataplane-ebpf/object/manifest.rs"]
mod manifest;

use clap::{Parser, Subcommand};

/// keysteer's chores.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Install what the eBPF build and the kernel tests need (Debian, Ubuntu), or say what to install.
    Setup,
    /// Build the eBPF object and its manifest into dataplane-ebpf/object/.
    Ebpf(ebpf::Options),
    /// Compare the program in the kernel with the host engine on generated packets, as root.
    Differential(differential::Options),
    /// Run the fuzz targets (needs cargo-fuzz).
    Fuzz(fuzz::Options),
    /// Measure what a packet costs.
    Bench(bench::Options),
    /// Run the tests of the kernel on the other kernels that are supported, in emulated machines.
    Kernels(kernels::Options),
    /// Run the tests: unit tests, then as root those that need the kernel.
    Test(test::Options),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().chore {
        Chore::Setup => setup::run(),
        Chore::Ebpf(options) => ebpf::run(&options),
        Chore::Differential(options) => differential::run(&options),
        Chore::Fuzz(options) => fuzz::run(&options),
        Chore::Bench(options) => bench::run(&options),
        Chore::Kernels(options) => kernels::run(&options),
        Chore::Test(options) => test::run(&options),
    }
}
