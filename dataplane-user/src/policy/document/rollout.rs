//! The shape of `spec.rollout`.

use std::time::Duration;

use crate::policy::reader::{At, Context, Cursor};
use crate::policy::rollout::Rollout;
use crate::policy::share::Share;
use crate::policy::values;

use super::versions::duration;
use super::{each, filled};

/// `spec.rollout`, names not resolved.
#[derive(Debug)]
pub(in crate::policy) struct RawRollout<'n> {
    pub(in crate::policy) cohorts: Vec<RawCohort<'n>>,
    pub(in crate::policy) steps: At<Vec<RawStep<'n>>>,
    pub(in crate::policy) abort_if: At<RawAbortIf>,
    pub(in crate::policy) least: u32,
}

/// A cohort and the names of its keys.
pub(in crate::policy) type RawCohort<'n> = (At<&'n str>, Vec<At<&'n str>>);

/// A step.
#[derive(Debug)]
pub(in crate::policy) struct RawStep<'n> {
    pub(in crate::policy) who: RawWho<'n>,
    pub(in crate::policy) lasts: Duration,
}

/// Who moves with a step.
#[derive(Debug)]
pub(in crate::policy) enum RawWho<'n> {
    Percent(At<Share>),
    Cohort(At<&'n str>),
    Tier(At<&'n str>),
}

/// What turns it back.
#[derive(Debug, Default)]
pub(in crate::policy) struct RawAbortIf {
    pub(in crate::policy) drops: Option<At<Share>>,
    pub(in crate::policy) resets: Option<At<Share>>,
    pub(in crate::policy) failed_handshakes: Option<At<Share>>,
    pub(in crate::policy) slow_handshakes: Option<At<Share>>,
    pub(in crate::policy) shards_down: Option<At<u32>>,
}

/// The most of [`Rollout::least`] and of shards.
const MOST: u32 = 1_000_000_000;

pub(super) fn rollout<'n>(at: &Cursor<'n, '_>, context: &mut Context<'_>) -> Option<RawRollout<'n>> {
    let fields = at.fields(&["cohorts", "steps", "abortIf", "least"], context)?;
    let cohorts = match fields.get("cohorts") {
        Some(at) => at.entries(context).and_then(|entries| {
            let many = entries.len();
            let read = entries.into_iter().filter_map(|(name, at)| {
                let keys = filled(&at, context, |at, context| at.text(context))?;
                Some((name, keys))
            });
            let read: Vec<_> = read.collect();
            (read.len() == many).then_some(read)
        }),
        None => Some(Vec::new()),
    };
    let steps = fields.require("steps", context).and_then(|at| {
        let list = at.filled_list(context)?;
        if list.len() > Rollout::STEPS {
            return at.fail(context, format!("at most {} steps are possible", Rollout::STEPS));
        }
        Some(At { value: each(&list, context, step)?, at: at.node.at })
    });
    let abort_if = fields.require("abortIf", context);
    let abort_if = abort_if.and_then(|at| Some(At { value: self::abort_if(&at, context)?, at: at.node.at }));
    let least = match fields.get("least") {
        Some(at) => at.number(1, MOST, context).map(|least| least.value),
        None => Some(Rollout::LEAST),
    };
    Some(RawRollout { cohorts: cohorts?, steps: steps?, abort_if: abort_if?, least: least? })
}

fn step<'n>(at: &Cursor<'n, '_>, context: &mut Context<'_>) -> Option<RawStep<'n>> {
    let fields = at.fields(&["percent", "cohort", "tier", "for"], context)?;
    let lasts = match fields.get("for") {
        Some(at) => at.parsed(context, duration).map(|span| span.value),
        None => Some(Rollout::LASTS),
    };
    let who = match (fields.get("percent"), fields.get("cohort"), fields.get("tier")) {
        (Some(at), None, None) => at.parsed(context, values::share).map(RawWho::Percent),
        (None, Some(at), None) => at.text(context).map(RawWho::Cohort),
        (None, None, Some(at)) => at.text(context).map(RawWho::Tier),
        _ => at.fail(context, "expected one of percent, cohort and tier"),
    };
    Some(RawStep { who: who?, lasts: lasts? })
}

fn abort_if(at: &Cursor<'_, '_>, context: &mut Context<'_>) -> Option<RawAbortIf> {
    let allowed = ["drops", "resets", "failedHandshakes", "slowHandshakes", "shardsDown"];
    let fields = at.fields(&allowed, context)?;
    let share = |name, context: &mut Context<'_>| {
        fields.get(name).map_or(Some(None), |at| at.parsed(context, values::share).map(Some))
    };
    let drops = share("drops", context);
    let resets = share("resets", context);
    let failed_handshakes = share("failedHandshakes", context);
    let slow_handshakes = share("slowHandshakes", context);
    let shards_down = match fields.get("shardsDown") {
        Some(at) => at.number(0, MOST, context).map(Some),
        None => Some(None),
    };
    Some(RawAbortIf {
        drops: drops?,
        resets: resets?,
        failed_handshakes: failed_handshakes?,
        slow_handshakes: slow_handshakes?,
        shards_down: shards_down?,
    })
}
