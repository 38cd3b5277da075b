//! A policy to an image where it is not to steer: the interfaces and CPUs that it names need not be there.

use crate::compile::{CompileError, Imagined, arrive, compile_for, reachable};
use crate::image::Image;
use crate::policy::Policy;
use crate::state::{Ids, Secrets};

/// Compiles a policy for a host that has whatever it names. In the image every interface is the loopback and every
/// CPU is one that is online here, so that the kernel takes it for test runs; decisions are the same. Packets arrive on
/// the policy's first interface.
///
/// # Errors
/// A table cannot be built.
pub fn compile(policy: &Policy, secrets: &Secrets, ids: &mut Ids) -> Result<Image, CompileError> {
    let imagined = Imagined::of(policy);
    let mut image = compile_for(policy, imagined.host(), secrets, ids)?;
    // Where the system does not say, the host engine does not ask and the kernel's load does.
    let here = aya::util::online_cpus().ok().and_then(|online| online.first().copied()).unwrap_or(0);
    reachable(&mut image.shards, here);
    let first = policy.interfaces.first().and_then(|first| imagined.interfaces.find(&first.name));
    arrive(&mut image.config, first.map_or(0, |first| first.index));
    Ok(image)
}
