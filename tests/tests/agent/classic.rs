//! Steering at TC by classic filters, as on kernels before 6.6: that it is the same, that what others have there stays, and that a crash at
//! any step leaves something that the next agent goes on with. On newer kernels agents are told to take them for old ones.

use std::fs;

use keysteer::fault::Step;
use keysteer::kernel::Direction;
use keysteer::world::Transport;
use keysteer_tests::site::agent::Agent;
use keysteer_tests::site::classic::{self, EVERY, IPV4, OURS, Seen, Verdict};
use keysteer_tests::site::place::Place;
use keysteer_tests::site::policy::{THREE_SHARDS, policy};
use keysteer_tests::site::{SILENCE, Site, UP0, v4};
use nix::sys::signal::Signal;

use super::changes::{apply, until};
use super::tc::{in_mode, lose_no_packet};
use super::{all_answered_during, answers, shards};

/// The filters on what comes in from the client.
fn filters(site: &Site) -> Vec<Seen> {
    classic::filters(&site.node, UP0, Direction::Ingress)
}

/// The only filter there, which is keysteer's.
fn ours(site: &Site) -> Seen {
    let found = filters(site);
    assert!(matches!(&found[..], [it] if it.is_ours()), "{found:?}");
    found.into_iter().next().unwrap()
}

/// Whether there is nothing of keysteer's on the interface, and nothing made for it.
fn is_clean(site: &Site) -> bool {
    filters(site).is_empty() && site.attached(UP0).is_none() && !classic::has_qdisc(&site.node, UP0)
}

fn kill(agent: &mut Agent) {
    agent.signal(Signal::SIGKILL);
    assert!(!agent.wait().success());
}

#[test]
fn a_filter_steers_the_same_and_goes_with_the_agent_that_is_asked_to_detach() {
    let site = Site::new(1500);
    let place = Place::classic(&in_mode("tc"));
    let mut agent = place.start(&site.node);
    let status = agent.status();
    assert_eq!((status.interfaces[0].mode.as_str(), &status.interfaces[0].fallback), ("tc", &None));
    ours(&site);
    for (tenant, key, width) in [(1, "acme", 2), (2, "globex", 1)] {
        assert_eq!(answers(&site, tenant, 32), shards(&agent, key));
        assert_eq!(shards(&agent, key).len(), width);
    }
    let exchange = site.ask(Transport::Udp, v4(3, 1), 32, SILENCE).unwrap();
    assert_eq!(exchange.answer, None, "denied");
    assert!(agent.status().balanced);
    agent.signal(Signal::SIGTERM);
    assert!(agent.wait().success());
    assert!(is_clean(&site), "{:?}", filters(&site));
    assert_eq!(site.who(v4(1, 1)), "node");
}

#[test]
fn auto_takes_a_filter_where_a_driver_has_no_xdp_and_says_why_where_it_cannot() {
    let site = Site::new(1500);
    let text = policy("", "{name: lo}, {name: up0}", THREE_SHARDS);
    let on_lo = |agent: &Agent| agent.status().interfaces.into_iter().find(|at| at.name == "lo").unwrap();
    {
        let place = Place::classic(&text);
        let mut agent = place.start(&site.node);
        assert_eq!(on_lo(&agent).mode, "tc");
        assert!(classic::filters(&site.node, "lo", Direction::Ingress)[0].is_ours());
        agent.signal(Signal::SIGTERM);
        assert!(agent.wait().success());
    }
    classic::add_qdisc(&site.node, "lo");
    classic::add(&site.node, "lo", (OURS.0, EVERY, OURS.1), Verdict::Next);
    let place = Place::classic(&text);
    let at = on_lo(&place.start(&site.node));
    let why = at.fallback.unwrap();
    assert_eq!(at.mode, "generic");
    assert!(why.contains("refused native XDP") && why.contains("; TC did: keysteer's place there"), "{why}");
}

#[test]
fn changes_rollbacks_and_crashes_under_traffic_lose_no_packet() {
    lose_no_packet(&Place::classic(&in_mode("tc")));
}

#[test]
fn what_is_there_is_taken_over_and_replaced_in_place_under_traffic() {
    let site = Site::new(1500);
    let place = Place::classic(&in_mode("tc"));
    let mut agent = place.start_as(place.lasting(&site.node));
    let first = ours(&site);
    all_answered_during(&site, || {
        kill(&mut agent);
        assert_eq!(ours(&site), first, "it steers on");
        agent = place.start_as(place.lasting(&site.node));
        assert_eq!(ours(&site), first, "taken over, not replaced");
        apply(&agent, &place, &in_mode("tc").replace("width: 2", "width: 3"));
        let second = ours(&site);
        assert_ne!(second.program, first.program);
        agent.signal(Signal::SIGTERM);
        assert!(agent.wait().success());
        assert_eq!(ours(&site), second, "it was not asked to detach");
        agent = place.start_as(place.lasting(&site.node));
        agent.read(&["rollback"]).done();
        assert_ne!(ours(&site).program, second.program);
        // A host's pins may go where its filters stay: with a container, for one.
        kill(&mut agent);
        place.pinboard().run(|| fs::remove_dir_all(place.pins()).unwrap()).unwrap();
        agent = place.start_as(place.lasting(&site.node));
        ours(&site);
    });
    assert_eq!(answers(&site, 1, 32), shards(&agent, "acme"));
}

