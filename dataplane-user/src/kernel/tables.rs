//! The policy's tables as the program reads them: by address.
//!
//! Each is a section of the object (`.bss.keys` and so on), which becomes an array map of one entry that
//! holds the whole table. Its size is its section's, so it is set in the object before that is loaded: a power
//! of two, because the program keeps its offsets inside with a mask ([`Bounds`]).

use std::borrow::Cow;
use std::io;
use std::os::fd::AsFd;

use aya::Ebpf;
use aya::maps::{Map, MapData};
use keysteer_common::config::Bounds;
use keysteer_common::shared::{bytes_of, from_bytes};
use keysteer_common::tables::KeyEntry;
use object::elf::{FileHeader64, SHT_NOBITS, SectionHeader64};
use object::pod::slice_from_bytes_mut;
use object::read::elf::{FileHeader, SectionHeader};
use object::{LittleEndian, U64};

use super::{KernelError, sys};
use crate::image::Image;

/// The verifier follows offsets into a map value up to here (`BPF_MAX_VAR_OFF`, Linux 5.2).
const LARGEST: u64 = 1 << 29;

/// Why an object could not be given the tables' sizes: it is not ours.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResizeError {
    /// Not a little-endian ELF file of 64 bits.
    #[error("not an eBPF object: {0}")]
    Format(#[from] object::Error),
    /// A table's section is not there, or holds something.
    #[error("no empty section {0}")]
    Section(&'static str),
}

/// How many tables there are.
const TABLES: usize = 13;

/// The sections, in the order of [`Bounds`].
const SECTIONS: [&str; TABLES] = [
    ".bss.prefix_index",
    ".bss.prefix_steps",
    ".bss.prefix_low",
    KEYS_MAP,
    ".bss.keys_high",
    ".bss.slot_tables",
    ".bss.slots",
    ".bss.shards",
    ".bss.pairs",
    ".bss.pods",
    ".bss.stamps",
    ".bss.old_tables",
    ".bss.old_slots",
];

/// The tables' sizes, in the order of [`Bounds`].
pub(super) fn sizes(bounds: &Bounds) -> [u32; TABLES] {
    let Bounds {
        prefix_index,
        prefix_steps,
        prefix_low,
        keys,
        keys_high,
        slot_tables,
        slots,
        shards,
        pairs,
        pods,
        stamps,
        old_tables,
        old_slots,
        _pad: _,
    } = *bounds;
    [
        prefix_index,
        prefix_steps,
        prefix_low,
        keys,
        keys_high,
        slot_tables,
        slots,
        shards,
        pairs,
        pods,
        stamps,
        old_tables,
        old_slots,
    ]
    .map(|bound| bound.saturating_add(1))
}

/// One table.
struct Table<'a> {
    section: &'static str,
    contents: &'a [u8],
    size: u32,
}

/// All tables of an image, in the order of [`Bounds`].
pub(super) struct Tables<'a>([Table<'a>; TABLES]);

impl<'a> Tables<'a> {
    /// The tables of `image`.
    ///
    /// # Errors
    /// One is larger than a program can reach.
    pub(super) fn of(image: &'a Image) -> Result<Self, KernelError> {
        Ok(Self([
            table(0, bytes_of(&image.prefix_index), size_of::<u64>())?,
            table(1, bytes_of(&image.prefix_steps), 16)?,
            table(2, bytes_of(&image.prefix_low), size_of::<u64>())?,
            table(3, bytes_of(&image.keys), 16)?,
            table(4, bytes_of(&image.keys_high), size_of::<u64>())?,
            table(5, bytes_of(&image.slot_tables), size_of::<u64>())?,
            table(6, bytes_of(&image.slots), size_of::<u64>())?,
            table(7, bytes_of(&image.shards), 32)?,
            table(8, bytes_of(&image.pairs), size_of::<u64>())?,
            table(9, bytes_of(&image.pods), 32)?,
            table(10, bytes_of(&image.stamps), size_of::<u64>())?,
            table(11, bytes_of(&image.moves.tables), 16)?,
            table(12, bytes_of(&image.moves.slots), size_of::<u64>())?,
        ]))
    }

    /// What a program masks its offsets with where there are no tables at all.
    pub(super) fn none() -> Bounds {
        Tables::of(&Image::default()).map(|tables| tables.bounds()).unwrap_or_default()
    }

    /// What the program masks its offsets with.
    pub(super) fn bounds(&self) -> Bounds {
        let [
            prefix_index,
            prefix_steps,
            prefix_low,
            keys,
            keys_high,
            slot_tables,
            slots,
            shards,
            pairs,
            pods,
            stamps,
            old_tables,
            old_slots,
        ] = self.0.each_ref().map(|table| table.size - 1);
        Bounds {
            prefix_index,
            prefix_steps,
            prefix_low,
            keys,
            keys_high,
            slot_tables,
            slots,
            shards,
            pairs,
            pods,
            stamps,
            old_tables,
            old_slots,
            _pad: 0,
        }
    }

