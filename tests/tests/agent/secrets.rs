//! The secrets of a node's hashes are in its state directory, in the program, and nowhere else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use keysteer::compile::{Host, compile_for};
use keysteer::kernel::Dataplane;
use keysteer::kernel::interfaces::Interfaces;
use keysteer::policy;
use keysteer::state::{Ids, Secrets};
use keysteer::world::{Namespace, Transport};
use keysteer_tests::site::agent::Agent;
use keysteer_tests::site::place::Place;
use keysteer_tests::site::policy::usual;
use keysteer_tests::site::{ADDRESSES, PATIENCE, Site, v4};
use nix::sys::signal::Signal;

/// The secrets' file in a state directory.
const FILE: &str = "secrets";

/// Every way in which somebody could print the secrets of `state` and what is made from them: the words
/// that SipHash is keyed with, the seed of the key table, and the multipliers of its levels.
fn words(state: &Path, namespace: &Namespace) -> Vec<[u8; 8]> {
    let bytes = fs::read(state.join(FILE)).unwrap();
    let secrets = Secrets::from_bytes(bytes.as_slice().try_into().unwrap());
    let policy = policy::parse(&usual(), "usual", None).unwrap();
    let interfaces = namespace.run(Interfaces::read).unwrap().unwrap();
    let host = Host { interfaces: &interfaces, cpus: &[] };
    let config = compile_for(&policy, host, &secrets, &mut Ids::default()).unwrap().config;
    assert_eq!(config.flow_secret, secrets.flow);
    let multipliers = config.levels.iter().flat_map(|level| level.multipliers).filter(|word| *word != 0);
    let words =
        multipliers.chain(secrets.flow).chain([secrets.key]).chain(secrets.display).map(u64::to_le_bytes);
    words.chain(bytes.as_chunks().0.iter().copied()).collect()
}

/// The ways in which a word can stand in a text: as a number, or its bytes in either order.
fn spellings(word: &[u8; 8]) -> Vec<String> {
    let hex = |bytes: &[u8], between: &str| {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(between)
    };
    let list = |bytes: &[u8]| bytes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let turned: Vec<u8> = word.iter().rev().copied().collect();
    let number = u64::from_le_bytes(*word);
    let mut spellings = vec![number.to_string(), number.cast_signed().to_string()];
    for bytes in [word.as_slice(), &turned] {
        spellings.extend([hex(bytes, ""), hex(bytes, " "), hex(bytes, ":"), list(bytes)]);
    }
    // As a hexadecimal number it would stand without its leading zeros.
    spellings.push(format!("{number:x}"));
    spellings
}

/// The spelling of a word that is in `text`.
fn told(text: &str, words: &[[u8; 8]]) -> Option<String> {
    let text = text.to_lowercase();
    words.iter().flat_map(spellings).find(|spelling| text.contains(spelling))
}

/// Everything that can be had of an agent without opening its state directory, by name.
fn everything(agent: &Agent, site: &Site) -> Vec<(String, String)> {
    let reads = [
        &["status"][..],
        &["status", "-o", "json"],
        &["key", "list"],
        &["key", "list", "-o", "json"],
        &["key", "get", "acme", "-o", "json"],
        &["shard", "list", "-o", "json"],
    ];
    let mut all: Vec<_> = reads.map(|read| (read.join(" "), agent.read(read).data())).into();
    all.push(("metrics".to_owned(), format!("{:?}", agent.metrics(&site.node))));
    all.push(("log".to_owned(), agent.log()));
    all
}

#[test]
fn no_output_tells_the_secrets() {
    let site = Site::new(1500);
    let place = Place::new(&usual());
    let mut command = place.command(&site.node);
    command.arg("-vv");
    let mut agent = place.start_as(command);
    for number in 1..=ADDRESSES {
        site.ask(Transport::Tcp, v4(1, number), 32, PATIENCE).unwrap().answer.unwrap();
    }
    let words = words(&place.state(), &site.node);
    assert!(words.len() >= 8, "{words:?}");
    let mut all = everything(&agent, &site);
    agent.signal(Signal::SIGTERM);
    assert!(agent.wait().success());
    all.push(("log of its end".to_owned(), agent.log()));
    for (name, text) in &all {
        assert!(!text.is_empty(), "{name} is empty");
        assert_eq!(told(text, &words), None, "{name} tells a secret");
    }
    let (_, log) = &all[all.len() - 1];
    assert!(log.contains("TRACE") && log.lines().count() > 20, "this log is to tell all it can:\n{log}");

    // The search would find them.
    for word in &words {
        for spelling in spellings(word) {
            assert!(told(&format!("{log}{spelling}."), &words).is_some(), "{spelling}");
        }
        assert!(told(&format!("{word:?}"), &words).is_some());
        assert!(told(&format!("{:#X}", u64::from_le_bytes(*word)), &words).is_some());
    }
}

#[test]
fn debug_output_of_the_loaded_program_does_not_tell() {
    let site = Site::new(1500);
    let secrets = Secrets::from_bytes(&[0xa7; 32]);
    let policy = policy::parse(&usual(), "usual", None).unwrap();
    let shown = site.node.run(|| {
        let interfaces = Interfaces::read().unwrap();
        let host = Host { interfaces: &interfaces, cpus: &[] };
        let image = compile_for(&policy, host, &secrets, &mut Ids::default()).unwrap();
        format!("{:?}", Dataplane::load(&image).unwrap())
    });
    assert_eq!(told(&shown.unwrap(), &[[0xa7; 8]]), None);
}

#[test]
fn secrets_are_private_outlive_the_agent_and_differ_between_nodes() {
    let site = Site::new(1500);
    let [one, other] = [(), ()].map(|()| Place::new(&usual()));
    let drawn = |place: &Place| {
        let path = place.state().join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(place.state()).unwrap().permissions().mode() & 0o777, 0o700);
        fs::read(path).unwrap()
    };
    let run = |place: &Place| {
        let mut agent = place.start(&site.node);
        agent.signal(Signal::SIGTERM);
        assert!(agent.wait().success());
    };
    run(&one);
    let first = drawn(&one);
    run(&one);
    assert_eq!(drawn(&one), first, "a restart drew anew");
    run(&other);
    let second = drawn(&other);
    assert!(first.chunks(8).all(|word| second.chunks(8).all(|other| word != other)));
}