#[test]
fn what_others_have_there_stays_in_its_order_and_keeps_the_qdisc() {
    let site = Site::new(1500);
    classic::add_qdisc(&site.node, UP0);
    let (first, last) = ((1, EVERY, 1), (60_000, EVERY, 7));
    classic::add(&site.node, UP0, first, Verdict::Drop);
    classic::add(&site.node, UP0, last, Verdict::Next);
    let theirs = filters(&site);
    let place = Place::classic(&in_mode("tc"));
    let mut agent = place.start(&site.node);
    let order: Vec<u16> = filters(&site).iter().map(|it| it.priority).collect();
    assert_eq!(order, [1, OURS.0, 60_000]);
    let exchange = site.ask(Transport::Udp, v4(1, 1), 32, SILENCE).unwrap();
    assert_eq!((exchange.answer, agent.status().received.packets), (None, 0), "theirs dropped it");
    classic::delete(&site.node, UP0, first);
    classic::add(&site.node, UP0, first, Verdict::Next);
    assert_eq!(answers(&site, 1, 32), shards(&agent, "acme"));
    apply(&agent, &place, &in_mode("tc").replace("width: 2", "width: 3"));
    let order: Vec<u16> = filters(&site).iter().map(|it| it.priority).collect();
    assert_eq!(order, [1, OURS.0, 60_000]);
    agent.signal(Signal::SIGTERM);
    assert!(agent.wait().success());
    let left = filters(&site);
    assert_eq!((left.len(), &left[1]), (2, &theirs[1]));
    classic::delete(&site.node, UP0, first);
    classic::delete(&site.node, UP0, last);
    // It was theirs, and a second agent leaves it as the first did.
    drop(place.start(&site.node));
    assert!(classic::has_qdisc(&site.node, UP0));
}

#[test]
fn a_qdisc_that_others_have_come_to_use_is_left_to_them() {
    let site = Site::new(1500);
    let place = Place::classic(&in_mode("tc"));
    let mut agent = place.start(&site.node);
    classic::add(&site.node, UP0, (7, EVERY, 1), Verdict::Next);
    agent.signal(Signal::SIGTERM);
    assert!(agent.wait().success());
    let left = filters(&site);
    assert!(matches!(&left[..], [it] if it.name == "theirs"), "{left:?}");
}

#[test]
fn where_keysteers_place_is_taken_it_refuses_names_who_and_changes_nothing() {
    let site = Site::new(1500);
    classic::add_qdisc(&site.node, UP0);
    let (priority, handle, _) = OURS;
    for (place, named) in [((priority, EVERY, handle), "handle 0x6b73"), ((priority, IPV4, 1), "handle 0x1")]
    {
        classic::add(&site.node, UP0, place, Verdict::Next);
        let theirs = filters(&site);
        let ours = Place::classic(&in_mode("tc"));
        ours.refused(&site.node).refuses(&[
            "cannot attach to up0 in tc mode",
            "priority 50000 of TC ingress",
            "is taken by",
            named,
            "name \"theirs\"",
            "move or delete it",
        ]);
        assert_eq!(filters(&site), theirs);
        let pinned = ours.pinboard().run(|| {
            let root = ours.pins().join(format!("abi-{}", keysteer_common::config::ABI));
            let names = fs::read_dir(root).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap());
            names.filter(|name| name.starts_with("link-") || name.starts_with("clsact-")).collect::<Vec<_>>()
        });
        assert_eq!(pinned.unwrap(), [""; 0]);
        classic::delete(&site.node, UP0, place);
    }
}

#[test]
fn cleanup_after_kill_9_leaves_nothing() {
    let site = Site::new(1500);
    let place = Place::classic(&in_mode("tc"));
    let mut agent = place.start_as(place.lasting(&site.node));
    kill(&mut agent);
    let program = ours(&site).program;
    let said = place.clean_up(&site.node);
    assert!(said.err.contains("detached from 1 interface"), "{said:?}");
    assert!(is_clean(&site), "{:?}", filters(&site));
    assert_eq!(site.who(v4(1, 1)), "node", "nobody steers");
    assert!(place.pinboard().run(|| !place.pins().exists()).unwrap(), "something is pinned");
    until("the kernel has let the program go", || {
        !aya::programs::loaded_programs().filter_map(Result::ok).any(|it| it.id() == program)
    });
    let agent = place.start(&site.node);
    assert!(agent.status().balanced);
    assert_eq!(answers(&site, 1, 32), shards(&agent, "acme"));
}

