//! Raw bpf(2) and mmap(2), for what aya does not offer: filling arrays by memory copy, reading arrays
//! in batches, links that are pinned and updated, test runs without copies.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use keysteer_common::shared::{Shared, bytes_of};

/// `BPF_MAP_LOOKUP_BATCH` of bpf(2) (Linux 5.6; per-CPU arrays 5.13).
const BPF_MAP_LOOKUP_BATCH: libc::c_long = 24;

/// The part of `union bpf_attr` that batches use.
#[repr(C)]
#[derive(Default)]
struct BatchAttr {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

/// Copies `values` to the start of an mmapable array map (`BPF_F_MMAPABLE`).
///
/// The map must have been made with at least `values.len()` entries of `size_of::<T>()` bytes, a
/// multiple of 8 (the kernel's element stride).
pub(super) fn fill_array<T: Shared>(map: BorrowedFd<'_>, values: &[T]) -> io::Result<()> {
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

/// `BPF_MAP_LOOKUP_ELEM` of bpf(2).
const BPF_MAP_LOOKUP_ELEM: libc::c_long = 1;
/// `BPF_MAP_UPDATE_ELEM` of bpf(2).
const BPF_MAP_UPDATE_ELEM: libc::c_long = 2;

/// The part of `union bpf_attr` that an update uses.
#[repr(C)]
struct ElementAttr {
    map_fd: u32,
    _pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// Writes the only entry of an array map whose value is `value.len()` bytes, a multiple of 8.
pub(super) fn write_value(map: BorrowedFd<'_>, value: &[u8]) -> io::Result<()> {
    let answer = element(BPF_MAP_UPDATE_ELEM, map, value.as_ptr() as u64);
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reads the only entry of an array map whose value is `value.len()` bytes, a multiple of 8.
pub(super) fn read_value(map: BorrowedFd<'_>, value: &mut [u8]) -> io::Result<()> {
    let answer = element(BPF_MAP_LOOKUP_ELEM, map, value.as_mut_ptr() as u64);
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// One command on entry 0; `value` is the address of as many bytes as the map's value has, which the command
/// reads or writes.
fn element(command: libc::c_long, map: BorrowedFd<'_>, value: u64) -> libc::c_long {
    let key = 0_u32;
    let mut attr = ElementAttr {
        map_fd: map.as_raw_fd().unsigned_abs(),
        _pad: 0,
        key: &raw const key as u64,
        value,
        flags: 0,
    };
    // SAFETY: `attr` is laid out as the kernel's and outlives the call; it points to a u32 key and to the buffer
    // that the callers above have borrowed, writable where the command writes.
    unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut attr, size_of::<ElementAttr>()) }
}

/// Reads the first `entries` values of an array, `stride` bytes each (of a per-CPU one all CPUs' values).
pub(super) fn read_batch(map: BorrowedFd<'_>, entries: u32, stride: usize) -> io::Result<Vec<u8>> {
    let mut values = vec![0_u8; entries as usize * stride];
    let mut keys = vec![0_u32; entries as usize];
    let mut next = 0_u32;
    let mut done = 0_u32;
    while done < entries {
        let mut attr = BatchAttr {
            in_batch: if done == 0 { 0 } else { &raw const next as u64 },
            out_batch: &raw mut next as u64,
            keys: keys.as_mut_ptr().wrapping_add(done as usize) as u64,
            values: values.as_mut_ptr().wrapping_add(done as usize * stride) as u64,
            count: entries - done,
            map_fd: map.as_raw_fd().unsigned_abs(),
            ..BatchAttr::default()
        };
        // SAFETY: `attr` is laid out as the kernel's and outlives the call; its pointers are to buffers
        // that hold `count` keys and `count` values of `stride` bytes, the map's per-CPU value size.
        let answer = unsafe {
            libc::syscall(libc::SYS_bpf, BPF_MAP_LOOKUP_BATCH, &raw mut attr, size_of::<BatchAttr>())
        };
        done += attr.count;
        if answer != 0 {
            let error = io::Error::last_os_error();
            // ENOENT: that was the last entry.
            if error.raw_os_error() == Some(libc::ENOENT) && done == entries {
                break;
            }
            return Err(error);
        }
    }
    Ok(values)
}

/// Commands of bpf(2) on links and pins.
const BPF_OBJ_PIN: libc::c_long = 6;
const BPF_OBJ_GET: libc::c_long = 7;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_LINK_UPDATE: libc::c_long = 29;
/// `BPF_XDP` of `enum bpf_attach_type`.
pub(super) const BPF_XDP: u32 = 37;
/// `BPF_TCX_INGRESS` of the same (Linux 6.6).
pub(super) const BPF_TCX_INGRESS: u32 = 46;
/// `BPF_TCX_EGRESS` of the same.
pub(super) const BPF_TCX_EGRESS: u32 = 47;
/// `BPF_LINK_TYPE_TCX` of `enum bpf_link_type`.
pub(super) const LINK_TCX: u32 = 11;

/// Attaches a program to interface `index` by a link: to XDP with `XDP_FLAGS_*_MODE`, or to TC.
pub(super) fn create_link(
    program: BorrowedFd<'_>,
    index: u32,
    attach_type: u32,
    flags: u32,
) -> io::Result<OwnedFd> {
    let mut attr = [program.as_raw_fd().unsigned_abs(), index, attach_type, flags];
    // SAFETY: `prog_fd`, `target_ifindex`, `attach_type`, `flags` of `link_create`; the answer is a new descriptor.
    unsafe { bpf(BPF_LINK_CREATE, &mut attr).map(|fd| owned(fd)) }
}

/// `BPF_PROG_QUERY` of bpf(2).
const BPF_PROG_QUERY: libc::c_long = 16;

/// How many programs are attached at TC ingress of interface `index` (TCX, Linux 6.6).
pub(super) fn count_at_tc(index: u32) -> io::Result<u32> {
    // `target_ifindex`, `attach_type`, `query_flags`, `attach_flags`, `prog_ids` (two words), `count`, ...
    let mut attr = [index, BPF_TCX_INGRESS, 0, 0, 0, 0, 0, 0];
    // SAFETY: without room for ids, `count` 0, none are written.
    let answer = unsafe { bpf(BPF_PROG_QUERY, &mut attr) };
    let [_, _, _, _, _, _, count, _] = attr;
    match answer {
        // There are some, and no room for them.
        Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => Ok(count),
        Err(error) => Err(error),
        Ok(_) => Ok(count),
    }
}

/// Replaces a link's program.
pub(super) fn update_link(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = [link.as_raw_fd().unsigned_abs(), program.as_raw_fd().unsigned_abs(), 0, 0];
    // SAFETY: `link_fd`, `new_prog_fd`, `flags`, `old_prog_fd` of `link_update`.
    unsafe { bpf(BPF_LINK_UPDATE, &mut attr) }.map(|_| ())
}

/// Type of a link, id of its program and index of its interface.
pub(super) fn link_facts(link: BorrowedFd<'_>) -> io::Result<[u32; 3]> {
    // `struct bpf_link_info`: type, id, prog_id, (padding), then by type; of XDP and TCX the interface's index.
    let mut info = [0_u32; 16];
    #[repr(C)]
    struct InfoAttr {
        fd: u32,
        length: u32,
        info: u64,
    }
    let mut attr = InfoAttr {
        fd: link.as_raw_fd().unsigned_abs(),
        length: size_of_val(&info) as u32,
        info: info.as_mut_ptr() as u64,
    };
    // SAFETY: the kernel writes at most `length` bytes to `info`, which outlives the call.
    unsafe { bpf(BPF_OBJ_GET_INFO_BY_FD, &mut attr) }?;
    let [kind, _, program, _, interface, ..] = info;
    Ok([kind, program, interface])
}

/// The part of `union bpf_attr` that pins use.
#[repr(C)]
struct PinAttr {
    path: u64,
    fd: u32,
    flags: u32,
}

/// Pins an object on a BPF file system.
pub(super) fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attr = PinAttr { path: path.as_ptr() as u64, fd: object.as_raw_fd().unsigned_abs(), flags: 0 };
    // SAFETY: `path` ends with a zero and outlives the call.
    unsafe { bpf(BPF_OBJ_PIN, &mut attr) }.map(|_| ())
}

/// A pinned object.
pub(super) fn get_pinned(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attr = PinAttr { path: path.as_ptr() as u64, fd: 0, flags: 0 };
    // SAFETY: `path` ends with a zero and outlives the call; the answer is a new descriptor.
    unsafe { bpf(BPF_OBJ_GET, &mut attr).map(|fd| owned(fd)) }
}

/// `BPF_MAP_CREATE` of bpf(2).
const BPF_MAP_CREATE: libc::c_long = 0;
/// `BPF_PROG_LOAD` of bpf(2).
const BPF_PROG_LOAD: libc::c_long = 5;
/// `BPF_PROG_TEST_RUN` of bpf(2).
const BPF_PROG_TEST_RUN: libc::c_long = 10;
/// `BPF_MAP_TYPE_ARRAY`
const ARRAY: u32 = 2;
/// `BPF_F_MMAPABLE`
const MMAPABLE: u32 = 1 << 10;
/// `BPF_PROG_TYPE_SYSCALL`
const SYSCALL: u32 = 31;
/// `BPF_F_SLEEPABLE`, which programs of that type must be.
const SLEEPABLE: u32 = 1 << 4;

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

/// The part of `union bpf_attr` that loading a program uses.
#[repr(C)]
#[derive(Default)]
struct ProgramAttr {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
}

/// The part of `union bpf_attr` that test runs use.
#[repr(C)]
#[derive(Default)]
struct RunAttr {
    prog_fd: u32,
    retval: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
}

/// bpf(2), with a result that is not negative.
///
/// # Safety
/// `T` is laid out as the kernel's `union bpf_attr` is for `command`, without padding, and the addresses in it
/// are of memory that is there for the call, as long as its lengths say.
unsafe fn bpf<T>(command: libc::c_long, attr: &mut T) -> io::Result<i32> {
    // SAFETY: the caller's.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command, ptr::from_mut(attr), size_of::<T>()) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(i32::try_from(answer).unwrap_or(i32::MAX)) }
}

/// A descriptor that the kernel has just given us.
///
/// # Safety
/// `fd` is open and nobody else's.
unsafe fn owned(fd: i32) -> OwnedFd {
    // SAFETY: the caller's.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Makes an array map with one value of `size` bytes that can be mapped into memory.
pub(super) fn create_mapped_array(size: usize) -> io::Result<OwnedFd> {
    let value_size = u32::try_from(size).map_err(io::Error::other)?;
    let mut attr = MapAttr { map_type: ARRAY, key_size: 4, value_size, max_entries: 1, map_flags: MMAPABLE };
    // SAFETY: the attributes of a map have no addresses; the answer is a new descriptor.
    unsafe { bpf(BPF_MAP_CREATE, &mut attr).map(|fd| owned(fd)) }
}

/// `BPF_PROG_TYPE_XDP`
const XDP: u32 = 6;

/// Loads a program of type `syscall`: instructions as little-endian words.
pub(super) fn load_syscall_program(instructions: &[u64]) -> io::Result<OwnedFd> {
    load_program(SYSCALL, SLEEPABLE, instructions)
}

/// Loads an XDP program: instructions as little-endian words.
pub(super) fn load_xdp_program(instructions: &[u64]) -> io::Result<OwnedFd> {
    load_program(XDP, 0, instructions)
}

fn load_program(prog_type: u32, prog_flags: u32, instructions: &[u64]) -> io::Result<OwnedFd> {
    let mut attr = ProgramAttr {
        prog_type,
        insn_cnt: u32::try_from(instructions.len()).map_err(io::Error::other)?,
        insns: instructions.as_ptr() as u64,
        license: c"Dual MIT/GPL".as_ptr() as u64,
        prog_flags,
        ..ProgramAttr::default()
    };
    // SAFETY: `insns` is of `insn_cnt` instructions of eight bytes, `license` ends with a zero, both outlive
    // the call; the answer is a new descriptor.
    unsafe { bpf(BPF_PROG_LOAD, &mut attr).map(|fd| owned(fd)) }
}

/// Runs a program of type `syscall` without a context, and gives what it returned.
pub(super) fn run_syscall_program(program: BorrowedFd<'_>) -> io::Result<u32> {
    let mut attr = RunAttr { prog_fd: program.as_raw_fd().unsigned_abs(), ..RunAttr::default() };
    // SAFETY: there are no addresses.
    unsafe { bpf(BPF_PROG_TEST_RUN, &mut attr) }?;
    Ok(attr.retval)
}

/// Runs a frame through an XDP program once. What becomes of the frame is not copied back.
pub(super) fn run_xdp_program(program: BorrowedFd<'_>, frame: &[u8]) -> io::Result<()> {
    let mut attr = RunAttr {
        prog_fd: program.as_raw_fd().unsigned_abs(),
        data_size_in: u32::try_from(frame.len()).map_err(io::Error::other)?,
        data_in: frame.as_ptr() as u64,
        repeat: 1,
        ..RunAttr::default()
    };
    // SAFETY: `data_in` is of `data_size_in` bytes, which the kernel only reads; nothing is written back.
    unsafe { bpf(BPF_PROG_TEST_RUN, &mut attr) }.map(|_| ())
}

/// The beginning of an array map, mapped for reading.
#[derive(Debug)]
pub(super) struct Mapping {
    memory: ptr::NonNull<u8>,
    bytes: usize,
}

impl Mapping {
    /// Maps the first `bytes` bytes of `map`, which must be mmapable and so long.
    pub(super) fn new(map: BorrowedFd<'_>, bytes: usize) -> io::Result<Self> {
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
    pub(super) fn read<T: Shared>(&self) -> T {
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
