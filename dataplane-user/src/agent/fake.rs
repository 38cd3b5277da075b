//! A platform without a kernel, for tests: it records what is asked of it and fails where told.

use std::path::Path;
use std::sync::{Arc, Mutex};

use super::meter::{Cause, Meter};
use super::platform::{Plane, Platform};
use crate::control::types::{InterfaceStatus, MapStatus, ProgramStatus};
use crate::counters::Snapshot;
use crate::image::{Image, KeyInfo, Names, ShardInfo};
use crate::state::{KeyIds, Secrets};

/// An image that has nothing but names: these keys with ids from 1, and the shards `a` and `b`.
pub(crate) fn image(keys: &[&str]) -> Image {
    let key = |(id, name): (u32, &&str)| KeyInfo {
        id,
        name: (*name).to_owned(),
        values: Box::new([("tenant".into(), (*name).into())]),
        level: 0,
        pool: "general".into(),
        width: 1,
        shards: Arc::new(["a".into()]),
        tier: Some("gold".into()),
        owner: Some(format!("team-{name}").into()),
        cost_centre: None,
        account: None,
        denied: None,
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
        keys: (1..).zip(keys).map(key).collect(),
        shards: vec![shard("a"), shard("b")],
        ..Names::default()
    };
    Image { names, ..Image::default() }
}

/// Everything that was done, in order, and the counters.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) steps: Mutex<Vec<String>>,
    pub(crate) snapshot: Mutex<Snapshot>,
    /// The step that fails.
    pub(crate) fails: Option<&'static str>,
}

impl Record {
    fn step(&self, step: &str) -> Result<(), Cause> {
        self.steps.lock().unwrap().push(step.to_owned());
        if self.fails == Some(step) { Err("planted".into()) } else { Ok(()) }
    }

    pub(crate) fn steps(&self) -> Vec<String> {
        self.steps.lock().unwrap().clone()
    }
}

/// A platform, a plane and a meter in one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fake(pub(crate) Arc<Record>);

impl Platform for Fake {
    type Policy = ();

    fn policy(&self, _: &Path) -> Result<((), Vec<String>), Cause> {
        self.0.step("policy").map(|()| ((), Vec::new()))
    }

    fn compile(&self, _: &(), _: &Secrets, ids: &mut KeyIds) -> Result<Image, Cause> {
        ids.id("tenant=acme");
        self.0.step("compile").map(|()| image(&["acme"]))
    }

    fn load(&self, _: &(), _: &Image) -> Result<Arc<dyn Plane>, Cause> {
        self.0.step("load").map(|()| Arc::new(self.clone()) as Arc<dyn Plane>)
    }
}

impl Plane for Fake {
    fn attach(&self, interface: &str) -> Result<InterfaceStatus, Cause> {
        self.0.step(&format!("attach {interface}"))?;
        let name = interface.to_owned();
        Ok(InterfaceStatus { name, index: 7, mode: "native".to_owned(), fallback: None })
    }

    fn detach(&self) {
        let _ = self.0.step("detach");
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
