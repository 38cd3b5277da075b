//! A proposal to a policy to begin with: one that only observes, with every choice explained where it stands.

use std::fmt::Write as _;

use super::census;
use super::propose::Plan;

/// Where comments beside a line begin.
const COMMENT: usize = 64;

/// The policy, as YAML. Values from packets are numbers, addresses and what is made of them alone.
pub(super) fn policy(plan: &Plan, packets: u64) -> String {
    let mut text = Text(String::new());
    text.line(&format!("# A policy to begin with, proposed by `keysteer inspect` from {packets} packets. It observes: packets are"));
    text.line("# decided and counted, and pass unmodified. Put your own names, interfaces and shards in; then try it:");
    text.line("#   keysteer validate FILE");
    text.line("#   keysteer replay --policy FILE CAPTURE");
    text.line("apiVersion: keysteer.dev/v1alpha1");
    text.line("kind: SteeringPolicy");
    text.line("metadata: {name: starter}");
    text.line("spec:");
    text.line("  environment: dev");
    text.noted("  mode: observe", "steer, once its numbers are what you expect");
    text.noted("  interfaces: [{name: eth0}]", "where the traffic arrives");
    scope(&mut text, plan);
    if !plan.prefixes.is_empty() {
        text.line("  prefixTables:");
        text.noted("    tenants:", "whose networks are these?");
        for (network, label) in &plan.prefixes {
            text.line(&format!("      \"{network}\": \"{label}\""));
        }
    }
    schema(&mut text, plan);
    text.noted("  shards:", "this host's own stack, until you say better");
    text.line("    - {name: a, target: pass}");
    text.line("    - {name: b, target: pass}");
    text.line("  pools:");
    text.line("    - {name: general, shards: [a, b]}");
    text.line("  tiers:");
    text.noted("    - {name: standard, pool: general, width: 1}", "all flows of a key to one shard");
    keys(&mut text, plan);
    text.noted("  classes:", "what has no key is spread over the pool");
    text.line("    missing: {pool: general}");
    text.line("    unregistered: {pool: general}");
    text.line("    malformed: drop");
    text.0
}

/// Lines.
struct Text(String);

impl Text {
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    /// A line with a comment beside it.
    fn noted(&mut self, line: &str, comment: &str) {
        let blanks = COMMENT.saturating_sub(line.len()).max(1);
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{line}{:blanks$}# {comment}", "");
    }
}

fn scope(text: &mut Text, plan: &Plan) {
    if plan.scope.is_empty() {
        text.noted("  scope:", "no service was recognised: name yours");
        text.line("    - {services: [any]}");
        return;
    }
    text.noted("  scope:", "the services that were asked most");
    for (addresses, services) in &plan.scope {
        let addresses: Vec<String> = addresses.iter().map(|address| format!("\"{address}\"")).collect();
        text.line(&format!(
            "    - {{destinations: [{}], services: [{}]}}",
            addresses.join(", "),
            services.join(", ")
        ));
    }
}

fn schema(text: &mut Text, plan: &Plan) {
    text.line("  schemas:");
    text.line("    - version: 1");
    text.line("      fields:");
    let table = if plan.prefixes.is_empty() { "" } else { ", table: tenants" };
    text.line(&format!("        # {}", plan.tenant_because));
    text.line(&format!("        - {{name: tenant, from: {}{table}{}}}", plan.from.name(), plan.more));
    if let (Some((carrier, _)), Some(because)) = (&plan.product, &plan.product_because) {
        text.line(&format!("        # {because}"));
        text.line(&format!("        - {{name: product, from: {}}}", carrier.name()));
        text.noted(
            "      levels: [[tenant, product], [tenant]]",
            "a product of a tenant first, then any of its",
        );
    }
}

fn keys(text: &mut Text, plan: &Plan) {
    text.line("  keys:");
    for (name, tenant) in &plan.tenants {
        let tenant = if plan.prefixes.is_empty() { tenant.clone() } else { format!("\"{tenant}\"") };
        text.line(&format!("    - {{name: \"{name}\", match: {{tenant: {tenant}}}, tier: standard}}"));
    }
    if let (Some((carrier, values)), Some((name, tenant))) = (&plan.product, plan.tenants.first()) {
        let values: Vec<String> = values.iter().map(|value| census::text(*carrier, *value)).collect();
        let tenant = if plan.prefixes.is_empty() { tenant.clone() } else { format!("\"{tenant}\"") };
        text.line(&format!("    # A product of its own (there are {}):", values.join(", ")));
        if let Some(value) = values.last() {
            let of = format!("match: {{tenant: {tenant}, product: {value}}}");
            text.line(&format!("    # - {{name: \"{name}-{value}\", {of}, tier: standard}}"));
        }
    }
}
