//! A host without a kernel, for tests: it records what is asked of it and fails where told. What was pinned outlives the
//! steward, as in the kernel.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use keysteer_common::carrier::Carrier;
use keysteer_common::migrate::Move;
use keysteer_common::shim::Signing;

use super::ground::{Attached, Compiled, Counted, Ground, Places, Platform, Speak, Wanted};
use super::meter::{Cause, Meter, Source};
use super::node::Node;
use super::steward::Posted;
use crate::compile::{Host, compile_placed, devices};
use crate::control::types::{InterfaceStatus, MapStatus, ProgramStatus};
use crate::counters::Snapshot;
use crate::health::Report;
use crate::image::{FieldInfo, Image, KeyInfo, Moves, Names, SchemaInfo, ShardInfo, Words};
use crate::kernel::interfaces::{Interface, Interfaces};
use crate::kernel::{self, Seen, Tick};
use crate::placement::Placement;
use crate::policy::{Policy, ValueMap};
use crate::state::{Ids, Secrets};

/// An image that has nothing but names: these keys with ids from 1, and the shards `a` and `b`.
pub(crate) fn image(keys: &[&str]) -> Image {
    let key = |(id, name): (u32, &&str)| KeyInfo {
        id,
        name: (*name).to_owned(),
        key: id.into(),
        level: 0,
        also: Box::default(),
        alias_of: None,
        pool: "general".into(),
        width: 1,
        shards: Arc::new(["a".into()]),
        pinned: false,
        tier: Some("gold".into()),
        owner: Some(format!("team-{name}").into()),
        cost_centre: None,
        account: None,
        region: None,
        vip: false,
        denied: None,
        sources: None,
    };
    let shard = |name: &str| ShardInfo {
        name: name.to_owned(),
        weight: 1,
        target: "drop".to_owned(),
        pools: vec!["general".to_owned()],
    };
    let names = Names {
        policy: "edge".to_owned(),
        environment: "test".to_owned(),
        interfaces: vec!["eth0".to_owned(), "eth1".to_owned()],
        schemas: vec![SchemaInfo {
            version: 1,
            fields: vec![FieldInfo {
                name: "tenant".to_owned(),
                carrier: Carrier::Ipv4Src,
                source: "ipv4.src".to_owned(),
                range: None,
                bits: 32,
                table: Some("tenants".to_owned()),
                values_of: "tenants".to_owned(),
                labels: [""].iter().chain(keys).map(ToString::to_string).collect(),
                values: ValueMap::default(),
                display: Default::default(),
            }],
            levels: vec![vec![0]],
            deprecated: None,
        }],
        keys: (1..).zip(keys).map(key).collect(),
        shards: vec![shard("a"), shard("b")],
        ..Names::default()
    };
    Image { names, ..Image::default() }
}

/// What is in the fake kernel, everything that was done, in order, and the counters.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) steps: Mutex<Vec<String>>,
    pub(crate) snapshot: Mutex<Snapshot>,
    /// The step that fails.
    pub(crate) fails: Option<&'static str>,
    /// What is pinned.
    pub(crate) pinned: Mutex<Pinned>,
    /// What a source calls its numbers.
    pub(crate) node: Mutex<Arc<Node>>,
    /// What a source says of changes.
    pub(crate) posted: Mutex<Posted>,
    /// What a source says of health.
    pub(crate) health: Mutex<Option<Report>>,
}

/// What is pinned.
#[derive(Debug, Default)]
pub(crate) struct Pinned {
    pub(crate) generations: BTreeMap<u64, Image>,
    pub(crate) intent: Option<u64>,
    /// By interface, the attached generation.
    pub(crate) links: BTreeMap<u32, u64>,
    /// Not pinned yet.
    pub(crate) ready: Image,
    pub(crate) words: Words,
    /// By generation, what shims are verified with.
    pub(crate) signing: BTreeMap<u64, Signing>,
}

impl Record {
    fn step(&self, step: &str) -> Result<(), Cause> {
        self.steps.lock().unwrap().push(step.to_owned());
        if self.fails == Some(step) { Err("planted".into()) } else { Ok(()) }
    }

    pub(crate) fn steps(&self) -> Vec<String> {
        std::mem::take(&mut self.steps.lock().unwrap())
    }
}

/// A host, its ground, and a source in one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fake(pub(crate) Arc<Record>);

impl Fake {
    fn pinned(&self) -> std::sync::MutexGuard<'_, Pinned> {
        self.0.pinned.lock().unwrap()
    }
}

/// The interfaces of the fake host.
fn interfaces() -> Vec<Interface> {
    let names = ["eth0", "eth1", "ks-a", "ks-b", "ks-c"];
    let interface = |(index, name): (u32, &&str)| Interface::new(name, index, [2; 6]);
    (1..).zip(&names).map(interface).collect()
}

