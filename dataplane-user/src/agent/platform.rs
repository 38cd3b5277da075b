//! What the start of an agent needs of the rooms below: the kernel in production, a fake in tests of
//! the order of things.

use std::path::Path;
use std::sync::Arc;

use super::meter::{Cause, Meter};
use crate::control::types::InterfaceStatus;
use crate::image::Image;
use crate::state::{Ids, Secrets};

/// Policy, compiler and kernel.
pub trait Platform {
    /// A checked policy.
    type Policy;

    /// Reads and checks a policy file; also gives what is worth a warning.
    ///
    /// # Errors
    /// Every problem that was found, one a line.
    fn policy(&self, file: &Path) -> Result<(Self::Policy, Vec<String>), Cause>;

    /// The tables of the policy on this host.
    ///
    /// # Errors
    /// The host lacks something that the policy names.
    fn compile(&self, policy: &Self::Policy, secrets: &Secrets, ids: &mut Ids) -> Result<Image, Cause>;

    /// Loads program and maps; attaches nothing yet.
    ///
    /// # Errors
    /// The kernel refuses.
    fn load(&self, policy: &Self::Policy, image: &Image) -> Result<Arc<dyn Plane>, Cause>;
}

/// A loaded program.
pub trait Plane: Meter {
    /// Attaches it to `interface`, in the mode that the policy wants there.
    ///
    /// # Errors
    /// There is no such interface, somebody else's program is on it, or the kernel refuses.
    fn attach(&self, interface: &str) -> Result<InterfaceStatus, Cause>;

    /// Detaches it from everywhere; a second time does nothing.
    fn detach(&self);
}
