//! The whole decision: every part of the answer is compared with what the policy says of the frame.

use std::sync::LazyLock;

use keysteer::engine::Engine;
use keysteer::policy::{ClassAction, Key, Policy};
use keysteer_common::account::{Counter, Meters, drop_slot};
use keysteer_common::config::fragments;
use keysteer_common::decide::{decide, decide_deep};
use keysteer_common::forward::Action;
use keysteer_common::headers::{Decision, Headers, NO_LEVEL, NO_SHARD, NO_SLOT, Record, Work, found};
use keysteer_common::inside::Inside;
use keysteer_common::look::{facts_of, headers_of};
use keysteer_common::migrate::Move;
use keysteer_common::pin::{Between, Said, Settle};
use keysteer_common::program::Program;
use keysteer_common::slice::Frame;
use keysteer_common::tables::{Datagram, Datagrams, Exits, ShardEntry, Tables, target};
use keysteer_common::vocabulary::{Class, Fault, Reason, Verdict};

use super::model::{Expected, address};
use super::{again, kernel};
use crate::differential::{Subject, subjects_on};
use crate::lab::imagined;

/// Longer frames differ in their payload alone.
const LONGEST: usize = 4096;

/// The policies of the differential test, on a host that is imagined.
static SUBJECTS: LazyLock<Vec<Subject>> = LazyLock::new(|| {
    modelled(subjects_on(&imagined()).expect("the policies of the differential test are right"))
});

/// Without those that operators have words on, those whose keys move, and those of what interfaces may assert: of that the differential test
/// compares the kernel and the host, and the model here knows nothing.
pub(super) fn modelled(mut subjects: Vec<Subject>) -> Vec<Subject> {
    subjects.retain(|it| it.policy.trust.is_none() && it.deaf.is_none() && it.still.is_none());
    subjects
}

/// Decides a frame. The first byte chooses the policy; of the second, the low bits choose the interface
/// that the frame arrives on, and the highest takes some shards' interfaces away; the rest is the frame.
pub fn decision(data: &[u8]) {
    let Some((&[which, how], frame)) = data.split_first_chunk() else {
        return;
    };
    let frame = frame.get(..LONGEST).unwrap_or(frame);
    let Some(subject) = SUBJECTS.get(usize::from(which) % SUBJECTS.len()) else {
        return;
    };
    let ingress = u32::from(how & 3) + 1;
    let lost: Vec<u16> = if how & 0x80 == 0 { Vec::new() } else { subject.doomed().collect() };
    let case = Case { subject, ingress, lost: &lost };
    let answer = case.decide(frame);
    case.check(frame, &answer);
    again::check(&case, frame, &answer);
    kernel::check(usize::from(which) % SUBJECTS.len(), frame, ingress);
}

/// The policies to choose from.
pub(super) fn policies() -> &'static [Subject] {
    &SUBJECTS
}

/// What a frame under the policy with this number is answered, in one word.
pub(super) fn answered(which: usize, frame: &[u8]) -> String {
    let Some(subject) = SUBJECTS.get(which) else { return String::new() };
    let decided = Engine::new(&subject.image).decide(&mut frame.to_vec(), 1).work.record.decision;
    let class = Class::from_number(decided.class).map_or("", Class::name);
    let reason = Reason::from_number(decided.reason).map_or("", Reason::name);
    let verdict = Verdict::from_number(decided.verdict).map_or("", Verdict::name);
    if decided.claimed == 0 {
        return format!("{}-{class}-{reason}-{verdict}", subject.name);
    }
    // From where a key is claimed matters: from nowhere that is named, or from where others may be used.
    let headers = headers_of(&Frame::new(&mut frame.to_vec(), 1));
    let source = address(frame, headers.has(found::IPV4), headers.source);
    let mut named =
        subject.policy.keys.iter().flat_map(|key| key.sources.iter().flat_map(|nets| nets.iter()));
    let named = named.any(|net| net.contains(&source));
    format!("{}-{class}-{reason}-{verdict}-{}-{named}", subject.name, decided.claimed)
}

