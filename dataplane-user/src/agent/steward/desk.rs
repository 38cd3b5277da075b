//! What changes need at hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use keysteer_common::config::ABI;
use keysteer_common::overlay::{key_word, shard_word};

use super::Apply;
use super::board::Board;
use super::planning::Draft;
use crate::agent::audit;
use crate::agent::ground::{Ground, Places, Wanted};
use crate::agent::meter::Cause;
use crate::agent::rebuild::Told;
use crate::agent::state::StateDirectory;
use crate::control::types::InterfaceStatus;
use crate::image::Words;
use crate::kernel::interfaces::Interface;
use crate::messages::warn;
use crate::placement::Placement;
use crate::policy::Policy;
use crate::state::audit::{Event, Outcome, Subject};
use crate::state::generations::{Record, Status};
use crate::state::overlay::{KeyWord, ShardWord, Word};
use crate::state::{Audit, Generations, Ids, Overlay, Secrets, StateError, Timestamp, Who};

/// What changes need, for one at a time.
pub(super) struct Desk {
    pub(super) state: StateDirectory,
    pub(super) secrets: Secrets,
    pub(super) ids: Ids,
    pub(super) generations: Generations,
    pub(super) overlay: Overlay,
    pub(super) audit: Audit,
    /// Where it is posted what changes have done.
    pub(super) board: Arc<Board>,
    /// Where each generation in the kernel is wanted.
    pub(super) wanted: BTreeMap<u64, Places>,
    /// The live generation's policy, without its keys, of which the node knows.
    pub(super) policy: Option<Policy>,
    /// The tables that it is compiled to.
    pub(super) placement: Option<Arc<Placement>>,
    /// Tables of another node, with which the next apply begins.
    pub(super) imported: Option<Arc<Placement>>,
    /// The secrets of signed keys.
    pub(super) signing: super::secrets::Secrets,
    /// How each interface is attached.
    pub(super) attached: BTreeMap<u32, InterfaceStatus>,
    /// What moves, if anything does.
    pub(super) moving: Option<super::moves::UnderWay>,
    /// The steps that it is done in, if it is.
    pub(super) rolling: Option<super::rollout::Steps>,
    /// The interfaces as they were when the live generation was compiled or attached last.
    pub(super) interfaces: Vec<Interface>,
}

impl Desk {
    /// Appends to the audit log, and says so in the log.
    pub(super) fn journal(&mut self, event: Event) -> Result<(), StateError> {
        self.board.count(&event);
        audit::journalled(&self.audit.append(event)?);
        Ok(())
    }

    /// Says that a part of the state was rebuilt, and keeps that.
    pub(super) fn tell(&mut self, told: &Told) -> Result<(), StateError> {
        warn(&told.line());
        self.journal(Event {
            subject: Some(Subject::Other(format!("file:{}", told.part.name()))),
            reason: Some(told.what.clone()),
            detail: Some(told.now.clone()),
            ..Event::new(Who::this(), "rebuild", Outcome::Ok)
        })
    }

    /// The number of the generation in force.
    pub(super) fn live(&self) -> Option<u64> {
        self.generations.live().map(|record| record.number)
    }

    /// What the kernel is to heed.
    pub(super) fn words(&self) -> Words {
        let key = |(identity, word): (&str, &Word<KeyWord>)| {
            let bits = match word.word {
                KeyWord::Deny => key_word::DENY,
                KeyWord::Allow => key_word::ALLOW,
            };
            Some((self.ids.keys.get(identity)?, bits))
        };
        let shard = |(name, word): (&str, &Word<ShardWord>)| {
            let ShardWord::Disabled = word.word;
            Some((u32::from(self.ids.shards.get(name)?), shard_word::DISABLED))
        };
        Words {
            keys: self.overlay.keys().filter_map(key).collect(),
            shards: self.overlay.shards().filter_map(shard).collect(),
        }
    }

    /// Undoes the commit of `number`, which could not be recorded: `live` is put back.
    pub(super) fn take_back(&self, ground: &mut dyn Ground, number: u64, live: u64) -> Result<(), Cause> {
        ground.commit(live, &self.wanted.get(&live).cloned().unwrap_or_default())?;
        ground.settle(live)?;
        ground.settle(number)
    }

    /// Remembers how interfaces were attached.
    pub(super) fn note(&mut self, statuses: Vec<InterfaceStatus>, wanted: &Places) {
        self.attached.extend(statuses.into_iter().map(|status| (status.index, status)));
        for Wanted { interface, .. } in &wanted.steer {
            // Taken over from another agent, which knew.
            self.attached.entry(interface.index).or_insert_with(|| InterfaceStatus {
                name: interface.name.clone(),
                index: interface.index,
                mode: mode_of(interface.index),
                fallback: None,
                note: None,
            });
        }
    }

    pub(super) fn record(&self, number: u64, apply: &Apply<'_>, draft: &Draft) -> Record {
        let (policy, image) = (&draft.policy, &draft.compiled.image);
        Record {
            number,
            parent: self.generations.live().map(|record| record.number),
            made_at: Timestamp::now(),
            by: apply.who.clone(),
            action: apply.action.to_owned(),
            policy: policy.name.clone(),
            bundle: draft.digest.clone(),
            abi: ABI,
            interfaces: image.names.interfaces.clone(),
            schema: image.names.first_version().into(),
            keys: image.names.keys.len() as u64,
            shards: image.names.policy_shards().count() as u64,
            key_ids: self.ids.keys.given(),
            shard_ids: self.ids.shards.given(),
            plan: None,
            shares: draft.shares.clone(),
            rollout: draft.rollout.as_ref().map(|(rolling, _)| rolling.clone()),
            status: Status::Prepared,
        }
    }
}

/// How an interface is attached, where this agent did not do it.
fn mode_of(index: u32) -> String {
    crate::kernel::mode_of(index).map_or("unknown", |mode| mode.name()).to_owned()
}