impl Platform for Fake {
    fn compile(
        &self,
        policy: &Policy,
        secrets: &Secrets,
        ids: &mut Ids,
        placement: &Placement,
    ) -> Result<Compiled, Cause> {
        self.0.step("compile")?;
        let here = Interfaces(interfaces());
        let host = Host { interfaces: &here, cpus: &[0] };
        let image = compile_placed(policy, host, secrets, ids, placement)?;
        let devices = devices(policy, &here)?;
        let steer = devices.into_iter().map(Wanted::from).collect();
        Ok(Compiled { image, wanted: Places { steer, ..Places::default() } })
    }

    fn open(&self, _: &Path) -> Result<Box<dyn Ground>, Cause> {
        self.0.step("open")?;
        Ok(Box::new(self.clone()))
    }

    fn interfaces(&self) -> Result<Vec<Interface>, Cause> {
        Ok(interfaces())
    }
}

impl Counted for Fake {
    fn all(&self) -> Result<Snapshot, Cause> {
        Meter::counters(self)
    }

    fn carried(&self) -> Result<Snapshot, Cause> {
        Ok(Snapshot { events: Vec::new(), ..self.all()? })
    }
}

impl Speak for Fake {
    fn say(&self, words: &BTreeMap<u32, u64>) -> Result<(), Cause> {
        self.0.step("say")?;
        let shards = &mut self.pinned().words.shards;
        for (index, word) in words {
            match word {
                0 => drop(shards.remove(index)),
                word => drop(shards.insert(*index, *word)),
            }
        }
        Ok(())
    }
}

impl Ground for Fake {
    fn pinned(&self) -> Result<Vec<u64>, Cause> {
        Ok(self.pinned().generations.keys().copied().collect())
    }

    fn intent(&self) -> Result<Option<u64>, Cause> {
        Ok(self.pinned().intent)
    }

    fn adopt(&mut self, number: u64, image: &Image) -> Result<bool, Cause> {
        self.0.step(&format!("adopt {number}"))?;
        Ok(self.pinned().generations.get(&number).is_some_and(|there| image.same_tables(there)))
    }

    fn ready(&mut self, image: &Image) -> Result<(), Cause> {
        self.0.step("load")?;
        self.pinned().ready = image.clone();
        Ok(())
    }

    fn load(&mut self, number: u64) -> Result<(), Cause> {
        let mut pinned = self.pinned();
        let image = std::mem::take(&mut pinned.ready);
        pinned.generations.insert(number, image);
        Ok(())
    }

    fn prove(&mut self, _: u64, _: &Image, frames: &[Vec<u8>]) -> Result<(), Cause> {
        assert!(!frames.is_empty());
        self.0.step("prove")
    }

    fn commit(&mut self, number: u64, wanted: &Places) -> Result<Vec<InterfaceStatus>, Cause> {
        let wanted = &wanted.steer;
        let before: Vec<u32> = self.pinned().links.keys().copied().collect();
        self.pinned().intent = Some(number);
        for Wanted { interface, .. } in wanted {
            if let Err(error) = self.0.step(&format!("commit {number} on {}", interface.name)) {
                let mut pinned = self.pinned();
                pinned.links.retain(|index, _| before.contains(index));
                pinned.intent = None;
                return Err(error);
            }
            self.pinned().links.insert(interface.index, number);
        }
        self.pinned().links.retain(|index, _| wanted.iter().any(|it| it.interface.index == *index));
        let status = |wanted: &Wanted| InterfaceStatus {
            name: wanted.interface.name.clone(),
            index: wanted.interface.index,
            mode: "native".to_owned(),
            fallback: None,
            note: None,
        };
        Ok(wanted.iter().map(status).collect())
    }

    fn settle(&mut self, number: u64) -> Result<(), Cause> {
        self.0.step(&format!("settle {number}"))?;
        self.pinned().intent = None;
        Ok(())
    }

    fn retire(&mut self, number: u64) -> Result<(), Cause> {
        self.0.step(&format!("retire {number}"))?;
        self.pinned().generations.remove(&number);
        self.pinned().signing.remove(&number);
        Ok(())
    }

    fn detach(&mut self) -> Result<(), Cause> {
        self.0.step("detach")?;
        self.pinned().links.clear();
        Ok(())
    }

    fn survey(&self) -> Result<Vec<kernel::Pinned>, Cause> {
        let pinned = self.pinned();
        let found = pinned.generations.iter().map(|(number, image)| kernel::Pinned {
            number: *number,
            attached: pinned.links.values().any(|on| on == number),
            tables: Image { names: Names::default(), words: Words::default(), ..image.clone() },
        });
        let mut found: Vec<_> = found.collect();
        found.sort_by_key(|pinned| std::cmp::Reverse((pinned.attached, pinned.number)));
        Ok(found)
    }

    fn flow_secret(&self) -> Result<Option<[u64; 2]>, Cause> {
        Ok(self.pinned().generations.values().next_back().map(|image| image.config.flow_secret))
    }

    fn attached(&self, number: u64) -> Result<Attached, Cause> {
        let pinned = self.pinned();
        let steer = pinned.links.iter().filter(|(_, on)| **on == number).map(|(index, _)| *index).collect();
        Ok(Attached { steer, ..Attached::default() })
    }

