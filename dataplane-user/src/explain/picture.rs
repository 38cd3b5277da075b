//! An explanation for people: a tree, one branch a stage, in the order that the packet met them.

use std::fmt::Write as _;

use super::trust;
use super::types::{
    Explanation, Field, Forward, KernelRun, Level, LevelFinding, Parse, Scope, ScopeFinding, Select,
    Transport,
};

/// Columns that a stage's name takes.
const NAME: usize = 8;

/// The picture, which ends with a line end.
pub fn draw(explanation: &Explanation) -> String {
    let mut picture = head(explanation);
    let stages = stages(explanation);
    let last = stages.len().saturating_sub(1);
    for (at, (name, lines)) in stages.iter().enumerate() {
        for (nth, line) in lines.iter().enumerate() {
            let branch = match (nth, at == last) {
                (0, false) => "├─",
                (0, true) => "└─",
                (_, false) => "│ ",
                (_, true) => "  ",
            };
            let name = if nth == 0 { name } else { "" };
            let _ = writeln!(picture, "{branch} {name:<NAME$} {line}");
        }
    }
    for (title, lines) in
        [("What is assumed", &explanation.assumed), ("What would change it", &explanation.would_change)]
    {
        if !lines.is_empty() {
            let _ = writeln!(picture, "\n{title}");
            lines.iter().for_each(|line| {
                let _ = writeln!(picture, "  {line}");
            });
        }
    }
    picture
}

fn head(explanation: &Explanation) -> String {
    let Explanation { policy, interface, bytes, live, .. } = explanation;
    let against = if *live { "in force" } else { "not in force" };
    format!(
        "{}, {bytes} bytes, arriving on {interface}\npolicy {} ({}), schema {}, {against}{}\n",
        title(&explanation.parse),
        policy.name,
        policy.file,
        schema(explanation),
        if policy.mode == "observe" { ", only observing" } else { "" },
    )
}

/// The version that decided, among others.
fn schema(explanation: &Explanation) -> String {
    let version = explanation.schema.unwrap_or(explanation.policy.schema);
    match (explanation.others.is_empty(), &explanation.key) {
        (true, _) => version.to_string(),
        (false, Some(_)) => format!("{version} decides"),
        (false, None) => "without a key by any version".to_owned(),
    }
}

/// A packet in a few words.
fn title(parse: &Parse) -> String {
    let Some(ip) = &parse.ip else {
        return match &parse.ethernet {
            Some(ethernet) => format!("EtherType 0x{:04x}", ethernet.ether_type),
            None => "no whole Ethernet header".to_owned(),
        };
    };
    let (source, destination, protocol) = match &parse.transport {
        Some(it) => (it.source_port, it.destination_port, it.protocol.as_str()),
        None => (None, None, "ip"),
    };
    format!("{protocol} {} > {}", end(&ip.source, source), end(&ip.destination, destination))
}

/// An address with its port.
fn end(address: &str, port: Option<u16>) -> String {
    match port {
        Some(port) if address.contains(':') => format!("[{address}]:{port}"),
        Some(port) => format!("{address}:{port}"),
        None => address.to_owned(),
    }
}

/// The lines of every stage that was reached.
fn stages(explanation: &Explanation) -> Vec<(&'static str, Vec<String>)> {
    let mut stages = vec![("parse", parse(&explanation.parse)), ("scope", scope(explanation))];
    if let Some(fields) = &explanation.extract {
        stages.push(("extract", columns(&fields.iter().map(field).collect::<Vec<_>>())));
    }
    if let Some(levels) = &explanation.resolve {
        stages
            .push(("resolve", columns(&levels.iter().map(|it| level(it, explanation)).collect::<Vec<_>>())));
    }
    for other in &explanation.others {
        let mut lines = vec![format!("by version {} of the schema", other.schema)];
        lines.extend(columns(&other.extract.iter().map(field).collect::<Vec<_>>()));
        lines.extend(columns(&other.resolve.iter().map(|it| level(it, explanation)).collect::<Vec<_>>()));
        stages.push(("beside", lines));
    }
    if let Some(it) = &explanation.trust {
        stages.push(("trust", trust::words(it)));
    }
    stages.push(("class", vec![class(explanation)]));
    if let Some(key) = &explanation.key {
        let facts = [
            ("alias of", &key.alias_of),
            ("tier", &key.tier),
            ("owner", &key.owner),
            ("cost centre", &key.cost_centre),
            ("account", &key.account),
        ];
        let facts =
            facts.into_iter().filter_map(|(name, value)| Some(format!(", {name} {}", value.as_ref()?)));
        stages.push(("key", vec![format!("{}, id {}{}", key.name, key.id, facts.collect::<String>())]));
    }
    if let Some(enforce) = &explanation.enforce {
        stages.push((
            "enforce",
            vec![match &enforce.denied {
                Some(reason) => format!("denied: {reason}"),
                None if enforce.word.is_some() => {
                    "an operator allows it, whatever the policy says".to_owned()
                }
                None => "nothing forbids it".to_owned(),
            }],
        ));
    }
    if let Some(it) = &explanation.select {
        stages.push(("select", vec![select(it)]));
    }
    stages.push(("forward", forward(&explanation.forward)));
    if let Some(run) = &explanation.kernel {
        stages.push(("kernel", kernel(run)));
    }
    stages
}

