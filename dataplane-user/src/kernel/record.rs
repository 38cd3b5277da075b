//! What the program noted of the packet it decided last, read cheaply. The only place that knows where that is.
//!
//! It is in a per-CPU map, which cannot be mapped into memory, and whose look-up copies the values of all CPUs
//! that the machine might ever have. So a program of a few instructions, of type `syscall` (Linux 5.14), copies
//! this CPU's value to an array that is mapped: one short system call, whatever the machine.
//!
//! ```text
//!  r2 = &0                                 key, on the stack
//!  r0 = look up WORK; none: return 1
//!  r6 = r0
//!  r0 = look up the array; none: return 1
//!  r0[0..] = r6[0..]                    eight bytes at a time
//!  return 0
//! ```

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use keysteer_common::headers::Work;

use super::sys::{self, Mapping};

const WORD: usize = size_of::<u64>();
/// How long the record is, in words.
const WORDS: usize = size_of::<Work>() / WORD;
/// [`WORD`] as an offset of an instruction.
const STEP: i16 = 8;

const _: () = assert!(size_of::<Work>().is_multiple_of(WORD));
const _: () = assert!(size_of::<Work>() <= 0x7fff && STEP as usize == WORD);

/// A copy of this CPU's record, on demand.
#[derive(Debug)]
pub(super) struct Record {
    program: OwnedFd,
    /// Holds one `Work`.
    memory: Mapping,
}

impl Record {
    /// Prepares to read the record in `state`, the map of a [`Work`] per CPU.
    pub(super) fn new(state: BorrowedFd<'_>) -> io::Result<Self> {
        let array = sys::create_mapped_array(size_of::<Work>())?;
        let program = sys::load_syscall_program(&program(state, array.as_fd()))?;
        let memory = Mapping::new(array.as_fd(), size_of::<Work>())?;
        Ok(Self { program, memory })
    }

    /// The record of the CPU that this thread runs on. The thread must not have moved since the packet was
    /// decided.
    pub(super) fn read(&self) -> io::Result<Work> {
        match sys::run_syscall_program(self.program.as_fd())? {
            0 => Ok(self.memory.read()),
            _ => Err(io::Error::other("the map of records has no entry")),
        }
    }
}

/// An instruction of the kernel's `struct bpf_insn`, as a little-endian word.
const fn instruction(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> u64 {
    code as u64
        | (to as u64) << 8
        | (from as u64) << 12
        | (offset as u16 as u64) << 16
        | (immediate as u32 as u64) << 32
}

/// Registers: result, arguments, one that calls preserve, the stack.
const R0: u8 = 0;
const R1: u8 = 1;
const R2: u8 = 2;
const R6: u8 = 6;
const R10: u8 = 10;
/// `bpf_map_lookup_elem`
const LOOK_UP: i32 = 1;
/// `BPF_PSEUDO_MAP_FD`: the immediate is a file descriptor of a map.
const MAP: u8 = 1;
/// Where the key, zero, is on the stack.
const KEY: i16 = -4;

const fn set(to: u8, immediate: i32) -> u64 {
    instruction(0xb7, to, 0, 0, immediate)
}

const fn copy(to: u8, from: u8) -> u64 {
    instruction(0xbf, to, from, 0, 0)
}

/// `to = *(u64 *)(from + offset)`
const fn load(to: u8, from: u8, offset: i16) -> u64 {
    instruction(0x79, to, from, offset, 0)
}

/// `*(u64 *)(to + offset) = from`
const fn store(to: u8, offset: i16, from: u8) -> u64 {
    instruction(0x7b, to, from, offset, 0)
}

const EXIT: u64 = instruction(0x95, 0, 0, 0, 0);

/// Looks up entry 0 of a map: its address is in `r0`, or the program has ended.
fn look_up(map: BorrowedFd<'_>) -> [u64; 8] {
    [
        copy(R2, R10),
        instruction(0x07, R2, 0, 0, KEY.into()),
        instruction(0x18, R1, MAP, 0, map.as_raw_fd()),
        0,
        instruction(0x85, 0, 0, 0, LOOK_UP),
        // Where it is not null, past the next two.
        instruction(0x55, R0, 0, 2, 0),
        set(R0, 1),
        EXIT,
    ]
}

/// The program.
fn program(state: BorrowedFd<'_>, array: BorrowedFd<'_>) -> Vec<u64> {
    let mut program = vec![instruction(0x62, R10, 0, KEY, 0)];
    program.extend(look_up(state));
    program.push(copy(R6, R0));
    program.extend(look_up(array));
    // Asserted above: these fit.
    for at in (0..).map(|word| word * STEP).take(WORDS) {
        program.extend([load(R1, R6, at), store(R0, at, R1)]);
    }
    program.extend([set(R0, 0), EXIT]);
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_laid_out_as_the_kernels() {
        // r1 = *(u64 *)(r6 + 8), of `llvm-objdump`: 79 61 08 00 00 00 00 00.
        assert_eq!(load(R1, R6, 8).to_le_bytes(), [0x79, 0x61, 8, 0, 0, 0, 0, 0]);
        // *(u32 *)(r10 - 4) = 0: 62 0a fc ff 00 00 00 00.
        assert_eq!(instruction(0x62, R10, 0, KEY, 0).to_le_bytes(), [0x62, 0x0a, 0xfc, 0xff, 0, 0, 0, 0]);
        // r2 += -4: 07 02 00 00 fc ff ff ff.
        let add = instruction(0x07, R2, 0, 0, KEY.into()).to_le_bytes();
        assert_eq!(add, [0x07, 0x02, 0, 0, 0xfc, 0xff, 0xff, 0xff]);
    }
}
