//! A node that steers one interface in its driver and another at TC: one policy, one set of keys, shards and counters.

use std::collections::BTreeSet;

use keysteer::world::Transport;
use keysteer_tests::site::agent::Agent;
use keysteer_tests::site::place::Place;
use keysteer_tests::site::policy::{THREE_SHARDS, policy};
use keysteer_tests::site::second::UP1;
use keysteer_tests::site::{PATIENCE, SILENCE, Site, UP0, v4, v6};

use super::changes::until;
use super::{addresses, shards};

/// What was counted for a key: packets and bytes that came, packets and bytes that left.
fn counted(agent: &Agent, key: &str) -> [u64; 4] {
    let key = agent.key(key);
    let sent = key.sent.unwrap();
    [key.packets, key.bytes, sent.packets, sent.bytes]
}

/// Asks once from every address of a tenant; gives who answered.
fn asked(site: &Site, tenant: u8) -> BTreeSet<String> {
    let ask = |source| site.ask(Transport::Udp, source, 32, PATIENCE).unwrap().answer.unwrap();
    addresses(tenant).map(ask).collect()
}

#[test]
fn two_hooks_of_one_node_have_the_same_keys_shards_and_counters() {
    let site = Site::new(1500);
    site.plug_second();
    let interfaces = format!("{{name: {UP0}, mode: native}}, {{name: {UP1}, mode: tc}}");
    let place = Place::new(&policy("", &interfaces, &format!("{THREE_SHARDS}\n  egress: {{}}\n")));
    let agent = place.start(&site.node);
    let status = agent.status();
    let modes: BTreeSet<_> =
        status.interfaces.iter().map(|at| (at.name.as_str(), at.mode.as_str())).collect();
    assert_eq!(modes, [(UP0, "native"), (UP1, "tc")].into());
    assert_eq!(
        BTreeSet::from_iter(status.egress.unwrap().interfaces),
        [UP0.to_owned(), UP1.to_owned()].into()
    );

    let node =
        || (site.node.statistics(UP0).unwrap().rx_packets, site.node.statistics(UP1).unwrap().rx_packets);
    let mut rounds = Vec::new();
    for second in [false, true] {
        if second {
            site.go_by_second();
        }
        let before = node();
        let mut round = Vec::new();
        for (tenant, key) in [(1, "acme"), (2, "globex")] {
            let [packets, bytes, sent, sent_bytes] = counted(&agent, key);
            let questions = addresses(tenant).count() as u64;
            assert_eq!(asked(&site, tenant), shards(&agent, key), "by the second link: {second}");
            until("all is counted", || {
                let now = counted(&agent, key);
                now[0] >= packets + questions && now[2] >= sent + questions
            });
            let now = counted(&agent, key);
            assert_eq!((now[0] - packets, now[2] - sent), (questions, questions), "{key}, second: {second}");
            round.push((now[1] - bytes, now[3] - sent_bytes));
        }
        for source in [v4(3, 1), v6(3, 1)] {
            let exchange = site.ask(Transport::Udp, source, 32, SILENCE).unwrap();
            assert_eq!(exchange.answer, None, "denied, by the second link: {second}");
        }
        let after = node();
        let questions = (addresses(1).count() + addresses(2).count()) as u64;
        let arrived = if second { after.1 - before.1 } else { after.0 - before.0 };
        assert!(
            arrived >= questions,
            "{arrived} of {questions} questions arrived, by the second link: {second}"
        );
        rounds.push(round);
    }
    assert_eq!(rounds[0], rounds[1], "the same bytes at either hook");
    let denied = agent.key("initech");
    assert_eq!(denied.drops["denied"].packets, 4, "two at each hook");
    assert!(agent.status().balanced);
}
