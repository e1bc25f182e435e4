//! Where kernel, initrd and device tree go in RAM: sizes in, addresses out.
//!
//! Specification: Linux Documentation/arch/arm64/booting.rst, sections 2 and 4.
//!
//! ```text
//! RAM_BASE                                         RAM_BASE + min(RAM / 2, 128 MiB)
//! | text_offset | kernel, image_size | free, a flat kernel's BSS and stack | initrd | 2 MiB: device tree | free |
//! ```
//!
//! As QEMU does it. Where RAM is too short for that, initrd and device tree move down towards the kernel,
//! so all that can fit does.

use std::error::Error;
use std::fmt;

use crate::image::{DEFAULT_TEXT_OFFSET, Kernel};
use crate::layout::{MAX_RAM, RAM_BASE};
use crate::region::Region;

/// A device tree has at most this many bytes, and gets as many: Linux maps it with 2 MiB blocks.
pub const DTB_SIZE: u64 = 2 * MIB;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Alignment of the initrd, and of RAM's size: KVM's memory slots consist of pages.
const PAGE: u64 = 0x1000;

/// Room that a kernel finds behind its start where RAM allows it.
const KERNEL_ROOM: u64 = 128 * MIB;

/// An initrd lies in a window of this size, aligned to 1 GiB, that covers the kernel too.
const WINDOW: u64 = 32 * GIB;

/// Where everything goes: disjoint, inside RAM, aligned as the boot protocol wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// What the kernel occupies, BSS included where its size is known. It is entered at the start.
    pub kernel: Region,
    /// What the initrd occupies, to the byte.
    pub initrd: Option<Region>,
    /// The 2 MiB reserved for the device tree, aligned to 2 MiB.
    pub dtb: Region,
}

/// Places a kernel of `kernel_len` bytes and an initrd of `initrd_len` into `ram_size` bytes of RAM.
///
/// The device tree names the initrd's address, so it can only be made afterwards; [`DTB_SIZE`] bytes wait for it.
pub fn place(
    kernel: &Kernel,
    kernel_len: u64,
    initrd_len: Option<u64>,
    ram_size: u64,
) -> Result<Placement, PlacementError> {
    if ram_size == 0 || !ram_size.is_multiple_of(PAGE) || ram_size > MAX_RAM {
        return Err(PlacementError::Memory { found: ram_size });
    }
    let initrd_size = initrd_len.unwrap_or(0);
    let needed = memory_needed(kernel, kernel_len, initrd_size);
    let too_small =
        |part, size| PlacementError::DoesNotFit { part, size, memory: ram_size, needed };

    let (offset, size) = extent(kernel, kernel_len);
    let kernel = RAM_BASE
        .checked_add(offset)
        .and_then(|start| Region::new(start, size))
        .filter(|kernel| kernel.end() - RAM_BASE <= ram_size)
        .ok_or_else(|| too_small(Part::Kernel, size))?;

    let Some(end) = needed.filter(|needed| *needed <= ram_size) else {
        return Err(match initrd_len {
            Some(size) => too_small(Part::Initrd, size),
            None => too_small(Part::DeviceTree, DTB_SIZE),
        });
    };
    let limit = match initrd_len {
        Some(_) => ram_size.min(window_end(kernel) - RAM_BASE),
        None => ram_size,
    };
    if end > limit {
        return Err(PlacementError::OutsideWindow { size: initrd_size });
    }

    // From here on nothing overflows: all of it fits below the limit.
    let last_dtb = align_down(RAM_BASE + limit, DTB_SIZE) - DTB_SIZE;
    let last_initrd = align_down(last_dtb - initrd_size, PAGE);
    let roomy = kernel.end().max(RAM_BASE + (ram_size / 2).min(KERNEL_ROOM)).next_multiple_of(PAGE);
    let initrd_start = roomy.min(last_initrd);
    let dtb_start = (initrd_start + initrd_size).next_multiple_of(DTB_SIZE);
    Ok(Placement {
        kernel,
        initrd: Region::new(initrd_start, initrd_size),
        dtb: Region::fixed(dtb_start, DTB_SIZE),
    })
}

