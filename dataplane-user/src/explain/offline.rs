//! Explaining by a policy file that need not be in force anywhere.

use std::path::Path;

use super::types::{Explanation, KernelRun};
use super::{Generation, kernel};
use crate::compile::{CompileError, Imagined, compile_for};
use crate::control::types::{PolicyStatus, SchemaStatus};
use crate::display::Display;
use crate::image::Image;
use crate::policy::{self, Policy, PolicyError};
use crate::state::{Ids, Secrets, StateError, for_trial};

/// A policy, compiled as if this host had everything that it names.
#[derive(Debug)]
pub struct Offline {
    policy: Policy,
    image: Image,
    imagined: Imagined,
    assumed: Vec<String>,
    /// Whether values are hashed by a secret of this run alone.
    hashed: bool,
}

/// The policy cannot explain anything.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// It is not valid; every problem, one a line.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The agent's state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The kernel does not run it.
    #[error(transparent)]
    Kernel(#[from] kernel::KernelRunError),
    /// It cannot be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// It does not steer on the interface.
    #[error("policy {policy} does not steer on `{interface}`; it does on {known}")]
    Interface {
        /// The policy.
        policy: String,
        /// What was asked for.
        interface: String,
        /// What there is.
        known: String,
    },
}

impl Offline {
    /// Reads, checks and compiles a policy file; with the secrets and key ids of an agent's state directory, or
    /// without any that a node has. Nothing is written.
    ///
    /// # Errors
    /// The file or the directory cannot be read, or the policy is not valid.
    pub fn open(file: &Path, state: Option<&Path>) -> Result<Self, OfflineError> {
        let policy = policy::load(file)?;
        let mut assumed = vec!["every interface and CPU that the policy names is there".to_owned()];
        let (secrets, ids) = for_trial(state)?;
        if state.is_none() {
            assumed.push(
                "key ids in the policy's order, and a flow secret of no node: a node may pick another of several \
                 shards (--state-dir has a node's)"
                    .to_owned(),
            );
        }
        let hashed = policy
            .schemas
            .iter()
            .flat_map(|schema| &schema.fields)
            .any(|field| field.display == Display::KeyedHash);
        let offline = Self::of(policy, &secrets, ids, assumed)?;
        Ok(Self { hashed: hashed && state.is_none(), ..offline })
    }

    /// The same, with values shown plainly if `reveal`.
    #[must_use]
    pub fn reveal(mut self, reveal: bool) -> Self {
        self.image.names.veil = self.image.names.veil.lift(reveal);
        self
    }

    /// A checked policy, compiled; `assumed` is what is taken for granted, in words.
    fn of(
        policy: Policy,
        secrets: &Secrets,
        mut ids: Ids,
        assumed: Vec<String>,
    ) -> Result<Self, CompileError> {
        let imagined = Imagined::of(&policy);
        let image = compile_for(&policy, imagined.host(), secrets, &mut ids)?;
        Ok(Self { policy, image, imagined, assumed, hashed: false })
    }

    /// Explains a frame that arrives on `interface`, or on the policy's first.
    ///
    /// # Errors
    /// The policy does not steer there.
    pub fn explain(&self, frame: &[u8], interface: Option<&str>) -> Result<Explanation, OfflineError> {
        let (name, index) = self.arrival(interface)?;
        Ok(self.generation().explain(frame, name, index))
    }

    /// The name and index of an interface, or of the policy's first.
    fn arrival(&self, interface: Option<&str>) -> Result<(&str, u32), OfflineError> {
        let mut names = self.policy.interfaces.iter().map(|it| it.name.as_str());
        let name = match interface {
            None => names.next().unwrap_or_default(),
            Some(wanted) => names.find(|name| *name == wanted).ok_or_else(|| OfflineError::Interface {
                policy: self.policy.name.clone(),
                interface: wanted.to_owned(),
                known: self.image.names.interfaces.join(", "),
            })?,
        };
        let index = self.imagined.interfaces.find(name).map_or(0, |interface| interface.index);
        Ok((name, index))
    }

    /// Runs a frame that arrives on `interface`, or on the policy's first, through the program in the kernel as well.
    ///
    /// # Errors
    /// No privilege, or the kernel refuses; or the policy does not steer there.
    pub fn kernel(&self, frame: &[u8], interface: Option<&str>) -> Result<KernelRun, OfflineError> {
        let (_, index) = self.arrival(interface)?;
        Ok(kernel::run(&self.image, frame, index)?)
    }

    fn generation(&self) -> Generation<'_> {
        let Policy { name, file, environment, schemas, keys, shards, .. } = &self.policy;
        let veil = self.image.names.veil;
        let mut assumed = self.assumed.clone();
        if self.hashed && !veil.is_lifted() {
            assumed
                .push("a display secret of this run alone: on a node, values have other hashes".to_owned());
        }
        Generation {
            image: &self.image,
            names: &self.image.names,
            policy: PolicyStatus {
                trouble: None,
                generation: 0,
                digest: String::new(),
                name: name.clone(),
                file: file.clone(),
                environment: environment.clone(),
                mode: self.image.names.mode().to_owned(),
                schema: schemas.first().map_or(0, |schema| schema.version.into()),
                schemas: self.image.names.schemas.iter().map(SchemaStatus::of).collect(),
                keys: keys.len(),
                shards: shards.len(),
            },
            live: false,
            lost: Vec::new(),
            assumed,
            veil,
        }
    }
}

#[cfg(test)]
impl Offline {
    /// A policy from its text, with a change to its tables.
    pub(super) fn from_text(text: &str, change: impl FnOnce(&mut Image)) -> Self {
        let policy = policy::parse(text, "p.yaml", None).unwrap();
        let secrets = Secrets::from_bytes(&[7; 32]);
        let mut offline = Self::of(policy, &secrets, Ids::default(), Vec::new()).unwrap();
        change(&mut offline.image);
        offline
    }

    /// Its tables and names, where the exits of `lost` have gone.
    pub(super) fn losing(&self, lost: Vec<u16>) -> Generation<'_> {
        Generation { lost, ..self.generation() }
    }
}
