//! What a driver asks of a disk (specification, 5.2.6), before it is believed.

use std::ops::Range;

use vm_memory::bitmap::BitmapSlice;

use super::MOST_SEGMENTS;
use crate::disk::SECTOR;
use crate::virtio::buffers::Buffers;

/// How it went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Status {
    Ok = 0,
    IoError = 1,
    Unsupported = 2,
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    In,
    Out,
    Flush,
    GetId,
    Discard,
    WriteZeroes,
}

impl Kind {
    pub(super) fn of(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::In),
            1 => Some(Self::Out),
            4 => Some(Self::Flush),
            8 => Some(Self::GetId),
            11 => Some(Self::Discard),
            13 => Some(Self::WriteZeroes),
            _ => None,
        }
    }

    /// As a user would call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::In => "read",
            Self::Out => "write",
            Self::Flush => "flush",
            Self::GetId => "serial number",
            Self::Discard => "discard",
            Self::WriteZeroes => "write of zeroes",
        }
    }

    /// Whether it changes the disk.
    pub(super) fn is_write(self) -> bool {
        matches!(self, Self::Out | Self::Discard | Self::WriteZeroes)
    }
}

/// What every request begins with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) kind: u32,
    pub(super) sector: u64,
}

impl Header {
    /// Bytes.
    pub(super) const LEN: u64 = 16;

    pub(super) fn parse(bytes: [u8; Self::LEN as usize]) -> Self {
        let [k0, k1, k2, k3, _, _, _, _, sector @ ..] = bytes;
        Self { kind: u32::from_le_bytes([k0, k1, k2, k3]), sector: u64::from_le_bytes(sector) }
    }

    /// The bytes of the disk that this many from its sector on are.
    pub(super) fn range(self, len: u64, disk_len: u64) -> Result<Range<u64>, Status> {
        range(self.sector, len, disk_len)
    }
}

fn range(sector: u64, len: u64, disk_len: u64) -> Result<Range<u64>, Status> {
    let range = || {
        let start = sector.checked_mul(SECTOR)?;
        let end = start.checked_add(len)?;
        (len.is_multiple_of(SECTOR) && end <= disk_len).then_some(start..end)
    };
    range().ok_or(Status::IoError)
}

/// Bytes of the disk, in a list of such (`struct virtio_blk_discard_write_zeroes`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Segment {
    pub(super) start: u64,
    pub(super) len: u64,
    /// Their room need not be kept.
    pub(super) is_unmap: bool,
}

impl Segment {
    const LEN: usize = 16;

    /// All of them or none: nothing is done if one makes no sense. Each has `most` sectors at most.
    pub(super) fn parse_all<B: BitmapSlice>(
        data: &Buffers<B>,
        most: u32,
        disk_len: u64,
    ) -> Result<Vec<Self>, Status> {
        let len = usize::try_from(data.len()).map_err(|_| Status::IoError)?;
        if len == 0 || len > MOST_SEGMENTS as usize * Self::LEN {
            return Err(Status::IoError);
        }
        let mut bytes = vec![0; len];
        data.read(&mut bytes);
        let (chunks, rest) = bytes.as_chunks();
        if !rest.is_empty() {
            return Err(Status::IoError);
        }
        chunks.iter().map(|chunk| Self::parse(*chunk, most, disk_len)).collect()
    }

    fn parse(bytes: [u8; Self::LEN], most: u32, disk_len: u64) -> Result<Self, Status> {
        const UNMAP: u32 = 1;
        let [s0, s1, s2, s3, s4, s5, s6, s7, c0, c1, c2, c3, flags @ ..] = bytes;
        let sector = u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
        let count = u32::from_le_bytes([c0, c1, c2, c3]);
        let flags = u32::from_le_bytes(flags);
        if flags & !UNMAP != 0 {
            return Err(Status::Unsupported);
        }
        if count > most {
            return Err(Status::IoError);
        }
        let range = range(sector, u64::from(count) * SECTOR, disk_len)?;
        Ok(Self { start: range.start, len: range.end - range.start, is_unmap: flags & UNMAP != 0 })
    }
}
