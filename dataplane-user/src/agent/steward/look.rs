//! The regular look at words that end and interfaces that come back.

use std::sync::atomic::AtomicBool;

use super::{Apply, Desk, Made, Steward};
use crate::agent::ground::Places;
use crate::kernel::interfaces::same_devices;
use crate::policy::Bundle;
use crate::state::audit::{Event, Outcome, Subject};
use crate::state::{Timestamp, Who};

impl Steward {
    /// Takes the regular look: words whose time is over end, interfaces that came back are attached, secrets
    /// whose files changed are renewed, and what the next
    /// change needs is readied.
    pub fn look(&self) {
        // Whoever makes a change looks by that.
        let Ok(mut desk) = self.desk.try_lock() else { return };
        self.look_at(&mut desk);
        let live = desk.generations.live().map(|record| record.number);
        if let Some(Err(error)) = live.map(|live| self.ground().prepare(live)) {
            tracing::debug!(%error, "the next generation cannot be readied");
        }
    }

    fn look_at(&self, desk: &mut Desk) {
        let over = desk.overlay.expired(Timestamp::now());
        if !over.is_empty() {
            if let Err(error) = self.enact(desk) {
                tracing::error!(%error, "words whose time is over cannot be ended");
            }
            self.post(desk);
            let keys = over
                .keys
                .iter()
                .map(|(identity, word)| (Subject::Key(identity.clone()), word.reason.clone()));
            let shards =
                over.shards.iter().map(|(name, word)| (Subject::Shard(name.clone()), word.reason.clone()));
            for (subject, reason) in keys.chain(shards) {
                let event = Event {
                    subject: Some(subject),
                    reason,
                    detail: Some("its time is over".to_owned()),
                    ..Event::new(Who::this(), "word-expired", Outcome::Ok)
                };
                if let Err(error) = desk.journal(event) {
                    tracing::error!(%error, "the journal cannot be written");
                }
            }
        }
        self.look_at_moves(desk);
        self.look_at_interfaces(desk);
        self.look_at_secrets(desk);
    }

    /// Attaches again where an interface came back, by a new generation where the tables name it.
    fn look_at_interfaces(&self, desk: &mut Desk) {
        let Ok(now) = self.platform.interfaces() else { return };
        if same_devices(&now, &desk.interfaces) {
            return;
        }
        let Some(number) = desk.generations.live().map(|record| record.number) else { return };
        let Ok(bundle) = desk.generations.bundle::<Bundle>(number) else { return };
        // An interface that the policy names may be away: then nothing can be done until it is back.
        let Ok(Made { compiled, .. }) = self.compile_at(desk, number, &bundle) else { return };
        desk.interfaces = now;
        let same = desk.wanted.get(&number).is_some_and(|wanted| {
            let (now, before) = (&compiled.wanted, wanted);
            now.steer.len() == before.steer.len()
                && now.steer.iter().zip(&before.steer).all(|(one, other)| one.is(other))
                && now.back.len() == before.back.len()
                && now.back.iter().zip(&before.back).all(|(one, other)| one.is(other))
        });
        let same = same && {
            let ground = self.ground();
            ground.tables(number).is_ok_and(|tables| compiled.image.same_tables(&tables))
                && ground.attached(number).is_ok_and(|attached| {
                    let Places { steer, back } = &compiled.wanted;
                    steer.iter().all(|wanted| attached.steer.contains(&wanted.interface.index))
                        && back.iter().all(|interface| attached.back.contains(&interface.index))
                })
        };
        if same {
            return;
        }
        if desk.rolling.is_some() {
            // The tables that it would be taken back to are those from before the step, not from before the change.
            desk.interfaces = Vec::new();
            self.turn_back(desk, "interfaces changed while it was made");
            return;
        }
        let none = AtomicBool::new(false);
        match self.carry_out(desk, &Apply::by_agent(bundle, "interfaces", &none), false) {
            Ok(applied) => {
                tracing::info!(generation = applied.generation, "interfaces changed: attached again");
            }
            Err(error) => tracing::error!(%error, "interfaces changed, and cannot be attached again"),
        }
    }
}
