//! Asking the agent about packets: the answer is what the packets get, and asking changes nothing.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use keysteer::explain::types::Explanation;
use keysteer::world::{Capture, Captured, Direction, Transport};
use keysteer_tests::captures;
use keysteer_tests::site::agent::Agent;
use keysteer_tests::site::binary::{self, command};
use keysteer_tests::site::place::Place;
use keysteer_tests::site::policy::{policy, usual};
use keysteer_tests::site::{ADDRESSES, PATIENCE, PORT, SERVICE, SILENCE, Site, icmp, link_addresses, v4, v6};

use super::targets::EVERY_TARGET;

/// Packets, bytes, and what else a counter counts, by what it is called.
type Counts = BTreeMap<String, [u64; 4]>;

/// Every counter that the agent shows.
fn counts(agent: &Agent) -> Counts {
    let (status, keys, shards) = (agent.status(), agent.keys(), agent.shards());
    let mut counts = Counts::new();
    let mut add = |name: String, counted: [u64; 4]| {
        if counted != [0; 4] {
            counts.insert(name, counted);
        }
    };
    for (verdict, it) in status.verdicts {
        add(format!("verdict {verdict}"), [it.packets, it.bytes, 0, 0]);
    }
    for it in status.outcomes {
        add(format!("outcome {} {}", it.class, it.reason), [it.packets, it.bytes, 0, 0]);
    }
    for key in keys {
        add(format!("key {}", key.name), [key.packets, key.bytes, key.flows, 0]);
        for (reason, it) in key.drops {
            add(format!("drop {} {reason}", key.name), [it.packets, it.bytes, 0, 0]);
        }
    }
    for it in shards {
        add(format!("shard {}", it.name), [it.packets, it.bytes, it.flows, it.dropped]);
    }
    counts
}

/// What a packet will have been counted as, if the explanation is right.
fn expect(counts: &mut Counts, said: &Explanation) {
    let opens = u64::from(said.parse.transport.as_ref().is_some_and(|it| it.opens));
    let dropped = said.forward.verdict == "drop";
    let mut add = |name: String, rest: [u64; 2]| {
        let counted = counts.entry(name).or_default();
        let one = [1, said.bytes as u64, rest[0], rest[1]];
        counted.iter_mut().zip(one).for_each(|(sum, one)| *sum += one);
    };
    add(format!("verdict {}", said.forward.verdict), [0, 0]);
    add(format!("outcome {} {}", said.class, said.forward.reason), [0, 0]);
    if let Some(key) = &said.key {
        add(format!("key {}", key.name), [opens, 0]);
        if dropped {
            add(format!("drop {} {}", key.name, said.forward.reason), [0, 0]);
        }
    }
    if let Some(shard) = said.select.as_ref().and_then(|select| select.shard.as_ref()) {
        add(format!("shard {shard}"), [opens, u64::from(dropped)]);
    }
}

/// What `work` makes the agent count, and the frames that the client sent meanwhile: all, and no other.
fn counted(site: &Site, agent: &Agent, work: impl FnOnce()) -> (Counts, Vec<Vec<u8>>) {
    let end = Instant::now() + PATIENCE * 5;
    let (capture, before) = loop {
        let capture = Capture::start(&site.client, Direction::Outgoing).unwrap();
        let before = counts(agent);
        if capture.seen() == 0 {
            break (capture, before);
        }
        assert!(Instant::now() < end, "the client is never silent");
    };
    work();
    let after = loop {
        let seen = capture.seen();
        std::thread::sleep(Duration::from_millis(300));
        let after = counts(agent);
        if capture.seen() == seen {
            break after;
        }
        assert!(Instant::now() < end, "the client is never silent");
    };
    let frames: Vec<_> = capture.finish().unwrap().into_iter().map(|captured| captured.frame).collect();
    let difference = after.into_iter().map(|(name, now)| {
        let was = before.get(&name).copied().unwrap_or_default();
        (name, [0, 1, 2, 3].map(|at| now[at] - was[at]))
    });
    (difference.filter(|(_, counted)| *counted != [0; 4]).collect(), frames)
}

/// Frames of every kind, from captures.
fn recorded() -> Vec<Vec<u8>> {
    let mut frames = captures::folder(&captures::own()).unwrap();
    assert!(frames.len() > 40, "{}", frames.len());
    frames.extend(captures::folder(&captures::shared()).unwrap().into_iter().take(200));
    frames
}

