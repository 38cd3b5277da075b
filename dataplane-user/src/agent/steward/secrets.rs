//! The secrets that signed keys are verified with: given to each generation when it is loaded or taken over, and again when
//! their files or the clock change. What a generation has is in its map alone; nothing of it is kept here.

use std::collections::BTreeMap;
use std::path::Path;

use keysteer_common::shim;

use super::{ChangeError, Desk, Steward};
use crate::agent::ground::Ground;
use crate::control::types::SecretStatus;
use crate::policy::{Policy, Signing, SigningSecret};
use crate::signing::{Files, clock_offset, table};
use crate::state::Who;
use crate::state::audit::{Event, Outcome, Subject};

/// How far a generation's clock may be from the host's, in nanoseconds.
const APART: u64 = 100_000_000;

/// What of signing is at the desk.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    /// The files.
    files: Files,
    /// By generation: its policy's, and the ids of the secrets that it has.
    generations: BTreeMap<u64, (Signing, Vec<u8>)>,
}

impl Secrets {
    /// Lets go of a generation.
    pub(super) fn forget(&mut self, number: u64) {
        self.generations.remove(&number);
        let generations = &self.generations;
        let named = |(signing, _): &(Signing, Vec<u8>), path: &Path| {
            signing.secrets.iter().any(|secret| secret.file == path)
        };
        self.files.keep(|path| generations.values().any(|it| named(it, path)));
    }

    /// The secrets of a generation, as they are shown.
    pub(super) fn status(&self, number: u64) -> Vec<SecretStatus> {
        let Some((signing, held)) = self.generations.get(&number) else { return Vec::new() };
        let status = |secret: &SigningSecret| SecretStatus {
            id: secret.id,
            file: secret.file.display().to_string(),
            in_force: held.contains(&secret.id),
            trouble: self.files.trouble(&secret.file).map(str::to_owned),
        };
        signing.secrets.iter().map(status).collect()
    }

    /// Gives generation `number` the secrets that `signing` names. Those whose files cannot be used it keeps; else it has
    /// those of generation `live`. Says which are others than before.
    fn give(
        &mut self,
        ground: &mut dyn Ground,
        number: u64,
        signing: &Signing,
        live: Option<u64>,
    ) -> Result<Vec<u8>, ChangeError> {
        let own = ground.signing(number).map_err(ChangeError::Kernel)?.unwrap_or_default();
        let before = match live.and_then(|live| Some((live, &self.generations.get(&live)?.0))) {
            Some((live, policy)) if own.secrets.iter().all(|secret| secret.live == 0) => {
                let theirs = ground.signing(live).map_err(ChangeError::Kernel)?.unwrap_or_default();
                in_common(theirs, policy, signing)
            }
            _ => own,
        };
        let files = &mut self.files;
        let after = table(signing, &before, |secret| files.read(secret), clock_offset());
        ground.write_signing(number, &after).map_err(ChangeError::Kernel)?;
        let id = |secret: &shim::Secret| u8::try_from(secret.id).ok().filter(|_| secret.live != 0);
        let held = after.secrets.iter().filter_map(id).collect();
        let news =
            after.secrets.iter().filter(|secret| !own.secrets.contains(secret)).filter_map(id).collect();
        self.generations.insert(number, (signing.clone(), held));
        Ok(news)
    }

    /// The first secret of a generation that it lacks.
    fn missing(&self, number: u64) -> Option<(usize, &SigningSecret)> {
        let (signing, held) = self.generations.get(&number)?;
        signing.secrets.iter().enumerate().find(|(_, secret)| !held.contains(&secret.id))
    }
}

/// Of what another generation verifies with, the secrets that both policies name, of the same files.
fn in_common(theirs: shim::Signing, policy: &Signing, ours: &Signing) -> shim::Signing {
    let both = |id: u32| {
        let of = |signing: &Signing| {
            signing.secrets.iter().find(|it| u32::from(it.id) == id).map(|it| it.file.clone())
        };
        of(policy).is_some_and(|file| of(ours) == Some(file))
    };
    let kept = |secret: shim::Secret| if both(secret.id) { secret } else { shim::Secret::default() };
    shim::Signing { secrets: theirs.secrets.map(kept), ..theirs }
}

/// Gives a generation that was loaded or taken over the secrets of its policy, where `live` is in force.
///
/// # Errors
/// The kernel refuses; or it `must` have them all, and does not.
pub(super) fn give_secrets(
    secrets: &mut Secrets,
    ground: &mut dyn Ground,
    number: u64,
    live: Option<u64>,
    policy: &Policy,
    must: bool,
) -> Result<(), ChangeError> {
    let Some(signing) = &policy.signing else { return Ok(()) };
    secrets.give(ground, number, signing, live.filter(|live| *live != number))?;
    match secrets.missing(number) {
        Some((index, secret)) if must => {
            let why = secrets.files.trouble(&secret.file).unwrap_or("it gives no secret");
            let (file, at) = (&policy.file, secret.at);
            Err(ChangeError::Invalid(format!(
                "{file}:{}:{}: spec.signing.secrets[{index}].file: the secret of {} cannot be used: {why}; then apply again",
                at.line,
                at.column,
                secret.file.display()
            )))
        }
        _ => Ok(()),
    }
}

impl Steward {
    /// The regular look at the files of secrets, and at the clock.
    pub(super) fn look_at_secrets(&self, desk: &mut Desk) {
        let changed = desk.signing.files.look();
        let numbers: Vec<u64> = desk.signing.generations.keys().copied().collect();
        let mut news = Vec::new();
        let mut done = false;
        for number in numbers {
            match self.renew(&mut desk.signing, number, changed) {
                Ok(Some(ids)) => {
                    done = true;
                    news.extend(ids);
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(%error, generation = number, "signing secrets cannot be renewed");
                }
            }
        }
        news.sort_unstable();
        news.dedup();
        for id in news {
            tracing::info!(id, "a signing secret changed and is in force");
            let event = Event {
                subject: Some(Subject::Other(format!("signing-secret:{id}"))),
                ..Event::new(Who::this(), "secret", Outcome::Ok)
            };
            if let Err(error) = desk.journal(event) {
                tracing::error!(%error, "the journal cannot be written");
            }
        }
        if done {
            self.post(desk);
        }
    }

    /// Gives a generation its secrets again, if files changed or its clock is wrong; nothing where not.
    fn renew(
        &self,
        secrets: &mut Secrets,
        number: u64,
        changed: bool,
    ) -> Result<Option<Vec<u8>>, ChangeError> {
        let mut ground = self.ground();
        let has = ground.signing(number).map_err(ChangeError::Kernel)?.unwrap_or_default();
        // Of two offsets around the end of the numbers the difference is small too.
        let apart = has.clock_offset.wrapping_sub(clock_offset()).cast_signed().unsigned_abs();
        if !changed && apart < APART {
            return Ok(None);
        }
        let Some((signing, _)) = secrets.generations.get(&number).cloned() else { return Ok(None) };
        secrets.give(&mut **ground, number, &signing, None).map(Some)
    }
}

#[cfg(test)]
#[path = "secrets_tests.rs"]
mod tests;
