//! The table that the sentences are checked on.

use keysteer::counters::{Snapshot, add};
use keysteer::image::Image;
use keysteer::kernel::has_tcx;
use keysteer_common::account::{Counter, drop_slot};
use keysteer_common::forward::Action;
use keysteer_common::headers::NO_SHARD;
use keysteer_common::vocabulary::{Class, REASONS, Reason, Verdict};
use keysteer_tests::frames::Packet;
use keysteer_tests::lab::{Lab, lab};
use keysteer_tests::pair::{Outcome, Pair};

/// The policy of most sentences: a key for every target, by tenant and DSCP.
pub(crate) const POLICY: &str = r#"apiVersion: keysteer.dev/v1alpha1
kind: SteeringPolicy
metadata: {name: table}
spec:
  environment: test
  interfaces: [{name: eth0}]
  scope:
    - {destinations: [203.0.113.0/24, "2001:db8:10::/48"], services: [tcp/443, udp/400-499, sctp/443, icmp]}
  prefixTables:
    tenants: {10.1.0.0/16: acme, "2001:db8:1::/48": acme, 10.2.0.0/16: umbrella, "2001:db8:2::/48": umbrella}
  schemas:
    - version: 1
      fields:
        - {name: tenant, from: ip.src, table: tenants}
        - {name: product, from: ip.dscp}
      levels: [[tenant, product], [tenant]]
  shards:
    - {name: a, target: {interface: {name: veth-a, mac: "02:00:00:00:00:0a"}}}
    - {name: b, target: {nextHop: {interface: eth0, mac: "02:00:00:00:00:0b"}}}
    - {name: c, target: {nextHop: {interface: veth-b, mac: "02:00:00:00:00:0c"}}}
    - {name: cpu, target: {cpu: 0}}
    - {name: here, target: pass}
    - {name: nowhere, target: drop}
    - {name: gone, target: {interface: {name: veth-c, mac: "02:00:00:00:00:0d"}}}
  pools:
    - {name: a, shards: [a]}
    - {name: b, shards: [b]}
    - {name: c, shards: [c]}
    - {name: cpu, shards: [cpu]}
    - {name: here, shards: [here]}
    - {name: nowhere, shards: [nowhere]}
    - {name: gone, shards: [gone]}
    - {name: many, shards: [a, b, c, cpu, here]}
  keys:
    - {name: acme, match: {tenant: acme}, pool: a}
    - {name: acme-b, match: {tenant: acme, product: 1}, pool: b}
    - {name: acme-c, match: {tenant: acme, product: 2}, pool: c}
    - {name: acme-cpu, match: {tenant: acme, product: 3}, pool: cpu}
    - {name: acme-here, match: {tenant: acme, product: 4}, pool: here}
    - {name: acme-nowhere, match: {tenant: acme, product: 5}, pool: nowhere}
    - {name: acme-denied, match: {tenant: acme, product: 6}, deny: true, reason: unpaid}
    - {name: acme-gone, match: {tenant: acme, product: 7}, pool: gone}
    - {name: acme-two, match: {tenant: acme, product: 8}, pool: many, width: 2}
    - {name: acme-all, match: {tenant: acme, product: 9}, pool: many, width: all}
  classes: {missing: pass, unregistered: {pool: a}, malformed: drop}
"#;

pub(crate) const A: [u8; 6] = [2, 0, 0, 0, 0, 0x0a];
pub(crate) const B: [u8; 6] = [2, 0, 0, 0, 0, 0x0b];
pub(crate) const C: [u8; 6] = [2, 0, 0, 0, 0, 0x0c];

/// From acme to the service, with this DSCP.
pub(crate) fn acme(dscp: u8) -> Packet {
    Packet { dscp, ..Packet::between("10.1.2.3", "203.0.113.9") }
}

/// The same over IPv6.
pub(crate) fn acme6(dscp: u8) -> Packet {
    Packet { dscp, ..Packet::between("2001:db8:1::3", "2001:db8:10::9") }
}

/// What must become of a frame.
#[derive(Clone, Debug)]
pub(crate) struct Expect {
    pub(crate) action: Action,
    pub(crate) class: Class,
    pub(crate) verdict: Verdict,
    pub(crate) reason: Reason,
    pub(crate) key: Option<&'static str>,
    pub(crate) shard: Option<&'static str>,
    /// The key that it claims without right, and the interface.
    pub(crate) claim: Option<(&'static str, u32)>,
    /// The version of the schema that it is counted by, where the policy has several.
    pub(crate) version: Option<u8>,
    /// It opens a flow.
    pub(crate) opens: bool,
    /// Destination and source that the frame leaves with; none: it leaves as it came.
    pub(crate) macs: Option<[[u8; 6]; 2]>,
}

impl Expect {
    /// Passes as if nothing were here.
    pub(crate) fn foreign() -> Self {
        Self::of(Action::Pass, Class::Foreign, Verdict::Pass, Reason::OutOfScope)
    }

    /// Is of a class without a key and meets what the policy says of the class.
    pub(crate) fn class(class: Class, reason: Reason) -> Self {
        let passes = matches!(reason, Reason::ClassPass | Reason::FragmentPass);
        let action = if passes { Action::Pass } else { Action::Drop };
        Self::of(action, class, if passes { Verdict::Pass } else { Verdict::Drop }, reason)
    }

