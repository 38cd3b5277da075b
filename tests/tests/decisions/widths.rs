//! Over how many shards a key's flows spread, and what must stay together.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use keysteer_common::vocabulary::Class;
use keysteer_tests::frames::{AUTHENTICATION, FRAGMENT, Packet, Transport};

use crate::table::{Table, acme, acme6, table};

fn shard(table: &mut Table<'_>, packet: &Packet) -> u16 {
    table.run("a flow", &packet.bytes(), 0).work.record.decision.shard
}

fn shards(table: &mut Table<'_>, base: &Packet) -> BTreeSet<u16> {
    (0..300).map(|port| shard(table, &Packet { ports: (port, 443), ..base.clone() })).collect()
}

#[test]
fn a_key_spreads_over_just_as_many_shards_as_its_width() {
    table(|_, mut table| {
        for base in [acme, acme6] {
            assert_eq!(shards(&mut table, &base(0)).len(), 1, "width 1");
            assert_eq!(shards(&mut table, &base(8)).len(), 2, "width 2");
            assert_eq!(shards(&mut table, &base(9)).len(), 5, "all of the pool");
        }
        assert_eq!(shards(&mut table, &acme(8)), shards(&mut table, &acme6(8)), "one key, one row");
        table.counters("widths").balanced().unwrap();
    });
}

#[test]
fn fragments_of_a_datagram_meet() {
    table(|_, mut table| {
        for base in [acme, acme6] {
            let mut seen = BTreeSet::new();
            for host in 0..100_u16 {
                let source: IpAddr = match base(8).source {
                    IpAddr::V4(_) => [10, 1, 7, host as u8].into(),
                    IpAddr::V6(_) => [0x2001, 0xdb8, 1, 0, 0, 0, 0, host].into(),
                };
                let piece = |offset, more| Packet {
                    fragment: Some((offset, more)),
                    ports: (host, 443),
                    source,
                    ..base(9)
                };
                let first = shard(&mut table, &piece(0, true));
                assert_eq!(first, shard(&mut table, &piece(185, true)));
                assert_eq!(first, shard(&mut table, &piece(370, false)));
                seen.insert(first);
            }
            assert_eq!(seen.len(), 5, "datagrams spread all the same");
        }
    });
}

/// What is behind the fragment header is in the first fragment alone, and must not tell it from the others.
#[test]
fn fragments_meet_also_where_extension_headers_are_cut_from_the_transport() {
    table(|_, mut table| {
        for behind in [60, AUTHENTICATION] {
            for host in 0..50 {
                let piece = |offset, more| Packet {
                    source: Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, host).into(),
                    extensions: vec![(0, 0), (FRAGMENT, 0), (behind, 0)],
                    fragment: Some((offset, more)),
                    ..acme6(9)
                };
                let first = table.run("first", &piece(0, true).bytes(), 0).work.record.decision;
                let last = table.run("last", &piece(9, false).bytes(), 0).work.record.decision;
                assert_eq!((first.class, first.key_id, first.shard), (last.class, last.key_id, last.shard));
                assert_eq!(first.class, Class::Assigned as u8);
            }
        }
    });
}

#[test]
fn an_icmp_error_follows_the_flow_that_it_quotes() {
    table(|_, mut table| {
        for (port, kind) in (0..100).zip([3, 4, 5, 11, 12].into_iter().cycle()) {
            for transport in [Transport::Udp, Transport::Tcp(0), Transport::Sctp] {
                let flow = Packet { ports: (port, 443), transport, ..acme(9) };
                let error = flow.error([192, 0, 2, 1].into(), kind);
                let quoted = table.run("an error", &error.bytes(), 0).work;
                let plain = table.run("its flow", &flow.bytes(), 0).work;
                assert_eq!(
                    (
                        quoted.record.decision.key_id,
                        quoted.record.decision.flow,
                        quoted.record.decision.shard
                    ),
                    (plain.record.decision.key_id, plain.record.decision.flow, plain.record.decision.shard),
                );
                let flow = Packet { destination: "2001:db8:10::9".parse().unwrap(), ..flow };
                let flow = Packet { source: "2001:db8:1::3".parse().unwrap(), ..flow };
                let router = "2001:db8:ffff::1".parse().unwrap();
                let error = flow.error(router, 1 + kind % 4);
                let quoted = table.run("an error", &error.bytes(), 0).work;
                assert_eq!(quoted.record.decision.shard, shard(&mut table, &flow));
            }
        }
    });
}
