//! Planning without an agent: one policy against another, as in a review of changes. There is no traffic then, and no
//! node: both are compiled as if the host had everything that they name.

use super::{Context, Guard, Plan, Side, plan};
use crate::compile::{CompileError, Imagined, compile_for};
use crate::image::Image;
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
    let old = old.map(|old| Compiled::with(old, &secrets, &mut ids)).transpose()?;
    let compiled = Compiled::with(new, &secrets, &mut ids)?;
    let context = Context { bundle: new.digest(), allow, now, reveal, ..Context::default() };
    Ok(plan(old.as_ref().map(Compiled::side), compiled.side(), &context))
}

/// A policy and its tables.
pub(super) struct Compiled {
    pub(super) policy: Policy,
    pub(super) image: Image,
}

impl Compiled {
    /// Checks and compiles a policy. Neither shards nor slots hang on secrets, only what is shown of hashed values.
    fn with(bundle: &Bundle, secrets: &Secrets, ids: &mut Ids) -> Result<Self, OfflineError> {
        let policy = bundle.parse()?;
        let imagined = Imagined::of(&policy);
        let image = compile_for(&policy, imagined.host(), secrets, ids)
            .map_err(|cause| OfflineError::Compile { file: bundle.name.clone(), cause })?;
        Ok(Self { policy, image })
    }

    pub(super) fn side(&self) -> Side<'_> {
        Side { policy: &self.policy, names: &self.image.names, slots: &self.image.slots }
    }
}

#[cfg(test)]
impl Compiled {
    /// The same, with fixed secrets.
    pub(super) fn of(bundle: &Bundle, ids: &mut Ids) -> Result<Self, OfflineError> {
        Self::with(bundle, &Secrets::from_bytes(&[0; 32]), ids)
    }
}
