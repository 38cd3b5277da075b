//! A program with the maps of its policy: as it was loaded, or as another agent left it.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::Path;

use aya::Ebpf;
use aya::maps::Map;
use aya::programs::{ProgramError, ProgramFd, ProgramInfo, SchedClassifier, Xdp};
use aya_obj::programs::XdpAttachType;
use keysteer_common::config::{ABI, Config};
use keysteer_common::headers::Work;
use keysteer_common::pin::Moving;
use keysteer_common::program::{Hook, Program};
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
pub(super) const PINNED: [(&str, &str); 22] = [
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
    (".bss.pods", "pods"),
    (".bss.stamps", "stamps"),
    (".bss.old_tables", "old_tables"),
    (".bss.old_slots", "old_slots"),
    ("MOVES", "moves"),
    ("MOVING", "moving"),
    ("SIGNING", "signing"),
    ("SERVICES", "services"),
    ("WORK", "work"),
    ("DEVICES", "devices"),
    ("DEVICES_TC", "devices_tc"),
    ("CPUS", "cpus"),
];

/// The file that the XDP program is pinned in.
pub(super) const PROGRAM_PIN: &str = "program";
/// The files that the programs for TC are pinned in, of those that there are.
const CLASSIFIER_PINS: [(Hook, &str); 2] = [(Hook::Tc, "program-tc"), (Hook::Back, "program-back")];

/// Where program and maps are held.
#[expect(clippy::large_enum_variant, reason = "a node has three at most")]
pub(super) enum Home {
    /// Loaded by this process: which program of the object is.
    Loaded(Ebpf, Program),
    /// Taken from pins.
    Adopted {
        /// The XDP program.
        program: Xdp,
        /// The programs for TC, of a policy that may need them.
        classifiers: BTreeMap<Hook, SchedClassifier>,
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

    /// The XDP program.
    pub(super) fn xdp(&self) -> Result<&Xdp, KernelError> {
        match self {
            Self::Loaded(ebpf, program) => ebpf
                .program(program.name(Hook::Xdp))
                .ok_or_else(|| no_program(*program, Hook::Xdp))?
                .try_into()
                .map_err(unusable),
            Self::Adopted { program, .. } => Ok(program),
        }
    }

    /// The program for a hook of TC.
    pub(super) fn classifier(&self, hook: Hook) -> Result<&SchedClassifier, KernelError> {
        match self {
            Self::Loaded(ebpf, program) => ebpf
                .program(program.name(hook))
                .ok_or_else(|| no_program(*program, hook))?
                .try_into()
                .map_err(unusable),
            Self::Adopted { classifiers, .. } => {
                classifiers.get(&hook).ok_or_else(|| unusable("it has none for that hook"))
            }
        }
    }

    /// The verified program for a hook.
    pub(super) fn fd(&self, hook: Hook) -> Result<&ProgramFd, KernelError> {
        match hook {
            Hook::Xdp => self.xdp()?.fd(),
            Hook::Tc | Hook::Back => self.classifier(hook)?.fd(),
        }
        .map_err(unusable)
    }

    /// What the kernel says of the verified program for a hook.
    pub(super) fn info(&self, hook: Hook) -> Result<ProgramInfo, KernelError> {
        match hook {
            Hook::Xdp => self.xdp()?.info(),
            Hook::Tc | Hook::Back => self.classifier(hook)?.info(),
        }
        .map_err(|error| KernelError::other("read the program's facts", error))
    }

    /// Ids of the verified programs for the hooks of `shape`.
    pub(super) fn ids(&self, shape: &Shape) -> Result<Vec<u32>, KernelError> {
        shape.hooks().map(|hook| Ok(self.info(hook)?.id())).collect()
    }

    /// Has the kernel verify the program for a hook.
    pub(super) fn verify(&mut self, hook: Hook) -> Result<(), KernelError> {
        let Self::Loaded(ebpf, program) = self else { return Ok(()) };
        let found = ebpf.program_mut(program.name(hook)).ok_or_else(|| no_program(*program, hook))?;
        match hook {
            Hook::Xdp => <&mut Xdp>::try_from(found).and_then(Xdp::load),
            Hook::Tc | Hook::Back => <&mut SchedClassifier>::try_from(found).and_then(SchedClassifier::load),
        }
        .map_err(super::load::program_error)
    }

    /// Pins the program for a hook.
    fn pin_program(&mut self, hook: Hook, path: &Path) -> Result<(), KernelError> {
        let Self::Loaded(ebpf, program) = self else { return Err(unusable("it is pinned already")) };
        let found = ebpf.program_mut(program.name(hook)).ok_or_else(|| no_program(*program, hook))?;
        match hook {
            Hook::Xdp => <&mut Xdp>::try_from(found).map_err(unusable)?.pin(path),
            Hook::Tc | Hook::Back => <&mut SchedClassifier>::try_from(found).map_err(unusable)?.pin(path),
        }
        .map_err(|error| KernelError::other("pin a program", error))
    }
}

fn no_program(program: Program, hook: Hook) -> KernelError {
    KernelError::Object { what: format!("program {}", program.name(hook)) }
}

fn unusable(error: impl std::fmt::Display) -> KernelError {
    KernelError::other("use the program", error)
}

impl Home {
    /// Pins programs and maps in `directory`, which is there and empty. The XDP program comes last: a directory without it
    /// was never completed.
    pub(super) fn pin(&mut self, directory: &Path, shape: &Shape) -> Result<(), KernelError> {
        let failed = |error: &dyn std::fmt::Display| KernelError::other("pin a generation", error);
        for (name, file) in PINNED {
            let map = self.map(name).ok_or_else(|| KernelError::Object { what: format!("map {name}") })?;
            map.pin(directory.join(file)).map_err(|error| failed(&error))?;
        }
        for (hook, file) in CLASSIFIER_PINS {
            if shape.hooks().any(|it| it == hook) {
                self.pin_program(hook, &directory.join(file))?;
            }
        }
        self.pin_program(Hook::Xdp, &directory.join(PROGRAM_PIN))
    }