fn parse(parse: &Parse) -> Vec<String> {
    let mut lines = Vec::new();
    match &parse.ethernet {
        Some(it) => lines
            .push(format!("ethernet at 0: {} > {}, type 0x{:04x}", it.source, it.destination, it.ether_type)),
        None => lines.push("the frame is too short for an Ethernet header".to_owned()),
    }
    for tag in &parse.vlans {
        lines.push(format!("vlan at {}: id {}, priority {}", tag.at, tag.id, tag.pcp));
    }
    if let Some(ip) = &parse.ip {
        let label = ip.flow_label.map(|label| format!(", flow label 0x{label:05x}")).unwrap_or_default();
        let fragment = if ip.fragment { ", a fragment" } else { "" };
        lines.push(format!(
            "ipv{} at {}: {} > {}, dscp {}{label}{fragment}",
            ip.version, ip.at, ip.source, ip.destination, ip.dscp
        ));
    }
    if let Some(it) = &parse.transport {
        lines.push(transport(it));
    }
    if let Some(flow) = &parse.quoted {
        lines.push(format!(
            "an error about the flow {} {} > {}: decided as that flow",
            flow.protocol,
            end(&flow.source, flow.source_port),
            end(&flow.destination, flow.destination_port)
        ));
    }
    for it in &parse.beyond {
        lines.push(format!("{} at {}: {}", it.what, it.at, it.says));
    }
    if let Some(fault) = &parse.fault {
        lines.push(format!("fault: {fault}"));
    }
    lines
}

fn transport(it: &Transport) -> String {
    let ports = match (it.source_port, it.destination_port) {
        (Some(source), Some(destination)) => format!(": {source} > {destination}"),
        _ => String::new(),
    };
    let opens = if it.opens { ", opens a flow" } else { "" };
    format!("{} at {}{ports}{opens}", name(&it.protocol), it.at)
}

/// A protocol with a name, or `protocol 47`.
fn name(protocol: &str) -> String {
    if protocol.starts_with(|first: char| first.is_ascii_digit()) {
        format!("protocol {protocol}")
    } else {
        protocol.to_owned()
    }
}

fn scope(explanation: &Explanation) -> Vec<String> {
    let Scope { finding, services, service, by_protocol } = &explanation.scope;
    let destination = explanation.parse.ip.as_ref().map_or("", |ip| &ip.destination);
    let has = if services.is_empty() { "everything is ours".to_owned() } else { services.join(", ") };
    vec![match finding {
        ScopeFinding::Ours => match service {
            Some(_) if *by_protocol => {
                format!("ours: {destination} has {has}; without a port the protocol decides")
            }
            Some(service) => format!("ours: {destination} has {has}; this is {service}"),
            None => format!("ours: {destination}: {has}"),
        },
        ScopeFinding::NotIp => "not ours: it carries no IP".to_owned(),
        ScopeFinding::Unreadable => "not ours: its IP header cannot be read".to_owned(),
        ScopeFinding::NoDestination => format!("not ours: {destination} is no destination of the scope"),
        ScopeFinding::NoService => format!("not ours: {destination} has {has} alone"),
        ScopeFinding::Discovery => "not ours: neighbour or listener discovery".to_owned(),
    }]
}

