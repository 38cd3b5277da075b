//! A generation put on what leaves, and taken off it.

use std::os::fd::AsFd;

use keysteer_common::program::Hook;

use super::Steering;
use crate::fault::{Step, point};
use crate::kernel::KernelError;
use crate::kernel::interfaces::Interface;
use crate::kernel::link::{Direction, Link as BpfLink};
use crate::kernel::pins::PinError;

impl Steering {
    /// Attaches to what leaves by the interfaces of `back` that have no link yet; gives their indices. To none of them, if one refuses.
    pub(super) fn attach_backs(&mut self, number: u64, back: &[Interface]) -> Result<Vec<u32>, KernelError> {
        let mut attached = Vec::new();
        for interface in back {
            let there = self.backs.get(&interface.index);
            if there.is_some_and(|link| link.facts().is_ok_and(|facts| facts.interface != 0)) {
                continue;
            }
            match self.attach_back(number, interface) {
                Ok(()) => attached.push(interface.index),
                Err(error) => {
                    self.end_backs(attached)?;
                    return Err(error);
                }
            }
        }
        if !attached.is_empty() {
            point(Step::BacksAttached);
        }
        Ok(attached)
    }

    fn attach_back(&mut self, number: u64, interface: &Interface) -> Result<(), KernelError> {
        let index = interface.index;
        // What has gone with its interface holds nothing.
        self.end_backs(vec![index])?;
        let failed = |cause| KernelError::Egress { interface: interface.name.clone(), cause };
        let path = self.pins.egress(index);
        let program = self.generation(number)?.home.fd(Hook::Back)?;
        let mut link = BpfLink::tc(program.as_fd(), index, Direction::Egress, Some(&path)).map_err(failed)?;
        link.pin(&path).map_err(PinError::io("pin", &path))?;
        self.backs.insert(index, link);
        Ok(())
    }

    /// Takes keysteer off what leaves by every interface but those of `back`.
    pub(super) fn keep_backs(&mut self, back: &[Interface]) -> Result<(), KernelError> {
        let unwanted = self.backs.keys().copied();
        let unwanted =
            unwanted.filter(|index| back.iter().all(|interface| interface.index != *index)).collect();
        self.end_backs(unwanted)
    }

    /// Takes keysteer off what leaves by these interfaces.
    pub(super) fn end_backs(&mut self, indices: Vec<u32>) -> Result<(), KernelError> {
        for index in indices {
            let Some(mut link) = self.backs.remove(&index) else { continue };
            let path = self.pins.egress(index);
            link.unpin(&path).map_err(PinError::io("remove", &path))?;
            link.end().map_err(|error| KernelError::other("detach from what leaves an interface", error))?;
            point(Step::Unlinked);
        }
        Ok(())
    }
}
