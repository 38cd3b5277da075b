//! The file beside the policy, and the examples and documentation that are shipped.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::*;

fn with_csv(csv: &str) -> Result<Policy, PolicyError> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("keys.csv"), csv).unwrap();
    let at = RIGHT.find("  keys:").unwrap();
    let text = format!("{}  keysFrom: keys.csv\n", &RIGHT[..at]);
    parse(&text, "p", Some(directory.path()))
}

fn csv_problems(csv: &str) -> Vec<String> {
    match with_csv(csv) {
        Ok(_) => Vec::new(),
        Err(error) => error.diagnostics().iter().map(Diagnostic::to_string).collect(),
    }
}

#[test]
fn keys_come_from_a_file() {
    let policy = with_csv(
        "# comment\n\nname,match.tenant,match.product,tier,width,owner,deny,reason\nacme,acme,,gold,,\"a, b\",,\nglobex,globex,,,,,true,unpaid\nvideo,acme,0x22,gold,all,,,\n",
    )
    .unwrap();
    let [acme, globex, video] = policy.keys.as_slice() else { panic!("three keys") };
    assert_eq!((acme.owner.as_deref(), acme.width, acme.from_file), (Some("a, b"), Width::Shards(2), true));
    assert_eq!((globex.denied.as_deref(), globex.at.line), (Some("unpaid"), 5));
    assert_eq!((video.width, video.key, video.level), (Width::All, 1 << 6 | 34, 0));
}

#[test]
fn problems_in_the_file_name_its_lines() {
    assert_eq!(
        csv_problems(
            "name,match.tenant,tier\nacme,acme,glod\nb,\"glo\"\"bex\",gold\n# note\nacme,globex,gold\nx,acme,gold\n,acme,gold\n"
        ),
        [
            "keys.csv:2:11: tier: unknown tier \"glod\"; did you mean \"gold\"?",
            "keys.csv:3:3: match.tenant: unknown label of prefix table tenants: \"glo\"bex\"; did you mean \"globex\"?",
            "keys.csv:7:1: name: is required but missing",
        ]
    );
    assert_eq!(
        csv_problems("name,match.tenant,tier\nacme,acme,gold\nacme,globex,gold\nx,acme,gold\n"),
        [
            "keys.csv:3:1: name: the name \"acme\" is already taken by keys.csv line 2",
            "keys.csv:4:1: match: has the same values as \"acme\", keys.csv line 2",
        ]
    );
    assert_eq!(
        csv_problems("name,match.tennant,teir\n"),
        [
            "keys.csv:1:6: match.tennant: unknown field \"tennant\"; did you mean \"tenant\"?",
            "keys.csv:1:20: teir: unknown column \"teir\"; did you mean \"tier\"?",
        ]
    );
    assert_eq!(
        csv_problems("name,match.tenant\nacme\n"),
        ["keys.csv:2:1: the line has 1 cells, the first line names 2 columns"]
    );
    assert_eq!(csv_problems(""), ["keys.csv: is empty: the first line must name the columns"]);
}

#[test]
fn a_missing_file_is_named() {
    let text = RIGHT.replace("  keys:\n", "  keysFrom: none.csv\n  keys:\n");
    assert_eq!(
        problems(&text),
        ["p:24:13: spec.keysFrom: cannot read none.csv: No such file or directory (os error 2)"]
    );
    let error = load(&PathBuf::from("/nonexistent/policy.yaml")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot read /nonexistent/policy.yaml: No such file or directory (os error 2)"
    );
}

#[test]
fn many_keys_come_from_a_file() {
    let mut csv = String::from("name,match.tenant,match.product,tier,owner\n");
    let at = RIGHT.find("  keys:").unwrap();
    let text = RIGHT[..at].replace("from: ip.dscp", "from: l4.dst_port, bits: {offset: 0, length: 16}");
    for n in 0..60_000 {
        let _ = writeln!(csv, "key-{n},acme,{n},gold,team-{}", n % 100);
    }
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("keys.csv"), csv).unwrap();
    let policy = parse(&format!("{text}  keysFrom: keys.csv\n"), "p", Some(directory.path())).unwrap();
    assert_eq!(policy.keys.len(), 60_000);
}

/// The top of the worktree.
fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn every_example_is_valid_and_quiet() {
    let mut seen = 0;
    for entry in std::fs::read_dir(top().join("examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let policy = load(&path).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(policy.warnings, [], "{}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 5, "only {seen} examples");
}

/// Every `yaml` block of the reference is checked: a whole document as it is, a fragment of `spec` (marked
/// `yaml fragment`) in place of the fields that it gives in a small policy.
#[test]
fn every_example_of_the_reference_is_valid() {
    let text = std::fs::read_to_string(top().join("docs/policy.md")).unwrap();
    let mut blocks = text.split("\n```").skip(1).step_by(2);
    let (mut whole, mut fragments) = (0, 0);
    for block in &mut blocks {
        let (kind, body) = block.split_once('\n').unwrap();
        match kind {
            "yaml" => {
                whole += 1;
                parse(body, "docs/policy.md", Some(&top().join("examples")))
                    .unwrap_or_else(|error| panic!("{body}\n{error}"));
            }
            "yaml fragment" => {
                fragments += 1;
                let document = embed(body);
                parse(&document, "docs/policy.md", Some(&top().join("examples")))
                    .unwrap_or_else(|error| panic!("{document}\n{error}"));
            }
            other => assert!(["text", "csv", "sh"].contains(&other), "an unmarked block: {other}"),
        }
    }
    assert!(whole >= 1 && fragments >= 8, "{whole} {fragments}");
}

/// A fragment's top-level fields replace those of the base.
fn embed(fragment: &str) -> String {
    let given: Vec<&str> = fragment
        .lines()
        .filter(|line| !line.starts_with([' ', '#', '-']))
        .filter_map(|line| Some(line.split_once(':')?.0))
        .collect();
    let mut document = String::new();
    let mut skip = false;
    for line in FRAGMENT_BASE.lines() {
        if let Some(field) = line.strip_prefix("  ").filter(|field| !field.starts_with([' ', '-'])) {
            skip = field.split_once(':').is_some_and(|(name, _)| given.contains(&name));
        }
        if !skip {
            let _ = writeln!(document, "{line}");
        }
    }
    for line in fragment.lines() {
        let _ = writeln!(document, "  {line}");
    }
    document
}

/// What fragments of the reference refer to.
const FRAGMENT_BASE: &str = r#"apiVersion: keysteer.dev/v1alpha1
kind: SteeringPolicy
metadata: {name: fragment}
spec:
  environment: prod
  interfaces: [{name: eth0}]
  scope: [{services: [any]}]
  prefixTables:
    tenants: {10.1.0.0/16: acme, 10.2.0.0/16: globex}
  schemas:
    - version: 1
      fields:
        - {name: tenant, from: ip.src, table: tenants}
        - {name: product, from: ip.dscp}
      levels: [[tenant, product], [tenant]]
  shards:
    - {name: a, target: pass}
    - {name: b, target: pass}
    - {name: c, target: pass}
  pools:
    - {name: general, shards: [a, b, c]}
  tiers:
    - {name: gold, pool: general, width: 2}
    - {name: standard, pool: general}
"#;