    /// Program and maps from the pins in `directory`, each checked, with the program's shape.
    pub(super) fn adopt(directory: &Path) -> Result<(Self, Shape), KernelError> {
        let mut maps = BTreeMap::new();
        let mut config = None;
        let (mut services, mut devices, mut moves, mut units) = (0, 0, 0, 0);
        for (name, file) in PINNED {
            let path = directory.join(file);
            let value = match name {
                CONSTANTS => Some(size_of::<Config>()),
                "SERVICES" => Some(size_of::<ServiceSet>()),
                "WORK" => Some(size_of::<Work>()),
                "MOVES" => Some(size_of::<u64>()),
                "MOVING" => Some(size_of::<Moving>()),
                "DEVICES" | "DEVICES_TC" | "CPUS" => Some(8),
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
                "MOVES" => moves = entries,
                "MOVING" => units = entries,
                _ => {}
            }
            maps.insert(name, map);
        }
        let path = directory.join(PROGRAM_PIN);
        let program = Xdp::from_pin(&path, XdpAttachType::Interface)
            .map_err(|error| PinError::strange(&path, error.to_string()))?;
        let config = config.ok_or_else(|| PinError::strange(directory, "no constants"))?;
        // Any object can be opened as a program; what the kernel says of another makes no such name.
        let check = |path: &Path, info: Result<ProgramInfo, ProgramError>, hook| {
            let info = info.map_err(|error| PinError::strange(path, error.to_string()))?;
            // The kernel keeps fifteen bytes of a name.
            let name = Program::of(&config).name(hook);
            if info.name_as_str() == Some(name.get(..15).unwrap_or(name)) {
                return Ok(());
            }
            Err(PinError::strange(path, format!("it is no program {name}")))
        };
        check(&path, program.info(), Hook::Xdp)?;
        let mut classifiers = BTreeMap::new();
        for (hook, file) in CLASSIFIER_PINS {
            let path = directory.join(file);
            if path.exists() {
                let program = SchedClassifier::from_pin(&path)
                    .map_err(|error| PinError::strange(&path, error.to_string()))?;
                check(&path, program.info(), hook)?;
                classifiers.insert(hook, program);
            }
        }
        if config.abi != ABI {
            return Err(PinError::strange(directory, format!("ABI version {}", config.abi)).into());
        }
        let shape = Shape {
            config,
            services,
            devices,
            moves,
            units,
            pins: 1,
            tc: classifiers.contains_key(&Hook::Tc),
        };
        Ok((Self::Adopted { program, classifiers, maps }, shape))
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
