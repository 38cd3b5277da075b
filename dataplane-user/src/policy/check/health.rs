//! Health: every shard that is asked can be, and what is said of it can hold.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use crate::policy::diagnostic::Place;
use crate::policy::document::{Document, RawDamping, RawHealth, RawShardHealth};
use crate::policy::egress::Egress;
use crate::policy::health::{Check, Damping, Health};
use crate::policy::model::{Destination, Shard, Target};
use crate::policy::reader::At;
use crate::policy::share::Share;

use super::Checker;

/// How often a shard is asked, unless the policy says otherwise.
const INTERVAL: Duration = Duration::from_secs(1);
/// The shortest and the longest interval.
const INTERVALS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(3_600));
/// The longest of the other spans.
const LONGEST: Duration = Duration::from_secs(86_400);
/// By how much an interval may be shorter, unless the policy says otherwise, and at most: millionths.
const JITTER: (u32, u32) = (100_000, 500_000);
/// The floor, unless the policy says otherwise: millionths.
const FLOOR: u32 = 500_000;
/// When a shard that comes and goes is kept out, unless the policy says otherwise.
const DAMPING: Damping = Damping { flaps: 3, within: Duration::from_secs(60), hold: Duration::from_secs(60) };

/// Checks `spec.health` and what shards and pools say for themselves.
pub(super) fn check(
    checker: &mut Checker<'_>,
    document: &Document<'_>,
    scope: &[Destination],
    shards: &[Shard],
) -> Option<Health> {
    let Some(all) = &document.health else {
        let shards = document.shards.iter().enumerate().map(|(index, shard)| {
            let at = shard.health.as_ref().map(|health| match health {
                RawShardHealth::Of(raw) => raw.at,
                RawShardHealth::Off => shard.name.at,
            });
            (at, format!("spec.shards[{index}].health"))
        });
        let pools = document.pools.iter().enumerate().map(|(index, pool)| {
            (pool.floor.as_ref().map(|floor| floor.at), format!("spec.pools[{index}].health"))
        });
        for (at, field) in shards.chain(pools) {
            if let Some(at) = at {
                checker.error(
                    at,
                    field,
                    "has no meaning without spec.health, which says how shards are asked",
                );
            }
        }
        return None;
    };
    let found = RefCell::default();
    let asked = document.shards.iter().zip(shards).enumerate().map(|(index, (raw, shard))| {
        let path = format!("spec.shards[{index}].health");
        let own = match &raw.health {
            Some(RawShardHealth::Off) => return None,
            Some(RawShardHealth::Of(own)) => Some(&**own),
            None => None,
        };
        if shard.target == Target::Drop {
            if let Some(own) = own {
                checker.error(own.at, path, "nothing can answer at the target \"drop\": leave it out");
            }
            return None;
        }
        Said { all, own, path, found: &found }.check(checker, shard, scope)
    });
    let shards: Vec<Option<Check>> = asked.collect();
    let floor = all.floor.as_ref().map_or(Share::from_millionths(FLOOR), |floor| floor.value);
    let floors = document.pools.iter().map(|pool| pool.floor.as_ref().map_or(floor, |floor| floor.value));
    if checker.errors.is_empty() && shards.iter().all(Option::is_none) {
        checker.warn(all.at, "spec.health", "no shard is asked: leave it out");
    }
    Some(Health { shards, floors: floors.collect() })
}

/// Sends probes on their way where a shard's road needs that: users ask for health, and not for what it takes.
pub(super) fn road(
    checker: &mut Checker<'_>,
    document: &Document<'_>,
    health: Option<&Health>,
    shards: &[Shard],
    egress: &mut Option<Egress>,
) {
    let asked = health.into_iter().flat_map(|health| health.shards.iter().zip(shards));
    let mut beyond = asked.filter(|(check, shard)| check.is_some() && is_beyond(&shard.target));
    if beyond.next().is_none() {
        return;
    }
    let raw = document.egress.as_ref().and_then(|egress| egress.probes.as_ref());
    if let Some(At { value: false, at }) = raw {
        let problem = "spec.health asks shards by the probe road, which this closes: leave it out";
        checker.error(*at, "spec.egress.probes", problem);
        return;
    }
    egress
        .get_or_insert_with(|| Egress {
            interfaces: Vec::new(),
            count: false,
            senders: Vec::new(),
            stamps: Vec::new(),
            probes: true,
        })
        .probes = true;
}

/// Whether a shard is reached by another way than this host's own stack.
fn is_beyond(target: &Target) -> bool {
    matches!(target, Target::Interface { .. } | Target::NextHop { .. })
}

/// What is said for all, and of one shard.
struct Said<'r> {
    all: &'r RawHealth,
    own: Option<&'r RawHealth>,
    /// Where what is said of the shard is.
    path: String,
    /// What was found wrong already: what is said for all is wrong once.
    found: &'r RefCell<BTreeSet<String>>,
}

