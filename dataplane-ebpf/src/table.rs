//! Tables that are read by address: a section of the object, which the loader turns into an array map of
//! one entry that holds the whole table (a global array, in the terms of C). Where a map look-up takes a
//! dozen instructions and clobbers half the registers, this takes three. The only file with map-value `unsafe`.

use core::cell::UnsafeCell;

/// A table in a section of its own; what is behind the first entry exists because user space gives the
/// section its size before the load.
#[repr(transparent)]
pub(crate) struct Table<T>(UnsafeCell<T>);

// SAFETY: the program only reads it, and user space fills it before the program is attached.
unsafe impl<T> Sync for Table<T> {}

impl<T> Table<T> {
    /// All zeroes.
    pub(crate) const fn new(zero: T) -> Self {
        Self(UnsafeCell::new(zero))
    }
}

/// Declares a table in section `.bss.<name>` and a function that gives its entry at an index, kept inside the
/// table by a bound of [`keysteer_common::config::Bounds`].
macro_rules! table {
    ($name:ident, $section:literal, $type:ty, $zero:expr) => {
        pub(crate) mod $name {
            #[allow(unused_imports, reason = "not every entry is a type of ours")]
            use super::*;

            #[unsafe(no_mangle)]
            #[unsafe(link_section = $section)]
            static $name: crate::table::Table<$type> = crate::table::Table::new($zero);

            /// The entry at `index`, of a table of `bound + 1` bytes.
            #[inline(always)]
            pub(crate) fn get(index: usize, bound: u32) -> &'static $type {
                const SIZE: usize = size_of::<$type>();
                const { assert!(SIZE.is_power_of_two()) };
                let mut offset = index * SIZE;
                let base: usize;
                // Mask and add in one piece, so that the register that the verifier knows the range of is the one
                // that is added.
                // SAFETY: arithmetic on registers, and the address of a map value; no memory is touched.
                unsafe {
                    core::arch::asm!(
                        "{base} = {table} ll",
                        "{offset} &= {bound}",
                        "{offset} += {base}",
                        base = out(reg) base,
                        offset = inout(reg) offset,
                        bound = in(reg) bound as usize,
                        table = sym $name,
                        options(pure, nomem, nostack)
                    );
                }
                let _ = base;
                // SAFETY: the table has `bound + 1` bytes, a power of two and a multiple of SIZE, and lives as
                // long as the program; the masked offset is a multiple of SIZE inside it. The verifier proves it again.
                unsafe { &*(offset as *const $type) }
            }
        }
    };
}

pub(crate) use table;
