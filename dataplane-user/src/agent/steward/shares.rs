//! Shards' shares, changed by operators: the policy in force with other weights.

use std::sync::atomic::AtomicBool;

use super::{Apply, Change, ChangeError, Progress, Steward};
use crate::agent::meter::Source as _;
use crate::control::types::{Applied, ShareRequest};
use crate::plan::{Base, Plan};
use crate::policy::{Bundle, ShareError, Shares};
use crate::state::Who;
use crate::suggest::nearest;

impl ShareRequest {
    fn change(&self) -> Change {
        Change { shares: self.shares.clone(), rebalance: self.rebalance.clone() }
    }
}

impl Steward {
    /// What other shares would change.
    ///
    /// # Errors
    /// There is no such shard or pool, or another change is being made.
    pub fn plan_shares(&self, request: &ShareRequest) -> Result<Plan, ChangeError> {
        let bundle = self.bundle_in_force(request)?;
        let mut desk = self.free_desk()?;
        let ids = desk.ids.clone();
        let draft = self.draft(&mut desk, &bundle, None, false, &request.change());
        desk.ids = ids;
        Ok(self.plan_of(&desk, &draft?, &request.allow, None, false))
    }

    /// Gives shards other shares.
    ///
    /// # Errors
    /// As [`Steward::plan_shares`], or the plan is refused, or the kernel refuses.
    pub fn set_shares(
        &self,
        request: &ShareRequest,
        action: &'static str,
        who: Who,
        progress: Progress<'_>,
        gone: &AtomicBool,
    ) -> Result<Applied, ChangeError> {
        let bundle = self.bundle_in_force(request)?;
        let (allow, plan, change) = (request.allow.clone(), request.plan.clone(), request.change());
        let base: Option<Base> = None;
        self.apply(&Apply { bundle, change, allow, plan, base, at_once: true, who, action, progress, gone })
    }

    /// The policy in force, of which `request` names shards and pools.
    fn bundle_in_force(&self, request: &ShareRequest) -> Result<Bundle, ChangeError> {
        let desk = self.free_desk()?;
        let (Some(policy), Some(live)) = (&desk.policy, desk.live()) else {
            return Err(ChangeError::Unknown("no policy is in force".to_owned()));
        };
        Shares::check(request.shares.keys(), policy).map_err(|error| match error {
            ShareError::Unknown { .. } => ChangeError::Unknown(error.to_string()),
            ShareError::Empty { .. } => ChangeError::Invalid(error.to_string()),
        })?;
        let pools = &self.node().placement.pools;
        if let Some(name) = request.rebalance.iter().find(|name| !pools.contains_key(*name)) {
            let near = nearest(name, pools.keys().map(String::as_str));
            let near = near.map_or_else(
                || "`keysteer pool show` shows all".to_owned(),
                |it| format!("did you mean {it}?"),
            );
            return Err(ChangeError::Unknown(format!("there is no pool {name} in force; {near}")));
        }
        Ok(desk.generations.bundle(live)?)
    }
}
