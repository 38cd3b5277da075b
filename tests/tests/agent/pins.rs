//! What is pinned: who may use it, what is refused of it, and that it can be got rid of.

use std::fs;

use keysteer_tests::site::binary::{self, Said};
use keysteer_tests::site::foreign::pin_array;
use keysteer_tests::site::place::Place;
use keysteer_tests::site::policy::usual;
use keysteer_tests::site::{Site, UP0, v4};
use nix::sys::signal::Signal;

use crate::changes::{apply, globex_on, until};

/// Kills an agent that steers; its program's id.
fn killed(site: &Site, place: &Place) -> u32 {
    let mut agent = place.start_as(place.lasting(&site.node));
    let program = agent.status().program.id;
    agent.signal(Signal::SIGKILL);
    agent.wait();
    program
}

/// Starts an agent where one was killed, which must be refused; beside the refusal it says that it found the other's socket.
fn refused(site: &Site, place: &Place, phrases: &[&str]) {
    let said = place.refused(&site.node);
    let err: String = said
        .err
        .lines()
        .filter(|line| !line.contains("replacing the socket"))
        .map(|it| format!("{it}\n"))
        .collect();
    Said { err, ..said }.refuses(phrases);
}

#[test]
fn a_second_agent_on_the_same_pins_is_refused_whatever_else_it_has() {
    let site = Site::new(1500);
    let place = Place::new(&usual());
    let agent = place.start(&site.node);
    let mut command = binary::command(&["agent", "--metrics-address", "127.0.0.1:9478"]);
    command.arg("--policy").arg(place.policy()).arg("--bpffs").arg(place.pins());
    command.arg("--state-dir").arg(place.file("other")).arg("--socket").arg(place.file("other.sock"));
    let said = binary::run(place.pinboard().put(site.node.put(&mut command)));
    said.refuses(&["another agent uses", place.pins().to_str().unwrap(), "stop it first"]);
    assert!(!place.file("other.sock").exists());
    assert_eq!(site.attached(UP0), Some(agent.status().program.id));
    assert!(site.who(v4(1, 1)) != "node");
}

#[test]
fn cleanup_after_kill_9_leaves_nothing() {
    let site = Site::new(1500);
    let place = Place::new(&usual());
    let program = killed(&site, &place);
    assert_eq!(site.attached(UP0), Some(program));
    let said = place.clean_up(&site.node);
    assert!(said.err.contains("detached from 1 interface"), "{said:?}");
    assert_eq!(site.attached(UP0), None);
    assert_eq!(site.who(v4(1, 1)), "node", "nobody steers");
    let board = place.pinboard();
    assert!(board.run(|| !place.pins().exists()).unwrap(), "something is pinned");
    until("the kernel has let the program go", || {
        !aya::programs::loaded_programs().filter_map(Result::ok).any(|it| it.id() == program)
    });
    // Once more is no mistake, and a start begins anew.
    let said = place.clean_up(&site.node);
    assert!(said.code == Some(0) && said.err.contains("nothing was attached"), "{said:?}");
    let agent = place.start(&site.node);
    assert!(agent.status().balanced);
    assert!(site.who(v4(1, 1)) != "node");
}

/// A host that is started anew has no pins, and the state as it was.
#[test]
fn a_host_that_is_started_anew_goes_on_with_what_was_in_force() {
    let site = Site::new(1500);
    let place = Place::new(&globex_on("a"));
    let mut agent = place.start_as(place.lasting(&site.node));
    apply(&agent, &place, &globex_on("b"));
    agent.read(&["key", "deny", "acme"]).done();
    let generation = apply(&agent, &place, &globex_on("c"));
    agent.signal(Signal::SIGKILL);
    agent.wait();
    place.clean_up(&site.node).done();
    assert_eq!(site.who(v4(2, 1)), "node");
    let agent = place.start(&site.node);
    assert_eq!(site.who(v4(2, 1)), "c", "not what the file says");
    assert_eq!(site.try_who(v4(1, 1)), None, "what was denied stays denied");
    assert!(agent.status().policy.generation > generation && agent.status().balanced);
    agent.read(&["rollback"]).refuses(&["no generation to go back to"]);
    agent.read(&["key", "clear", "acme"]).done();
    assert!(site.who(v4(1, 1)) != "node");
}

#[test]
fn what_detached_at_its_exit_is_gone_on_with() {
    let site = Site::new(1500);
    let place = Place::new(&usual());
    let mut agent = place.start(&site.node);
    assert!(site.who(v4(2, 1)) != "node");
    agent.signal(Signal::SIGTERM);
    assert!(agent.wait().success());
    assert_eq!(site.attached(UP0), None);
    assert_eq!(site.who(v4(2, 1)), "node");
    let agent = place.start(&site.node);
    assert!(site.who(v4(2, 1)) != "node");
    assert_eq!(
        agent.key("globex").packets,
        2,
        "what was counted before, and not what the node had for itself"
    );
}

#[test]
fn pins_of_another_version_are_named_and_left_alone() {
    let site = Site::new(1500);
    let place = Place::new(&usual());
    let program = killed(&site, &place);
    let other = place.pins().join("abi-9999");
    place.pinboard().run(|| fs::create_dir(&other).unwrap()).unwrap();
    refused(&site, &place, &["ABI 9999", "run that version again", "agent --cleanup"]);
    assert_eq!(site.attached(UP0), Some(program), "what is there steers on");
    assert!(place.pinboard().run(|| other.is_dir()).unwrap());
    place.pinboard().run(|| fs::remove_dir(&other).unwrap()).unwrap();
    assert_eq!(place.start(&site.node).status().program.id, program);
}

/// Every map that is pinned, replaced by one of another size: none is ever misread.
#[test]
fn a_pin_that_is_not_what_it_should_be_is_named() {
    let site = Site::new(1500);
    let place = Place::new(&usual());
    let program = killed(&site, &place);
    let version = format!("abi-{}", keysteer_common::config::ABI);
    let root = place.pins().join(version);
    let maps = place.pinboard().run(|| {
        let names = |directory: &str| -> Vec<_> {
            let entries = fs::read_dir(root.join(directory)).unwrap();
            entries.map(|entry| entry.unwrap().path()).collect()
        };
        [names("counters-1"), names("generation-1")].concat()
    });
    let maps = maps.unwrap();
    assert!(maps.len() > 15, "{maps:?}");
    let aside = root.join("aside");
    for pin in maps {
        place
            .pinboard()
            .run(|| {
                fs::rename(&pin, &aside).unwrap();
                pin_array(&pin, 24, 3);
            })
            .unwrap();
        refused(
            &site,
            &place,
            &[pin.to_str().unwrap(), "is not what this keysteer pinned", "agent --cleanup"],
        );
        assert_eq!(site.attached(UP0), Some(program), "{}", pin.display());
        place
            .pinboard()
            .run(|| {
                fs::remove_file(&pin).unwrap();
                fs::rename(&aside, &pin).unwrap();
            })
            .unwrap();
    }
    assert!(site.who(v4(1, 1)) != "node");
    assert_eq!(place.start(&site.node).status().program.id, program);
}