    /// Is steered as `key` to a shard that the frame is redirected to.
    pub(crate) fn redirected(
        key: &'static str,
        shard: &'static str,
        verdict: Verdict,
        macs: [[u8; 6]; 2],
    ) -> Self {
        let steered = Self::of(Action::Redirect, Class::Assigned, verdict, Reason::Steered);
        Self { key: Some(key), shard: Some(shard), macs: Some(macs), ..steered }
    }

    /// Is dropped as `key`.
    pub(crate) fn dropped(key: &'static str, shard: Option<&'static str>, reason: Reason) -> Self {
        let dropped = Self::of(Action::Drop, Class::Assigned, Verdict::Drop, reason);
        Self { key: Some(key), shard, ..dropped }
    }

    pub(crate) fn of(action: Action, class: Class, verdict: Verdict, reason: Reason) -> Self {
        let (key, shard, claim, version, macs) = (None, None, None, None, None);
        Self { action, class, verdict, reason, key, shard, claim, version, opens: false, macs }
    }
}

/// An image in both homes.
pub(crate) struct Table<'i> {
    pub(crate) pair: Pair<'i>,
    pub(crate) image: &'i Image,
}

/// Compiles `policy` in a lab, lets `prepare` change the image, and hands over the table.
pub(crate) fn table_of(
    policy: &str,
    prepare: impl FnOnce(&mut Image) + Send,
    work: impl FnOnce(&Lab, Table<'_>) + Send,
) {
    lab(|lab| {
        let (_, mut image) = lab.compile(policy, "table").unwrap();
        prepare(&mut image);
        // Kernels before TCX are emulated, where verifying two more programs for each sentence takes too long: there the
        // differential test compares what TC decides.
        let pair = Pair::of(&image, &image, has_tcx()).unwrap();
        work(lab, Table { pair, image: &image });
    });
}

/// The table of [`POLICY`].
pub(crate) fn table(work: impl FnOnce(&Lab, Table<'_>) + Send) {
    table_of(POLICY, |_| {}, work);
}

impl Table<'_> {
    /// Runs a frame that arrived on the loopback and checks everything about it.
    pub(crate) fn says(&mut self, sentence: &str, packet: &Packet, expect: &Expect) -> Outcome {
        self.frame(sentence, &packet.bytes(), 0, expect)
    }

    /// Runs a frame and checks everything about it.
    pub(crate) fn frame(&mut self, sentence: &str, frame: &[u8], ingress: u32, expect: &Expect) -> Outcome {
        let mut counters = self.counters(sentence);
        let outcome = self.run(sentence, frame, ingress);
        let decision = &outcome.work.record.decision;
        assert_eq!(outcome.action, Some(expect.action), "{sentence}: action");
        let shard = (decision.shard != NO_SHARD).then(|| self.image.names.shard(decision.shard)).flatten();
        let key = self.image.names.key(decision.key_id).map(|key| key.name.as_str());
        assert_eq!((key, shard), (expect.key, expect.shard), "{sentence}: key and shard");
        let claimed = self.image.names.key(decision.claimed).map(|key| key.name.as_str());
        assert_eq!(claimed, expect.claim.map(|(key, _)| key), "{sentence}: the key that is claimed");
        let mut leaves = frame.to_vec();
        if let Some(macs) = expect.macs {
            leaves[..12].copy_from_slice(&macs.concat());
        }
        assert_eq!(outcome.frame, leaves, "{sentence}: the frame that leaves");
        self.move_counters(&mut counters, frame.len() as u64, expect);
        assert_eq!(self.counters(sentence), counters, "{sentence}: the counters that moved, and no others");
        outcome
    }

    /// Runs a frame through both homes, which must agree.
    pub(crate) fn run(&mut self, sentence: &str, frame: &[u8], ingress: u32) -> Outcome {
        self.pair.run(frame, ingress).unwrap_or_else(|difference| panic!("{sentence}: {difference}"))
    }

    pub(crate) fn counters(&self, sentence: &str) -> Snapshot {
        self.pair.counters().unwrap_or_else(|difference| panic!("{sentence}: {difference}"))
    }

    /// The index of a shard.
    pub(crate) fn shard(&self, name: &str) -> usize {
        self.image.names.shards.iter().position(|shard| shard.name == name).expect("a shard of the policy")
    }

    /// Moves the counters that a frame must move.
    fn move_counters(&self, counters: &mut Snapshot, bytes: u64, expect: &Expect) {
        let one = Counter { packets: 1, bytes };
        add(&mut counters.node.verdicts[expect.verdict as usize], one);
        add(&mut counters.node.outcomes[expect.class as usize * REASONS + expect.reason as usize], one);
        let dropped = expect.verdict == Verdict::Drop;
        if let Some(name) = expect.key {
            let id = self.image.names.keys.iter().find(|key| key.name == name).expect("a key").id as usize;
            counters.keys[id].packets += 1;
            counters.keys[id].bytes += bytes;
            counters.events[id].flows += u64::from(expect.opens);
            if let (true, Some(slot)) = (dropped, drop_slot(expect.reason)) {
                add(&mut counters.events[id].drops[slot], one);
            }
        }
        if let Some(version) = expect.version {
            add(counters.versions.entry(version).or_default(), one);
        }
        if let Some((name, index)) = expect.claim {
            let id = self.image.names.keys.iter().find(|key| key.name == name).expect("a key").id;
            add(counters.claims.entry((id, index)).or_default(), one);
        }
        if let Some(name) = expect.shard {
            let shard = &mut counters.shards[self.shard(name)];
            shard.packets += 1;
            shard.bytes += bytes;
            shard.flows += u64::from(expect.opens);
            shard.dropped += u64::from(dropped);
        }
    }
}