/// What a frame is decided by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case<'c> {
    pub(super) subject: &'c Subject,
    ingress: u32,
    lost: &'c [u16],
}

/// What became of a frame.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) action: Action,
    pub(super) work: Work,
    frame: Vec<u8>,
    counted: Counted,
}

impl Answer {
    /// What was decided, apart from the frame's length.
    pub(super) fn decision(&self) -> (Action, Decision) {
        (self.action, Decision { bytes: 0, ..self.work.record.decision })
    }

    pub(super) fn class(&self) -> Class {
        Class::from_number(self.work.record.decision.class).expect("a class of the vocabulary")
    }
}

/// Everything that was counted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counted {
    node: Vec<(Class, Verdict, Reason, u64)>,
    keys: Vec<(u32, u64, bool, Option<usize>)>,
    shards: Vec<(u32, u64, bool, bool)>,
    versions: Vec<(u8, u64)>,
    claims: Vec<(u32, u32, u64)>,
}

/// Counts, and exits of which some have gone.
struct Node<'n> {
    counted: Counted,
    lost: &'n [u16],
    exits: Vec<u32>,
}

impl Settle for Node<'_> {
    fn settle<T: Tables>(&mut self, _: &T, _: u64, _: Move, _: Between, _: Said) -> u16 {
        unreachable!("in none of these policies anything moves")
    }
}

impl Meters for Node<'_> {
    fn node(
        &mut self,
        class: Class,
        verdict: Verdict,
        reason: Reason,
        Counter { packets, bytes }: Counter,
        shard: Option<u32>,
    ) {
        assert_eq!(packets, 1);
        self.counted.node.push((class, verdict, reason, bytes));
        self.counted.shards.extend(shard.map(|shard| (shard, bytes, false, false)));
    }

    fn key(&mut self, id: u32, Counter { packets, bytes }: Counter) {
        assert_eq!(packets, 1);
        self.counted.keys.push((id, bytes, false, None));
    }

    fn key_dropped(&mut self, id: u32, Counter { packets, bytes }: Counter, drop: usize) {
        assert_eq!(packets, 1);
        let key = self.counted.keys.iter_mut().find(|key| (key.0, key.1) == (id, bytes));
        key.expect("a drop of a key that was counted").3 = Some(drop);
    }

    fn shard_dropped(&mut self, shard: u32, packets: u64) {
        assert_eq!(packets, 1);
        let shard = self.counted.shards.iter_mut().find(|counted| counted.0 == shard);
        shard.expect("a drop of a shard that was counted").3 = true;
    }

    fn opened(&mut self, key: Option<u32>, shard: Option<u32>) {
        if let Some(id) = key {
            let key = self.counted.keys.iter_mut().find(|key| key.0 == id);
            key.expect("a flow of a key that was counted").2 = true;
        }
        if let Some(index) = shard {
            let shard = self.counted.shards.iter_mut().find(|shard| shard.0 == index);
            shard.expect("a flow of a shard that was counted").2 = true;
        }
    }

    fn version(&mut self, version: u8, Counter { packets, bytes }: Counter) {
        assert_eq!(packets, 1);
        self.counted.versions.push((version, bytes));
    }

    fn claim(&mut self, id: u32, ingress: u32, Counter { packets, bytes }: Counter) {
        assert_eq!(packets, 1);
        self.counted.claims.push((id, ingress, bytes));
    }
}

/// One frame comes alone: there is nothing to recall of others.
impl Datagrams for Node<'_> {
    fn remember(&mut self, _: &Datagram, _: u32) {}
    fn forget(&mut self, _: &Datagram) {}

    fn recall(&mut self, _: &Datagram) -> Option<u32> {
        None
    }
}

impl Exits for Node<'_> {
    fn to_interface(&mut self, shard: u32, _peer: bool) -> bool {
        self.exits.push(shard);
        !self.lost.iter().any(|lost| u32::from(*lost) == shard)
    }

    fn to_cpu(&mut self, cpu: u32) -> bool {
        self.exits.push(cpu);
        true
    }
}

