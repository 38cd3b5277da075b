//! The policy file, followed: reloads, the exchanged folder of a mounted ConfigMap, mistakes, keys that are taken out; and
//! that a policy which came another way is not displaced by a file that did not change.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use keysteer_tests::site::place::Place;
use keysteer_tests::site::policy::usual;
use keysteer_tests::site::{Site, v4};
use nix::sys::signal::Signal;

use crate::changes::{apply, globex_on, until};

#[test]
fn sighup_has_the_file_read_at_once_also_where_it_did_not_change() {
    let site = Site::new(1500);
    let place = Place::new(&globex_on("a"));
    let agent = place.start(&site.node);
    assert_eq!(apply(&agent, &place, &globex_on("b")), 2);
    assert_eq!(site.who(v4(2, 1)), "b");
    agent.signal(Signal::SIGHUP);
    until("the file is read", || agent.status().policy.generation == 3);
    assert_eq!(site.who(v4(2, 1)), "a");
    let audit = agent.read_state(&["audit", "--action", "reload", "-o", "jsonl"], &place).done();
    assert_eq!(audit.lines().count(), 1, "{audit}");
}

/// What an operator applied stands at the next start, whichever way the file came into force before.
#[test]
fn a_file_that_did_not_change_displaces_nothing_at_a_start() {
    let site = Site::new(1500);
    for way in ["reloaded", "means the same", "refused"] {
        let place = Place::new(&globex_on("a"));
        let mut agent = place.start_as(place.lasting(&site.node));
        match way {
            "reloaded" => {
                fs::write(place.policy(), globex_on("b")).unwrap();
                agent.signal(Signal::SIGHUP);
                until("the file is read", || agent.status().policy.generation == 2);
            }
            "means the same" => {
                fs::write(place.policy(), globex_on("a") + "# a remark\n").unwrap();
                until("the file is read", || agent.log().contains("means what is in force"));
            }
            _ => {
                // A policy that an interface is missing for, which the next start may have.
                let absent = globex_on("a").replace("{name: up0}", "{name: up9}");
                fs::write(place.policy(), absent).unwrap();
                until("the file is refused", || agent.status().policy.trouble.is_some());
            }
        }
        let generation = apply(&agent, &place, &globex_on("c"));
        agent.signal(Signal::SIGKILL);
        agent.wait();
        let mut agent = place.start_as(place.lasting(&site.node));
        assert_eq!(agent.status().policy.generation, generation, "{way}");
        assert_eq!(site.who(v4(2, 1)), "c", "{way}");
        agent.signal(Signal::SIGTERM);
        agent.wait();
        place.clean_up(&site.node).done();
    }
}

#[test]
fn other_files_beside_it_displace_nothing() {
    let site = Site::new(1500);
    let place = Place::new(&globex_on("a"));
    let agent = place.start(&site.node);
    // What is applied lies beside the file that is followed.
    assert_eq!(apply(&agent, &place, &globex_on("b")), 2);
    let beside = || agent.log().matches("beside the policy file").count();
    until("the file beside is noticed", || beside() == 1);
    assert_eq!((agent.status().policy.generation, site.who(v4(2, 1))), (2, "b".to_owned()));
    // Nor does the file itself, written anew as it was.
    fs::write(place.policy(), globex_on("a")).unwrap();
    until("the file is looked at", || beside() == 2);
    assert_eq!((agent.status().policy.generation, site.who(v4(2, 1))), (2, "b".to_owned()));
    fs::write(place.policy(), globex_on("c")).unwrap();
    until("the change is taken up", || agent.status().policy.generation == 3);
    assert_eq!(site.who(v4(2, 1)), "c");
}

/// Puts `text` into a new folder, and exchanges the link to it, as a kubelet does.
fn mount(folder: &Path, version: &str, text: &str) {
    fs::create_dir_all(folder.join(version)).unwrap();
    fs::write(folder.join(version).join("policy.yaml"), text).unwrap();
    symlink(version, folder.join("..data_tmp")).unwrap();
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    let file = folder.join("policy.yaml");
    if !fs::exists(&file).unwrap() {
        symlink("..data/policy.yaml", file).unwrap();
    }
}

