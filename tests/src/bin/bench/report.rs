//! The figures as a table, or as JSON.

use serde_json::json;

use crate::changes::Changes;
use crate::configuration::Facts;
use crate::failover::Failover;
use crate::live::Live;
use crate::measure::Figures;
use crate::placing::{self, Placing};

/// Prints everything on standard output.
pub(crate) fn print(
    (figures, failover, placing): (&[Figures], &[Failover], &[Placing]),
    configurations: &[Facts],
    live: Option<&Live>,
    memory: &[(usize, f64)],
    changes: &[Changes],
    as_json: bool,
) {
    if as_json {
        let mut document = document(figures, configurations, live, memory, changes);
        document["failover"] = failover.iter().map(dead).collect();
        document["placing"] = placing.iter().map(placed).collect();
        println!("{document:#}");
        return;
    }
    println!(
        "Nanoseconds per packet through BPF_PROG_TEST_RUN. Net: above the same wrapper with an empty program.\n"
    );
    println!(
        "{:<42} {:>7} {:>7} {:>8} {:>10} {:>7}",
        "row", "floor", "total", "net min", "net median", "budget"
    );
    for row in figures {
        let budget = row
            .budget
            .map_or(String::new(), |most| format!("{most:.0}{}", if row.net <= most { "" } else { " !" }));
        let each = match row.segments {
            1 => String::new(),
            _ => format!("  {:.2} a segment", row.net_per_segment()),
        };
        println!(
            "{:<42} {:>7.1} {:>7.1} {:>8.1} {:>10.1} {:>7}{each}",
            row.name, row.floor, row.total, row.net, row.net_median, budget
        );
    }
    println!(
        "\n{:<18} {:>9} {:>8} {:>11} {:>8} {:>11}",
        "configuration", "verified", "JIT B", "compile ms", "load ms", "memory MiB"
    );
    for facts in configurations {
        println!(
            "{:<18} {:>9} {:>8} {:>11.1} {:>8.1} {:>11.2}{}",
            facts.name,
            facts.verified,
            facts.jited,
            facts.compile_ms,
            facts.load_ms,
            facts.memory as f64 / f64::from(1 << 20),
            if facts.within_budget() { "" } else { "  over budget" }
        );
    }
    println!("\nThis machine's memory, dependent random reads:");
    for (size, nanoseconds) in memory {
        println!("{size:>8} KiB {nanoseconds:>7.1} ns");
    }
    if let Some(live) = live {
        println!("\nLive frames over veth, batches of 64, in and out by XDP_TX:");
        for (cpus, empty, ours) in &live.rates {
            println!(
                "{cpus} CPU: empty program {:.2} Mpps, keysteer {:.2} Mpps, ratio {:.2}",
                empty / 1e6,
                ours / 1e6,
                ours / empty
            );
        }
    }
    if !failover.is_empty() {
        println!("\nFrom a shard's death to the first packet elsewhere, milliseconds:");
    }
    for it in failover {
        let Failover { interval, fall, took } = it;
        println!(
            "asked every {interval:?}, fall {fall}: median {:.1}, most {:.1} of {} deaths, budget {:.0}",
            Changes::median(took),
            it.most(),
            took.len(),
            it.budget()
        );
    }
    if !placing.is_empty() {
        println!("\nA thousand shards placed, milliseconds:");
    }
    for Placing { what, width, took } in placing {
        let least = took.iter().copied().fold(f64::INFINITY, f64::min);
        let over = if least <= placing::BUDGET { "" } else { " !" };
        println!(
            "width {width}, {what}: least {least:.1}, median {:.1}, budget {:.0}{over}",
            Changes::median(took),
            placing::BUDGET
        );
    }
    if !changes.is_empty() {
        println!("\nChanges with the agent steering, milliseconds:");
        println!(
            "{:>9} {:>10} {:>10} {:>7} {:>12} {:>7} {:>9} {:>9} {:>9} {:>5}",
            "keys",
            "apply min",
            "median",
            "budget",
            "rollback max",
            "budget",
            "RSS MiB",
            "peak MiB",
            "asked",
            "lost"
        );
    }
    for changes in changes {
        let Changes { keys, apply, rollback, memory, asked, lost } = changes;
        let least = apply.0.iter().copied().fold(f64::INFINITY, f64::min);
        let most = rollback.0.iter().copied().fold(0.0, f64::max);
        println!(
            "{keys:>9} {least:>10.0} {:>10.0} {:>7.0} {most:>12.1} {:>7.0} {:>9.0} {:>9.0} {asked:>9} {lost:>5}",
            Changes::median(&apply.0),
            apply.1,
            rollback.1,
            memory.0,
            memory.1
        );
    }
}

/// Deaths of shards.
fn dead(failover: &Failover) -> serde_json::Value {
    let Failover { interval, fall, took } = failover;
    json!({"intervalMs": interval.as_millis() as u64, "fall": fall, "tookMs": took, "budgetMs": failover.budget()})
}

/// A change of many shards.
fn placed(it: &Placing) -> serde_json::Value {
    json!({"what": it.what, "width": it.width, "tookMs": it.took, "budgetMs": placing::BUDGET})
}

fn document(
    figures: &[Figures],
    configurations: &[Facts],
    live: Option<&Live>,
    memory: &[(usize, f64)],
    changes: &[Changes],
) -> serde_json::Value {
    let rows: Vec<_> = figures
        .iter()
        .map(|row| {
            json!({
                "name": row.name, "floorNs": row.floor, "totalNs": row.total, "netMinNs": row.net,
                "netMedianNs": row.net_median, "budgetNs": row.budget, "segments": row.segments,
                "netPerSegmentNs": row.net_per_segment(),
            })
        })
        .collect();
    let configurations: Vec<_> = configurations
        .iter()
        .map(|facts| {
            json!({
                "name": facts.name, "verifiedInstructions": facts.verified, "verifiedBudget": facts.verified_budget,
                "jitedBytes": facts.jited, "compileMs": facts.compile_ms, "loadMs": facts.load_ms,
                "memoryBytes": facts.memory, "memoryBudget": facts.memory_budget,
            })
        })
        .collect();
    let live: Vec<_> = live
        .iter()
        .flat_map(|live| &live.rates)
        .map(|(cpus, empty, ours)| json!({"cpus": cpus, "emptyPps": empty, "keysteerPps": ours, "ratio": ours / empty}))
        .collect();
    let memory: Vec<_> =
        memory.iter().map(|(size, nanoseconds)| json!({"kibibytes": size, "readNs": nanoseconds})).collect();
    let changes: Vec<_> = changes
        .iter()
        .map(|changes| {
            json!({
                "keys": changes.keys, "applyMs": changes.apply.0, "applyBudgetMs": changes.apply.1,
                "rollbackMs": changes.rollback.0, "rollbackBudgetMs": changes.rollback.1,
                "agentMib": changes.memory.0, "agentPeakMib": changes.memory.1,
                "asked": changes.asked, "lost": changes.lost,
            })
        })
        .collect();
    json!({
        "rows": rows, "configurations": configurations, "live": live, "memory": memory, "changes": changes,
    })
}