/// Traffic of every kind from the client.
fn talk(site: &Site) {
    for tenant in 1..=7 {
        for (transport, number) in [(Transport::Udp, 1), (Transport::Tcp, 2), (Transport::Udp, 3)] {
            for source in [v4(tenant, number), v6(tenant, number)] {
                // Not everybody is answered.
                let _ = site.ask(transport, source, 32, SILENCE);
            }
        }
    }
    // Fragments, an error about a flow, and what is not ours.
    let _ = site.ask(Transport::Udp, v4(1, 4), 4_000, SILENCE);
    let _ = site.ask(Transport::Udp, v6(1, 4), 4_000, SILENCE);
    for family in [0, 1] {
        let client: IpAddr = [v4(2, 1), v6(2, 1)][family];
        let message = icmp::too_big(SocketAddr::new(SERVICE[family], PORT), SocketAddr::new(client, 40_000));
        icmp::send(&site.client, link_addresses(0, 2)[family], SERVICE[family], message);
        let _ = site.ask_at(link_addresses(1, 2)[family], Transport::Udp, v4_or_6(family), 32, SILENCE);
    }
}

fn v4_or_6(family: usize) -> IpAddr {
    [v4(1, 5), v6(1, 5)][family]
}

#[test]
fn every_packet_gets_what_the_explanation_says() {
    let site = Site::new(1500);
    for text in
        [usual(), policy("", "{name: up0}", EVERY_TARGET), usual().replace("spec:", "spec:\n  mode: observe")]
    {
        let place = Place::new(&text);
        let agent = place.start(&site.node);
        let (counts, frames) = counted(&site, &agent, || talk(&site));
        assert!(frames.len() > 60, "{}", frames.len());
        let mut expected = Counts::new();
        for frame in &frames {
            let said = agent.explain(frame);
            assert!(said.live && said.interface == "up0" && !said.would_change.is_empty(), "{said:?}");
            expect(&mut expected, &said);
        }
        assert_eq!(counts, expected);
        assert!(expected.keys().filter(|name| name.starts_with("outcome")).count() >= 3, "{expected:#?}");
    }
}

#[test]
fn an_explanation_foretells_the_shard() {
    let site = Site::new(1500);
    let place = Place::new(&usual());
    let agent = place.start(&site.node);
    for tenant in [1, 2, 3] {
        for number in 1..=ADDRESSES {
            for source in [v4(tenant, number), v6(tenant, number)] {
                let to = SocketAddr::new(SERVICE[usize::from(source.is_ipv6())], PORT);
                let socket =
                    site.client.run(|| UdpSocket::bind(SocketAddr::new(source, 0))).unwrap().unwrap();
                let port = socket.local_addr().unwrap().port().to_string();
                let (source, destination) = (source.to_string(), to.ip().to_string());
                let said = agent
                    .read(&[
                        "explain",
                        "--src",
                        &source,
                        "--dst",
                        &destination,
                        "--proto",
                        "udp",
                        "--sport",
                        &port,
                        "--dport",
                        "7000",
                        "-o",
                        "json",
                    ])
                    .data();
                let said: Explanation = serde_json::from_str(&said).unwrap();
                let shard = said.select.and_then(|select| select.shard);
                assert_eq!(shard.is_none(), tenant == 3, "{source}");
                socket.send_to(b"who?", to).unwrap();
                socket.set_read_timeout(Some(if shard.is_some() { PATIENCE } else { SILENCE })).unwrap();
                let mut answer = [0; 64];
                let answer = socket.recv(&mut answer).ok().map(|read| answer[..read].to_vec());
                let answer =
                    answer.map(|text| String::from_utf8(text).unwrap().lines().next().unwrap().to_owned());
                assert_eq!(answer, shard, "{source}");
            }
        }
    }
    let picture =
        agent.read(&["explain", "--src", "10.3.0.1", "--dst", "203.0.113.10", "--dport", "7000"]).data();
    for part in ["policy test (", "in force", "key initech", "denied: unpaid", "What would change it"] {
        assert!(picture.contains(part), "{part} is not in:\n{picture}");
    }
    assert!(!picture.contains("not in force") && !picture.contains("assumed"), "{picture}");
}

#[test]
fn asking_changes_no_counter() {
    let site = Site::new(1500);
    let place = Place::new(&usual());
    let agent = place.start(&site.node);
    talk(&site);
    let frames = recorded();
    let (counts, sent) = counted(&site, &agent, || {
        for frame in &frames {
            agent.explain(frame);
        }
        // Also not when the kernel itself is asked.
        let mut kernel = command(&["explain", "--engine", "kernel", "-o", "json", "--policy"]);
        kernel.arg(place.policy()).args(["--src", "10.1.0.1", "--dst", "203.0.113.10", "--dport", "7000"]);
        let said: Explanation =
            serde_json::from_str(&binary::run(site.node.put(&mut kernel)).data()).unwrap();
        let run = said.kernel.unwrap();
        assert!(run.agrees(), "{run:?}");
        assert_eq!(run.program.len(), 16, "{run:?}");
    });
    // Neighbours may have been asked meanwhile: that is foreign, and each frame of it is known.
    let mut expected = Counts::new();
    sent.iter().for_each(|frame| expect(&mut expected, &agent.explain(frame)));
    assert_eq!(counts, expected, "{} frames were explained", frames.len());
    assert!(
        counts.keys().all(|name| ["verdict pass", "outcome foreign out_of_scope"].contains(&name.as_str()))
    );
    assert!(agent.status().balanced);
}