impl Case<'_> {
    /// Decides a frame over a work area that holds what no frame left there.
    pub(super) fn decide(&self, frame: &[u8]) -> Answer {
        let mut work = littered();
        let mut node = Node { counted: Counted::default(), lost: self.lost, exits: Vec::new() };
        let mut bytes = frame.to_vec();
        let (packet, image) = (&mut Frame::new(&mut bytes, self.ingress), &self.subject.image);
        let action = match Program::of(&image.config) {
            Program::Headers => decide(packet, image, &mut node, &mut work),
            Program::Deep => decide_deep(packet, image, &mut node, &mut work),
        };
        assert!(node.exits.len() <= 1, "two exits for one frame: {:?}", node.exits);
        Answer { action, work, frame: bytes, counted: node.counted }
    }

    /// Compares an answer with what the policy says.
    fn check(&self, frame: &[u8], answer: &Answer) {
        let Subject { policy, image, .. } = self.subject;
        let decision = &answer.work.record.decision;
        let (headers, inside) = facts_of(&Frame::new(&mut frame.to_vec(), self.ingress), &image.config);
        let expected = Expected::of(policy, &image.signing, frame, &headers, &inside);
        let class = answer.class();
        assert_eq!(class, expected.class, "{expected:?}, {headers:?}");
        assert_eq!(decision.bytes as usize, frame.len());
        if class != Class::Foreign {
            assert_eq!(meaningful(&answer.work.headers), meaningful(&headers));
        }
        if !matches!(class, Class::Foreign | Class::Malformed) {
            assert_eq!((decision.present, decision.tried), (expected.present, expected.tried));
            assert_eq!(
                u128::from(answer.work.record.key[0]) << 64 | u128::from(answer.work.record.key[1]),
                expected.key
            );
        } else {
            assert_eq!((decision.present, decision.tried), (0, 0));
        }
        match expected.entry {
            Some(key) => {
                assert_eq!(image.names.key(decision.key_id).map(|info| &info.name), Some(&key.name));
                assert_eq!(decision.level, expected.level);
            }
            None => assert_eq!((decision.key_id, decision.level), (0, NO_LEVEL)),
        }
        let claimed =
            expected.claimed.and_then(|key| image.names.keys.iter().find(|info| info.name == key.name));
        assert_eq!(decision.claimed, claimed.map_or(0, |info| info.id));
        let later = headers.has(found::LATER) && image.config.fragments != fragments::ALIKE;
        self.placed(policy, expected.entry, later, answer);

        let (action, verdict, reason) = self.way_out(class, expected.entry, later, decision.shard);
        assert_eq!((answer.action, decision.verdict, decision.reason), (action, verdict as u8, reason as u8));
        self.rewritten(frame, answer, verdict, reason);
        let bytes = frame.len() as u64;
        let mut counted = Counted { node: vec![(class, verdict, reason, bytes)], ..Counted::default() };
        let opens = class != Class::Foreign && headers.has(found::OPENS);
        let dropped = verdict == Verdict::Drop;
        if class == Class::Assigned {
            let drop = if dropped { drop_slot(reason) } else { None };
            counted.keys.push((decision.key_id, bytes, opens, drop));
            if image.config.schemas[1].levels != 0 {
                counted.versions.push((expected.version, bytes));
            }
        }
        if class == Class::Unauthenticated {
            counted.claims.push((decision.claimed, self.ingress, bytes));
        }
        // A slot can name a shard that is not there; nobody counts for it.
        if usize::from(decision.shard) < self.subject.image.shards.len() {
            counted.shards.push((decision.shard.into(), bytes, opens, dropped));
        }
        assert_eq!(answer.counted, counted);
        self.same_by_engine(frame, answer);
    }

    /// The shard is one of those that the key or the class may use.
    fn placed(&self, policy: &Policy, key: Option<&Key>, later: bool, answer: &Answer) {
        let image = &self.subject.image;
        let decision = &answer.work.record.decision;
        let pool = match (answer.class(), key) {
            (_, Some(key)) if key.denied.is_some() => None,
            (_, Some(key)) => key.pool,
            (Class::Missing, _) if later => pool_of(policy.classes.fragments),
            (Class::Missing, _) => pool_of(policy.classes.missing),
            (Class::Unregistered, _) => pool_of(policy.classes.unregistered),
            (Class::Malformed, _) => pool_of(policy.classes.malformed),
            (Class::Unauthenticated, _) => pool_of(policy.classes.unauthenticated),
            _ => None,
        };
        let Some(pool) = pool.and_then(|pool| policy.pools.get(pool)) else {
            assert_eq!((decision.shard, decision.slot, decision.flow), (NO_SHARD, NO_SLOT, 0));
            return;
        };
        if decision.slot != NO_SLOT {
            let table = image.names.tables.iter().rev().find(|table| table.first <= decision.slot);
            assert_eq!(table.map(|table| &table.pool), Some(&pool.name), "a slot of another pool");
        }
        let Some(shard) = policy.shards.get(usize::from(decision.shard)) else {
            // Only the image that was damaged has such slots.
            assert_eq!(self.subject.name, "gaps");
            return;
        };
        assert!(pool.shards.contains(&decision.shard.into()));
        if let Some(info) = image.names.key(decision.key_id) {
            assert!(
                info.shards.iter().any(|name| **name == *shard.name),
                "{} is none of {info:?}",
                shard.name
            );
        }
    }

    /// What becomes of a frame, given the shard that was chosen.
    fn way_out(&self, class: Class, key: Option<&Key>, later: bool, shard: u16) -> (Action, Verdict, Reason) {
        let Subject { policy, image, .. } = self.subject;
        let action = match class {
            Class::Missing if later => policy.classes.fragments,
            Class::Missing => policy.classes.missing,
            Class::Unauthenticated => policy.classes.unauthenticated,
            Class::Unregistered => policy.classes.unregistered,
            Class::Malformed => policy.classes.malformed,
            // Assigned: to its shard, unless it is denied.
            _ => ClassAction::Pool(0),
        };
        let dropped = |reason| (Action::Drop, Verdict::Drop, reason);
        let out = match action {
            _ if class == Class::Foreign => return (Action::Pass, Verdict::Pass, Reason::OutOfScope),
            _ if key.is_some_and(|key| key.denied.is_some()) => dropped(Reason::Denied),
            ClassAction::Pass if later && class == Class::Missing => {
                (Action::Pass, Verdict::Pass, Reason::FragmentPass)
            }
            ClassAction::Drop if later && class == Class::Missing => dropped(Reason::FragmentDrop),
            ClassAction::Pass => (Action::Pass, Verdict::Pass, Reason::ClassPass),
            ClassAction::Drop => dropped(Reason::ClassDrop),
            ClassAction::Pool(_) => match image.shards.get(usize::from(shard)) {
                None => dropped(Reason::NoShard),
                Some(_) if image.names.observe => (Action::Pass, Verdict::Observe, Reason::Steered),
                Some(entry) => self.exit(shard, entry),
            },
        };
        if image.names.observe { (Action::Pass, Verdict::Observe, out.2) } else { out }
    }

    fn exit(&self, shard: u16, entry: &ShardEntry) -> (Action, Verdict, Reason) {
        let lost = self.lost.contains(&shard);
        let (action, verdict) = match entry.target {
            target::PASS => (Action::Pass, Verdict::Pass),
            target::CPU => (Action::Redirect, Verdict::Cpu),
            target::NEXT_HOP if entry.port == self.ingress => (Action::Transmit, Verdict::NextHop),
            target::INTERFACE | target::NEXT_HOP if lost => {
                return (Action::Drop, Verdict::Drop, Reason::NoExit);
            }
            target::INTERFACE => (Action::Redirect, Verdict::Interface),
            target::NEXT_HOP => (Action::Redirect, Verdict::NextHop),
            _ => return (Action::Drop, Verdict::Drop, Reason::TargetDrop),
        };
        (action, verdict, Reason::Steered)
    }

    /// Only the MAC addresses change, and only where the frame leaves by an interface.
    fn rewritten(&self, frame: &[u8], answer: &Answer, verdict: Verdict, reason: Reason) {
        let mut expected = frame.to_vec();
        // A frame that could not leave is dropped, rewritten as it is.
        if matches!(verdict, Verdict::Interface | Verdict::NextHop) || reason == Reason::NoExit {
            let entry = self.subject.image.shards.get(usize::from(answer.work.record.decision.shard));
            let macs = entry.map(|entry| [entry.destination, entry.source]).unwrap_or_default();
            expected.splice(..12, macs.as_flattened().iter().copied());
        }
        assert!(answer.frame == expected, "verdict {verdict:?}: {:x?} became {:x?}", frame, answer.frame);
    }

    /// The host engine says the same over a clean work area, and its sums hold.
    fn same_by_engine(&self, frame: &[u8], answer: &Answer) {
        let mut engine = Engine::new(&self.subject.image);
        self.lost.iter().for_each(|shard| engine.lose_exit(*shard));
        let mut bytes = frame.to_vec();
        let decided = engine.decide(&mut bytes, self.ingress);
        assert_eq!(
            (decided.action, decided.work.record.decision),
            (answer.action, answer.work.record.decision)
        );
        assert_eq!(meaningful(&decided.work.headers), meaningful(&answer.work.headers));
        assert!(bytes == answer.frame);
        let counters = engine.counters();
        counters.balanced().expect("the sums hold");
        assert_eq!(counters.received(), Counter { packets: 1, bytes: frame.len() as u64 });
    }
}

