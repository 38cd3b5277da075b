//! Interfaces that disappear and return, as those of containers and of cards that are reset do.

use keysteer_tests::site::place::Place;
use keysteer_tests::site::{Site, UP0, v4, v6};

use crate::changes::{apply, globex_on, until};

#[test]
fn a_steered_interface_that_returns_is_attached_again() {
    let site = Site::new(1500);
    let place = Place::new(&globex_on("a"));
    let agent = place.start(&site.node);
    assert_eq!(site.who(v4(2, 1)), "a");
    let before = (agent.status().interfaces[0].index, agent.key("globex").packets);

    site.unplug_client();
    // There is nothing to steer; the agent goes on, and says what it did.
    assert_eq!(agent.key("globex").packets, before.1);
    site.plug_client();
    until("the interface is attached again", || {
        agent.status().interfaces.first().is_some_and(|at| at.index != before.0)
            && site.attached(UP0) == Some(agent.status().program.id)
    });
    assert_eq!((site.who(v4(2, 1)), site.who(v6(2, 1))), ("a".to_owned(), "a".to_owned()));
    assert_eq!(agent.key("globex").packets, before.1 + 2, "counters go on");
    assert_eq!(agent.status().interfaces.len(), 1, "the one that has gone is not shown");

    // And what comes after finds everything in order.
    let generation = apply(&agent, &place, &globex_on("b"));
    assert_eq!(site.who(v4(2, 1)), "b");
    let back = agent.read(&["rollback", "--from", &generation.to_string()]).done();
    assert!(back.contains("in force again"), "{back}");
    assert_eq!(site.who(v4(2, 1)), "a", "the interface is attached by the generation before, too");
    let audit = agent.read_state(&["audit", "-o", "jsonl"], &place).done();
    assert!(audit.contains("\"interfaces\""), "{audit}");
}

#[test]
fn it_is_attached_again_by_the_next_agent_too() {
    let site = Site::new(1500);
    let place = Place::new(&globex_on("a"));
    let mut agent = place.start_as(place.lasting(&site.node));
    agent.signal(nix::sys::signal::Signal::SIGKILL);
    agent.wait();
    site.unplug_client();
    site.plug_client();
    assert_eq!(site.attached(UP0), None);
    let agent = place.start(&site.node);
    assert_eq!(site.attached(UP0), Some(agent.status().program.id));
    assert_eq!(site.who(v4(2, 1)), "a");
    assert!(agent.status().balanced);
}

#[test]
fn a_shards_interface_that_returns_is_steered_to_again() {
    let site = Site::new(1500);
    let place = Place::new(&globex_on("a"));
    let agent = place.start(&site.node);
    assert_eq!(site.who(v4(2, 1)), "a");
    site.unplug_shard(0);
    assert_eq!(site.try_who(v4(2, 1)), None, "its shard has gone");
    assert_eq!(agent.key("globex").drops["no_exit"].packets, 1);
    site.plug_shard(0);
    until("its shard is steered to again", || site.try_who(v4(2, 1)).is_some_and(|who| who == "a"));
    assert!(agent.status().balanced);
    // The other shards were there all the time.
    assert!(site.who(v4(1, 1)) != "node");
}
