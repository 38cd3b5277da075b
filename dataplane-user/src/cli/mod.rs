//! The command line: one file per command. Data goes to stdout, messages to stderr.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage; 130 when a demo is interrupted.

mod agent;
mod demo;
mod error;
mod inspect;
mod key;
mod log;
pub mod output;
mod progress;
mod replay;
mod shard;
mod status;
mod validate;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::control::client::Client;
use crate::control::types::DEFAULT_SOCKET;
use output::Format;

/// Exit code of a command that failed.
const FAILED: u8 = 1;

/// Steers flows to shards by allocation key
///
/// A packet carries its allocation key (a tenant, a region, a product) in its headers. An XDP
/// program reads the key, decides what may happen to it, picks its shard and forwards it. This
/// command checks policies, runs the agent that puts one into the kernel, and asks that agent
/// what it does.
///
/// Data is written to stdout, messages to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage.
#[derive(Debug, Parser)]
#[command(name = "keysteer", version, propagate_version = true, verbatim_doc_comment)]
struct Cli {
    #[command(flatten)]
    log: log::LogArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Agent(agent::AgentArgs),
    Demo(demo::DemoArgs),
    Validate(validate::ValidateArgs),
    Inspect(inspect::InspectArgs),
    Replay(replay::ReplayArgs),
    Status(status::StatusArgs),
    Key(key::KeyArgs),
    Shard(shard::ShardArgs),
}

/// How a read reaches the agent and shows what it says.
#[derive(Debug, Args)]
struct Read {
    /// How to show it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    /// The agent's socket
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
    socket: PathBuf,
}

impl Read {
    fn client(&self) -> Client {
        Client::new(&self.socket)
    }
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let serves = matches!(cli.command, Command::Agent(_) | Command::Demo(_));
    cli.log.install(serves);
    let done = match cli.command {
        Command::Agent(args) => agent::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Validate(args) => validate::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Key(args) => key::run(&args),
        Command::Shard(args) => shard::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", error::chain(&error));
            ExitCode::from(demo::exit_code(&error).unwrap_or(FAILED))
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound_and_short_help_fits_a_screen() {
        Cli::command().debug_assert();
        let mut command = Cli::command();
        command.build();
        let mut open = vec![command];
        while let Some(mut command) = open.pop() {
            let help = command.render_help().to_string();
            assert!(help.lines().count() <= 24, "{help}");
            let long = command.render_long_help().to_string();
            assert!(long.lines().all(|line| line.chars().count() <= 100), "{long}");
            open.extend(command.get_subcommands().cloned());
        }
    }

    #[test]
    fn commands_are_read_as_documented() {
        for line in [
            "keysteer agent --policy edge.yaml",
            "keysteer agent --policy p --state-dir /s --socket /a --metrics-address [::1]:9 --top-keys 5",
            "keysteer -v validate a.yaml b.yaml",
            "keysteer inspect a.pcap",
            "keysteer inspect -o yaml --write-policy p.yaml a.pcap -",
            "keysteer replay --policy p a.pcap",
            "keysteer replay --policy p --engine host -o jsonl --state-dir /s --top 5 a.pcap b.pcapng.gz -",
            "keysteer status -o json",
            "keysteer key list -o jsonl --socket /tmp/a.sock",
            "keysteer key get acme -o json",
            "keysteer shard list -v",
            "keysteer demo --keep --seconds 9 --plant-wrong-slot",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
        for line in [
            "keysteer",
            "keysteer validate",
            "keysteer agent",
            "keysteer status -o xml",
            "keysteer inspect",
            "keysteer replay a.pcap",
            "keysteer replay --policy p",
            "keysteer replay --policy p --engine both a.pcap",
        ] {
            let error = Cli::try_parse_from(line.split(' ')).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}
