//! A generation put on its interfaces, and taken off them.

use std::os::fd::AsFd;

use super::Steering;
use crate::fault::{Step, point};
use crate::kernel::attach::{Attachment, WantedMode};
use crate::kernel::interfaces::Interface;
use crate::kernel::link::Link as BpfLink;
use crate::kernel::pins::PinError;
use crate::kernel::{Dataplane, KernelError};

impl Steering {
    /// Puts generation `number` on every interface of `wanted`, and takes keysteer off every other. From the first to
    /// the last link an intent is pinned; [`Steering::settle`] ends it.
    ///
    /// # Errors
    /// A new interface cannot be attached to: then all is as it was, and the intent is over.
    pub fn commit(
        &mut self,
        number: u64,
        wanted: &[(Interface, WantedMode)],
    ) -> Result<Vec<Attachment>, KernelError> {
        self.pins.begin(number)?;
        point(Step::Intent);
        let attached = match self.attach_new(number, wanted) {
            Ok(attached) => attached,
            Err(error) => {
                self.pins.end(number)?;
                return Err(error);
            }
        };
        point(Step::NewAttached);
        let program = self.program(number)?;
        self.relink(self.generation(number)?, |attached| attached != program, Step::LinkUpdated)?;
        let unwanted: Vec<u32> = self
            .links
            .keys()
            .copied()
            .filter(|index| wanted.iter().all(|(interface, _)| interface.index != *index))
            .collect();
        for index in unwanted {
            self.unlink(index)?;
            point(Step::Unlinked);
        }
        point(Step::Committed);
        Ok(attached)
    }

    /// Gives `new`'s program to every link whose program, by its id, is to be `replaced`; comes to `step` after each.
    pub(super) fn relink(
        &self,
        new: &Dataplane,
        replaced: impl Fn(u32) -> bool,
        step: Step,
    ) -> Result<(), KernelError> {
        let fd = new.xdp()?.fd().map_err(|error| KernelError::other("use the program", error))?;
        for link in self.links.values() {
            let facts = link.facts().map_err(|error| KernelError::other("read a link", error))?;
            if facts.interface != 0 && replaced(facts.program) {
                link.update(fd.as_fd())
                    .map_err(|error| KernelError::other("replace the program of a link", error))?;
                point(step);
            }
        }
        Ok(())
    }

    /// Attaches to the interfaces that have no link yet; to none of them, if one refuses.
    fn attach_new(
        &mut self,
        number: u64,
        wanted: &[(Interface, WantedMode)],
    ) -> Result<Vec<Attachment>, KernelError> {
        let mut attached = Vec::new();
        for (interface, mode) in wanted {
            if self.links.get(&interface.index).is_some_and(is_there) {
                continue;
            }
            self.unlink(interface.index)?;
            match self.attach(number, interface, *mode) {
                Ok(attachment) => attached.push(attachment),
                Err(error) => {
                    for attachment in attached {
                        self.unlink(attachment.index)?;
                    }
                    return Err(error);
                }
            }
        }
        Ok(attached)
    }

    fn attach(
        &mut self,
        number: u64,
        interface: &Interface,
        mode: WantedMode,
    ) -> Result<Attachment, KernelError> {
        let (link, attachment) = self.generation(number)?.link(interface, mode)?;
        let path = self.pins.link(interface.index);
        link.pin(&path).map_err(PinError::io("pin", &path))?;
        self.links.insert(interface.index, link);
        Ok(attachment)
    }

    /// Ends steering on an interface.
    fn unlink(&mut self, index: u32) -> Result<(), KernelError> {
        self.pins.remove(&self.pins.link(index))?;
        self.links.remove(&index);
        Ok(())
    }

    /// Says that the commit of generation `number` is over.
    ///
    /// # Errors
    /// The intent cannot be removed.
    pub fn settle(&self, number: u64) -> Result<(), KernelError> {
        Ok(self.pins.end(number)?)
    }

    /// Lets a generation go that is not attached.
    ///
    /// # Errors
    /// Its pins cannot be removed.
    pub fn retire(&mut self, number: u64) -> Result<(), KernelError> {
        self.generations.remove(&number);
        Ok(self.pins.remove(&self.pins.generation(number))?)
    }

    /// Ends steering everywhere. Counters and generations stay pinned.
    ///
    /// # Errors
    /// A link cannot be removed.
    pub fn detach(&mut self) -> Result<(), KernelError> {
        let all: Vec<u32> = self.links.keys().copied().collect();
        all.into_iter().try_for_each(|index| self.unlink(index))
    }
}

fn is_there(link: &BpfLink) -> bool {
    link.facts().is_ok_and(|facts| facts.interface != 0)
}