/// Both ways may be found among the pins: filters that an agent left which did not know links at TC, and links.
#[test]
fn filters_and_links_are_taken_over_by_whoever_comes() {
    let site = Site::new(1500);
    let mut place = Place::classic(&in_mode("tc"));
    let mut agent = place.start_as(place.lasting(&site.node));
    for classic in [false, true] {
        let before = filters(&site).len();
        all_answered_during(&site, || {
            kill(&mut agent);
            place.set_classic(classic);
            agent = place.start_as(place.lasting(&site.node));
            apply(&agent, &place, &in_mode("tc").replace("width: 2", "width: 3"));
            assert_eq!(filters(&site).len(), before, "replaced where it was");
            for mode in ["native", "tc"] {
                apply(&agent, &place, &in_mode(mode));
            }
        });
        assert_eq!(agent.status().interfaces[0].mode, "tc");
        assert_eq!(filters(&site).len(), usize::from(classic));
    }
    agent.read(&["rollback"]).done();
    kill(&mut agent);
    place.clean_up(&site.node).done();
    assert!(is_clean(&site), "{:?}", filters(&site));
}

#[test]
fn an_interface_that_goes_takes_its_filter_with_it_and_its_successor_is_steered() {
    let site = Site::new(1500);
    let both = "{name: up0, mode: tc}, {name: to-c, mode: tc}";
    let place = Place::classic(&policy("", both, THREE_SHARDS));
    let mut agent = place.start_as(place.lasting(&site.node));
    let on_c = || classic::filters(&site.node, "to-c", Direction::Ingress).len();
    assert_eq!(on_c(), 1);
    kill(&mut agent);
    site.unplug_shard(2);
    site.plug_shard(2);
    assert_eq!(on_c(), 0);
    agent = place.start_as(place.lasting(&site.node));
    until("it is steered again", || on_c() == 1);
    assert_eq!(answers(&site, 1, 32), shards(&agent, "acme"));
    kill(&mut agent);
    place.clean_up(&site.node).done();
    assert!(is_clean(&site) && on_c() == 0);
}

/// Where a change from one hook to the other can be cut short: what holds before does no more, or what will hold does not yet.
const STEPS: [Step; 5] =
    [Step::FilterMarked, Step::FilterAdded, Step::Held, Step::FilterDeleted, Step::Committed];

#[test]
fn a_crash_at_any_step_of_a_change_of_the_hook_loses_no_packet_and_no_filter() {
    let site = Site::new(1500);
    let mut reached = Vec::new();
    // The other interface is let go by the change, or is new to it.
    let text =
        |mode: &str, also: &str| policy("", &format!("{{name: up0, mode: {mode}}}{also}"), THREE_SHARDS);
    let also = ", {name: to-c, mode: tc}";
    for (from, to) in [(("native", also), ("tc", "")), (("tc", ""), ("native", also))] {
        for step in STEPS {
            // With the qdiscs that are needed: making one stops what an interface sends for a moment.
            let place = Place::classic(&text("tc", also));
            let mut agent = place.start_as(place.lasting(&site.node));
            apply(&agent, &place, &text(from.0, from.1));
            all_answered_during(&site, || {
                kill(&mut agent);
                // At some steps it is already when it takes over: those come again with the change.
                let started = (1..=3).find_map(|times| {
                    let mut command = place.lasting(&site.node);
                    command.env("KEYSTEER_FAULT", format!("{step}@{times}"));
                    place.try_start_as(command)
                });
                agent = started.unwrap();
                fs::write(place.file("new.yaml"), text(to.0, to.1)).unwrap();
                let said = agent.read(&["apply", place.file("new.yaml").to_str().unwrap()]);
                if said.code == Some(0) {
                    kill(&mut agent);
                } else {
                    assert_eq!(agent.wait().code(), None, "{step}: {}", agent.log());
                    reached.push(step);
                }
                agent = place.start_as(place.lasting(&site.node));
            });
            let steered = (site.attached(UP0).is_some(), filters(&site).len());
            let mode = agent.status().interfaces[0].mode.clone();
            assert_eq!(steered, if mode == "native" { (true, 0) } else { (false, 1) }, "{step}: {mode}");
            apply(&agent, &place, &text(to.0, to.1).replace("width: 2", "width: 3"));
            assert_eq!(answers(&site, 1, 32), shards(&agent, "acme"), "{step}");
            kill(&mut agent);
            place.clean_up(&site.node).done();
            let on_c = classic::filters(&site.node, "to-c", Direction::Ingress);
            assert!(is_clean(&site) && on_c.is_empty(), "{step}: {:?}, {on_c:?}", filters(&site));
            assert!(!classic::has_qdisc(&site.node, "to-c"), "{step}");
        }
    }
    let missed: Vec<_> = STEPS.iter().filter(|step| !reached.contains(step)).collect();
    assert!(missed.is_empty(), "never reached: {missed:?}");
}
