use std::fs;
use std::path::PathBuf;

use super::*;
use crate::agent::fake::{Fake, Record};

struct Place {
    _directory: tempfile::TempDir,
    options: Options,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let options = Options {
        policy: PathBuf::from("edge.yaml"),
        state_dir: directory.path().join("state"),
        socket: directory.path().join("run/agent.sock"),
        metrics_address: ([127, 0, 0, 1], 0).into(),
        top_keys: 10,
    };
    Place { _directory: directory, options }
}

fn fails(step: &'static str) -> Fake {
    Fake(Arc::new(Record { fails: Some(step), ..Record::default() }))
}

fn steps(fake: &Fake) -> Vec<String> {
    fake.0.steps()
}

#[test]
fn steers_and_stops_in_order() {
    let place = place();
    let fake = Fake::default();
    let started = start(&place.options, &fake).map_err(|error| error.to_string()).unwrap();
    assert!(place.options.socket.exists());
    assert_eq!(started.node.interfaces.len(), 2);
    assert_eq!(started.node.names.policy, "edge");
    let ids = Ids::open(&place.options.state_dir).unwrap();
    assert!(ids.keys.contains("tenant=acme"));
    drop(started);
    assert_eq!(steps(&fake), ["policy", "compile", "load", "attach eth0", "attach eth1", "detach"]);
    assert!(!place.options.socket.exists());
}

#[test]
fn a_failure_leaves_nothing_attached_and_no_socket() {
    for step in ["policy", "compile", "load", "attach eth0", "attach eth1"] {
        let place = place();
        let fake = fails(step);
        let error = start(&place.options, &fake).err().unwrap().to_string();
        assert!(error.contains("planted"), "{step}: {error}");
        let steps = steps(&fake);
        let attached = steps.iter().any(|step| step.starts_with("attach"));
        assert_eq!(attached, steps.last().is_some_and(|last| last == "detach"), "{step}: {steps:?}");
        assert!(!place.options.socket.exists(), "{step}");
    }
    let error = start(&place().options, &fails("attach eth1")).err().unwrap().to_string();
    assert_eq!(error, "planted; nothing is left attached");
}

#[test]
fn a_second_agent_touches_nothing() {
    let place = place();
    let _first = start(&place.options, &Fake::default()).map_err(|error| error.to_string()).unwrap();

    let second = Fake::default();
    let error = start(&place.options, &second).err().unwrap();
    assert!(matches!(error, AgentError::StateInUse { .. }), "{error}");

    let options = Options { state_dir: place.options.state_dir.with_extension("2"), ..place.options.clone() };
    let error = start(&options, &second).err().unwrap().to_string();
    assert!(error.contains(&format!("(pid {})", std::process::id())), "{error}");
    assert_eq!(steps(&second), ["policy", "policy"]);
}

#[test]
fn a_busy_port_is_named_before_anything_is_loaded() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = place();
    let options = Options { metrics_address: taken.local_addr().unwrap(), ..place.options.clone() };
    let fake = Fake::default();
    let error = start(&options, &fake).err().unwrap().to_string();
    assert!(error.contains(&taken.local_addr().unwrap().to_string()), "{error}");
    assert!(error.contains("--metrics-address"), "{error}");
    assert_eq!(steps(&fake), ["policy"]);
    assert!(!options.socket.exists());
}

#[test]
fn damaged_state_stops_the_start() {
    let place = place();
    fs::create_dir_all(&place.options.state_dir).unwrap();
    fs::write(place.options.state_dir.join("secrets"), "short").unwrap();
    let fake = Fake::default();
    let error = start(&place.options, &fake).err().unwrap();
    assert!(matches!(error, AgentError::State(_)), "{error}");
    assert_eq!(steps(&fake), ["policy"]);
}