/// A kernel's offset from RAM's start and the bytes that are its own.
///
/// RAM's start is as good a base as any for `anywhere` kernels and the best for the others. A file longer than
/// its `image_size` (a signature behind it) is loaded in full.
fn extent(kernel: &Kernel, kernel_len: u64) -> (u64, u64) {
    match kernel {
        Kernel::Image(header) => {
            (header.text_offset, header.image_size.unwrap_or(0).max(kernel_len))
        }
        Kernel::Flat => (DEFAULT_TEXT_OFFSET, kernel_len),
    }
}

/// The least RAM that holds everything, in bytes. `None` if no RAM of the machine's can.
fn memory_needed(kernel: &Kernel, kernel_len: u64, initrd_size: u64) -> Option<u64> {
    let (offset, size) = extent(kernel, kernel_len);
    offset
        .checked_add(size)?
        .checked_next_multiple_of(PAGE)?
        .checked_add(initrd_size)?
        .checked_next_multiple_of(DTB_SIZE)?
        .checked_add(DTB_SIZE)
        .filter(|needed| *needed <= MAX_RAM)
}

/// End of the window that covers the kernel.
fn window_end(kernel: Region) -> u64 {
    align_down(kernel.start(), GIB) + WINDOW
}

fn align_down(address: u64, alignment: u64) -> u64 {
    address - address % alignment
}

/// One of the things that are placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The kernel, BSS included.
    Kernel,
    /// The initrd.
    Initrd,
    /// The device tree.
    DeviceTree,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kernel => "kernel",
            Self::Initrd => "initrd",
            Self::DeviceTree => "device tree",
        })
    }
}

/// Why things do not fit into guest memory. The user chose their sizes; nothing has been started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlacementError {
    /// The machine cannot have that much RAM, or that little.
    Memory {
        /// Size in bytes.
        found: u64,
    },
    /// RAM is too small.
    DoesNotFit {
        /// The first that finds no room.
        part: Part,
        /// Its size in bytes.
        size: u64,
        /// Size of RAM in bytes.
        memory: u64,
        /// RAM in bytes with which everything fits, if the machine can have as much.
        needed: Option<u64>,
    },
    /// The initrd does not fit into the window that it must share with the kernel, whatever the RAM.
    OutsideWindow {
        /// Size of the initrd in bytes.
        size: u64,
    },
}

impl fmt::Display for PlacementError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Memory { found } => write!(
                f,
                "memory: {found:#x} bytes, expected a multiple of {PAGE:#x} up to {}",
                Size(MAX_RAM)
            ),
            Self::DoesNotFit { part, size, memory, needed } => {
                let memory = Size(memory);
                let beside = match part {
                    Part::Kernel => "",
                    Part::Initrd | Part::DeviceTree => " beside the kernel",
                };
                write!(f, "{part}: {size:#x} bytes do not fit into --memory {memory}{beside}")?;
                match needed {
                    Some(needed) => write!(f, " (needs at least --memory {})", Size(needed)),
                    None => write!(f, " (nor into any other up to {})", Size(MAX_RAM)),
                }
            }
            Self::OutsideWindow { size } => write!(
                f,
                "initrd: {size:#x} bytes do not fit into the {} that Linux maps from its kernel on",
                Size(WINDOW)
            ),
        }
    }
}

impl Error for PlacementError {}

/// Bytes as the command line takes them.
pub(crate) struct Size(pub(crate) u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, letter) in [(GIB, 'G'), (MIB, 'M'), (1 << 10, 'K')] {
            if self.0 >= unit && self.0.is_multiple_of(unit) {
                return write!(f, "{}{letter}", self.0 / unit);
            }
        }
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests;
