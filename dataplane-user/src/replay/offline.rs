//! A policy to an image where it is not to steer: the interfaces and CPUs that it names need not be there.

use std::collections::BTreeSet;

use keysteer_common::tables::target;

use crate::compile::{CompileError, Host, compile_for};
use crate::image::Image;
use crate::kernel::interfaces::{Interface, Interfaces};
use crate::policy::{Policy, Target};
use crate::state::{KeyIds, Secrets};

/// The index of the loopback, which every namespace has: any other need not exist where the tables are loaded.
const LOOPBACK: u32 = 1;

/// Compiles a policy for a host that has whatever it names. In the image every interface is the loopback and every
/// CPU is one that is online here, so that the kernel takes it for test runs; decisions are the same.
///
/// # Errors
/// A table cannot be built.
pub fn compile(policy: &Policy, secrets: &Secrets, ids: &mut KeyIds) -> Result<Image, CompileError> {
    let attached = policy.interfaces.iter().map(|interface| &interface.name);
    let exits = policy.shards.iter().filter_map(|shard| match &shard.target {
        Target::Interface { interface, .. } | Target::NextHop { interface, .. } => Some(interface),
        Target::Pass | Target::Drop | Target::Cpu(_) => None,
    });
    let names: BTreeSet<&String> = attached.chain(exits).collect();
    let interface = |name: &String| Interface { name: name.clone(), index: LOOPBACK, mac: [0; 6] };
    let interfaces = Interfaces(names.into_iter().map(interface).collect());
    let cpu = |target: &Target| if let Target::Cpu(cpu) = target { Some(*cpu) } else { None };
    let cpus: Vec<u32> = policy.shards.iter().filter_map(|shard| cpu(&shard.target)).collect();

    let mut image = compile_for(policy, Host { interfaces: &interfaces, cpus: &cpus }, secrets, ids)?;
    if !cpus.is_empty() {
        // Where the system does not say, the host engine does not ask and the kernel's load does.
        let here = aya::util::online_cpus().ok().and_then(|online| online.first().copied()).unwrap_or(0);
        image
            .shards
            .iter_mut()
            .filter(|shard| shard.target == target::CPU)
            .for_each(|shard| shard.port = here);
    }
    Ok(image)
}