    /// Copies the tables into their maps; fails with the map's name.
    pub(super) fn fill(&self, ebpf: &Ebpf) -> Result<(), (&'static str, io::Error)> {
        for table in &self.0 {
            let Some(Map::Array(map)) = ebpf.map(table.section) else {
                return Err((table.section, io::ErrorKind::NotFound.into()));
            };
            let padded = || {
                let mut value = table.contents.to_vec();
                value.resize(table.size as usize, 0);
                Cow::Owned(value)
            };
            let whole = table.contents.len() == table.size as usize;
            let value = if whole { Cow::Borrowed(table.contents) } else { padded() };
            sys::write_value(map.fd().as_fd(), &value).map_err(|cause| (table.section, cause))?;
        }
        Ok(())
    }
}

/// Gives the tables' sections of `object`, which hold nothing, their sizes.
///
/// # Errors
/// The object is not keysteer's.
pub(super) fn resize(object: &mut [u8], bounds: &Bounds) -> Result<(), ResizeError> {
    let (headers, count, found) = {
        let header = FileHeader64::<LittleEndian>::parse(&*object)?;
        let sections = header.sections(LittleEndian, &*object)?;
        let find = |name: &str| {
            sections.enumerate().find_map(|(index, section)| {
                let named =
                    sections.section_name(LittleEndian, section).is_ok_and(|it| it == name.as_bytes());
                (named && section.sh_type(LittleEndian) == SHT_NOBITS).then_some(index.0)
            })
        };
        let mut sizes = sizes(bounds).into_iter();
        let found = SECTIONS.map(|section| (find(section), section, sizes.next().unwrap_or_default()));
        (header.e_shoff.get(LittleEndian), sections.len(), found)
    };
    let headers = usize::try_from(headers).ok().and_then(|from| object.get_mut(from..)).unwrap_or_default();
    let headers = slice_from_bytes_mut::<SectionHeader64<LittleEndian>>(headers, count).map(|(it, _)| it);
    let headers = headers.unwrap_or_default();
    for (index, section, size) in found {
        let header = index.and_then(|index| headers.get_mut(index)).ok_or(ResizeError::Section(section))?;
        header.sh_size = U64::new(LittleEndian, u64::from(size));
    }
    Ok(())
}

/// Name of the map of keys, as the kernel knows it.
pub const KEYS_MAP: &str = ".bss.keys";

/// Changes the entries of a loaded program's map of keys, found by its id: for tests that must see a wrong entry.
///
/// # Errors
/// There is no such map, or it cannot be read or written.
pub fn change_keys(map: u32, mut change: impl FnMut(&mut KeyEntry)) -> Result<(), KernelError> {
    let failed = |cause| KernelError::Map { operation: "change", map: KEYS_MAP, megabytes: 0, cause };
    let data = MapData::from_id(map).map_err(|error| failed(io::Error::other(error)))?;
    let info = data.info().map_err(|error| failed(io::Error::other(error)))?;
    let mut value = vec![0; info.value_size() as usize];
    sys::read_value(data.fd().as_fd(), &mut value).map_err(failed)?;
    for bytes in value.chunks_exact_mut(size_of::<KeyEntry>()) {
        if let Some(mut entry) = from_bytes::<KeyEntry>(bytes) {
            change(&mut entry);
            bytes.copy_from_slice(bytes_of(std::slice::from_ref(&entry)));
        }
    }
    sys::write_value(data.fd().as_fd(), &value).map_err(failed)
}

/// A table of at least one entry of `entry` bytes.
fn table(at: usize, contents: &[u8], entry: usize) -> Result<Table<'_>, KernelError> {
    let section = SECTIONS[at];
    let size = contents.len().max(entry).next_power_of_two();
    match u32::try_from(size) {
        Ok(size) if u64::from(size) <= LARGEST => Ok(Table { section, contents, size }),
        _ => Err(KernelError::Map {
            operation: "create",
            map: section,
            megabytes: size >> 20,
            cause: io::Error::other("a program reaches 512 MiB at most"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_powers_of_two_that_hold_the_tables() {
        let image = Image { keys: vec![KeyEntry::default(); 5], slots: vec![0; 3], ..Image::default() };
        let bounds = Tables::of(&image).unwrap().bounds();
        assert_eq!((bounds.keys, bounds.slots, bounds.shards), (127, 7, 31));
    }

    #[test]
    fn what_is_no_object_of_ours_is_refused_by_name() {
        let bounds = Bounds::default();
        let mut garbage = vec![0; 256];
        assert!(matches!(resize(&mut garbage, &bounds), Err(ResizeError::Format(_))));
        // The benchmark's object has no tables.
        let mut other = include_bytes!("../../../dataplane-ebpf/object/bench.bpf.o").to_vec();
        let error = resize(&mut other, &bounds).unwrap_err();
        assert_eq!(error.to_string(), "no empty section .bss.prefix_index");
    }
}
