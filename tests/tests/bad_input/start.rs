//! What stands in the way of an agent with a good policy.

use std::fs;
use std::net::TcpListener;

use keysteer_tests::site::Site;
use keysteer_tests::site::binary;
use keysteer_tests::site::place::{METRICS, Place};
use keysteer_tests::site::policy::{THREE_SHARDS, policy, usual};

use super::{nothing_attached, refused};

#[test]
fn a_missing_interface() {
    let site = Site::new(1500);
    let place = Place::new(&policy("", "{name: up0}, {name: eth9}", THREE_SHARDS));
    refused(&site, &place, &["eth9", "this host has", "up0", "to-a"]);
    let place = Place::new(&policy("", "{name: up0}", &THREE_SHARDS.replace("name: to-b", "name: to-z")));
    refused(&site, &place, &["to-z", "to-a"]);
}

#[test]
fn a_cpu_that_is_not_there() {
    let site = Site::new(1500);
    let target = r#"{interface: {name: to-b, mac: "02:00:00:00:00:0b"}}"#;
    for cpu in ["4000", "100000"] {
        let tail = THREE_SHARDS.replace(target, &format!("{{cpu: {cpu}}}"));
        let place = Place::new(&policy("", "{name: up0}", &tail));
        let said = place.refused(&site.node);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.err.contains(cpu) && said.err.lines().count() <= 3, "{said:?}");
        nothing_attached(&site, &said);
    }
}

#[test]
fn a_busy_port() {
    let site = Site::new(1500);
    let place = Place::new(&usual());
    let busy = site.node.run(|| TcpListener::bind(METRICS)).unwrap().unwrap();
    refused(&site, &place, &["cannot serve metrics on 127.0.0.1:9477", "in use", "--metrics-address"]);
    drop(busy);
    place.start(&site.node);
}

#[test]
fn an_address_that_is_not_this_hosts() {
    let site = Site::new(1500);
    let place = Place::new(&usual());
    let mut command = binary::command(&["agent", "--metrics-address", "198.51.100.1:9477", "--policy"]);
    command.arg(place.policy()).arg("--state-dir").arg(place.state()).arg("--socket").arg(place.socket());
    let said = binary::run(site.node.put(&mut command));
    said.refuses(&["cannot serve metrics on 198.51.100.1:9477", "--metrics-address"]);
    nothing_attached(&site, &said);
    assert!(!place.socket().exists());
}

#[test]
fn a_socket_that_cannot_be_had() {
    let site = Site::new(1500);
    let place = Place::new(&usual());
    fs::write(place.socket(), "a file").unwrap();
    refused(&site, &place, &["exists and is not a socket", "--socket"]);
    assert_eq!(fs::read_to_string(place.socket()).unwrap(), "a file");

    for (socket, phrase) in
        [(place.socket().join("below/a/file"), "directory"), (place.file(&"long".repeat(40)), "too long")]
    {
        let mut command = binary::command(&["agent", "--policy"]);
        command.arg(place.policy()).arg("--state-dir").arg(place.state()).arg("--socket").arg(&socket);
        let said = binary::run(site.node.put(&mut command));
        said.refuses(&[phrase, "--socket"]);
        nothing_attached(&site, &said);
    }
}

#[test]
fn state_that_cannot_be_used() {
    let site = Site::new(1500);
    let place = Place::new(&usual());
    fs::write(place.state(), "a file").unwrap();
    refused(&site, &place, &["state", "--state-dir"]);

    // What an agent has written, damaged one by one, where nothing is pinned that it could be rebuilt from.
    let place = Place::new(&usual());
    drop(place.start(&site.node));
    fs::remove_file(place.socket()).unwrap();
    place.clean_up(&site.node).done();
    let (mut files, mut open, mut placement) = (Vec::new(), vec![place.state()], None);
    while let Some(directory) = open.pop() {
        for file in fs::read_dir(directory).unwrap() {
            let path = file.unwrap().path();
            match fs::metadata(&path).unwrap() {
                metadata if metadata.is_dir() => open.push(path),
                // Which policy file was taken up last is forgotten without harm.
                _ if path.ends_with("followed") => {}
                // And tables that are lost are those of a new node, which is said: see below.
                _ if path.extension().is_some_and(|kind| kind == "placement") => placement = Some(path),
                metadata if metadata.len() > 0 => files.push(path),
                _ => {}
            }
        }
    }
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        let good = fs::read(&file).unwrap();
        fs::write(&file, "{junk").unwrap();
        refused(&site, &place, &[file.to_str().unwrap()]);
        fs::write(&file, good).unwrap();
    }
    fs::write(placement.unwrap(), "{junk").unwrap();
    let agent = place.start(&site.node);
    assert!(agent.log().contains("a generation's tables are not known any more"), "{}", agent.log());
}
