//! What a policy would change: it is compiled beside the one in force, and the two are compared.

use std::sync::{Arc, PoisonError};

use super::{Change, ChangeError, Desk, Made, Steward};
use crate::agent::ground::Compiled;
use crate::agent::meter::Source as _;
use crate::both::both;
use crate::image::Image;
use crate::placement::Placement;
use crate::plan::words::overruled;
use crate::plan::{Base, Context, Guard, Plan, Side, Traffic, plan};
use crate::policy::{Bundle, Policy, Shares};
use crate::rollout::Turns;
use crate::state::Timestamp;
use crate::state::generations::Rolling;

/// From so many bytes on a bundle is kept before it is known whether anything will change.
const LONG: usize = 1 << 20;

/// A policy that is compiled and not in force.
pub(super) struct Draft {
    pub(super) policy: Policy,
    pub(super) compiled: Compiled,
    pub(super) placement: Arc<Placement>,
    /// Its bundle's.
    pub(super) digest: String,
    /// Whether its bundle is kept already.
    pub(super) kept: bool,
    /// What operators said of its shards' shares.
    pub(super) shares: Shares,
    /// What the plan compares it with.
    pub(super) beside: Beside,
    /// The steps that its keys move in, if they do.
    pub(super) rollout: Option<(Rolling, Turns)>,
}

/// What is read of the policy in force while another is compiled.
#[derive(Default)]
pub(super) struct Beside {
    /// Its tables.
    pub(super) tables: Image,
    /// Recent traffic.
    traffic: Option<Traffic>,
}

impl Steward {
    /// What a policy would change; values plainly if `reveal`.
    ///
    /// # Errors
    /// It is not valid, or another change is being made.
    pub fn plan(
        &self,
        bundle: &Bundle,
        allow: &[Guard],
        base: Option<Base>,
        reveal: bool,
    ) -> Result<Plan, ChangeError> {
        let mut desk = self.free_desk()?;
        // Ids that are given for a plan alone are not kept.
        let ids = desk.ids.clone();
        let draft = self.draft(&mut desk, bundle, None, true, &Change::default());
        desk.ids = ids;
        Ok(self.plan_of(&desk, &draft?, allow, base, reveal))
    }

    /// Compiles a policy; meanwhile what it will be compared with is read, and if it is to be generation `number` and is
    /// long, it is kept, and what it will need in the kernel loaded. Its tables begin with those in force, or, if it `imports`,
    /// with those of another node that were imported.
    pub(super) fn draft(
        &self,
        desk: &mut Desk,
        bundle: &Bundle,
        number: Option<u64>,
        imports: bool,
        change: &Change,
    ) -> Result<Draft, ChangeError> {
        // On a host that was started anew, what is recorded as live is not there to compare with.
        let live = desk.policy.as_ref().and(desk.generations.live()).map(|record| record.number);
        let Desk { secrets, ids, generations, placement, imported, .. } = desk;
        let mut before = imported.clone().filter(|_| imports).or_else(|| placement.clone());
        if !change.rebalance.is_empty() {
            before = before.map(|before| Arc::new(before.without(&change.rebalance)));
        }
        let tables = move |policy: &Policy| Arc::new(Placement::next(before.as_deref(), policy));
        let mut shares = generations.live().map(|record| record.shares.clone()).unwrap_or_default();
        shares.change(&change.shares);
        let number = number.filter(|_| bundle.bytes() >= LONG);
        let (compiled, beside) = both(
            true,
            || self.compile(secrets, ids, bundle, &mut shares, tables),
            || -> Result<_, ChangeError> {
                let beside = self.beside(live)?;
                if let Some(number) = number {
                    generations.put_bundle(number, bundle)?;
                    live.map(|live| self.ground().foresee(live)).transpose().map_err(ChangeError::Kernel)?;
                }
                Ok((beside, bundle.digest()))
            },
        );
        let Made { policy, compiled, placement } = compiled?;
        let (beside, digest) = beside?;
        Ok(Draft {
            policy,
            compiled,
            placement,
            shares,
            digest,
            kept: number.is_some(),
            beside,
            rollout: None,
        })
    }

    fn beside(&self, live: Option<u64>) -> Result<Beside, ChangeError> {
        let Some(live) = live else { return Ok(Beside::default()) };
        let tables = self.ground().tables(live).map_err(ChangeError::Kernel)?;
        Ok(Beside { tables, traffic: self.traffic() })
    }

    /// What changes between the policy in force and `draft`.
    pub(super) fn plan_of(
        &self,
        desk: &Desk,
        draft: &Draft,
        allow: &[Guard],
        expected: Option<Base>,
        reveal: bool,
    ) -> Plan {
        let live = desk.generations.live().map(|record| (record.number, record.bundle.clone()));
        let node = self.node();
        let context = Context {
            base: live.map(|(generation, digest)| Base { generation, digest }),
            expected,
            bundle: draft.digest.clone(),
            allow,
            traffic: draft.beside.traffic.as_ref(),
            now: Timestamp::now(),
            reveal,
        };
        let slots = &draft.beside.tables.slots;
        let old = desk.policy.as_ref().map(|policy| Side { policy, names: &node.names, slots });
        let image = &draft.compiled.image;
        let new = Side { policy: &draft.policy, names: &image.names, slots: &image.slots };
        let mut plan = plan(old, new, &context);
        plan.words = overruled(&desk.overlay, &desk.ids, old.map(|old| old.names), new.names);
        plan
    }

    /// Recent traffic: since the last sample but one.
    fn traffic(&self) -> Option<Traffic> {
        let counted = self.ground().counted();
        let now = counted.carried().ok()?;
        let earlier = self.earlier.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, before) = earlier.as_ref()?;
        Some(Traffic::between(Some(before), &now, since.elapsed()))
    }
}