/// Name, carrier, what is there.
fn field(field: &Field) -> [String; 3] {
    let bits = field.bits.map(|(first, count)| format!(" bits {first}-{}", first + count.max(1) - 1));
    let found = match (&field.raw, &field.value, &field.absent) {
        (Some(raw), Some(value), _) if field.table.is_some() => format!("{raw} ▸ {value}"),
        (_, Some(value), _) => value.clone(),
        (_, None, Some(absent)) => format!("- ({absent})"),
        (_, None, None) => "-".to_owned(),
    };
    [field.name.clone(), format!("{}{}", field.carrier, bits.unwrap_or_default()), found]
}

/// Fields, values, what was found.
fn level(level: &Level, explanation: &Explanation) -> [String; 3] {
    let values: Vec<String> = level
        .fields
        .iter()
        .map(|field| format!("{field}={}", level.values.get(field).map_or("-", String::as_str)))
        .collect();
    let found = match level.finding {
        LevelFinding::Taken => {
            format!("key {}: decides", explanation.key.as_ref().map_or("", |key| &key.name))
        }
        LevelFinding::Claimed => {
            let key = explanation.trust.as_ref().and_then(|trust| trust.key.as_deref());
            format!("key {}: claimed without right", key.unwrap_or_default())
        }
        LevelFinding::NotRegistered => "no such key".to_owned(),
        LevelFinding::Incomplete => format!("not tried: no {}", level.lacks.join(", no ")),
        LevelFinding::Decided => "not tried: decided before".to_owned(),
    };
    [format!("[{}]", level.fields.join(" ")), values.join(" "), found]
}

/// Rows as aligned lines.
fn columns(rows: &[[String; 3]]) -> Vec<String> {
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1));
    rows.iter().map(|[a, b, c]| format!("{a:<first$}  {b:<second$}  {c}")).collect()
}

fn class(explanation: &Explanation) -> String {
    let what = match explanation.class.as_str() {
        "assigned" => "its key is registered",
        "unregistered" => "its key is well formed, and nobody's",
        "missing" => "of no level are all fields there",
        "unauthenticated" => "its key is asserted without right",
        "malformed" => "its headers contradict themselves or are cut off",
        _ => "passes untouched",
    };
    format!("{}: {what}", explanation.class)
}

fn select(select: &Select) -> String {
    let among = match (select.width.as_str(), select.shards.len()) {
        ("all", _) => format!("all of pool {}", select.pool),
        (width, _) => format!("width {width} of pool {} ({})", select.pool, select.shards.join(" ")),
    };
    let flow = select.flow.as_ref().map(|flow| format!(", flow {flow}")).unwrap_or_default();
    let slot = select.slot.map(|slot| format!(", slot {slot}")).unwrap_or_default();
    let shard = select.shard.as_ref().map_or("no shard".to_owned(), |shard| format!("shard {shard}"));
    let instead = select.instead_of.as_ref().map(|it| format!(", in place of {it}, which takes no packets"));
    format!("{among}{flow}{slot} ▸ {shard}{}", instead.unwrap_or_default())
}

fn forward(forward: &Forward) -> Vec<String> {
    let Forward { target, action, sent_to, verdict, reason } = forward;
    let mut lines = Vec::new();
    if let Some(target) = target {
        lines.push(format!("target: {target}"));
    }
    if let Some(mac) = sent_to {
        lines.push(format!("sent to {mac}, from the leaving interface's own address"));
    }
    let how = match action.as_str() {
        "XDP_TX" => "XDP_TX: out of the interface that it came in by",
        other => other,
    };
    lines.push(format!("verdict {verdict} ({how})"));
    lines.push(format!("reason {reason}: {}", meaning(reason)));
    lines
}

/// A reason in words.
fn meaning(reason: &str) -> &'static str {
    match reason {
        "out_of_scope" => "not ours to touch",
        "steered" => "its shard takes it",
        "class_pass" => "the policy passes its class",
        "class_drop" => "the policy drops its class",
        "fragment_pass" => "the policy passes later fragments without the key",
        "fragment_drop" => "the policy drops later fragments without the key",
        "denied" => "the policy denies its key",
        "target_drop" => "its shard's target is drop",
        "no_shard" => "its slot names no shard",
        "no_exit" => "its shard's interface or CPU has gone",
        "too_big" => "its shard's interface takes no frame so long",
        _ => "a reason that this version does not know",
    }
}

fn kernel(run: &KernelRun) -> Vec<String> {
    if run.agrees() {
        return vec![format!("the program in the kernel (tag {}) decides the same", run.program)];
    }
    let mut lines = vec![format!("the program in the kernel (tag {}) decides differently:", run.program)];
    lines.extend(run.differences.iter().cloned());
    lines
}
