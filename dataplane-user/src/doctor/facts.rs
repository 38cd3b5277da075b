//! What is read of the host, in this process's network namespace.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aya::util::KernelVersion;

use crate::agent::privilege;
use crate::kernel::addresses::{Address, Neighbour, addresses, neighbours};
use crate::kernel::features::Features;
use crate::kernel::foreign_program;
use crate::kernel::interfaces::Interfaces;
use crate::kernel::pins::is_bpf;
use crate::kernel::xdp_features::{self, XdpFeatures};
use crate::policy::{Policy, Target};

/// Something of the host, or why it cannot be known.
pub type Known<T> = Result<T, String>;

/// Where sysctls of the namespace are.
const SYSCTLS: &str = "/proc/sys/net";
/// The sysctls of an interface that are looked at, below `FAMILY/conf/INTERFACE`.
const OF_INTERFACE: [(&str, &str); 6] = [
    ("ipv4", "rp_filter"),
    ("ipv4", "accept_local"),
    ("ipv4", "forwarding"),
    ("ipv4", "arp_ignore"),
    ("ipv4", "arp_announce"),
    ("ipv6", "forwarding"),
];
/// How the names of keysteer's programs begin.
const OURS: &str = "keysteer_";

/// The host.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The kernel's version, major and minor.
    pub kernel: Known<(u32, u32)>,
    /// Whether programs are attached to TC by links.
    pub tcx: bool,
    /// Whether the kernel describes its types.
    pub btf: bool,
    /// Whether programs are compiled.
    pub jit: Known<bool>,
    /// Where an agent pins.
    pub pins: PathBuf,
    /// Whether that is on a BPF file system.
    pub bpffs: Known<bool>,
    /// The capabilities that this process lacks.
    pub lacks: Vec<&'static str>,
    /// The interfaces.
    pub interfaces: Interfaces,
    /// By name, what interfaces that matter do by themselves.
    pub features: BTreeMap<String, Features>,
    /// By index, what drivers can do with XDP.
    pub xdp: Known<BTreeMap<u32, XdpFeatures>>,
    /// By index, others' XDP programs.
    pub programs: BTreeMap<u32, Known<String>>,
    /// The interfaces' addresses.
    pub addresses: Known<Vec<Address>>,
    /// Neighbours.
    pub neighbours: Known<Vec<Neighbour>>,
    /// Sysctls, by their path below `/proc/sys/net`.
    pub sysctls: BTreeMap<String, u32>,
    /// Whether connections are tracked in this namespace.
    pub conntrack: bool,
}

impl Facts {
    /// Reads what matters to `policy`, and to an agent that pins in `pins`.
    ///
    /// # Errors
    /// The kernel does not list interfaces.
    pub fn gather(policy: Option<&Policy>, pins: &Path) -> io::Result<Self> {
        let interfaces = Interfaces::read()?;
        let matter = policy.map(|policy| named(policy, &interfaces)).unwrap_or_default();
        let features =
            matter.iter().filter_map(|name| Some((name.clone(), Features::read(name).ok()?))).collect();
        let programs = matter.iter().filter_map(|name| interfaces.find(name)).filter_map(|interface| {
            let others = match foreign_program(interface.index) {
                Ok(program) => Ok(program.filter(|it| !it.name.starts_with(OURS))?.to_string()),
                Err(error) => Err(error.to_string()),
            };
            Some((interface.index, others))
        });
        let text = |error: io::Error| error.to_string();
        Ok(Self {
            kernel: KernelVersion::current()
                .map(|version| (version.code() >> 16, version.code() >> 8 & 0xff))
                .map_err(|error| error.to_string()),
            tcx: crate::kernel::has_tcx(),
            btf: Path::new("/sys/kernel/btf/vmlinux").exists(),
            jit: fs::read_to_string(format!("{SYSCTLS}/core/bpf_jit_enable"))
                .map(|text| text.trim() != "0")
                .map_err(|error| match error.kind() {
                    io::ErrorKind::NotFound => "only the first network namespace shows it".to_owned(),
                    _ => text(error),
                }),
            pins: pins.to_owned(),
            bpffs: is_bpf(pins).map_err(|error| error.to_string()),
            lacks: privilege::check().err().map(|error| error.missing).unwrap_or_default(),
            features,
            xdp: xdp_features::read().map_err(text),
            programs: programs.collect(),
            addresses: addresses().map_err(text),
            neighbours: neighbours().map_err(text),
            sysctls: sysctls(&matter),
            conntrack: Path::new(SYSCTLS).join("netfilter/nf_conntrack_count").exists(),
            interfaces,
        })
    }

    /// A sysctl's value.
    pub(super) fn sysctl(&self, name: &str) -> Known<u32> {
        self.sysctls.get(name).copied().ok_or_else(|| format!("{SYSCTLS}/{name} cannot be read"))
    }

    /// What holds for an interface of a sysctl of which the greater of `all` and its own does.
    pub(super) fn greater(&self, family: &str, interface: &str, name: &str) -> Known<u32> {
        let all = self.sysctl(&format!("{family}/conf/all/{name}"))?;
        Ok(all.max(self.sysctl(&format!("{family}/conf/{interface}/{name}"))?))
    }
}

/// The names of the interfaces that a policy names, and of what those are on and part of.
fn named(policy: &Policy, interfaces: &Interfaces) -> BTreeSet<String> {
    let steered = policy.interfaces.iter().map(|it| &it.name);
    let exits = policy.shards.iter().filter_map(|shard| match &shard.target {
        Target::Interface { interface, .. } | Target::NextHop { interface, .. } => Some(interface),
        Target::Pass | Target::Drop | Target::Cpu(_) => None,
    });
    let mut names: BTreeSet<String> = steered.chain(exits).cloned().collect();
    let devices = crate::compile::devices(policy, interfaces).unwrap_or_default();
    for device in devices {
        let parts = crate::compile::parts(interfaces, &device.interface);
        names.extend(parts.map(|part| part.name.clone()));
        names.insert(device.interface.name);
    }
    names
}

fn sysctls(interfaces: &BTreeSet<String>) -> BTreeMap<String, u32> {
    let all = "all".to_owned();
    let of =
        |interface: &String| OF_INTERFACE.map(|(family, name)| format!("{family}/conf/{interface}/{name}"));
    let names = [&all].into_iter().chain(interfaces).flat_map(of);
    let read = |name: String| {
        let value = fs::read_to_string(format!("{SYSCTLS}/{name}")).ok()?;
        Some((name, value.trim().parse().ok()?))
    };
    names.filter_map(read).collect()
}
