//! Fault points: every step at which a crash must leave the old state or the new one has a name, and a test build can be
//! killed there. In a build without the feature `faults` a point is nothing at all.
//!
//! `KEYSTEER_FAULT=after-ids-saved` kills the process, as `kill -9` would, the first time that it comes to that step;
//! `KEYSTEER_FAULT=after-ids-saved@3` the third time. Tests go through [`Step::ALL`], so that a step that is never reached
//! is noticed.

use std::fmt;

/// Declares the steps, each with its name.
macro_rules! steps {
    ($($(#[$doc:meta])* $step:ident = $name:literal,)+) => {
        /// A step at which the process can be made to die.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Step {
            $($(#[$doc])* $step,)+
        }

        impl Step {
            /// Every step.
            pub const ALL: &[Self] = &[$(Self::$step,)+];

            /// What the environment variable calls it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$step => $name,)+
                }
            }
        }
    };
}

steps! {
    /// The ids of keys or shards are about to be saved.
    BeforeIdsSaved = "before-ids-saved",
    /// The ids of keys or shards are saved.
    AfterIdsSaved = "after-ids-saved",
    /// A generation's bundle is kept and its record is about to be.
    BeforePreparedRecorded = "before-prepared-recorded",
    /// A generation is recorded as prepared.
    AfterPreparedRecorded = "after-prepared-recorded",
    /// Which generation is live is about to be recorded.
    BeforeLiveRecorded = "before-live-recorded",
    /// Which generation is live is recorded.
    AfterLiveRecorded = "after-live-recorded",
    /// The overlay is about to be saved.
    BeforeOverlaySaved = "before-overlay-saved",
    /// The overlay is saved.
    AfterOverlaySaved = "after-overlay-saved",
    /// The digest of the policy file that was taken up is about to be written.
    BeforeFollowedWritten = "before-followed-written",
    /// The digest of the policy file that was taken up is written.
    AfterFollowedWritten = "after-followed-written",
    /// An audit entry is about to be appended.
    BeforeAuditAppended = "before-audit-appended",
    /// An audit entry is appended.
    AfterAuditAppended = "after-audit-appended",
    /// A new generation's program is loaded and its tables are filled.
    Loaded = "loaded",
    /// The directory of a new generation's pins is there.
    PinsBegun = "pins-begun",
    /// A new generation is pinned.
    Pinned = "pinned",
    /// A new generation decided its probes as planned.
    Probed = "probed",
    /// The intent of a commit is pinned.
    Intent = "intent",
    /// What leaves is seen by interfaces that are new to that.
    BacksAttached = "backs-attached",
    /// A classic filter that will be pinned is marked, and not there yet.
    FilterMarked = "filter-marked",
    /// A classic filter is there, and not pinned yet.
    FilterAdded = "filter-added",
    /// An interface is attached to; what held it before still does.
    Held = "held",
    /// A classic filter is gone, and its marker is still there.
    FilterDeleted = "filter-deleted",
    /// The interfaces that are new to a commit are attached.
    NewAttached = "new-attached",
    /// A link has its new program.
    LinkUpdated = "link-updated",
    /// An interface that a commit no longer wants is let go.
    Unlinked = "unlinked",
    /// Every link has its new program.
    Committed = "committed",
    /// The intent of a commit is gone.
    Settled = "settled",
    /// A generation that is no longer needed is unpinned.
    Retired = "retired",
    /// Programs for the next generation are loaded, and their tables are pinned.
    SparePinned = "spare-pinned",
    /// Operators' words are written.
    WordsWritten = "words-written",
    /// The variant of a program that heeds words is pinned.
    VariantPinned = "variant-pinned",
    /// A link has the variant.
    VariantLinked = "variant-linked",
    /// The generation that does not heed words is unpinned.
    VariantAlone = "variant-alone",
    /// The variant has taken its generation's place.
    VariantInPlace = "variant-in-place",
    /// What was pinned is opened and checked; nothing is changed yet.
    Opened = "opened",
    /// The live generation is taken over.
    TakenOver = "taken-over",
}

impl Step {
    /// Those of classic filters, which only kernels before 6.6 have.
    pub const FILTERS: [Self; 3] = [Self::FilterMarked, Self::FilterAdded, Self::FilterDeleted];
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The process comes to `step`; in a test build it may end here.
#[cfg(any(test, feature = "faults"))]
pub fn point(step: Step) {
    armed::reach(step);
}

/// The process comes to `step`.
#[cfg(not(any(test, feature = "faults")))]
#[inline(always)]
pub fn point(_: Step) {}

#[cfg(any(test, feature = "faults"))]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::Step;

    /// The environment variable that names the step.
    const VARIABLE: &str = "KEYSTEER_FAULT";

    /// Where the process is to die, and how many times it still passes.
    struct Fault {
        step: Step,
        left: AtomicU32,
    }

    /// What `text` asks for; a misspelt fault would be a test that proves nothing, and ends the process.
    fn parse(text: &str) -> Option<Fault> {
        let (name, times) = text.split_once('@').unwrap_or((text, "1"));
        let step = Step::ALL.iter().copied().find(|step| step.name() == name)?;
        let times = times.parse().ok().filter(|times| *times > 0)?;
        Some(Fault { step, left: AtomicU32::new(times) })
    }

    pub(super) fn reach(step: Step) {
        static FAULT: OnceLock<Option<Fault>> = OnceLock::new();
        let fault = FAULT.get_or_init(|| {
            let text = std::env::var(VARIABLE).ok()?;
            let fault = parse(&text);
            if fault.is_none() {
                eprintln!("error: {VARIABLE}={text} names no step; known: {:?}", Step::ALL);
                std::process::abort();
            }
            fault
        });
        let Some(fault) = fault.as_ref().filter(|fault| fault.step == step) else { return };
        if fault.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            // Unlike an abort this runs no handler and writes no core; and it cannot be caught.
            let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
            std::process::abort();
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn names_are_distinct_and_read_back() {
            for (at, step) in Step::ALL.iter().enumerate() {
                assert_eq!(Step::ALL.iter().position(|other| other.name() == step.name()), Some(at));
                assert!(parse(step.name()).is_some_and(|fault| fault.step == *step));
            }
            assert_eq!(parse("after-ids-saved@3").unwrap().left.into_inner(), 3);
            for text in ["", "after", "after-ids-saved@", "after-ids-saved@0", "after-ids-saved@x"] {
                assert!(parse(text).is_none(), "{text}");
            }
        }
    }
}
