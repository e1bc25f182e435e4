//! A guest's driver of one device, for tests.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

use crate::bus::Device;
use crate::irq::IrqLine;
use crate::virtio::mmio::Mmio;
use crate::virtio::{Backend, Front};

/// Far beyond what any request takes.
const LIMIT: Duration = Duration::from_secs(20);
pub(crate) const MEMORY: usize = 16 << 20;
/// Bytes for each queue: descriptors, and from these offsets on the rings.
const QUEUE: u64 = 0x4000;
const AVAILABLE: u64 = 0x2000;
const USED: u64 = 0x3000;
/// Where buffers begin.
const BUFFERS: u64 = 1 << 20;

const NEXT: u16 = 1;
const WRITE: u16 = 2;

struct Line(Sender<bool>);

impl IrqLine for Line {
    fn set(&self, high: bool) {
        // Nobody listens any more when a test ends.
        let _ = self.0.send(high);
    }
}

/// A device and what its driver knows.
pub(crate) struct Driver {
    pub(crate) device: Mmio<GuestMemoryMmap>,
    pub(crate) memory: GuestMemoryMmap,
    pub(crate) reports: Arc<Mutex<Vec<String>>>,
    line: Receiver<bool>,
    /// Per queue: requests made, and answers seen.
    made: [u16; 16],
    seen: [u16; 16],
}

