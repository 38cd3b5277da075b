//! Array maps as memory.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use keysteer_common::shared::{Shared, bytes_of};

use super::{bpf, owned};

/// `BPF_MAP_CREATE` of bpf(2).
const BPF_MAP_CREATE: libc::c_long = 0;
/// `BPF_MAP_TYPE_ARRAY`
const ARRAY: u32 = 2;
/// `BPF_F_MMAPABLE`
const MMAPABLE: u32 = 1 << 10;
/// The part of `union bpf_attr` that making a map uses.
#[repr(C)]
#[derive(Default)]
struct MapAttr {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
}

/// Copies `values` to the start of an mmapable array map (`BPF_F_MMAPABLE`).
///
/// The map must have been made with at least `values.len()` entries of `size_of::<T>()` bytes, a
/// multiple of 8 (the kernel's element stride).
pub(in crate::kernel) fn fill_array<T: Shared>(map: BorrowedFd<'_>, values: &[T]) -> io::Result<()> {
    const { assert!(size_of::<T>().is_multiple_of(8), "the kernel rounds elements up to 8 bytes") };
    let bytes = bytes_of(values);
    if bytes.is_empty() {
        return Ok(());
    }
    // SAFETY: a new shared mapping at an address of the kernel's choice; it fails unless the map is
    // mmapable and at least this long.
    let memory = unsafe {
        libc::mmap(
            ptr::null_mut(),
            bytes.len(),
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            map.as_raw_fd(),
            0,
        )
    };
    if memory == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the mapping is `bytes.len()` long, writable and ours alone; the two do not overlap. The
    // kernel reads it concurrently only once a program that uses the map is attached, which is later.
    unsafe {
        ptr::copy_nonoverlapping(bytes.as_ptr(), memory.cast::<u8>(), bytes.len());
        libc::munmap(memory, bytes.len());
    }
    Ok(())
}

/// Makes an array map with one value of `size` bytes that can be mapped into memory.
pub(in crate::kernel) fn create_mapped_array(size: usize) -> io::Result<OwnedFd> {
    let value_size = u32::try_from(size).map_err(io::Error::other)?;
    let mut attr = MapAttr { map_type: ARRAY, key_size: 4, value_size, max_entries: 1, map_flags: MMAPABLE };
    // SAFETY: the attributes of a map have no addresses; the answer is a new descriptor.
    unsafe { bpf(BPF_MAP_CREATE, &mut attr).map(|fd| owned(fd)) }
}

/// The beginning of an array map, mapped for reading.
#[derive(Debug)]
pub(in crate::kernel) struct Mapping {
    memory: ptr::NonNull<u8>,
    bytes: usize,
}

impl Mapping {
    /// Maps the first `bytes` bytes of `map`, which must be mmapable and so long.
    pub(in crate::kernel) fn new(map: BorrowedFd<'_>, bytes: usize) -> io::Result<Self> {
        // SAFETY: a new mapping at an address of the kernel's choice, which fails unless the map is mmapable
        // and at least this long. It keeps the map alive.
        let memory = unsafe {
            libc::mmap(ptr::null_mut(), bytes, libc::PROT_READ, libc::MAP_SHARED, map.as_raw_fd(), 0)
        };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        match ptr::NonNull::new(memory.cast()) {
            Some(memory) => Ok(Self { memory, bytes }),
            None => Err(io::Error::other("a map was mapped at address 0")),
        }
    }

    /// The value that is there now. The kernel must not be writing it: nobody runs the program that does.
    pub(in crate::kernel) fn read<T: Shared>(&self) -> T {
        assert!(size_of::<T>() <= self.bytes, "a mapping shorter than what is read from it");
        // SAFETY: the mapping is of `bytes` bytes, page-aligned, and any bytes are a `T` (`Shared`); volatile,
        // because the kernel has changed it since it was last read.
        unsafe { self.memory.as_ptr().cast::<T>().read_volatile() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` made, which nobody uses any more.
        unsafe { libc::munmap(self.memory.as_ptr().cast(), self.bytes) };
    }
}

/// Words of an array map, which programs read while they are written.
#[derive(Debug)]
pub(in crate::kernel) struct Words {
    memory: ptr::NonNull<AtomicU64>,
    words: usize,
}

// SAFETY: the mapping belongs to the process, and its words are read and written as atomics alone.
unsafe impl Send for Words {}

impl Words {
    /// Maps the first `words` entries of `map`, which must be mmapable and have as many, of 8 bytes.
    pub(in crate::kernel) fn new(map: BorrowedFd<'_>, words: usize) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new shared mapping at an address of the kernel's choice; it fails unless the map is mmapable and at least this long.
        let memory = unsafe {
            libc::mmap(ptr::null_mut(), words * 8, protection, libc::MAP_SHARED, map.as_raw_fd(), 0)
        };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        match ptr::NonNull::new(memory.cast()) {
            Some(memory) => Ok(Self { memory, words }),
            None => Err(io::Error::other("a map was mapped at address 0")),
        }
    }

    fn word(&self, at: usize) -> Option<&AtomicU64> {
        // SAFETY: inside the mapping, which is page-aligned and lives as long as `self`; a program reads whole words.
        (at < self.words).then(|| unsafe { self.memory.add(at).as_ref() })
    }

    /// The word at an index; 0 beyond.
    pub(in crate::kernel) fn load(&self, at: usize) -> u64 {
        self.word(at).map_or(0, |word| word.load(Ordering::Acquire))
    }

    /// Writes the word at an index at once; beyond, nothing.
    pub(in crate::kernel) fn store(&self, at: usize, value: u64) {
        if let Some(word) = self.word(at) {
            word.store(value, Ordering::Release);
        }
    }

    /// Sets bits of the word at an index at once; beyond, nothing.
    pub(in crate::kernel) fn set(&self, at: usize, bits: u64) {
        if let Some(word) = self.word(at) {
            word.fetch_or(bits, Ordering::Relaxed);
        }
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` made, which nobody uses any more.
        unsafe { libc::munmap(self.memory.as_ptr().cast(), self.words * 8) };
    }
}