impl Said<'_> {
    /// Something that must be put right.
    fn error(&self, checker: &mut Checker<'_>, at: Place, path: &str, problem: impl Into<String>) {
        let problem = problem.into();
        if self.found.borrow_mut().insert(format!("{path}: {problem}")) {
            checker.error(at, path, problem);
        }
    }

    /// What counts, and the path of where it is said.
    fn of<T: Clone>(&self, name: &str, part: fn(&RawHealth) -> &Option<T>) -> (Option<T>, String) {
        match self.own.and_then(|own| part(own).clone()) {
            Some(own) => (Some(own), format!("{}.{name}", self.path)),
            None => (part(self.all).clone(), format!("spec.health.{name}")),
        }
    }

    /// A span within bounds.
    fn span(
        &self,
        checker: &mut Checker<'_>,
        name: &str,
        part: fn(&RawHealth) -> &Option<At<Duration>>,
        default: Duration,
        (least, most): (Duration, Duration),
    ) -> Duration {
        let (said, path) = self.of(name, part);
        let Some(At { value, at }) = said else { return default };
        if value < least || value > most {
            let problem = format!("{value:?} is not possible: expected from {least:?} to {most:?}");
            self.error(checker, at, &path, problem);
        }
        value
    }

    fn check(&self, checker: &mut Checker<'_>, shard: &Shard, scope: &[Destination]) -> Option<Check> {
        let (probe, _) = self.of("probe", |raw| &raw.probe);
        let interval = self.span(checker, "interval", |raw| &raw.interval, INTERVAL, INTERVALS);
        let millisecond = Duration::from_millis(1);
        let timeout =
            self.span(checker, "timeout", |raw| &raw.timeout, interval / 2, (millisecond, INTERVALS.1));
        if let (Some(said), path) = self.of("timeout", |raw| &raw.timeout)
            && timeout > interval
        {
            let whose = self.own.map(|_| format!(" of shard \"{}\"", shard.name)).unwrap_or_default();
            let problem = format!(
                "is longer than the interval of {interval:?}{whose}: a shard is asked one question at a time"
            );
            self.error(checker, said.at, &path, problem);
        }
        let (jitter, path) = self.of("jitter", |raw| &raw.jitter);
        let most = Share::from_millionths(JITTER.1);
        if let Some(At { at, .. }) = jitter.as_ref().filter(|jitter| jitter.value > most) {
            self.error(checker, *at, &path, format!("can be {most} at most"));
        }
        let slow_start =
            self.span(checker, "slowStart", |raw| &raw.slow_start, Duration::ZERO, (Duration::ZERO, LONGEST));
        Some(Check {
            address: self.address(checker, shard, scope)?,
            probe: probe?.value,
            interval,
            timeout,
            rise: self.of("rise", |raw| &raw.rise).0.map_or(2, |rise| rise.value),
            fall: self.of("fall", |raw| &raw.fall).0.map_or(3, |fall| fall.value),
            jitter: jitter.map_or(Share::from_millionths(JITTER.0), |jitter| jitter.value),
            slow_start,
            damping: self.damping(checker),
        })
    }

    fn damping(&self, checker: &mut Checker<'_>) -> Option<Damping> {
        let own = self.own.and_then(|own| own.damping.as_ref()).map(|own| (own, self.path.as_str()));
        let (raw, path) = own
            .or_else(|| Some((self.all.damping.as_ref()?, "spec.health")))
            .map_or((None, ""), |(raw, path)| (Some(raw), path));
        let (flaps, within, hold) = match raw {
            None => return Some(DAMPING),
            Some(RawDamping::Off) => return None,
            Some(RawDamping::On { flaps, within, hold }) => (flaps, within, hold),
        };
        let mut span = |name: &str, said: &Option<At<Duration>>, default: Duration| {
            let Some(At { value, at }) = said else { return default };
            if value.is_zero() || *value > LONGEST {
                let problem = format!("{value:?} is not possible: expected from 1ms to {LONGEST:?}");
                self.error(checker, *at, &format!("{path}.damping.{name}"), problem);
            }
            *value
        };
        Some(Damping {
            flaps: flaps.as_ref().map_or(DAMPING.flaps, |flaps| flaps.value),
            within: span("within", within, DAMPING.within),
            hold: span("hold", hold, DAMPING.hold),
        })
    }

    /// Where a shard is asked: the address that is given, or the first that the scope has of a host; of a translated pod its
    /// own of that family.
    fn address(&self, checker: &mut Checker<'_>, shard: &Shard, scope: &[Destination]) -> Option<IpAddr> {
        let (said, path) = self.of("address", |raw| &raw.address);
        let place = |said: &Option<At<IpAddr>>| said.as_ref().map_or(self.place(), |said| said.at);
        if let Target::Interface { nat: Some(nat), .. } = &shard.target {
            let found = match &said {
                Some(said) if said.value.is_ipv4() => nat.v4.map(IpAddr::from),
                Some(_) => nat.v6.map(IpAddr::from),
                None => nat.all().next(),
            };
            if found.is_none() {
                let problem =
                    format!("shard \"{}\" is translated, and has no address of that family", shard.name);
                self.error(checker, place(&said), &path, problem);
            }
            return found;
        }
        let host = |it: &&Destination| it.prefix.prefix_len() == it.prefix.max_prefix_len();
        let found = said.as_ref().map(|said| said.value);
        let found = found.or_else(|| scope.iter().find(host).map(|it| it.prefix.addr()));
        if found.is_none() {
            let problem = "is required, for the scope has no address of one host: give the one that shards are asked at";
            self.error(checker, place(&said), &path, problem);
        }
        found
    }

    /// Where what is said of the shard stands, or else of all.
    fn place(&self) -> Place {
        self.own.map_or(self.all.at, |own| own.at)
    }
}