impl Driver {
    pub(crate) fn new(
        front: impl Front + 'static,
        backend: impl Backend<GuestMemoryMmap> + 'static,
    ) -> Self {
        let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), MEMORY)]).unwrap();
        Self::of(memory, front, backend)
    }

    /// For a backend that has the memory, which begins at 0, from elsewhere as well.
    pub(crate) fn of(
        memory: GuestMemoryMmap,
        front: impl Front + 'static,
        backend: impl Backend<GuestMemoryMmap> + 'static,
    ) -> Self {
        let reports: Arc<Mutex<Vec<String>>> = Arc::default();
        let (sender, line) = channel();
        let report = reports.clone();
        let device = Mmio::new(
            "device",
            Box::new(front),
            Box::new(backend),
            memory.clone(),
            Box::new(Line(sender)),
            Arc::new(move |text: &str| report.lock().unwrap().push(text.to_owned())),
        );
        Self { device: device.unwrap(), memory, reports, line, made: [0; 16], seen: [0; 16] }
    }

    pub(crate) fn read(&mut self, offset: u64) -> u32 {
        let mut word = [0; 4];
        self.device.read(offset, &mut word).unwrap();
        u32::from_le_bytes(word)
    }

    pub(crate) fn write(&mut self, offset: u64, value: u32) {
        self.device.write(offset, &value.to_le_bytes()).unwrap();
    }

    pub(crate) fn features(&mut self) -> u64 {
        let mut half = |which| {
            self.write(0x014, which);
            u64::from(self.read(0x010))
        };
        half(0) | half(1) << 32
    }

    /// Accepts these features and says so. Returns whether the device agrees.
    pub(crate) fn accept(&mut self, features: u64) -> bool {
        self.write(0x070, 0);
        (self.made, self.seen) = ([0; 16], [0; 16]);
        self.write(0x070, 3);
        for which in [0, 1] {
            self.write(0x024, which);
            self.write(0x020, (features >> (32 * which)) as u32);
        }
        self.write(0x070, 11);
        self.read(0x070) & 8 != 0
    }

    /// Gives the device its queues, `size` descriptors each.
    pub(crate) fn set_queues(&mut self, count: u32, size: u32) {
        for queue in 0..count {
            let base = u64::from(queue) * QUEUE;
            self.memory.write_slice(&[0; QUEUE as usize], GuestAddress(base)).unwrap();
            self.write(0x030, queue);
            self.write(0x038, size);
            for (register, address) in
                [(0x080, base), (0x090, base + AVAILABLE), (0x0a0, base + USED)]
            {
                self.write(register, address as u32);
                self.write(register + 4, 0);
            }
            self.write(0x044, 1);
        }
    }

    /// As a driver begins: no features beyond those of version 1 and these.
    pub(crate) fn begin(&mut self, features: u64, queues: u32) {
        assert!(self.accept(1 << 32 | features));
        self.set_queues(queues, 16);
        self.write(0x070, 15);
    }

    /// Puts a request into a queue: bytes for the device, then room for it. Does not tell it.
    pub(crate) fn put(&mut self, queue: usize, bytes: &[&[u8]], room: &[u32]) {
        let base = queue as u64 * QUEUE;
        let mut buffer = BUFFERS + (queue as u64) * (1 << 20);
        let count = bytes.len() + room.len();
        let pieces = bytes.iter().map(|bytes| (Some(*bytes), bytes.len() as u32));
        let pieces = pieces.chain(room.iter().map(|len| (None, *len)));
        for (index, (bytes, len)) in pieces.enumerate() {
            let flags = if bytes.is_none() { WRITE } else { 0 };
            let flags = if index + 1 < count { flags | NEXT } else { flags };
            self.memory.write_slice(bytes.unwrap_or_default(), GuestAddress(buffer)).unwrap();
            let at = GuestAddress(base + 16 * index as u64);
            let descriptor = [
                &buffer.to_le_bytes()[..],
                &len.to_le_bytes(),
                &flags.to_le_bytes(),
                &(index as u16 + 1).to_le_bytes(),
            ];
            self.memory.write_slice(&descriptor.concat(), at).unwrap();
            buffer += u64::from(len);
        }
        self.make_available(queue, 0);
    }

    /// Tells of the chain that begins with this descriptor.
    pub(crate) fn make_available(&mut self, queue: usize, head: u16) {
        let ring = queue as u64 * QUEUE + AVAILABLE;
        let slot = u64::from(self.made[queue] % 16);
        self.memory.write_slice(&head.to_le_bytes(), GuestAddress(ring + 4 + 2 * slot)).unwrap();
        self.made[queue] = self.made[queue].wrapping_add(1);
        self.memory.write_slice(&self.made[queue].to_le_bytes(), GuestAddress(ring + 2)).unwrap();
    }

    pub(crate) fn notify(&mut self, queue: usize) {
        self.write(0x050, queue as u32);
    }

    /// Waits for the line to rise, and acknowledges. Returns what for.
    pub(crate) fn interrupt(&mut self) -> u32 {
        while !self.line.recv_timeout(LIMIT).expect("an interrupt") {}
        let status = self.read(0x060);
        self.write(0x064, status);
        status
    }

    /// Waits for the next answer in a queue, and returns how many bytes were written.
    pub(crate) fn answer(&mut self, queue: usize) -> u32 {
        let ring = GuestAddress(queue as u64 * QUEUE + USED);
        loop {
            let mut index = [0; 2];
            self.memory.read_slice(&mut index, GuestAddress(ring.0 + 2)).unwrap();
            if u16::from_le_bytes(index) != self.seen[queue] {
                break;
            }
            self.interrupt();
        }
        let slot = u64::from(self.seen[queue] % 16);
        self.seen[queue] = self.seen[queue].wrapping_add(1);
        let mut len = [0; 4];
        self.memory.read_slice(&mut len, GuestAddress(ring.0 + 4 + 8 * slot + 4)).unwrap();
        u32::from_le_bytes(len)
    }

    /// Bytes of a queue's buffers, from `offset` on.
    pub(crate) fn buffer(&self, queue: usize, offset: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        let at = BUFFERS + queue as u64 * (1 << 20) + offset;
        self.memory.read_slice(&mut bytes, GuestAddress(at)).unwrap();
        bytes
    }

    /// One request from beginning to end.
    pub(crate) fn ask(&mut self, queue: usize, bytes: &[&[u8]], room: &[u32]) -> (u32, Vec<u8>) {
        self.put(queue, bytes, room);
        self.notify(queue);
        let written = self.answer(queue);
        let sent: usize = bytes.iter().map(|bytes| bytes.len()).sum();
        (written, self.buffer(queue, sent as u64, written as usize))
    }
}
