//! A network namespace with interfaces to steer to, so that no test touches those of the machine.

use std::os::unix::fs::MetadataExt;

use keysteer::compile::{Host, compile_for};
use keysteer::image::Image;
use keysteer::kernel::interfaces::{Interface, Interfaces};
use keysteer::kernel::pin_to_cpu;
use keysteer::policy::{self, Policy};
use keysteer::state::{Ids, Secrets};
use keysteer::world::{End, Namespace, veth};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// The interfaces of every lab, besides `lo`: each is one end of a veth pair, the other is `<name>-far`.
pub const INTERFACES: [&str; 4] = ["eth0", "veth-a", "veth-b", "veth-c"];

/// The CPU that a lab's thread stays on.
pub const CPU: usize = 0;

/// The inside of a lab.
#[derive(Debug)]
pub struct Lab {
    namespace: Namespace,
    interfaces: Interfaces,
}

/// The hardware address of the interface with this place in [`INTERFACES`].
pub fn mac(place: usize) -> [u8; 6] {
    [2, 0, 0, 0, 1, u8::try_from(place).unwrap_or(u8::MAX)]
}

/// What stands in the way of a test in the kernel, if anything.
fn obstacle() -> Option<String> {
    match std::fs::metadata("/proc/self") {
        Ok(process) if process.uid() == 0 => None,
        Ok(_) => Some("it needs root: run `cargo xtask test` as root".to_owned()),
        Err(error) => Some(format!("/proc cannot be read: {error}")),
    }
}

/// Has this process open as many files as it may: some thirty programs with two dozen maps each are more than many systems
/// allow at first.
fn allow_files() {
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Without it the first map that is too many says so.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
}

/// Builds a lab and runs `work` in it, on a thread of the namespace that stays on [`CPU`].
///
/// # Errors
/// In words: no root, or what the kernel refused.
pub fn in_lab<T: Send>(work: impl FnOnce(&Lab) -> T + Send) -> Result<T, String> {
    allow_files();
    if let Some(obstacle) = obstacle() {
        return Err(format!("this test runs in the kernel and cannot: {obstacle}"));
    }
    let say = |error: keysteer::world::WorldError| error.to_string();
    let namespace = Namespace::new("lab").map_err(say)?;
    for (place, name) in INTERFACES.into_iter().enumerate() {
        let far = format!("{name}-far");
        let end = |name, mac| End { namespace: &namespace, name, mac };
        veth(end(name, mac(place)), end(&far, mac(place + 128))).map_err(say)?;
        namespace.up(name).map_err(say)?;
        namespace.up(&far).map_err(say)?;
    }
    let inside = || {
        let interfaces = Interfaces::read().map_err(|error| format!("cannot list interfaces: {error}"))?;
        pin_to_cpu(CPU).map_err(|error| error.to_string())?;
        Ok(work(&Lab { namespace: namespace.clone(), interfaces }))
    };
    namespace.run(inside).map_err(say)?
}

/// As [`in_lab`], for tests: a lab that cannot be built is a failed test, never a skipped one.
pub fn lab<T: Send>(work: impl FnOnce(&Lab) -> T + Send) -> T {
    match in_lab(work) {
        Ok(done) => done,
        #[expect(clippy::panic, reason = "only tests call this")]
        Err(why) => panic!("{why}"),
    }
}

impl Lab {
    /// The index of an interface; 0 where there is none of that name.
    pub fn index(&self, name: &str) -> u32 {
        self.interfaces.find(name).map_or(0, |interface| interface.index)
    }

    /// Deletes an interface, as when a container ends.
    ///
    /// # Errors
    /// In words.
    pub fn delete(&self, name: &str) -> Result<(), String> {
        self.namespace.delete(name).map_err(|error| error.to_string())
    }

    /// Checks a policy and compiles it for this lab, always under the same secrets.
    ///
    /// # Errors
    /// In words.
    pub fn compile(&self, text: &str, name: &str) -> Result<(Policy, Image), String> {
        compile(&self.interfaces, text, name)
    }

    /// The interfaces there are.
    pub fn interfaces(&self) -> &Interfaces {
        &self.interfaces
    }
}

/// The interfaces of a lab that is not built, for the host engine alone.
pub fn imagined() -> Interfaces {
    let interface = |(place, name): (usize, &str)| {
        Interface::new(name, u32::try_from(place + 2).unwrap_or(u32::MAX), mac(place))
    };
    Interfaces(INTERFACES.into_iter().enumerate().map(interface).collect())
}

/// Checks a policy and compiles it for a host with these interfaces, always under the same secrets.
///
/// # Errors
/// In words.
pub fn compile(interfaces: &Interfaces, text: &str, name: &str) -> Result<(Policy, Image), String> {
    let policy = policy::parse(text, name, None).map_err(|error| error.to_string())?;
    let host = Host { interfaces, cpus: &[0, 1] };
    let image = compile_for(&policy, host, &Secrets::from_bytes(&SECRETS), &mut Ids::default())
        .map_err(|error| error.to_string())?;
    Ok((policy, image))
}

const SECRETS: [u8; 32] = *b"no secret: tests are repeatable.";
