//! Block device (specification, 5.2): a disk.

mod request;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use vm_memory::bitmap::BitmapSlice;

use super::{Backend, Broken, Buffers, Front, Ram, Request, Ring, Waits, read_config};
use crate::disk::{Disk, SECTOR};
use request::{Header, Kind, Segment, Status};

const ID: u32 = 2;
const QUEUES: [u16; 1] = [256];

/// Feature bits (5.2.3).
const SEG_MAX: u64 = 1 << 2;
const RO: u64 = 1 << 5;
const BLK_SIZE: u64 = 1 << 6;
const FLUSH: u64 = 1 << 9;
const TOPOLOGY: u64 = 1 << 10;
const DISCARD: u64 = 1 << 13;
const WRITE_ZEROES: u64 = 1 << 14;

/// Pieces of data in a request: what a queue has room for beside header and status.
const MOST_PIECES: u32 = 254;
/// Sectors for one of the host's pages, which what is on the disk had better be aligned to.
const PAGE_SECTORS: u32 = 8;
/// Segments of a discard or of zeroes to be written, and sectors of each: 2 GiB, and 64 MiB as the host may have to
/// write them.
const MOST_SEGMENTS: u32 = 64;
const MOST_DISCARDED: u32 = 4 << 20;
const MOST_ZEROED: u32 = 128 << 10;

/// Bytes of a serial number.
const SERIAL: usize = 20;

/// A disk that guests have one after the other.
pub type Shared = Arc<Mutex<Disk>>;

/// What a driver sees: the size and what the disk can do.
#[derive(Clone)]
pub struct Face {
    features: u64,
    /// `struct virtio_blk_config` (5.2.4).
    config: Vec<u8>,
}

impl Face {
    /// Of this disk.
    pub fn new(disk: &Shared) -> Self {
        let disk = disk.lock().unwrap_or_else(PoisonError::into_inner);
        let mut features = SEG_MAX | BLK_SIZE | FLUSH | TOPOLOGY;
        features |= if disk.is_read_only() { RO } else { DISCARD | WRITE_ZEROES };
        let mut config = disk.sectors().to_le_bytes().to_vec();
        let mut word = |value: u32| config.extend(value.to_le_bytes());
        // size_max and the geometry are not offered.
        [0, MOST_PIECES, 0, SECTOR as u32].into_iter().for_each(&mut word);
        // topology: a page is 2^3 blocks and begins with the first one; the least and the best to read at once are a page.
        word(PAGE_SECTORS.ilog2() | PAGE_SECTORS << 16);
        word(PAGE_SECTORS);
        // writeback and the number of queues are not offered.
        word(0);
        [MOST_DISCARDED, MOST_SEGMENTS, PAGE_SECTORS].into_iter().for_each(&mut word);
        // write_zeroes_may_unmap.
        [MOST_ZEROED, MOST_SEGMENTS, 1].into_iter().for_each(&mut word);
        Self { features, config }
    }
}

impl Front for Face {
    fn id(&self) -> u32 {
        ID
    }

    fn features(&self) -> u64 {
        self.features
    }

    fn queues(&self) -> &[u16] {
        &QUEUES
    }

    fn read(&self, offset: u64, data: &mut [u8]) {
        read_config(&self.config, offset, data);
    }
}

/// Takes what failed and why, for the user.
pub type OnFailure = Box<dyn FnOnce(&str) + Send>;

/// Serves a disk's requests, one after the other.
pub struct Block {
    disk: Shared,
    serial: [u8; SERIAL],
    /// The driver does not know of a cache, and takes for durable what is written (5.2.6.2).
    is_write_through: bool,
    /// Told of the first request that the host fails at.
    on_failure: Option<OnFailure>,
}

