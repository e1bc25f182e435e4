//! Copies kernel, initrd and device tree to where they were placed, and says how to start.

use std::error::Error;
use std::fmt;
use std::io::{self, Seek, SeekFrom};

use vm_memory::{
    Bytes, GuestAddress, GuestMemory, GuestMemoryError, Permissions, ReadVolatile,
    VolatileMemoryError,
};

use crate::placement::{Part, Placement};
use crate::region::Region;
use crate::source::Source;

/// What the boot CPU starts with. Its other registers are zero, its MMU off, its interrupts masked
/// (Linux Documentation/arch/arm64/booting.rst, section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootState {
    /// Goes into PC.
    pub entry: u64,
    /// Address of the device tree; goes into x0.
    pub dtb: u64,
}

impl BootState {
    /// How to start what was placed so.
    pub fn of(placement: &Placement) -> Self {
        Self { entry: placement.kernel.start(), dtb: placement.dtb.start() }
    }
}

/// Loads everything and returns the registers to start with.
///
/// What the kernel occupies behind its file, its BSS, is cleared: nothing is assumed of what RAM held before. The
/// boot protocol asks nothing of other RAM.
pub fn load<M: GuestMemory>(
    memory: &M,
    placement: &Placement,
    kernel: &Source,
    initrd: Option<&Source>,
    dtb: &[u8],
) -> Result<BootState, LoadError> {
    clear_bss(memory, kernel, placement.kernel).map_err(Part::Kernel.at_fault())?;
    load_files(memory, placement, kernel, initrd, EVERYWHERE)?;
    load_dtb(memory, placement, dtb)?;
    Ok(BootState::of(placement))
}

/// All addresses there are.
const EVERYWHERE: Region = Region::fixed(0, u64::MAX);

/// Loads what of kernel and initrd goes into `window`: not the BSS, and not the device tree.
pub fn load_files<M: GuestMemory>(
    memory: &M,
    placement: &Placement,
    kernel: &Source,
    initrd: Option<&Source>,
    window: Region,
) -> Result<(), LoadError> {
    load_file(memory, kernel, placement.kernel, window).map_err(Part::Kernel.at_fault())?;
    match (initrd, placement.initrd) {
        (Some(initrd), Some(at)) => load_file(memory, initrd, at, window),
        (None, None) => Ok(()),
        (Some(_), None) | (None, Some(_)) => Err(CopyError::NotPlaced),
    }
    .map_err(Part::Initrd.at_fault())
}

/// Loads the device tree.
pub fn load_dtb<M: GuestMemory>(
    memory: &M,
    placement: &Placement,
    dtb: &[u8],
) -> Result<(), LoadError> {
    load_bytes(memory, dtb, placement.dtb).map_err(Part::DeviceTree.at_fault())
}

/// Reads what of a file goes into `window`, when it starts where `room` does, straight into guest memory.
///
/// A file that has grown since it was opened is loaded up to the length it had.
fn load_file<M: GuestMemory>(
    memory: &M,
    source: &Source,
    room: Region,
    window: Region,
) -> Result<(), CopyError> {
    fitting(source.len(), room)?;
    let mut file = source.file();
    let mut end = room.start();
    for piece in source.pieces() {
        let start = room.start() + piece.at;
        clear(memory, end, start, window)?;
        end = start + piece.len;
        let whole = Region::new(start, piece.len);
        let Some(part) = whole.and_then(|whole| whole.intersection(window)) else { continue };
        let offset = piece.offset + (part.start() - start);
        file.seek(SeekFrom::Start(offset)).map_err(CopyError::Read)?;
        // Slice by slice, each to its end: `Bytes::read_exact_volatile_from` gives up after one read(2),
        // which Linux ends at 2 GiB.
        let start = GuestAddress(part.start());
        for slice in memory.get_slices(start, part.size() as usize, Permissions::Write)? {
            file.read_exact_volatile(&mut slice?)
                .map_err(|error| CopyError::of_reading(error, source.len()))?;
        }
    }
    Ok(())
}

