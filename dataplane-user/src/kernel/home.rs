//! A program with the maps of its policy: as it was loaded, or as another agent left it.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::Path;

use aya::Ebpf;
use aya::maps::Map;
use aya::programs::Xdp;
use aya_obj::programs::XdpAttachType;
use keysteer_common::config::{ABI, Config};
use keysteer_common::headers::Work;
use keysteer_common::program::Program;
use keysteer_common::shared::from_bytes;
use keysteer_common::tables::ServiceSet;

use super::counter_set::open_map;
use super::load::Shape;
use super::pins::PinError;
use super::tables::KEYS_MAP;
use super::{KernelError, sys};

/// The map of the constants.
pub(super) const CONSTANTS: &str = ".rodata";

/// The maps of a policy by their names in the object, and the file that each is pinned in.
pub(super) const PINNED: [(&str, &str); 15] = [
    (CONSTANTS, "constants"),
    (".bss.prefix_index", "prefix_index"),
    (".bss.prefix_steps", "prefix_steps"),
    (".bss.prefix_low", "prefix_low"),
    (KEYS_MAP, "keys"),
    (".bss.keys_high", "keys_high"),
    (".bss.slot_tables", "slot_tables"),
    (".bss.slots", "slots"),
    (".bss.shards", "shards"),
    (".bss.pairs", "pairs"),
    ("SIGNING", "signing"),
    ("SERVICES", "services"),
    ("WORK", "work"),
    ("DEVICES", "devices"),
    ("CPUS", "cpus"),
];

/// The file that the program is pinned in.
pub(super) const PROGRAM_PIN: &str = "program";

/// Where program and maps are held.
#[expect(clippy::large_enum_variant, reason = "a node has three at most")]
pub(super) enum Home {
    /// Loaded by this process: which program of the object is.
    Loaded(Ebpf, Program),
    /// Taken from pins.
    Adopted {
        /// The program.
        program: Xdp,
        /// Its maps, by their names in the object.
        maps: BTreeMap<&'static str, Map>,
    },
}

impl Home {
    /// A map by its name in the object.
    pub(super) fn map(&self, name: &str) -> Option<&Map> {
        match self {
            Self::Loaded(ebpf, _) => ebpf.map(name),
            Self::Adopted { maps, .. } => maps.get(name),
        }
    }

    /// All maps.
    pub(super) fn maps<'s>(&'s self) -> Box<dyn Iterator<Item = (&'s str, &'s Map)> + 's> {
        match self {
            Self::Loaded(ebpf, _) => Box::new(ebpf.maps()),
            Self::Adopted { maps, .. } => Box::new(maps.iter().map(|(name, map)| (*name, map))),
        }
    }

    /// The program.
    pub(super) fn xdp(&self) -> Result<&Xdp, KernelError> {
        match self {
            Self::Loaded(ebpf, program) => ebpf
                .program(program.name())
                .ok_or_else(|| no_program(*program))?
                .try_into()
                .map_err(|error| KernelError::other("use the program", error)),
            Self::Adopted { program, .. } => Ok(program),
        }
    }

    /// The program, to be changed.
    pub(super) fn xdp_mut(&mut self) -> Result<&mut Xdp, KernelError> {
        match self {
            Self::Loaded(ebpf, program) => ebpf
                .program_mut(program.name())
                .ok_or_else(|| no_program(*program))?
                .try_into()
                .map_err(|error| KernelError::other("use the program", error)),
            Self::Adopted { program, .. } => Ok(program),
        }
    }
}

fn no_program(program: Program) -> KernelError {
    KernelError::Object { what: format!("program {}", program.name()) }
}

impl Home {
    /// Pins program and maps in `directory`, which is there and empty. The program comes last: a directory without it
    /// was never completed.
    pub(super) fn pin(&mut self, directory: &Path) -> Result<(), KernelError> {
        let failed = |error: &dyn std::fmt::Display| KernelError::other("pin a generation", error);
        for (name, file) in PINNED {
            let map = self.map(name).ok_or_else(|| KernelError::Object { what: format!("map {name}") })?;
            map.pin(directory.join(file)).map_err(|error| failed(&error))?;
        }
        let program = directory.join(PROGRAM_PIN);
        self.xdp_mut()?.pin(program).map_err(|error| KernelError::other("pin a program", error))
    }

    /// Program and maps from the pins in `directory`, each checked, with the program's shape.
    pub(super) fn adopt(directory: &Path) -> Result<(Self, Shape), KernelError> {
        let mut maps = BTreeMap::new();
        let mut config = None;
        let (mut services, mut devices) = (0, 0);
        for (name, file) in PINNED {
            let path = directory.join(file);
            let value = match name {
                CONSTANTS => Some(size_of::<Config>()),
                "SERVICES" => Some(size_of::<ServiceSet>()),
                "WORK" => Some(size_of::<Work>()),
                "DEVICES" | "CPUS" => Some(8),
                _ => None,
            };
            let (map, entries) = open_map(&path, name, value)?;
            if name.starts_with('.') && entries != 1 {
                return Err(PinError::strange(&path, format!("{entries} entries")).into());
            }
            match name {
                CONSTANTS => config = Some(constants(&map, &path)?),
                "SERVICES" => services = entries,
                "DEVICES" => devices = entries,
                _ => {}
            }
            maps.insert(name, map);
        }
        let path = directory.join(PROGRAM_PIN);
        let program = Xdp::from_pin(&path, XdpAttachType::Interface)
            .map_err(|error| PinError::strange(&path, error.to_string()))?;
        // Any object can be opened as a program; what the kernel says of another makes no such name.
        let info = program.info().map_err(|error| PinError::strange(&path, error.to_string()))?;
        let config = config.ok_or_else(|| PinError::strange(directory, "no constants"))?;
        let name = Program::of(&config).name();
        if info.name_as_str() != Some(name) {
            return Err(PinError::strange(&path, format!("it is no program {name}")).into());
        }
        if config.abi != ABI {
            return Err(PinError::strange(directory, format!("ABI version {}", config.abi)).into());
        }
        Ok((Self::Adopted { program, maps }, Shape { config, services, devices }))
    }
}

/// The constants in their map.
fn constants(map: &Map, path: &Path) -> Result<Config, KernelError> {
    let Map::Array(data) = map else { return Err(PinError::strange(path, "no array").into()) };
    let mut bytes = vec![0; size_of::<Config>()];
    sys::read_value(data.fd().as_fd(), &mut bytes)
        .map_err(|error| PinError::strange(path, error.to_string()))?;
    from_bytes(&bytes).ok_or_else(|| PinError::strange(path, "no constants").into())
}