impl Block {
    /// Of a serial number there are 20 bytes at most.
    pub fn new(disk: Shared, serial: &str, on_failure: OnFailure) -> Self {
        let mut bytes = [0; SERIAL];
        for (to, from) in bytes.iter_mut().zip(serial.bytes()) {
            *to = from;
        }
        Self { disk, serial: bytes, is_write_through: false, on_failure: Some(on_failure) }
    }

    /// Returns how many bytes it wrote into the request's room.
    fn answer<M: Ram>(&mut self, request: &Request<M>) -> Result<u32, Broken> {
        let (written, room) = request.buffers()?;
        if room.is_empty() {
            return Err(Broken("a request has no room for its status".to_owned()));
        }
        let data_len = room.len() - 1;
        let (room, status) = room.split_at(data_len);
        let (head, data) = written.split_at(Header::LEN);
        let mut bytes = [0; Header::LEN as usize];
        let done = if head.read(&mut bytes) < bytes.len() {
            Err(Failure::Guest(Status::IoError))
        } else {
            self.perform(Header::parse(bytes), &data, &room)
        };
        let outcome = match done {
            Ok(()) => Status::Ok,
            Err(Failure::Guest(status)) => status,
            Err(Failure::Host(error)) => {
                if let Some(report) = self.on_failure.take() {
                    let header = Header::parse(bytes);
                    let what = Kind::of(header.kind).map_or("", Kind::name);
                    report(&format!("{what} at sector {:#x}: {error}", header.sector));
                }
                Status::IoError
            }
        };
        status.write(&[outcome as u8]);
        // The status is the last byte of the room, so all of the room counts.
        Ok(u32::try_from(data_len + 1).unwrap_or(u32::MAX))
    }

    fn perform<B: BitmapSlice>(
        &self,
        header: Header,
        data: &Buffers<B>,
        room: &Buffers<B>,
    ) -> Result<(), Failure> {
        let mut disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        let disk_len = disk.sectors() * SECTOR;
        let kind = Kind::of(header.kind).ok_or(Failure::Guest(Status::Unsupported))?;
        if kind.is_write() && disk.is_read_only() {
            return Err(Failure::Guest(Status::IoError));
        }
        match kind {
            Kind::In => disk.read(header.range(room.len(), disk_len)?.start, room.slices())?,
            Kind::Out => {
                disk.write(header.range(data.len(), disk_len)?.start, data.slices())?;
                if self.is_write_through {
                    disk.flush()?;
                }
            }
            Kind::Flush => disk.flush()?,
            Kind::GetId => {
                room.write(&self.serial);
            }
            Kind::Discard => {
                let segments = Segment::parse_all(data, MOST_DISCARDED, disk_len)?;
                // Only of what is to be zeroes (5.2.6.2).
                if segments.iter().any(|segment| segment.is_unmap) {
                    return Err(Failure::Guest(Status::Unsupported));
                }
                for segment in segments {
                    disk.discard(segment.start, segment.len)?;
                }
            }
            Kind::WriteZeroes => {
                for segment in Segment::parse_all(data, MOST_ZEROED, disk_len)? {
                    disk.zero(segment.start, segment.len, segment.is_unmap)?;
                }
                if self.is_write_through {
                    disk.flush()?;
                }
            }
        }
        Ok(())
    }
}

/// Whose fault it is that a request is not done.
enum Failure {
    /// It makes no sense, or not with this disk.
    Guest(Status),
    /// The disk's file does not do it.
    Host(io::Error),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Guest(status)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Host(error)
    }
}

impl<M: Ram> Backend<M> for Block {
    fn start(&mut self, features: u64, _: &mut [Ring<M>], _: &mut Waits) -> Result<(), Broken> {
        self.is_write_through = features & FLUSH == 0;
        Ok(())
    }

    fn serve(&mut self, queue: usize, rings: &mut [Ring<M>], _: &mut Waits) -> Result<(), Broken> {
        let Some(ring) = rings.get_mut(queue) else { return Ok(()) };
        ring.drain(|request| self.answer(request))
    }
}
