//! Policies as bundles: read whole, parsed without a file, told apart by digest.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

const KEYS: &str = "name,match.tenant,tier\nacme,acme,gold\n";

/// The small policy, with its keys in `file`.
fn from(file: &str) -> String {
    let at = RIGHT.find("  keys:").unwrap();
    format!("{}  keysFrom: {file}\n", &RIGHT[..at])
}

/// A folder of files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn said(result: Result<Policy, PolicyError>) -> String {
    result.map_or_else(|error| error.to_string(), |policy| format!("{policy:?}"))
}

#[test]
fn a_bundle_says_what_the_files_say() {
    let cases = [
        (RIGHT.to_owned(), KEYS),
        (from("keys.csv"), KEYS),
        (from("keys.csv"), "name,match.tenant,tier\nacme,acme,glod\n"),
        (from("keys.csv").replace("pool: general", "pool: genral"), "name\n"),
        (from("keys.csv").replace("keysFrom: keys.csv", "keysFrom: 7"), KEYS),
    ];
    for (policy, keys) in cases {
        let folder = folder(&[("p.yaml", &policy), ("keys.csv", keys)]);
        let path = folder.path().join("p.yaml");
        let bundle = Bundle::read(&path).unwrap();
        assert_eq!(said(bundle.parse()), said(load(&path)));
        let base = Some(folder.path());
        assert_eq!(said(bundle.parse()), said(parse(&policy, &path.display().to_string(), base)));
        let again: Bundle = serde_json::from_str(&serde_json::to_string(&bundle).unwrap()).unwrap();
        assert_eq!((again.digest(), &again), (bundle.digest(), &bundle));
        // What was read is all there is to it.
        fs::remove_dir_all(folder.path()).unwrap();
        assert_eq!(said(again.parse()), said(bundle.parse()));
    }
}

#[test]
fn a_bundle_opens_no_file() {
    let bundle = Bundle { name: "p".to_owned(), policy: from("/etc/hostname"), files: Vec::new() };
    assert!(Path::new("/etc/hostname").exists() || cfg!(not(target_os = "linux")));
    let said = bundle.parse().unwrap_err().to_string();
    assert_eq!(said, "p:24:13: spec.keysFrom: cannot read /etc/hostname: the bundle does not hold it");
}

#[test]
fn what_cannot_be_read_is_told_with_the_rest() {
    let text = from("none.csv").replace("width: 2", "width: 3");
    let folder = folder(&[("p.yaml", &text)]);
    let path = folder.path().join("p.yaml");
    let error = Bundle::read(&path).unwrap_err();
    assert_eq!(error.diagnostics().len(), 2, "{error}");
    let missing = folder.path().join("none.csv").display().to_string();
    assert!(error.to_string().contains(&format!("24:13: spec.keysFrom: cannot read {missing}: ")), "{error}");
    assert_eq!(load(&path).unwrap_err().to_string(), error.to_string());
    fs::write(&path, "spec: [").unwrap();
    assert_eq!(load(&path).unwrap_err().to_string(), Bundle::read(&path).unwrap_err().to_string());
}

#[test]
fn a_folder_means_its_only_policy() {
    let policy = from("keys.csv");
    let folder =
        folder(&[("edge.yml", &policy), ("keys.csv", KEYS), (".edge.yml.swp.yaml", "{"), ("notes.txt", "")]);
    let bundle = Bundle::read(folder.path()).unwrap();
    assert_eq!(bundle.name, folder.path().join("edge.yml").display().to_string());
    assert_eq!(load(folder.path()).unwrap().keys.len(), 1);
    fs::write(folder.path().join("b.yaml"), "").unwrap();
    let said = load(folder.path()).unwrap_err().to_string();
    assert!(said.contains("the folder has 2 policies: leave one there, or name one of"), "{said}");
    assert!(said.contains("b.yaml\" or \""), "{said}");
    let said = load(tempfile::tempdir().unwrap().path()).unwrap_err().to_string();
    assert!(said.contains("the folder has no policy"), "{said}");
}

#[test]
fn a_digest_hangs_on_every_text_and_on_no_path() {
    let bundle = |name: &str, policy: &str, files: &[(&str, &str)]| Bundle {
        name: name.to_owned(),
        policy: policy.to_owned(),
        files: files.iter().map(|(name, text)| File { name: (*name).into(), text: (*text).into() }).collect(),
    };
    let one = bundle("a", "p", &[("x", "1"), ("y", "2")]).digest();
    assert_eq!(one, bundle("b", "p", &[("y", "2"), ("x", "1")]).digest());
    let others = [
        bundle("a", "q", &[("x", "1"), ("y", "2")]),
        bundle("a", "p", &[("x", "1"), ("y", "3")]),
        bundle("a", "p", &[("x", "1"), ("z", "2")]),
        bundle("a", "p", &[("x", "1")]),
        bundle("a", "p", &[("x1", ""), ("y", "2")]),
        bundle("a", "px", &[("1", ""), ("y", "2")]),
    ];
    let mut digests: Vec<String> = others.iter().map(Bundle::digest).collect();
    digests.push(one);
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), others.len() + 1);
    // Recorded with generations, so it may not change from version to version.
    let published = "f93f9287b24cd96b3e0e33f984024f1b8f98e21a95d783d2629e175be4939f6a";
    assert_eq!(bundle("a", "policy", &[("keys.csv", "name\n")]).digest(), published);
}

/// A ConfigMap is mounted as links through one link to a folder, which is exchanged at once for a new one.
#[test]
fn an_exchanged_link_never_gives_half_of_each() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let exchange = |version: &str| {
        fs::create_dir(at(version)).unwrap();
        let policy = from("keys.csv").replace("name: edge", &format!("name: {version}"));
        fs::write(at(version).join("p.yaml"), policy).unwrap();
        let keys = KEYS.replace("acme,acme", &format!("{version},acme"));
        fs::write(at(version).join("keys.csv"), keys).unwrap();
        symlink(version, at("..data.new")).unwrap();
        fs::rename(at("..data.new"), at("..data")).unwrap();
    };
    exchange("v0");
    symlink("..data/p.yaml", at("p.yaml")).unwrap();
    symlink("..data/keys.csv", at("keys.csv")).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let exchanging = scope.spawn(|| {
            let mut version = 0;
            while !done.load(Ordering::Relaxed) {
                exchange(&format!("v{}", version + 1));
                fs::remove_dir_all(at(&format!("v{version}"))).unwrap();
                version += 1;
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        });
        let mut seen = std::collections::BTreeSet::new();
        // A panic in here must not leave the other thread running.
        let mut wrong = None;
        while wrong.is_none() && seen.len() < 100 && !exchanging.is_finished() {
            match load(&at("p.yaml")) {
                Ok(policy) if policy.name == policy.keys[0].name => drop(seen.insert(policy.name)),
                other => match said(other) {
                    // On a machine that is slower than the exchanges it is not read, rather than by halves.
                    said if said.contains("again and again") => {}
                    said => wrong = Some(said),
                },
            }
        }
        done.store(true, Ordering::Relaxed);
        assert_eq!((wrong, seen.len()), (None, 100));
    });
}