    fn counted(&self) -> Box<dyn Counted> {
        Box::new(self.clone())
    }

    fn speaker(&self) -> Box<dyn Speak> {
        Box::new(self.clone())
    }

    fn words(&self) -> Result<Words, Cause> {
        Ok(self.pinned().words.clone())
    }

    fn set_words(&mut self, words: &Words) -> Result<(), Cause> {
        self.0.step("words")?;
        self.pinned().words = words.clone();
        Ok(())
    }

    fn signing(&self, number: u64) -> Result<Option<Signing>, Cause> {
        let pinned = self.pinned();
        assert!(pinned.generations.contains_key(&number), "{number} is not loaded");
        Ok(Some(pinned.signing.get(&number).copied().unwrap_or_default()))
    }

    fn write_signing(&mut self, number: u64, signing: &Signing) -> Result<(), Cause> {
        self.pinned().signing.insert(number, *signing);
        Ok(())
    }

    fn program(&self, _: u64) -> Result<ProgramStatus, Cause> {
        Meter::program(self)
    }

    fn maps(&self, _: u64) -> Result<Vec<MapStatus>, Cause> {
        Meter::maps(self)
    }

    fn slots(&self, number: u64) -> Result<Vec<keysteer_common::tables::Slot>, Cause> {
        Ok(Ground::tables(self, number)?.slots)
    }

    fn prepare(&mut self, _: u64) -> Result<(), Cause> {
        Ok(())
    }

    fn foresee(&mut self, _: u64) -> Result<(), Cause> {
        Ok(())
    }

    fn tables(&self, number: u64) -> Result<Image, Cause> {
        Ok(self.pinned().generations.get(&number).cloned().unwrap_or_default())
    }

    fn set_moves(&mut self, number: u64, moves: Option<Moves>) -> Result<(), Cause> {
        self.0.step(&format!("set moves {number}"))?;
        if let Some(image) = self.pinned().generations.get_mut(&number) {
            image.migrate(moves);
        }
        Ok(())
    }

    fn vary(&mut self, number: u64, tables: &Image) -> Result<(), Cause> {
        self.0.step(&format!("vary {number}"))?;
        self.pinned().generations.insert(number, tables.clone());
        Ok(())
    }

    fn is_migrating(&self, number: u64) -> Result<bool, Cause> {
        Ok(self.pinned().generations.get(&number).is_some_and(|image| image.config.migrating != 0))
    }

    fn moves(&self, number: u64) -> Result<Vec<(u32, u32)>, Cause> {
        let pinned = self.pinned();
        let words =
            pinned.generations.get(&number).map(|image| image.moves.words.as_slice()).unwrap_or_default();
        let moves = (0..).zip(words).map(|(at, word)| ((word >> 32) as u32, at));
        Ok(moves.filter(|(unit, _)| *unit != 0).collect())
    }

    fn see_moves(&mut self, _: u64, _: Tick) -> Result<Seen, Cause> {
        Ok(Seen::default())
    }

    fn epoch(&self) -> Result<(u32, u32), Cause> {
        Ok((0, 0))
    }

    fn end_moves(&mut self, number: u64, indices: &[u32]) -> Result<(), Cause> {
        self.0.step(&format!("end {} moves of {number}", indices.len()))?;
        for at in indices {
            if let Some(image) = self.pinned().generations.get_mut(&number) {
                image.moves.words[*at as usize] = 0;
            }
        }
        Ok(())
    }

    fn release_moves(&mut self, number: u64, indices: &[u32]) -> Result<(), Cause> {
        self.0.step(&format!("release {} moves of {number}", indices.len()))?;
        for at in indices {
            if let Some(image) = self.pinned().generations.get_mut(&number) {
                let word = &mut image.moves.words[*at as usize];
                *word = Move(*word).held(false).0;
            }
        }
        Ok(())
    }

    fn forget_flows(&mut self) -> Result<(), Cause> {
        self.0.step("forget flows")
    }
}

impl Meter for Fake {
    fn counters(&self) -> Result<Snapshot, Cause> {
        if self.0.fails == Some("counters") {
            return Err("planted".into());
        }
        Ok(self.0.snapshot.lock().unwrap().clone())
    }

    fn tables(&self) -> Result<Image, Cause> {
        self.0.step("tables").map(|()| Image::default())
    }

    fn program(&self) -> Result<ProgramStatus, Cause> {
        let tag = "0123456789abcdef".to_owned();
        Ok(ProgramStatus { id: 42, tag, verified_instructions: 1_000, jited_bytes: 4_000 })
    }

    fn maps(&self) -> Result<Vec<MapStatus>, Cause> {
        Ok(vec![MapStatus { name: "KEYS".to_owned(), id: 9, entries: 64, bytes: 4_096 }])
    }
}

impl Source for Fake {
    fn posted(&self) -> Posted {
        self.0.posted.lock().unwrap().clone()
    }

    fn health(&self) -> Option<Report> {
        self.0.health.lock().unwrap().clone()
    }

    fn node(&self) -> Arc<Node> {
        Arc::clone(&self.0.node.lock().unwrap())
    }
}
