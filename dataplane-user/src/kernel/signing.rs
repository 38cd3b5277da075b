//! What shims are verified with: the one entry of the map `SIGNING`, which is written while the program runs.

use std::os::fd::{AsFd, BorrowedFd};

use aya::maps::Map;
use keysteer_common::shared::{bytes_of, from_bytes};
use keysteer_common::shim::Signing;

use super::{Dataplane, KernelError, Steering, sys};
use crate::signing::steps;

/// Name of the map, an array of one [`Signing`].
const MAP: &str = "SIGNING";

impl Dataplane {
    /// What shims are verified with; nothing where the object has no map for it.
    ///
    /// # Errors
    /// The kernel does not let the map be read.
    pub fn signing(&self) -> Result<Option<Signing>, KernelError> {
        let Some(map) = self.signing_map() else { return Ok(None) };
        let mut bytes = [0; size_of::<Signing>()];
        sys::read_value(map, &mut bytes)
            .map_err(|error| KernelError::other("read the map of signing secrets", error))?;
        Ok(from_bytes(&bytes))
    }

    /// Has shims verified with `signing` from now on, as [`Signing`] asks for.
    ///
    /// # Errors
    /// The object has no map for it, or the kernel refuses.
    pub fn write_signing(&self, signing: &Signing) -> Result<(), KernelError> {
        let missing = || KernelError::Object { what: format!("map {MAP}, so it cannot verify signed keys") };
        let before = self.signing()?.ok_or_else(missing)?;
        let map = self.signing_map().ok_or_else(missing)?;
        for step in steps(&before, signing) {
            sys::write_value(map, bytes_of(&[step]))
                .map_err(|error| KernelError::other("write the map of signing secrets", error))?;
        }
        Ok(())
    }

    fn signing_map(&self) -> Option<BorrowedFd<'_>> {
        match self.home.map(MAP)? {
            Map::Array(map) => Some(map.fd().as_fd()),
            _ => None,
        }
    }
}

impl Steering {
    /// What generation `number` verifies shims with.
    ///
    /// # Errors
    /// There is no such generation, or the kernel does not let the map be read.
    pub fn signing(&self, number: u64) -> Result<Option<Signing>, KernelError> {
        self.generation(number)?.signing()
    }

    /// Has generation `number` verify shims with `signing`.
    ///
    /// # Errors
    /// There is no such generation, it has no map for it, or the kernel refuses.
    pub fn write_signing(&mut self, number: u64, signing: &Signing) -> Result<(), KernelError> {
        self.generation(number)?.write_signing(signing)
    }
}
