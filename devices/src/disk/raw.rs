//! A disk that is a file byte for byte, or a block device of the host's.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};

use vm_memory::bitmap::BitmapSlice;
use vm_memory::{ReadVolatile, VolatileMemoryError, VolatileSlice, WriteVolatile};
use vmm_sys_util::write_zeroes::{PunchHole, WriteZeroesAt};

use super::{SECTOR, Unusable};

/// The file, and how long it was when it was opened.
pub struct Raw {
    file: File,
    len: u64,
    is_read_only: bool,
}

impl Raw {
    pub(super) fn new(mut file: File, is_read_only: bool) -> Result<Self, Unusable> {
        // Of a block device there is no other length.
        let len = file.seek(SeekFrom::End(0)).map_err(Unusable::Host)?;
        match len {
            0 => Err(Unusable::Empty),
            _ if !len.is_multiple_of(SECTOR) => Err(Unusable::Uneven(len)),
            _ => Ok(Self { file, len, is_read_only }),
        }
    }

    pub(super) fn sectors(&self) -> u64 {
        self.len / SECTOR
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    pub(super) fn read<B: BitmapSlice>(
        &mut self,
        offset: u64,
        slices: &[VolatileSlice<B>],
    ) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(offset))?;
        slices.iter().try_for_each(|slice| {
            self.file.read_exact_volatile(&mut slice.clone()).map_err(of_host)
        })
    }

    pub(super) fn write<B: BitmapSlice>(
        &mut self,
        offset: u64,
        slices: &[VolatileSlice<B>],
    ) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(offset))?;
        slices.iter().try_for_each(|slice| self.file.write_all_volatile(slice).map_err(of_host))
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        // The length does not change, so nothing but data is needed to find it again.
        self.file.sync_data()
    }

    pub(super) fn discard(&mut self, offset: u64, len: u64) -> io::Result<()> {
        match self.file.punch_hole(offset, len) {
            // A hint is all it is, and most file systems of networks do not take it; a block device takes whole blocks only.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput
                ) =>
            {
                Ok(())
            }
            result => result,
        }
    }

    pub(super) fn zero(&mut self, offset: u64, len: u64, may_discard: bool) -> io::Result<()> {
        if may_discard && self.file.punch_hole(offset, len).is_ok() {
            return Ok(());
        }
        let len = usize::try_from(len).map_err(io::Error::other)?;
        self.file.write_all_zeroes_at(offset, len)
    }
}

pub(super) fn of_host(error: VolatileMemoryError) -> io::Error {
    match error {
        VolatileMemoryError::IOError(error) => error,
        error => io::Error::other(error),
    }
}