fn pool_of(action: ClassAction) -> Option<usize> {
    if let ClassAction::Pool(pool) = action { Some(pool) } else { None }
}

/// A work area whose every part is wrong: what is not written is noticed.
fn littered() -> Work {
    let headers = Headers {
        found: 0xa5a5,
        ether_type: 0x0800,
        outer_tci: 0xa5a5,
        inner_tci: 0xa5a5,
        l3: 14,
        l4: 34,
        source: 26,
        destination: 30,
        source_port: 0xa5a5,
        destination_port: 443,
        protocol: 6,
        fault: Fault::IpLength as u8,
        end: 0xa5a5,
        ..Headers::NONE
    };
    let decision =
        Decision { key_id: 1, slot: 5, flow: 5, shard: 0, present: 0xff, level: 0, ..Decision::NONE };
    let inside =
        Inside { found: 0xa5a5, id: 30, id_length: 20, option: 30, option_length: 8, ..Inside::NONE };
    let record = Record { fields: [[0xa5; 2]; 4], key: [0xa5; 2], decision };
    Work { headers, inside, fields: [[0xa5; 2]; 4], record, ..Work::default() }
}

/// Headers without what their own bits say is not there.
fn meaningful(headers: &Headers) -> Headers {
    let mut known = *headers;
    let ip = headers.found & (found::IPV4 | found::IPV6) != 0;
    let mut forget = |there: bool, parts: &[fn(&mut Headers)]| {
        if !there {
            parts.iter().for_each(|part| part(&mut known));
        }
    };
    // A foreign frame's headers are not kept where it was parsed plainly.
    forget(ip, &[|h| h.ether_type = 0, |h| h.fault = 0]);
    forget(false, &[|h| h.end = 0]);
    forget(headers.has(found::VLAN), &[|h| h.outer_tci = 0]);
    forget(headers.has(found::VLAN_INNER), &[|h| h.inner_tci = 0]);
    forget(headers.has(found::PORTS), &[|h| h.source_port = 0, |h| h.destination_port = 0]);
    forget(
        ip,
        &[
            |h| (h.ether_type, h.l3, h.l4) = (0, 0, 0),
            |h| (h.source, h.destination) = (0, 0),
            |h| h.protocol = 0,
        ],
    );
    known
}