/// Writes bytes into guest memory, at the start of `room`.
fn load_bytes<M: GuestMemory>(memory: &M, bytes: &[u8], room: Region) -> Result<(), CopyError> {
    fitting(bytes.len() as u64, room)?;
    Ok(memory.write_slice(bytes, GuestAddress(room.start()))?)
}

/// Clears what a kernel occupies behind its file.
fn clear_bss<M: GuestMemory>(memory: &M, kernel: &Source, room: Region) -> Result<(), CopyError> {
    let start = room.start() + fitting(kernel.len(), room)? as u64;
    clear(memory, start, room.end(), EVERYWHERE)
}

/// Clears what of `start..end` is in `window`.
fn clear<M: GuestMemory>(
    memory: &M,
    start: u64,
    end: u64,
    window: Region,
) -> Result<(), CopyError> {
    const CHUNK: usize = 0x1_0000;
    static ZEROS: [u8; CHUNK] = [0; CHUNK];
    let end = end.min(window.end());
    for at in (start.max(window.start())..end).step_by(CHUNK) {
        let len = (end - at).min(CHUNK as u64) as usize;
        let zeros = ZEROS.get(..len).unwrap_or_default();
        memory.write_slice(zeros, GuestAddress(at))?;
    }
    Ok(())
}

/// `len`, if `room` has as much.
fn fitting(len: u64, room: Region) -> Result<usize, CopyError> {
    usize::try_from(len)
        .ok()
        .filter(|_| len <= room.size())
        .ok_or(CopyError::TooLong { found: len, room })
}

/// Which part could not be loaded, and why.
#[derive(Debug)]
pub struct LoadError {
    /// The part at fault.
    pub part: Part,
    /// The reason.
    pub cause: CopyError,
}

impl Part {
    fn at_fault(self) -> impl FnOnce(CopyError) -> LoadError {
        move |cause| LoadError { part: self, cause }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.part, self.cause)
    }
}

impl Error for LoadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.source()
    }
}

/// Why bytes did not reach guest memory. The guest has not been started and must not be.
#[derive(Debug)]
pub enum CopyError {
    /// The file cannot be read: the host's fault.
    Read(io::Error),
    /// Someone shortened the file after it was opened.
    Shrank {
        /// Length in bytes when it was opened.
        expected: u64,
    },
    /// It was placed for another length: a defect of the caller.
    TooLong {
        /// Length in bytes.
        found: u64,
        /// What was set apart for it.
        room: Region,
    },
    /// It is there without a place, or the other way round: a defect of the caller.
    NotPlaced,
    /// Guest memory does not reach that far: a defect of the caller.
    Memory(GuestMemoryError),
}

impl CopyError {
    fn of_reading(error: VolatileMemoryError, expected: u64) -> Self {
        match error {
            VolatileMemoryError::IOError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Self::Shrank { expected }
            }
            VolatileMemoryError::IOError(error) => Self::Read(error),
            error => Self::Memory(error.into()),
        }
    }
}

impl From<GuestMemoryError> for CopyError {
    fn from(error: GuestMemoryError) -> Self {
        Self::Memory(error)
    }
}

impl fmt::Display for CopyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(_) => write!(f, "cannot read"),
            Self::Shrank { expected } => {
                write!(f, "the file was shortened while it was read, expected {expected:#x} bytes")
            }
            Self::TooLong { found, room } => write!(
                f,
                "{found:#x} bytes, expected at most the {:#x} set apart at {room}",
                room.size()
            ),
            Self::NotPlaced => write!(f, "expected to be placed if and only if it is loaded"),
            Self::Memory(_) => write!(f, "cannot write guest memory"),
        }
    }
}

impl Error for CopyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Read(error) => Some(error),
            Self::Memory(error) => Some(error),
            Self::Shrank { .. } | Self::TooLong { .. } | Self::NotPlaced => None,
        }
    }
}

#[cfg(test)]
mod tests;
