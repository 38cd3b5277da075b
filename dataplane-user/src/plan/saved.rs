//! A plan in a file: what was looked at is what is applied, or nothing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::types::{Plan, VERSION};
use crate::policy::Bundle;
use crate::policy::bundle::hexadecimal;

/// A plan, with the policy that it is of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SavedPlan {
    /// [`VERSION`].
    pub version: u32,
    /// [`Plan::digest`].
    pub digest: String,
    /// SHA-256 of the whole, with what the digest leaves out, in hexadecimal digits.
    pub sum: String,
    /// The plan.
    pub plan: Plan,
    /// The policy.
    pub bundle: Bundle,
}

/// A saved plan that is of no use.
#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    /// The file cannot be read or written.
    #[error("cannot {operation} {}: {cause}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// Which file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        cause: io::Error,
    },
    /// It is no plan.
    #[error("{} is no saved plan: {cause}; make one with `keysteer plan FILE --out PLAN`", path.display())]
    Nonsense {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        cause: serde_json::Error,
    },
    /// It is of another version of this program.
    #[error(
        "{} is a plan of version {version}, this program knows version {VERSION}: plan again with this one",
        path.display()
    )]
    Version {
        /// Which file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// It was changed after it was made.
    #[error("{} was changed since it was made: {what} does not fit its digest; plan again", path.display())]
    Changed {
        /// Which file.
        path: PathBuf,
        /// What does not fit.
        what: &'static str,
    },
}

/// What every version has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl SavedPlan {
    /// A plan, with the policy that it was made of.
    pub fn new(plan: Plan, bundle: Bundle) -> Self {
        Self { version: VERSION, digest: plan.digest(), sum: sum(&plan, &bundle), plan, bundle }
    }

    /// Reads a plan, and makes sure that it is as it was made. Whether it still fits what is in force is another
    /// question: [`Plan::still_fits`].
    ///
    /// # Errors
    /// The file cannot be read, or is no plan, or not as it was made.
    pub fn read(path: &Path) -> Result<Self, SavedError> {
        let text = fs::read(path).map_err(failed("read", path))?;
        let nonsense = |cause| SavedError::Nonsense { path: path.to_owned(), cause };
        let Versioned { version } = serde_json::from_slice(&text).map_err(nonsense)?;
        if version != VERSION {
            return Err(SavedError::Version { path: path.to_owned(), version });
        }
        let saved: Self = serde_json::from_slice(&text).map_err(nonsense)?;
        match saved.changed() {
            Some(what) => Err(SavedError::Changed { path: path.to_owned(), what }),
            None => Ok(saved),
        }
    }

    /// What was changed since the plan was made, if anything.
    pub fn changed(&self) -> Option<&'static str> {
        if self.bundle.digest() != self.plan.bundle {
            Some("the policy")
        } else if self.plan.digest() != self.digest || sum(&self.plan, &self.bundle) != self.sum {
            Some("the plan")
        } else {
            None
        }
    }

    /// Writes it to a file, which is replaced as a whole.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), SavedError> {
        let text = serde_json::to_vec(self)
            .map_err(|cause| SavedError::Nonsense { path: path.to_owned(), cause })?;
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".new");
        fs::write(&temporary, text).map_err(failed("write", Path::new(&temporary)))?;
        fs::rename(&temporary, path).map_err(failed("write", path))
    }
}

fn sum(plan: &Plan, bundle: &Bundle) -> String {
    // What is made of numbers, texts and lists can be written.
    let text = serde_json::to_vec(&(plan, bundle)).unwrap_or_default();
    hexadecimal(&Sha256::digest(text))
}

fn failed(operation: &'static str, path: &Path) -> impl Fn(io::Error) -> SavedError {
    move |cause| SavedError::Io { operation, path: path.to_owned(), cause }
}
