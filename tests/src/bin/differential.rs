//! The differential test as a program, for long runs: `cargo xtask differential`.

use std::io::{IsTerminal, Write, stderr};
use std::process::ExitCode;

use clap::Parser;
use keysteer_common::vocabulary::Class;
use keysteer_tests::differential::run;

/// Compares the program in the kernel with the host engine on generated packets.
#[derive(Parser)]
#[command(name = "differential")]
struct Options {
    /// How many packets.
    #[arg(long, default_value_t = 1_000_000)]
    packets: u64,
    /// What they follow from: the same seed gives the same packets [default: the time].
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    let seed = options.seed.unwrap_or(now);
    println!("seed {seed}");
    let terminal = stderr().is_terminal();
    let progress = |done: u64| {
        if terminal {
            eprint!("\r{done} of {} packets", options.packets);
            // Progress that cannot be shown is no failure.
            let _ = stderr().flush();
        }
    };
    let answer = run(options.packets, seed, progress);
    if terminal {
        eprintln!();
    }
    match answer {
        Ok(report) => {
            let assigned = report.coverage.of("class", Class::Assigned.name());
            println!(
                "kernel and host agree on {} packets ({} of captures) under {} policies: {:.0} packets per second, {:.1} % assigned",
                report.packets,
                report.captured,
                report.policies,
                report.packets as f64 / report.took.as_secs_f64(),
                assigned as f64 * 100.0 / report.packets as f64,
            );
            println!("{}", report.coverage);
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}
