//! What a disk's sectors are kept in: a file, as it is or in a format.

pub mod raw;

use std::fmt;
use std::fs::File;
use std::io;

use vm_memory::VolatileSlice;
use vm_memory::bitmap::BitmapSlice;

use raw::Raw;

/// Bytes. All that disks do is in multiples of it.
pub const SECTOR: u64 = 512;

/// A disk, one of its kinds. Whoever calls it has checked that what is asked for lies inside.
pub enum Disk {
    /// The file is the disk.
    Raw(Raw),
}

/// Why a file cannot be a disk. The user named it.
#[derive(Debug)]
pub enum Unusable {
    /// It has no bytes.
    Empty,
    /// It has this many bytes.
    Uneven(u64),
    /// The host does not let it be looked at.
    Host(io::Error),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty"),
            Self::Uneven(len) => {
                write!(f, "{len} bytes, expected a multiple of 512 (truncate -s %512 makes it one)")
            }
            Self::Host(error) => write!(f, "cannot be read: {error}"),
        }
    }
}

impl std::error::Error for Unusable {}

impl Disk {
    /// The disk in a file that is open, for writing as well unless `is_read_only`.
    pub fn new(file: File, is_read_only: bool) -> Result<Self, Unusable> {
        Ok(Self::Raw(Raw::new(file, is_read_only)?))
    }

    /// How many.
    pub fn sectors(&self) -> u64 {
        match self {
            Self::Raw(raw) => raw.sectors(),
        }
    }

    /// Whether it is never written.
    pub fn is_read_only(&self) -> bool {
        match self {
            Self::Raw(raw) => raw.is_read_only(),
        }
    }

    /// Fills these pieces of memory with what follows `offset`, in bytes.
    pub fn read<B: BitmapSlice>(
        &mut self,
        offset: u64,
        slices: &[VolatileSlice<B>],
    ) -> io::Result<()> {
        match self {
            Self::Raw(raw) => raw.read(offset, slices),
        }
    }

    /// Puts these pieces of memory where `offset` is, in bytes.
    pub fn write<B: BitmapSlice>(
        &mut self,
        offset: u64,
        slices: &[VolatileSlice<B>],
    ) -> io::Result<()> {
        match self {
            Self::Raw(raw) => raw.write(offset, slices),
        }
    }

    /// Returns when all that was written will outlast a loss of power.
    pub fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Raw(raw) => raw.flush(),
        }
    }

    /// These bytes will not be read before they are written: gives the host their room, if it can.
    pub fn discard(&mut self, offset: u64, len: u64) -> io::Result<()> {
        match self {
            Self::Raw(raw) => raw.discard(offset, len),
        }
    }

    /// Makes them zeroes; `may_discard` if their room need not be kept.
    pub fn zero(&mut self, offset: u64, len: u64, may_discard: bool) -> io::Result<()> {
        match self {
            Self::Raw(raw) => raw.zero(offset, len, may_discard),
        }
    }
}
