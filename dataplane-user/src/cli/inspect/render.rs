//! The findings of an inspection, for people.

use crate::cli::output::{Align, Table};
use crate::inspect::{Carried, EXACT, Report};

/// What was read, the carriers and what the columns mean, the services, and the proposal.
pub(super) fn render(report: &Report) -> String {
    let mut parts = vec![read(report), carriers(report)];
    if !report.services.is_empty() {
        parts.push(services(report));
    }
    parts.push(proposal(report));
    parts.join("\n")
}

fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn read(report: &Report) -> String {
    let Report { packets, bytes, ip, malformed, cut_short, asking, .. } = report;
    let mut text =
        format!("{}, {bytes} bytes: {ip} are IP, {asking} ask a service", count(*packets, "packet"));
    if *malformed > 0 {
        text.push_str(&format!(", {malformed} malformed"));
    }
    text.push('\n');
    if *cut_short > 0 {
        text.push_str(&format!(
            "note: {} not whole in the capture, so most of them look malformed: record with `tcpdump -s 0`\n",
            if *cut_short == 1 { "1 packet is".to_owned() } else { format!("{cut_short} packets are") }
        ));
    }
    text
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn carriers(report: &Report) -> String {
    let mut table = Table::new([
        ("CARRIER", Align::Left),
        ("PACKETS", Align::Right),
        ("LACKING", Align::Right),
        ("VALUES", Align::Right),
        ("EFFECTIVE", Align::Right),
        ("TOP", Align::Right),
        ("TOP VALUE", Align::Left),
    ]);
    // There are many, and a capture has a few.
    let (seen, not): (Vec<&Carried>, Vec<&Carried>) =
        report.carriers.iter().partition(|carrier| carrier.packets > 0);
    for carrier in seen {
        let top = carrier.top.first();
        table.row([
            carrier
                .option
                .as_ref()
                .map_or_else(|| carrier.carrier.to_owned(), |option| format!("{} {option}", carrier.carrier)),
            carrier.packets.to_string(),
            percent(carrier.lacking),
            values(carrier),
            carrier.effective_values.map(|values| format!("{values:.1}")).unwrap_or_default(),
            top.map(|top| percent(top.share)).unwrap_or_default(),
            top.map(|top| top.value.clone()).unwrap_or_default(),
        ]);
    }
    let mut text = table.render();
    if !not.is_empty() {
        let names: Vec<&str> = not.iter().map(|carrier| carrier.carrier).collect();
        for line in wrapped(&names) {
            text.push_str(&line);
        }
    }
    text.push_str(
        "LACKING: part of all packets without it. TOP: part of its most common value among those with it.\n\
         EFFECTIVE: as varied as so many equally common values (2 to the power of the entropy): near 1 it is\n\
         nearly always the same, near VALUES it is spread evenly.\n",
    );
    if report.carriers.iter().any(|carrier| carrier.estimated) {
        text.push_str(&format!(
            "~: more than {EXACT} values, so their number is an estimate to about 1 %, and TOP the least it can be.\n"
        ));
    }
    text
}

/// Names of carriers that were not seen, in lines of a screen's width.
fn wrapped(names: &[&str]) -> Vec<String> {
    let mut lines = vec!["Not seen:".to_owned()];
    for (nth, name) in names.iter().enumerate() {
        let comma = if nth + 1 < names.len() { "," } else { "" };
        match lines.last_mut() {
            Some(line) if line.len() + name.len() + 2 <= 110 => line.push_str(&format!(" {name}{comma}")),
            _ => lines.push(format!("  {name}{comma}")),
        }
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

fn values(carrier: &Carried) -> String {
    format!("{}{}", if carrier.estimated { "~" } else { "" }, carrier.values)
}

fn services(report: &Report) -> String {
    let mut table = Table::new([
        ("SERVICE", Align::Left),
        ("ADDRESS", Align::Left),
        ("PACKETS", Align::Right),
        ("BYTES", Align::Right),
        ("FLOWS", Align::Right),
    ]);
    for service in &report.services {
        table.row([
            service.service.clone(),
            service.address.clone(),
            service.packets.to_string(),
            service.bytes.to_string(),
            service.flows.to_string(),
        ]);
    }
    table.render()
}

fn proposal(report: &Report) -> String {
    let mut text = String::from("Proposed\n");
    for because in &report.proposal.because {
        text.push_str(&format!("  {because}\n"));
    }
    text.push_str("The whole policy: -o yaml, or --write-policy FILE.\n");
    text
}