#[test]
fn a_mounted_configmap_is_followed() {
    let site = Site::new(1500);
    let place = Place::new("");
    fs::remove_file(place.policy()).unwrap();
    let folder = place.policy();
    mount(&folder, "..2026_01", &globex_on("a"));
    let agent = place.start(&site.node);
    assert_eq!(site.who(v4(2, 1)), "a");
    mount(&folder, "..2026_02", &globex_on("b"));
    until("the exchange is noticed", || agent.status().policy.generation == 2);
    assert_eq!(site.who(v4(2, 1)), "b");

    // Line 5, where the key's pool is.
    mount(&folder, "..2026_03", &globex_on("c").replace("pool: own", "pool: onw"));
    until("the mistake is shown", || agent.status().policy.trouble.is_some());
    fs::remove_dir_all(folder.join("..2026_01")).unwrap();
    assert_eq!((agent.status().policy.generation, site.who(v4(2, 1))), (2, "b".to_owned()));
    mount(&folder, "..2026_04", &globex_on("c"));
    until("it is mended", || {
        let policy = agent.status().policy;
        policy.generation == 3 && policy.trouble.is_none()
    });
    assert_eq!(site.who(v4(2, 1)), "c");
}

#[test]
fn a_mistake_is_shown_with_its_line_and_mended_later() {
    let site = Site::new(1500);
    let place = Place::new(&globex_on("a"));
    let agent = place.start(&site.node);
    let wrong = globex_on("b").replace("pool: own", "pool: onw");
    let line = 1 + wrong.lines().position(|line| line.contains("pool: onw")).unwrap();
    fs::write(place.policy(), &wrong).unwrap();
    until("the mistake is shown", || agent.status().policy.trouble.is_some());

    let place_of = format!("policy.yaml:{line}:");
    let shown = agent.read(&["status"]).data();
    let trouble = shown.lines().find(|line| line.starts_with("trouble")).unwrap();
    for text in [trouble, &agent.status().policy.trouble.unwrap(), &agent.log()] {
        assert!(text.contains(&place_of) && text.contains("onw"), "{place_of}: {text}");
    }
    let audit = agent.read_state(&["audit", "--action", "watch", "-o", "jsonl"], &place).done();
    assert!(audit.contains(r#""result":"refused""#), "{audit}");
    assert_eq!(site.who(v4(2, 1)), "a");

    // Applied by hand it is refused the same.
    fs::write(place.file("new.yaml"), &wrong).unwrap();
    let said = agent.read(&["apply", place.file("new.yaml").to_str().unwrap()]);
    said.refuses(&["onw"]);

    fs::write(place.policy(), globex_on("b")).unwrap();
    until("it is mended", || agent.status().policy.trouble.is_none());
    assert_eq!(site.who(v4(2, 1)), "b");
    let shown = agent.read(&["status"]).data();
    assert!(!shown.contains("trouble"), "{shown}");
}

#[test]
fn keys_that_the_file_loses_are_retired_and_their_packets_stay_counted() {
    let site = Site::new(1500);
    let place = Place::new(&usual());
    let agent = place.start(&site.node);
    for _ in 0..5 {
        assert!(site.who(v4(2, 1)) != "node");
    }
    let before = agent.key("globex");
    assert_eq!(before.packets, 5);
    let received = agent.status().received;

    let without: String = usual()
        .lines()
        .filter(|line| !line.contains("name: globex"))
        .map(|line| format!("{line}\n"))
        .collect();
    fs::write(place.policy(), without).unwrap();
    until("the key is taken out", || agent.status().policy.keys == 2);
    assert!(agent.keys().iter().all(|key| key.name != "globex"));
    assert_eq!(site.try_who(v4(2, 1)), None, "it is unregistered now, which this policy drops");
    let status = agent.status();
    assert!(status.balanced, "its packets are in the sums still");
    // At least: neighbour discovery may come at any time.
    assert!(status.received.packets > received.packets);
    let unregistered = status.outcomes.iter().filter(|it| it.class == "unregistered");
    assert_eq!(unregistered.map(|it| it.packets).sum::<u64>(), 1);
    until("the log says that it is retired", || {
        agent.log().lines().any(|line| line.contains("key_retired") && line.contains("tenant=t2"))
    });

    fs::write(place.policy(), usual()).unwrap();
    until("the key is back", || agent.status().policy.keys == 3);
    let after = agent.key("globex");
    assert_eq!((after.id, after.packets), (before.id, 5), "the same key, and its count goes on");
    assert!(site.who(v4(2, 1)) != "node");
    assert_eq!(agent.key("globex").packets, 6);
    assert!(agent.status().balanced);
}
