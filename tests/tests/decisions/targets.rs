//! Where an assigned packet goes.

use keysteer_common::forward::Action;
use keysteer_common::vocabulary::{Class, Reason, Verdict};
use keysteer_tests::frames::{ACK, Packet, SYN, Transport};
use keysteer_tests::lab::mac;

use crate::table::{A, B, C, Expect, POLICY, acme, acme6, table, table_of};

fn steered(key: &'static str, shard: &'static str, action: Action, verdict: Verdict) -> Expect {
    let steered = Expect::of(action, Class::Assigned, verdict, Reason::Steered);
    Expect { key: Some(key), shard: Some(shard), ..steered }
}

#[test]
fn every_target() {
    table(|lab, mut table| {
        let eth0 = lab.index("eth0");
        let interface = Expect::redirected("acme", "a", Verdict::Interface, [A, mac(1)]);
        table.says(
            "a key of an interface leaves by it, from its address to the shard's",
            &acme(0),
            &interface,
        );
        table.says("IPv6 likewise", &acme6(0), &interface);
        let hop = Expect::redirected("acme-b", "b", Verdict::NextHop, [B, mac(0)]);
        table.says("a next hop behind another interface is redirected to", &acme(1), &hop);
        table.frame(
            "a next hop behind the interface it came in by is transmitted to",
            &acme(1).bytes(),
            eth0,
            &Expect { action: Action::Transmit, ..hop.clone() },
        );
        let hop = Expect::redirected("acme-c", "c", Verdict::NextHop, [C, mac(2)]);
        table.frame("which interface that is, the shard says", &acme6(2).bytes(), eth0, &hop);
        let cpu = steered("acme-cpu", "cpu", Action::Redirect, Verdict::Cpu);
        table.says("a CPU gets the frame as it came", &acme(3), &cpu);
        let here = steered("acme-here", "here", Action::Pass, Verdict::Pass);
        table.says("the host itself is a shard too", &acme(4), &here);
        let nowhere = Expect::dropped("acme-nowhere", Some("nowhere"), Reason::TargetDrop);
        table.says("a shard may be nowhere", &acme(5), &nowhere);
        let denied = Expect::dropped("acme-denied", None, Reason::Denied);
        table.says("a denied key reaches no shard", &acme(6), &denied);
    });
}

#[test]
fn a_segment_that_opens_a_flow_is_counted_as_one() {
    table(|_, mut table| {
        let tcp = |flags| Packet { transport: Transport::Tcp(flags), ..acme(0) };
        let closed = Expect::redirected("acme", "a", Verdict::Interface, [A, mac(1)]);
        let opens = Expect { opens: true, ..closed.clone() };
        table.says("SYN opens", &tcp(SYN), &opens);
        table.says("SYN with other flags than ACK opens", &tcp(SYN | 0xc0), &opens);
        table.says("SYN and ACK answers", &tcp(SYN | ACK), &closed);
        table.says("ACK goes on", &tcp(ACK), &closed);
        let denied = Expect::dropped("acme-denied", None, Reason::Denied);
        let syn = Packet { dscp: 6, ..tcp(SYN) };
        table.says("a denied key opens flows as well", &syn, &Expect { opens: true, ..denied });
    });
}

#[test]
fn an_exit_that_has_gone_drops_and_says_so() {
    table(|lab, mut table| {
        let frame =
            Expect::redirected("acme-gone", "gone", Verdict::Interface, [[2, 0, 0, 0, 0, 0x0d], mac(3)]);
        table.says("while the interface is there it gets the frame", &acme(7), &frame);
        lab.delete("veth-c").unwrap();
        let shard = u16::try_from(table.shard("gone")).unwrap();
        table.pair.lose_exit(shard);
        let dropped = Expect::dropped("acme-gone", Some("gone"), Reason::NoExit);
        // The rewrite comes first; who gets a dropped frame does not mind.
        let dropped = Expect { macs: frame.macs, ..dropped };
        table.says("once it has gone the frame is dropped", &acme(7), &dropped);
    });
}

#[test]
fn observing_decides_and_counts_and_touches_nothing() {
    let policy = POLICY.replace("  interfaces:", "  mode: observe\n  interfaces:");
    table_of(
        &policy,
        |_| {},
        |_, mut table| {
            let observed = |class, reason| Expect::of(Action::Pass, class, Verdict::Observe, reason);
            let as_key =
                |key, shard, reason| Expect { key: Some(key), shard, ..observed(Class::Assigned, reason) };
            table.says("a steered packet", &acme(0), &as_key("acme", Some("a"), Reason::Steered));
            let nowhere = as_key("acme-nowhere", Some("nowhere"), Reason::Steered);
            table.says("one whose shard would drop it", &acme(5), &nowhere);
            table.says("a denied one", &acme(6), &as_key("acme-denied", None, Reason::Denied));
            let stranger = Packet::between("192.0.2.1", "203.0.113.9");
            table.says("one without a key", &stranger, &observed(Class::Missing, Reason::ClassPass));
            let foreign = Packet::between("10.1.2.3", "192.0.2.1");
            table.says("foreign traffic is foreign all the same", &foreign, &Expect::foreign());
        },
    );
}