/// How often the agent is asked under traffic, how many datagrams are sent meanwhile at the least, and how many of
/// them at a time.
const QUESTIONS: usize = 300;
const DATAGRAMS: usize = 2_000;
const BURST: usize = 10;

#[test]
fn asking_at_rate_costs_no_packet() {
    let site = Site::new(1500);
    let place = Place::new(&usual());
    let agent = place.start(&site.node);
    // Neighbours are known before it begins.
    let sources: Vec<IpAddr> = (1..=ADDRESSES).flat_map(|number| [v4(1, number), v4(2, number)]).collect();
    sources.iter().for_each(|source| assert!(site.who(*source) != "node"));
    let arriving: Vec<Capture> = site
        .shards
        .iter()
        .map(|host| Capture::start(&host.namespace, Direction::Incoming).unwrap())
        .collect();
    let frames = recorded();
    let asked = Arc::new(AtomicUsize::new(0));
    let mut datagrams = 0;
    let (counts, sent) = counted(&site, &agent, || {
        let to = SocketAddr::new(SERVICE[0], PORT);
        let so_far = Arc::clone(&asked);
        let sender = site
            .client
            .spawn(move || {
                let bind = |source: &IpAddr| UdpSocket::bind(SocketAddr::new(*source, 0));
                let sockets: Vec<UdpSocket> = sources.iter().map(bind).collect::<Result<_, _>>()?;
                let end = Instant::now() + PATIENCE * 5;
                let mut sent = 0;
                while sent < DATAGRAMS || (so_far.load(Ordering::Relaxed) < QUESTIONS && Instant::now() < end)
                {
                    for _ in 0..BURST {
                        sockets[sent % sockets.len()].send_to(&[b'x'; 100], to)?;
                        sent += 1;
                    }
                    std::thread::sleep(Duration::from_millis(3));
                }
                // Answers that are still under way find their sockets.
                std::thread::sleep(Duration::from_millis(300));
                Ok(sent)
            })
            .unwrap();
        for frame in frames.iter().cycle() {
            if sender.is_finished() {
                break;
            }
            agent.explain(frame);
            asked.fetch_add(1, Ordering::Relaxed);
        }
        datagrams = sender.join().unwrap().unwrap();
    });
    let asked = asked.load(Ordering::Relaxed);
    assert!(asked >= QUESTIONS && datagrams >= DATAGRAMS, "{asked} questions, {datagrams} datagrams");
    let ours =
        |frame: &Vec<u8>| frame.len() == 14 + 20 + 8 + 100 && frame[12..14] == [8, 0] && frame[23] == 17;
    assert_eq!(sent.iter().filter(|frame| ours(frame)).count(), datagrams);
    let arrived = arriving.into_iter().flat_map(|capture| capture.finish().unwrap());
    let arrived = arrived.filter(|Captured { frame, .. }| ours(frame)).count();
    assert_eq!(arrived, datagrams, "{asked} were asked meanwhile");
    let packets = |name: &str| counts.get(name).map_or(0, |counted| counted[0]);
    assert_eq!(packets("key acme") + packets("key globex"), datagrams as u64, "{counts:?}");
    assert_eq!(packets("outcome assigned steered"), datagrams as u64, "{counts:?}");
}

#[test]
fn an_interface_that_has_gone_is_known_to_have_gone() {
    let site = Site::new(1500);
    let place = Place::new(&usual());
    let agent = place.start(&site.node);
    let only = agent.key("globex").shards;
    let host = site.shards.iter().find(|host| only == [host.name]).unwrap();
    let ask = || {
        let said = agent.read(&[
            "explain",
            "--src",
            "10.2.0.1",
            "--dst",
            "203.0.113.10",
            "--dport",
            "7000",
            "-o",
            "json",
        ]);
        serde_json::from_str::<Explanation>(&said.data()).unwrap()
    };
    assert_eq!((ask().forward.verdict.as_str(), site.who(v4(2, 1)).as_str()), ("interface", host.name));
    site.node.delete(host.port).unwrap();
    let said = ask();
    assert_eq!((said.forward.verdict.as_str(), said.forward.reason.as_str()), ("drop", "no_exit"));
    assert!(said.would_change.iter().any(|line| line.contains(host.port)), "{said:?}");
    let before = agent.key("globex").drops.get("no_exit").copied().unwrap_or_default().packets;
    assert_eq!(site.ask(Transport::Udp, v4(2, 1), 32, SILENCE).unwrap().answer, None);
    assert_eq!(agent.key("globex").drops["no_exit"].packets, before + 1);
}
