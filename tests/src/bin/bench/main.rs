//! What a packet costs, measured so that it can be believed: see `docs/performance.md`.
//! Run by `cargo xtask bench`.

mod back;
mod carriers;
mod changes;
mod configuration;
mod failover;
mod frames;
mod live;
mod measure;
mod memory;
mod placing;
mod policies;
mod proof;
mod report;
mod rows;
mod translation;

use std::process::ExitCode;

/// What the command line decides.
#[derive(Debug)]
pub(crate) struct Options {
    json: bool,
    rounds: usize,
    iterations: u32,
    only: Option<String>,
    live: bool,
    changes: bool,
}

const USAGE: &str =
    "usage: bench [--json] [--rounds N] [--iterations N] [--only TEXT] [--no-live] [--no-changes]";

fn options() -> Result<Options, String> {
    let mut options =
        Options { json: false, rounds: 11, iterations: 500_000, only: None, live: true, changes: true };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} takes a value"));
        match argument.as_str() {
            "--json" => options.json = true,
            "--no-live" => options.live = false,
            "--no-changes" => options.changes = false,
            "--rounds" => options.rounds = value()?.parse().map_err(|_| "--rounds takes a number")?,
            "--iterations" => {
                options.iterations = value()?.parse().map_err(|_| "--iterations takes a number")?;
            }
            "--only" => options.only = Some(value()?),
            _ => return Err(format!("unknown argument {argument}\n{USAGE}")),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    let outcome = options().and_then(|options| run(&options));
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures everything; false when a figure that must hold everywhere (instructions, memory, no packet lost) did not.
fn run(options: &Options) -> Result<bool, String> {
    let wanted = |name: &str| options.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    // First, because an agent inherits the CPUs of whoever starts it.
    let changes = if options.changes && wanted("changes") { changes::measure()? } else { Vec::new() };
    let failover = if options.changes && wanted("failover") { failover::measure()? } else { Vec::new() };
    let placing = if wanted("placing") { placing::measure()? } else { Vec::new() };
    keysteer::kernel::pin_to_cpu(0).map_err(|error| error.to_string())?;
    let mut benches = Vec::new();
    let mut configurations = Vec::new();
    let all = [policies::all(), carriers::policies(), back::policies(), translation::policies()];
    for configuration in all.into_iter().flatten() {
        let rows: Vec<_> = rows::of(configuration.name).into_iter().filter(|row| wanted(row.name)).collect();
        if rows.is_empty() {
            continue;
        }
        eprintln!("loading {} ...", configuration.name);
        let loaded = configuration::load(&configuration)?;
        configurations.push(loaded.facts.clone());
        let dataplane = std::rc::Rc::new(loaded.dataplane);
        for row in rows {
            benches.push(measure::Bench::new(row, std::rc::Rc::clone(&dataplane))?);
        }
    }
    measure::rounds(&mut benches, options)?;
    let live = if options.live { Some(live::measure()?) } else { None };
    let results: Vec<_> = benches.iter().map(measure::Bench::result).collect();
    let figures = (results.as_slice(), failover.as_slice(), placing.as_slice());
    report::print(figures, &configurations, live.as_ref(), &memory::ladder(), &changes, options.json);
    Ok(configurations.iter().all(configuration::Facts::within_budget)
        && changes.iter().all(changes::Changes::harmless))
}
