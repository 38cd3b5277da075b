//! Planning without an agent: one policy against another, as in a review of changes. There is no traffic then, and no
//! node: both are compiled as if the host had everything that they name.

use super::{Context, Guard, Plan, Side, plan};
use crate::compile::{CompileError, Imagined, compile_placed};
use crate::image::Image;
use crate::placement::Placement;
use crate::policy::{Bundle, Policy, PolicyError};
use crate::state::{Ids, Secrets, StateError, Timestamp, for_trial};

/// A policy that cannot be planned with.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// It is not valid; every problem, one a line.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// There is no secret to show values by.
    #[error(transparent)]
    State(#[from] StateError),
    /// Its tables cannot be built.
    #[error("{file}: {cause}")]
    Compile {
        /// The policy.
        file: String,
        /// Why not.
        #[source]
        cause: CompileError,
    },
}

/// What a policy would change at a moment, compared with another, or with nothing; values plainly if `reveal`.
///
/// # Errors
/// One of them is not valid.
pub fn compare(
    old: Option<&Bundle>,
    new: &Bundle,
    allow: &[Guard],
    reveal: bool,
    now: Timestamp,
) -> Result<Plan, OfflineError> {
    let (secrets, mut ids) = for_trial(None)?;
    let old = old.map(|old| Compiled::with(old, None, &secrets, &mut ids)).transpose()?;
    let before = old.as_ref().map(|old| &old.placement);
    let compiled = Compiled::with(new, before, &secrets, &mut ids)?;
    let context = Context { bundle: new.digest(), allow, now, reveal, ..Context::default() };
    Ok(plan(old.as_ref().map(Compiled::side), compiled.side(), &context))
}

/// A policy and its tables.
pub(super) struct Compiled {
    pub(super) policy: Policy,
    pub(super) image: Image,
    pub(super) placement: Placement,
}

impl Compiled {
    /// Checks and compiles a policy. Neither shards nor slots hang on secrets, only what is shown of hashed values.
    /// Its tables begin with those of `before`.
    fn with(
        bundle: &Bundle,
        before: Option<&Placement>,
        secrets: &Secrets,
        ids: &mut Ids,
    ) -> Result<Self, OfflineError> {
        let policy = bundle.parse()?;
        let placement = Placement::next(before, &policy);
        let imagined = Imagined::of(&policy);
        let image = compile_placed(&policy, imagined.host(), secrets, ids, &placement)
            .map_err(|cause| OfflineError::Compile { file: bundle.name.clone(), cause })?;
        Ok(Self { policy, image, placement })
    }

    pub(super) fn side(&self) -> Side<'_> {
        Side { policy: &self.policy, names: &self.image.names, slots: &self.image.slots }
    }
}

#[cfg(test)]
impl Compiled {
    /// The same, with fixed secrets.
    pub(super) fn of(bundle: &Bundle, ids: &mut Ids) -> Result<Self, OfflineError> {
        Self::with(bundle, None, &Secrets::from_bytes(&[0; 32]), ids)
    }
}
