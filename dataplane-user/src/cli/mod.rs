//! The command line: one file per command. Data goes to stdout, messages to stderr.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage; 3 when a plan asked for by `--exit-code` would change something;
//! 130 when a demo is interrupted.

mod agent;
mod apply;
mod audit;
mod completions;
mod demo;
mod doctor;
mod error;
mod explain;
mod inspect;
mod key;
mod log;
mod man;
pub mod output;
mod plan;
mod policy;
mod pool;
mod progress;
mod replay;
mod rollout;
mod shard;
mod share;
mod sign;
mod status;
mod validate;
mod word;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::control::client::Client;
use crate::control::types::DEFAULT_SOCKET;
use crate::messages;
use output::Format;

/// Exit code of a command that failed.
const FAILED: u8 = 1;
/// Exit code of wrong usage, also clap's.
const USAGE: u8 = 2;
/// Exit code of `plan --exit-code` when something would change.
const WOULD_CHANGE: u8 = 3;

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
    Doctor(doctor::DoctorArgs),
    Validate(validate::ValidateArgs),
    Plan(plan::PlanArgs),
    Apply(apply::ApplyArgs),
    Rollback(apply::RollbackArgs),
    Rollout(rollout::RolloutArgs),
    Generations(apply::GenerationsArgs),
    Inspect(inspect::InspectArgs),
    Replay(replay::ReplayArgs),
    Status(status::StatusArgs),
    Key(key::KeyArgs),
    Shard(shard::ShardArgs),
    Pool(pool::PoolArgs),
    Explain(explain::ExplainArgs),
    Audit(audit::AuditArgs),
    Policy(policy::PolicyArgs),
    Sign(sign::SignArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
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

/// Whether values are shown that the policy hides.
#[derive(Debug, Args)]
struct Reveal {
    /// Show values plainly also where the policy's `display` hides them
    #[arg(long)]
    reveal: bool,
}

impl Reveal {
    /// `path` of the local API, asked so.
    fn path(&self, path: &str) -> String {
        revealed(self.reveal, path)
    }
}

fn revealed(reveal: bool, path: &str) -> String {
    if reveal { format!("{path}?reveal=true") } else { path.to_owned() }
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let serves = matches!(cli.command, Command::Agent(_) | Command::Demo(_));
    let format = match &cli.command {
        Command::Agent(args) => args.log_format(),
        _ => log::LogFormat::Text,
    };
    cli.log.install(serves, format);
    let done = match cli.command {
        Command::Agent(args) => agent::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Validate(args) => validate::run(&args),
        Command::Plan(args) => match plan::run(&args) {
            Ok(plan::Outcome::WouldChange) => return ExitCode::from(WOULD_CHANGE),
            done => done.map(drop),
        },
        Command::Apply(args) => apply::apply(&args),
        Command::Rollback(args) => apply::rollback(&args),
        Command::Rollout(args) => rollout::run(&args),
        Command::Generations(args) => apply::generations(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Key(args) => key::run(&args),
        Command::Shard(args) => shard::run(&args),
        Command::Pool(args) => pool::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Policy(args) => policy::run(&args),
        Command::Sign(args) => sign::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            messages::fail(&error::chain(&error));
            ExitCode::from(exit_code(&error))
        }
    }
}

fn exit_code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<error::Usage>() {
        Some(_) => USAGE,
        None => demo::exit_code(error).unwrap_or(FAILED),
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
            // Of the whole program, which `help` lists too, there are many commands; of each a small screen holds all.
            let screen = if ["keysteer", "help"].contains(&command.get_name()) { 32 } else { 24 };
            assert!(help.lines().count() <= screen, "{help}");
            let long = command.render_long_help().to_string();
            assert!(long.lines().all(|line| line.chars().count() <= 100), "{long}");
            open.extend(command.get_subcommands().cloned());
        }
    }

    #[test]
    fn commands_are_read_as_documented() {
        for line in [
            "keysteer agent --policy edge.yaml",
            "keysteer agent --policy p --log-format json",
            "keysteer agent --policy p --state-dir /s --socket /a --metrics-address [::1]:9 --top-keys 5",
            "keysteer -v validate a.yaml b.yaml",
            "keysteer validate --previous old.yaml new.yaml",
            "keysteer inspect a.pcap",
            "keysteer inspect -o yaml --write-policy p.yaml a.pcap -",
            "keysteer replay --policy p a.pcap",
            "keysteer replay --policy p --engine host -o jsonl --state-dir /s --top 5 a.pcap b.pcapng.gz -",
            "keysteer status -o json",
            "keysteer plan new.yaml",
            "keysteer plan new.yaml --against old.yaml -o json --exit-code --allow schema --allow vip-tier --allow dual-accept",
            "keysteer plan new.yaml --out p.json --socket /tmp/a.sock",
            "keysteer key list -o jsonl --socket /tmp/a.sock",
            "keysteer key get acme -o json",
            "keysteer key get acme --reveal",
            "keysteer key list --reveal -o json",
            "keysteer plan new.yaml --reveal",
            "keysteer replay --policy p --reveal a.pcap",
            "keysteer explain --hex 0200 --reveal",
            "keysteer shard list -v",
            "keysteer apply p --at-once",
            "keysteer rollout show -o json",
            "keysteer rollout promote --all --socket s",
            "keysteer pool show",
            "keysteer pool show general -o json",
            "keysteer pool export --out f",
            "keysteer pool import f --socket /tmp/a.sock",
            "keysteer explain --src 10.1.0.1 --dst 203.0.113.10 --dport 443 --policy p -o json",
            "keysteer explain --src ::1 --dst ::2 --proto 47 --vlan 7 --inner-vlan 8 --pcp 5 --dscp 46 --flow-label 0x12345",
            "keysteer explain --src ::1 --dst ::2 --dport 1 --tcp-flags syn,ack --eth-src 02:00:00:00:00:0a --length 1500",
            "keysteer explain --hex 0200 --policy p --engine kernel --state-dir s --interface eth0",
            "keysteer explain --capture c --packet 1 --socket s",
            "keysteer audit",
            "keysteer audit --since 7d --key acme --action key-deny -o jsonl --state-dir s",
            "keysteer audit --since 2026-01-31T12:00:00Z --shard a",
            "keysteer audit --subject policy:edge",
            "keysteer audit verify -o json --state-dir s",
            "keysteer policy schema",
            "keysteer policy example",
            "keysteer policy example -o json",
            "keysteer policy example demo",
            "keysteer sign 42 --secret-file s --secret-id 1",
            "keysteer sign 0x2a --secret-file s --secret-id 255 --epoch 0 --source ::1/48 --destination 192.0.2.1 -o json",
            "keysteer sign 42 --secret-file s --secret-id 1 --raw",
            "keysteer completions zsh",
            "keysteer man",
            "keysteer man /tmp/man1",
            "keysteer doctor",
            "keysteer doctor --policy p -o jsonl --bpffs /b",
            "keysteer doctor --state-dir s -o json",
            "keysteer demo --keep --seconds 9 --plant-wrong-slot",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
        for line in [
            "keysteer",
            "keysteer validate",
            "keysteer agent",
            "keysteer status -o xml",
            "keysteer plan",
            "keysteer plan a --against b --socket s",
            "keysteer plan a --against b --out c",
            "keysteer plan a --allow base-moved",
            "keysteer plan a --reveal --out c",
            "keysteer agent --policy p --log-format xml",
            "keysteer status -o xml",
            "keysteer explain",
            "keysteer explain --src ::1",
            "keysteer explain --dst ::1 --hex 00",
            "keysteer explain --src ::1 --dst ::2 --hex 00",
            "keysteer explain --hex 00 --capture c --packet 1",
            "keysteer explain --capture c",
            "keysteer explain --capture c --packet 0",
            "keysteer explain --hex 00 --dport 1",
            "keysteer explain --hex 00 --engine kernel",
            "keysteer explain --hex 00 --policy p --socket s",
            "keysteer explain --hex 00 --state-dir s",
            "keysteer explain --src ::1 --dst ::2 --vlan 4096",
            "keysteer explain --src ::1 --dst ::2 --inner-vlan 1",
            "keysteer explain --src ::1 --dst ::2 --dscp 64",
            "keysteer explain --src ::1 --dst ::2 --proto tpc",
            "keysteer explain --src ::1 --dst ::2 --tcp-flags sny",
            "keysteer explain --src ::1 --dst ::2 --flow-label 0x100000",
            "keysteer explain --src ::1 --dst ::2 --eth-src 2:0:0:0:0:1",
            "keysteer audit --since yesterday",
            "keysteer audit --key a --shard b",
            "keysteer audit --shard a --subject key:a",
            "keysteer audit --key a verify",
            "keysteer audit verify --key a",
            "keysteer policy example demo -o json",
            "keysteer sign 42 --secret-id 1",
            "keysteer sign 42 --secret-file s --secret-id 256",
            "keysteer sign 42 --secret-file s --secret-id 1 --raw -o json",
            "keysteer sign acme --secret-file s --secret-id 1",
            "keysteer completions tcsh",
            "keysteer pool import",
            "keysteer rollout",
            "keysteer agent --policy p --log-format xml",
            "keysteer doctor p",
            "keysteer doctor --policy p --state-dir s",
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
