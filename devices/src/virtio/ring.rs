//! One virtqueue of a device that works: requests taken out, answers put back, the driver told.

use std::num::Wrapping;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use virtio_queue::{DescriptorChain, Queue, QueueOwnedT, QueueState, QueueT, Reader, Writer};
use vm_memory::bitmap::MS;
use vm_memory::{Bytes, GuestAddress};

use super::{Broken, Interrupt, Ram};

/// Where the entries of both rings begin, bytes of an entry of the available one and of the used one (specification, 2.7.6 and 2.7.8).
const ENTRIES: u64 = 4;
const AVAILABLE: u64 = 2;
const USED: u64 = 8;

/// A virtqueue of the driver's. One that the driver does not use is always empty.
pub struct Ring<M: Ram> {
    queue: Queue,
    memory: Arc<M>,
    interrupt: Arc<Interrupt>,
    /// Set when the device is to stop: a driver that adds requests all the time must not keep it from that.
    is_stopping: Arc<AtomicBool>,
    /// Something was given back that the driver was not told of.
    has_news: bool,
    /// How far the used ring was when it was last considered whether to tell the driver.
    considered: Wrapping<u16>,
}

/// Buffers that the driver has put into a queue together.
pub struct Request<M: Ram> {
    chain: DescriptorChain<Arc<M>>,
    memory: Arc<M>,
}

impl<M: Ram> Request<M> {
    /// What [`Ring::done`] wants to know it by.
    pub fn head(&self) -> u16 {
        self.chain.head_index()
    }

    /// The bytes that the driver wrote.
    pub fn reader(&self) -> Result<Reader<'_, MS<'_, M>>, Broken> {
        Ok(self.chain.clone().reader(&self.memory)?)
    }

    /// The room that it left for the device.
    pub fn writer(&self) -> Result<Writer<'_, MS<'_, M>>, Broken> {
        Ok(self.chain.clone().writer(&self.memory)?)
    }

    /// Its buffers one by one, for what moves bytes without a copy.
    pub fn chain(&self) -> DescriptorChain<Arc<M>> {
        self.chain.clone()
    }

    /// Guest memory.
    pub fn memory(&self) -> &M {
        &self.memory
    }
}

impl<M: Ram> Ring<M> {
    pub(super) fn new(
        queue: Queue,
        memory: Arc<M>,
        interrupt: Arc<Interrupt>,
        is_stopping: Arc<AtomicBool>,
    ) -> Self {
        let considered = Wrapping(queue.next_used());
        Self { queue, memory, interrupt, is_stopping, has_news: false, considered }
    }

    /// Whether the driver may expect anything here. What a device that is to stop still does is lost: if the host took too
    /// long for it, another driver has the memory by now.
    fn is_in_use(&self) -> bool {
        self.queue.ready() && !self.is_stopping()
    }

    /// The next request; `None` when there is none, or when the device is to stop.
    pub fn take(&mut self) -> Result<Option<Request<M>>, Broken> {
        if !self.is_in_use() {
            return Ok(None);
        }
        let memory = self.memory.clone();
        let chain = self.queue.iter(memory.clone())?.next();
        Ok(chain.map(|chain| Request { chain, memory }))
    }

    /// Puts the `count` requests that were taken last back: they are the next ones again.
    pub fn put_back(&mut self, count: usize) {
        for _ in 0..count {
            self.queue.go_to_previous_position();
        }
    }

    /// Gives a request back with `written` bytes in its room.
    pub fn done(&mut self, head: u16, written: u32) -> Result<(), Broken> {
        if !self.is_in_use() {
            return Ok(());
        }
        self.has_news = true;
        Ok(self.queue.add_used(&*self.memory, head, written)?)
    }

    /// Gives requests back, each with as many bytes in its room, so that the driver sees all of them or none.
    pub fn done_together(&mut self, requests: &[(u16, u32)]) -> Result<(), Broken> {
        let Some((&(last, written), others)) = requests.split_last() else { return Ok(()) };
        if !self.is_in_use() {
            return Ok(());
        }
        let first = self.queue.next_used();
        for (&(head, written), number) in others.iter().zip(0..) {
            let entry = u64::from(first.wrapping_add(number) % self.queue.size());
            let at = GuestAddress(self.queue.used_ring() + ENTRIES + USED * entry);
            let [head, written] = [u32::from(head), written].map(u64::from);
            self.memory.write_obj((head | written << 32).to_le(), at).map_err(outside)?;
        }
        self.queue.set_next_used(first.wrapping_add(others.len() as u16));
        // Which makes them all visible.
        self.done(last, written)
    }

    /// Tells the driver of what was given back, if it wants to hear.
    pub fn signal(&mut self) -> Result<(), Broken> {
        if std::mem::take(&mut self.has_news) && self.is_wanted()? {
            self.interrupt.used();
        }
        Ok(())
    }

    /// Whether the driver wants to hear of what was given back since this was last asked. The queue's own count knows nothing of
    /// [`Self::done_together`].
    fn is_wanted(&mut self) -> Result<bool, Broken> {
        let used = Wrapping(self.queue.next_used());
        let before = std::mem::replace(&mut self.considered, used);
        if !self.queue.event_idx_enabled() {
            return Ok(true);
        }
        // What was given back is visible before it is read what the driver wants (2.7.7.2).
        fence(Ordering::SeqCst);
        let at = self.queue.avail_ring() + ENTRIES + AVAILABLE * u64::from(self.queue.size());
        let wanted: u16 = self.memory.load(GuestAddress(at), Ordering::Relaxed).map_err(outside)?;
        Ok(used - Wrapping(u16::from_le(wanted)) - Wrapping(1) < used - before)
    }

    /// Tells the driver that the configuration space has changed.
    pub fn announce(&self) {
        self.interrupt.configuration();
    }

    /// Whether the device is to stop: what takes long must end early then.
    pub fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// Has the driver say no more when it adds requests.
    pub fn quiet(&mut self) -> Result<(), Broken> {
        if self.is_in_use() {
            self.queue.disable_notification(&*self.memory)?;
        }
        Ok(())
    }

    /// Has it say so again. True if it has added some meanwhile.
    pub fn listen(&mut self) -> Result<bool, Broken> {
        Ok(self.is_in_use() && self.queue.enable_notification(&*self.memory)?)
    }

    /// Serves all there is. `serve` returns how many bytes it wrote into the request's room.
    pub fn drain(
        &mut self,
        mut serve: impl FnMut(&Request<M>) -> Result<u32, Broken>,
    ) -> Result<(), Broken> {
        self.drain_with(|_, request| serve(request))
    }

    /// As [`Self::drain`], for what reads the request from guest memory itself: it gets the queue as it is after
    /// the request was taken, and the request's head.
    pub fn drain_in_place(
        &mut self,
        mut serve: impl FnMut(&QueueState, u16) -> Result<u32, Broken>,
    ) -> Result<(), Broken> {
        self.drain_with(|queue, request| serve(&queue.state(), request.head()))
    }

    fn drain_with(
        &mut self,
        mut serve: impl FnMut(&Queue, &Request<M>) -> Result<u32, Broken>,
    ) -> Result<(), Broken> {
        loop {
            self.quiet()?;
            while let Some(request) = self.take()? {
                let written = serve(&self.queue, &request)?;
                self.done(request.head(), written)?;
                // The next one may take long.
                self.signal()?;
            }
            if !self.listen()? {
                return Ok(());
            }
        }
    }
}

fn outside(error: impl std::fmt::Display) -> Broken {
    Broken(format!("a queue does not lie in RAM: {error}"))
}
