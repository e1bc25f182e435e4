//! What a disk's sectors are kept in: a file, as it is or in a format.

pub mod qcow2;
pub mod raw;

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use vm_memory::VolatileSlice;
use vm_memory::bitmap::BitmapSlice;

use qcow2::Qcow2;
use raw::Raw;

/// Bytes. All that disks do is in multiples of it.
pub const SECTOR: u64 = 512;

/// A disk, one of its kinds. Whoever calls it has checked that what is asked for lies inside.
pub enum Disk {
    /// The file is the disk.
    Raw(Raw),
    /// The file has the disk in it, and is not written.
    Qcow2(Qcow2),
}

/// Why a file cannot be a disk. The user named it.
#[derive(Debug)]
pub enum Unusable {
    /// It has no bytes.
    Empty,
    /// It has this many bytes.
    Uneven(u64),
    /// A qcow2 image with something that is not supported.
    Qcow2(String),
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
            Self::Qcow2(what) => write!(f, "is a qcow2 image {what}"),
            Self::Host(error) => write!(f, "cannot be read: {error}"),
        }
    }
}

impl std::error::Error for Unusable {}

impl Disk {
    /// The disk in a file that is open, for writing as well unless `is_read_only`.
    pub fn new(file: File, is_read_only: bool) -> Result<Self, Unusable> {
        let mut head = [0; 4];
        // What is shorter is told apart by its length.
        let is_qcow2 = file.read_exact_at(&mut head, 0).is_ok() && Qcow2::is_magic(&head);
        match (is_qcow2, is_read_only) {
            (false, _) => Ok(Self::Raw(Raw::new(file, is_read_only)?)),
            (true, true) => Ok(Self::Qcow2(Qcow2::new(file)?)),
            (true, false) => Err(Unusable::Qcow2(
                "and those can only be read, expected ,ro (qemu-img convert -O raw makes one to write)"
                    .to_owned(),
            )),
        }
    }

    /// How many.
    pub fn sectors(&self) -> u64 {
        match self {
            Self::Raw(raw) => raw.sectors(),
            Self::Qcow2(qcow2) => qcow2.sectors(),
        }
    }

    /// Whether it is never written.
    pub fn is_read_only(&self) -> bool {
        match self {
            Self::Raw(raw) => raw.is_read_only(),
            Self::Qcow2(_) => true,
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
            Self::Qcow2(qcow2) => qcow2.read(offset, slices),
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
            Self::Qcow2(_) => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
        }
    }

    /// Returns when all that was written will outlast a loss of power.
    pub fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Raw(raw) => raw.flush(),
            Self::Qcow2(_) => Ok(()),
        }
    }

    /// These bytes will not be read before they are written: gives the host their room, if it can.
    pub fn discard(&mut self, offset: u64, len: u64) -> io::Result<()> {
        match self {
            Self::Raw(raw) => raw.discard(offset, len),
            Self::Qcow2(_) => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
        }
    }

    /// Makes them zeroes; `may_discard` if their room need not be kept.
    pub fn zero(&mut self, offset: u64, len: u64, may_discard: bool) -> io::Result<()> {
        match self {
            Self::Raw(raw) => raw.zero(offset, len, may_discard),
            Self::Qcow2(_) => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
        }
    }
}
