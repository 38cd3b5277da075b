//! A generation put on its interfaces, and taken off them.

use std::os::fd::AsFd;

use keysteer_common::program::Hook;

use super::Steering;
use crate::fault::{Step, point};
use crate::kernel::attach::{Attachment, WantedMode};
use crate::kernel::interfaces::Interface;
use crate::kernel::link::Link as BpfLink;
use crate::kernel::pins::PinError;
use crate::kernel::{Dataplane, KernelError};

impl Steering {
    /// Puts generation `number` on every interface of `wanted`, and on what leaves by those of `back`, and takes keysteer off every other.
    /// From the first to the last link an intent is pinned; [`Steering::settle`] ends it.
    ///
    /// # Errors
    /// A new interface cannot be attached to: then all is as it was, and the intent is over.
    pub fn commit(
        &mut self,
        number: u64,
        wanted: &[(Interface, WantedMode)],
        back: &[Interface],
    ) -> Result<Vec<Attachment>, KernelError> {
        self.pins.begin(number)?;
        point(Step::Intent);
        // What leaves comes first: a question that is translated has an answer that must be.
        let backs = self.attach_backs(number, back);
        let attached = backs.and_then(|backs| {
            let attached = self.attach_new(number, wanted);
            if attached.is_err() {
                self.end_backs(backs)?;
            }
            attached
        });
        let attached = match attached {
            Ok(attached) => attached,
            Err(error) => {
                self.pins.end(number)?;
                return Err(error);
            }
        };
        point(Step::NewAttached);
        let programs = self.generation(number)?.programs()?;
        self.relink(self.generation(number)?, |attached| !programs.contains(&attached), Step::LinkUpdated)?;
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
        self.keep_backs(back)?;
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
        for link in self.backs.values().chain(self.links.values()) {
            let facts = link.facts().map_err(|error| KernelError::other("read a link", error))?;
            let hook = facts.place.hook();
            // A generation that has nothing to do with what leaves lets go of it in the end.
            let has = hook != Hook::Back || new.about.shape.config.back.on != 0;
            if facts.interface != 0 && replaced(facts.program) && has {
                link.update(new.home.fd(hook)?.as_fd())
                    .map_err(|error| KernelError::other("replace the program of a link", error))?;
                point(step);
            }
        }
        Ok(())
    }

    /// Attaches to the interfaces that have no link yet, or one at another hook; to none of them, if one refuses.
    fn attach_new(
        &mut self,
        number: u64,
        wanted: &[(Interface, WantedMode)],
    ) -> Result<Vec<Attachment>, KernelError> {
        let mut attached: Vec<(Attachment, Option<BpfLink>)> = Vec::new();
        let tc = self.generation(number)?.about.shape.tc;
        for (interface, mode) in wanted {
            if self.links.get(&interface.index).is_some_and(|link| is_there(link, *mode, tc)) {
                continue;
            }
            match self.attach(number, interface, *mode) {
                Ok(both) => attached.push(both),
                Err(error) => {
                    for (attachment, before) in attached {
                        self.unlink(attachment.index)?;
                        if let Some(before) = before {
                            self.hold(attachment.index, before)?;
                        }
                    }
                    return Err(error);
                }
            }
        }
        Ok(attached.into_iter().map(|(attachment, _)| attachment).collect())
    }

    /// Attaches to an interface; gives the link that held it before, which until it is dropped still does.
    fn attach(
        &mut self,
        number: u64,
        interface: &Interface,
        mode: WantedMode,
    ) -> Result<(Attachment, Option<BpfLink>), KernelError> {
        // What has gone with its interface holds nothing, and is in the way of nothing.
        if self.links.get(&interface.index).is_some_and(|link| !holds(link)) {
            self.unlink(interface.index)?;
        }
        let pin = self.pins.link(interface.index);
        let (link, attachment) = self.generation(number)?.link(interface, mode, Some(&pin))?;
        let before = self.let_go(interface.index)?;
        self.hold(interface.index, link)?;
        point(Step::Held);
        Ok((attachment, before))
    }

    /// Pins a link, and keeps it.
    fn hold(&mut self, index: u32, mut link: BpfLink) -> Result<(), KernelError> {
        let path = self.pins.link(index);
        link.pin(&path).map_err(PinError::io("pin", &path))?;
        self.links.insert(index, link);
        Ok(())
    }

    /// Takes away the pin of an interface's link, if there is one: it then holds until it is dropped.
    fn let_go(&mut self, index: u32) -> Result<Option<BpfLink>, KernelError> {
        let path = self.pins.link(index);
        let mut link = self.links.remove(&index);
        if let Some(link) = &mut link {
            link.unpin(&path).map_err(PinError::io("remove", &path))?;
        }
        Ok(link)
    }

    /// Ends steering on an interface.
    fn unlink(&mut self, index: u32) -> Result<(), KernelError> {
        match self.let_go(index)? {
            Some(link) => link.end().map_err(|error| KernelError::other("detach from an interface", error)),
            None => Ok(()),
        }
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
        all.into_iter().try_for_each(|index| self.unlink(index))?;
        self.keep_backs(&[])?;
        Ok(self.pins.end_qdiscs()?)
    }
}

/// Whether a link holds a program on its interface.
fn holds(link: &BpfLink) -> bool {
    link.facts().is_ok_and(|facts| facts.interface != 0)
}

/// Whether a link holds a program on its interface, at the hook that is wanted. `tc`: the generation has a program for TC.
fn is_there(link: &BpfLink, mode: WantedMode, tc: bool) -> bool {
    link.facts().is_ok_and(|facts| {
        let hook = match mode {
            WantedMode::Auto if tc => facts.place.hook(),
            WantedMode::Auto => Hook::Xdp,
            WantedMode::Native | WantedMode::Generic => Hook::Xdp,
            WantedMode::Tc => Hook::Tc,
        };
        facts.interface != 0 && facts.place.hook() == hook
    })
}
