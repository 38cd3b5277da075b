//! `keysteer status`

use clap::Args;

use super::Read;
use super::output::{Align, Table, print_one};
use crate::control::types::Status;

/// Show what the agent does
///
/// The policy in force, where it is attached, the program and its maps, and every frame seen, by
/// what happened to it and why.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    read: Read,
}

pub(super) fn run(args: &StatusArgs) -> anyhow::Result<()> {
    let status: Status = args.read.client().get("/v1/status")?;
    print_one(args.read.output, &status, || render(&status))
}

fn render(status: &Status) -> String {
    let Status { policy, program, received, .. } = status;
    let mut facts = Table::new([("", Align::Left), ("", Align::Left)]);
    let mut fact = |name: &str, value: String| facts.row([name.to_owned(), value]);
    fact("agent", format!("version {}, pid {}", status.version, status.pid));
    fact("policy", format!("{} ({}), environment {}", policy.name, policy.file, policy.environment));
    if let Some(trouble) = &policy.trouble {
        fact("trouble", format!("the file is not in force: {}", trouble.lines().next().unwrap_or_default()));
    }
    let digest: String = policy.digest.chars().take(12).collect();
    fact("generation", format!("{}, digest {digest}", policy.generation));
    fact(
        "mode",
        format!("{}, schema {}, {} keys, {} shards", policy.mode, policy.schema, policy.keys, policy.shards),
    );
    fact(
        "program",
        format!(
            "id {}, tag {}, {} instructions verified, {} bytes",
            program.id, program.tag, program.verified_instructions, program.jited_bytes
        ),
    );
    let bytes: u64 = status.maps.iter().map(|map| map.bytes).sum();
    fact("maps", format!("{}, {bytes} bytes", status.maps.len()));
    fact("received", format!("{} packets, {} bytes", received.packets, received.bytes));
    // While packets flow a reading can fall between two counters of one frame.
    let sums = if status.balanced { "balanced" } else { "not balanced in this reading; ask again at rest" };
    fact("sums", sums.to_owned());

    let mut interfaces = Table::new([
        ("INTERFACE", Align::Left),
        ("INDEX", Align::Right),
        ("MODE", Align::Left),
        ("NOTE", Align::Left),
    ]);
    for at in &status.interfaces {
        let note = at.fallback.as_ref().map(|why| format!("not native: {why}")).unwrap_or_default();
        interfaces.row([at.name.clone(), at.index.to_string(), at.mode.clone(), note]);
    }
    let mut verdicts =
        Table::new([("VERDICT", Align::Left), ("PACKETS", Align::Right), ("BYTES", Align::Right)]);
    for (verdict, count) in status.verdicts.iter().filter(|(_, count)| count.packets > 0) {
        verdicts.row([verdict.clone(), count.packets.to_string(), count.bytes.to_string()]);
    }
    let mut outcomes = Table::new([
        ("CLASS", Align::Left),
        ("REASON", Align::Left),
        ("PACKETS", Align::Right),
        ("BYTES", Align::Right),
    ]);
    for outcome in &status.outcomes {
        outcomes.row([
            outcome.class.clone(),
            outcome.reason.clone(),
            outcome.packets.to_string(),
            outcome.bytes.to_string(),
        ]);
    }
    let mut parts = vec![facts.render(), interfaces.render()];
    if received.packets > 0 {
        parts.extend([verdicts.render(), outcomes.render()]);
    }
    parts.join("\n")
}
