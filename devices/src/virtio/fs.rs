//! File system device (specification, 5.11): a folder of the host's, served by fuse-backend-rs.
//!
//! That crate has versions of vm-memory and virtio-queue of its own. They are `vm_memory_fuse` and `virtio_queue_fuse`
//! here, and nowhere else but where guest memory is made.

mod descriptors;
mod owner;
mod share;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fuse_backend_rs::api::server::Server;
use fuse_backend_rs::transport::{Reader, VirtioFsWriter, Writer};
use nix::sched::{CloneFlags, unshare};
use virtio_queue_fuse::{Queue, QueueOwnedT as _, QueueState};
use vm_memory_fuse::GuestMemory;
use vm_memory_fuse::bitmap::BitmapSlice;

use super::{Backend, Broken, Front, Ram, Ring, Waits, read_config};
pub use owner::Owner;
use share::Share;

const ID: u32 = 26;
/// What a driver is in a hurry to say, and everything else.
const QUEUES: [u16; 2] = [64, 256];
/// Bytes of a tag (5.11.4).
pub const TAG: usize = 36;

/// Bytes that the crate takes in a request at most: a page of headers, and what is to be written into a file.
const MOST_TAKEN: usize = MOST_WRITTEN as usize + 0x1000;
const MOST_WRITTEN: u32 = 1 << 20;
/// Bytes that a request asks for at most: the same of a guest with pages of 64 KiB, of which 256 are asked for together.
const MOST_GIVEN: usize = (16 << 20) + 0x1000;
/// Where the answer to FUSE_INIT says how much may be written at once: `max_write` of `struct fuse_init_out`, behind its header.
const MAX_WRITE: usize = 36;

/// What a driver sees: the tag that a guest mounts it by.
pub struct Face {
    /// `struct virtio_fs_config`.
    config: Vec<u8>,
}

impl Face {
    /// Of the tag there are [`TAG`] bytes at most.
    pub fn new(tag: &str) -> Self {
        let mut config = tag.as_bytes().to_vec();
        config.resize(TAG, 0);
        // Queues for requests.
        config.extend(1u32.to_le_bytes());
        Self { config }
    }
}

impl Front for Face {
    fn id(&self) -> u32 {
        ID
    }

    fn queues(&self) -> &[u16] {
        &QUEUES
    }

    fn read(&self, offset: u64, data: &mut [u8]) {
        read_config(&self.config, offset, data);
    }
}

/// A folder, and what guests may do in it.
#[derive(Clone)]
pub struct Folder {
    /// Open, so that it stays the same whatever becomes of its name.
    pub file: Arc<File>,
    /// Whether nothing in it is ever changed.
    pub is_read_only: bool,
    /// Who all files are to belong to; `None` if we may act as anybody.
    pub owner: Option<Owner>,
}

/// Serves requests, one after the other. `G` is the memory of the same guest as its rings are in.
pub struct Fs<G> {
    folder: Folder,
    memory: G,
    /// What a driver began with its first request.
    server: Option<Server<Share>>,
    /// The request that is served is that one.
    is_first: Arc<AtomicBool>,
}

impl<G: GuestMemory + Send> Fs<G> {
    /// For one guest.
    pub fn new(folder: Folder, memory: G) -> Self {
        Self { folder, memory, server: None, is_first: Arc::default() }
    }

    fn answer(&self, ring: QueueState, head: u16) -> Result<u32, Broken> {
        let broken = |error: &dyn std::fmt::Display| Broken(format!("a request: {error}"));
        let mut queue = Queue::try_from(ring).map_err(|error| broken(&error))?;
        let chain = queue.iter(&self.memory).map_err(|error| broken(&error))?.next();
        let chain = chain.filter(|chain| chain.head_index() == head);
        let Some(chain) = chain else {
            return Err(Broken("a request changed while it was looked at".to_owned()));
        };
        let reader = Reader::from_descriptor_chain(&self.memory, chain.clone());
        let writer = VirtioFsWriter::new(&self.memory, chain.clone());
        let (Some(server), Ok(reader), Ok(writer)) = (&self.server, reader, writer) else {
            return Err(Broken("a buffer does not lie in RAM".to_owned()));
        };
        // What makes no sense has no answer: the driver finds that nothing was written. The crate allocates what a request says
        // that it is long, and one buffer can be in a chain a thousand times.
        if reader.available_bytes() > MOST_TAKEN || writer.available_bytes() > MOST_GIVEN {
            return Ok(0);
        }
        let written = server.handle_message(reader, Writer::VirtioFs(writer), None, None);
        let written = written.map_or(0, |written| u32::try_from(written).unwrap_or(u32::MAX));
        if self.is_first.swap(false, Ordering::Relaxed)
            && let Ok(room) = VirtioFsWriter::new(&self.memory, chain)
        {
            cap_writes(room, written as usize);
        }
        Ok(written)
    }
}

/// The crate offers 256 of the host's pages, and takes no more than 256 of 4 KiB.
fn cap_writes<S: BitmapSlice>(mut room: VirtioFsWriter<'_, S>, written: usize) {
    if written >= MAX_WRITE + size_of::<u32>()
        && let Ok(mut max_write) = room.split_at(MAX_WRITE)
    {
        // There is room: it was written a moment ago.
        let _ = max_write.write_all(&MOST_WRITTEN.to_le_bytes());
    }
}

impl<M: Ram, G: GuestMemory + Send> Backend<M> for Fs<G> {
    fn start(&mut self, _: u64, _: &mut [Ring<M>], _: &mut Waits) -> Result<(), Broken> {
        // Files get the modes that the guest asks for: umask(2) is cleared by the crate, on this thread alone unless a container
        // forbids that (Docker does by default). Our own files come with modes of their own.
        let _ = unshare(CloneFlags::CLONE_FS);
        // Through the descriptor to the folder itself, not to the link that it is there.
        let root = format!("/proc/self/fd/{}/.", self.folder.file.as_raw_fd());
        self.server = Some(Server::new(Share::new(root, &self.folder, &self.is_first)?));
        Ok(())
    }

    fn serve(&mut self, queue: usize, rings: &mut [Ring<M>], _: &mut Waits) -> Result<(), Broken> {
        let Some(ring) = rings.get_mut(queue) else { return Ok(()) };
        ring.drain_in_place(|ring, head| {
            let state = QueueState {
                max_size: ring.max_size,
                // Taken already.
                next_avail: ring.next_avail.wrapping_sub(1),
                next_used: ring.next_used,
                event_idx_enabled: ring.event_idx_enabled,
                size: ring.size,
                ready: ring.ready,
                desc_table: ring.desc_table,
                avail_ring: ring.avail_ring,
                used_ring: ring.used_ring,
            };
            self.answer(state, head)
        })
    }

    fn reset(&mut self) {
        self.server = None;
    }
}
