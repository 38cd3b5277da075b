//! Planning without an agent: one policy against another, as in a review of changes. There is no traffic then, and no
//! node: both are compiled as if the host had everything that they name.

use super::{Context, Guard, Plan, Side, plan};
use crate::compile::{CompileError, Imagined, compile_for};
use crate::image::Image;
use crate::policy::{Bundle, Policy, PolicyError};
use crate::state::{Ids, Secrets, Timestamp};

/// A policy that cannot be planned with.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// It is not valid; every problem, one a line.
    #[error(transparent)]
    Policy(#[from] PolicyError),
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

/// What a policy would change, compared with another, or with nothing.
///
/// # Errors
/// One of them is not valid.
pub fn compare(old: Option<&Bundle>, new: &Bundle, allow: &[Guard]) -> Result<Plan, OfflineError> {
    let mut ids = Ids::default();
    let old = old.map(|old| Compiled::of(old, &mut ids)).transpose()?;
    let compiled = Compiled::of(new, &mut ids)?;
    let context = Context { bundle: new.digest(), allow, now: Timestamp::now(), ..Context::default() };
    Ok(plan(old.as_ref().map(Compiled::side), compiled.side(), &context))
}

/// A policy and its tables.
pub(super) struct Compiled {
    pub(super) policy: Policy,
    pub(super) image: Image,
}

impl Compiled {
    /// Checks and compiles a policy. Neither shards nor slots hang on secrets, so any will do.
    pub(super) fn of(bundle: &Bundle, ids: &mut Ids) -> Result<Self, OfflineError> {
        let policy = bundle.parse()?;
        let imagined = Imagined::of(&policy);
        let image = compile_for(&policy, imagined.host(), &Secrets::from_bytes(&[0; 32]), ids)
            .map_err(|cause| OfflineError::Compile { file: bundle.name.clone(), cause })?;
        Ok(Self { policy, image })
    }

    pub(super) fn side(&self) -> Side<'_> {
        Side { policy: &self.policy, names: &self.image.names, slots: &self.image.slots }
    }
}
