//! Network device (specification, 5.1): Ethernet frames to and from a [`Wire`].

mod stream;
mod tap;
#[cfg(test)]
mod tests;

use std::io::{self, Read, Write};
use std::os::fd::RawFd;

use vmm_sys_util::epoll::EventSet;

pub use stream::Stream;
pub use tap::Tap;

use super::{Backend, Broken, Front, Ram, Request, Ring, Waits, read_config};

const ID: u32 = 1;
/// As many as Linux's own devices have: at 1500 bytes a frame, 384 KiB under way.
const QUEUES: [u16; 2] = [256, 256];
const RECEIVE: usize = 0;
const TRANSMIT: usize = 1;

/// The configuration space begins with the address.
const F_MAC: u64 = 1 << 5;
/// A frame may be spread over several receive buffers.
const F_MRG_RXBUF: u64 = 1 << 15;
/// The configuration space has the link's state.
const F_STATUS: u64 = 1 << 16;
const LINK_UP: u16 = 1;

/// `struct virtio_net_hdr_v1` (5.1.6): zeroes, and the number of buffers at the end. Nothing is offloaded.
const HEADER: usize = 12;
const NUM_BUFFERS: usize = 10;

/// The longest frame: what IPv4 and passt allow, with an Ethernet header and a VLAN tag.
pub const LONGEST: usize = 65535 + 18;

/// Token of the wire among what the worker waits for.
const WIRE: u32 = 0;

/// Where frames go and come from. Nothing here blocks.
pub trait Wire: Send {
    /// What is waited for.
    fn fd(&self) -> RawFd;

    /// Takes a frame, and returns how many bytes of `frame` it fills. `WouldBlock` if there is none.
    fn receive(&mut self, frame: &mut [u8]) -> io::Result<usize>;

    /// Sends a frame. `WouldBlock` if there is no room for it: then it is asked again once there is.
    fn send(&mut self, frame: &[u8]) -> io::Result<()>;

    /// Goes on with a frame that was sent and has not left yet. True if there is still such a one.
    fn is_behind(&mut self) -> io::Result<bool> {
        Ok(false)
    }
}

/// What a driver sees beside its queues.
pub struct Net {
    /// The guest's address and the link's state.
    space: [u8; 8],
}

impl Net {
    /// A device with this address.
    pub fn new(mac: [u8; 6]) -> Self {
        let mut space = [0; 8];
        let (address, status) = space.split_at_mut(mac.len());
        address.copy_from_slice(&mac);
        status.copy_from_slice(&LINK_UP.to_le_bytes());
        Self { space }
    }
}

impl Front for Net {
    fn id(&self) -> u32 {
        ID
    }

    fn features(&self) -> u64 {
        F_MAC | F_MRG_RXBUF | F_STATUS
    }

    fn queues(&self) -> &[u16] {
        &QUEUES
    }

    fn read(&self, offset: u64, data: &mut [u8]) {
        read_config(&self.space, offset, data);
    }
}

/// Carries frames between the queues and the wire.
pub struct Carrier<W> {
    wire: W,
    /// A frame of the wire's that the guest has no room for yet: its bytes, and how many.
    received: Box<[u8]>,
    waiting: Option<usize>,
    /// A frame of the guest's.
    sent: Vec<u8>,
    /// What is waited for at the wire.
    watched: EventSet,
    can_merge: bool,
    /// The wire is torn: nothing comes any more, and what is sent is lost.
    is_torn: bool,
}

impl<W: Wire> Carrier<W> {
    /// Takes the wire.
    pub fn new(wire: W) -> Self {
        Self {
            wire,
            received: vec![0; HEADER + LONGEST].into_boxed_slice(),
            waiting: None,
            sent: Vec::new(),
            watched: EventSet::empty(),
            can_merge: false,
            is_torn: false,
        }
    }

    /// Hands frames to the guest as long as there are some and it has room.
    fn deliver<M: Ram>(&mut self, ring: &mut Ring<M>) -> Result<(), Broken> {
        ring.quiet()?;
        loop {
            let len = match self.waiting.take() {
                Some(len) => len,
                None => match self.receive()? {
                    Some(len) => len,
                    None => break,
                },
            };
            if !self.put(ring, len)? {
                self.waiting = Some(len);
                if ring.listen()? {
                    ring.quiet()?;
                    continue;
                }
                break;
            }
        }
        ring.signal()
    }

    /// The next frame of the wire, behind room for a header.
    fn receive(&mut self) -> Result<Option<usize>, Broken> {
        let Some(room) = self.received.get_mut(HEADER..).filter(|_| !self.is_torn) else {
            return Ok(None);
        };
        match self.wire.receive(room) {
            Ok(len) => Ok(Some(len)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(self.torn(&error)),
        }
    }

    fn torn(&mut self, error: &io::Error) -> Broken {
        self.is_torn = true;
        Broken(format!("the network: {error}"))
    }

    /// Puts a frame into as many buffers as it takes. False, with nothing taken, if there are too few.
    fn put<M: Ram>(&mut self, ring: &mut Ring<M>, len: usize) -> Result<bool, Broken> {
        let mut buffers: Vec<Request<M>> = Vec::new();
        let mut room = 0;
        while room < HEADER + len {
            if !buffers.is_empty() && !self.can_merge {
                // The driver offers less than what the wire carries: lost, as on a wire with frames that are too long.
                break;
            }
            let Some(request) = ring.take()? else {
                ring.put_back(buffers.len());
                return Ok(false);
            };
            room += request.writer()?.available_bytes();
            buffers.push(request);
            if buffers.len() > usize::from(QUEUES[RECEIVE]) {
                return Err(Broken("receive buffers without room".to_owned()));
            }
        }
        let is_lost = room < HEADER + len;
        let mut frame = self.received.get_mut(..HEADER + len).unwrap_or_default();
        if let Some(header) = frame.first_chunk_mut::<HEADER>() {
            header.fill(0);
            let [low, high] = (buffers.len() as u16).to_le_bytes();
            (header[NUM_BUFFERS], header[NUM_BUFFERS + 1]) = (low, high);
        }
        if is_lost {
            frame = &mut [];
            ring.put_back(buffers.len());
            buffers.clear();
        }
        let mut rest: &[u8] = frame;
        for request in &buffers {
            let mut writer = request.writer()?;
            let (now, later) = rest.split_at(rest.len().min(writer.available_bytes()));
            writer.write_all(now)?;
            rest = later;
            ring.done(request.head(), now.len() as u32)?;
        }
        Ok(true)
    }

    /// Sends what the guest has, as long as the wire takes it.
    fn transmit<M: Ram>(&mut self, ring: &mut Ring<M>) -> Result<(), Broken> {
        loop {
            ring.quiet()?;
            while let Some(request) = ring.take()? {
                self.sent.clear();
                request.reader()?.take((HEADER + LONGEST) as u64).read_to_end(&mut self.sent)?;
                let frame = self.sent.get(HEADER..).unwrap_or_default();
                if !frame.is_empty() && !self.is_torn {
                    match self.wire.send(frame) {
                        Ok(()) => {}
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                            ring.put_back(1);
                            // Nothing is to be heard of the queue until the wire has room.
                            self.watched |= EventSet::OUT;
                            return ring.signal();
                        }
                        Err(error) => return Err(self.torn(&error)),
                    }
                }
                ring.done(request.head(), 0)?;
            }
            ring.signal()?;
            if !ring.listen()? {
                return Ok(());
            }
        }
    }

    /// Serves both ways, and waits for what can be done next.
    fn carry<M: Ram>(
        &mut self,
        rings: &mut [Ring<M>],
        waits: &mut Waits,
        ways: [bool; 2],
    ) -> Result<(), Broken> {
        let before = self.watched;
        if let Some(ring) = rings.get_mut(TRANSMIT).filter(|_| ways[TRANSMIT]) {
            self.watched.remove(EventSet::OUT);
            self.transmit(ring)?;
            if self.wire.is_behind().map_err(|error| self.torn(&error))? {
                self.watched |= EventSet::OUT;
            }
        }
        if let Some(ring) = rings.get_mut(RECEIVE).filter(|_| ways[RECEIVE]) {
            self.deliver(ring)?;
            // A guest without room leaves its frames where they are.
            self.watched.set(EventSet::IN, self.waiting.is_none());
        }
        if self.watched != before {
            waits.change(&self.wire.fd(), self.watched, WIRE)?;
        }
        Ok(())
    }
}

impl<M: Ram, W: Wire> Backend<M> for Carrier<W> {
    fn start(&mut self, features: u64, _: &mut [Ring<M>], waits: &mut Waits) -> Result<(), Broken> {
        self.can_merge = features & F_MRG_RXBUF != 0;
        if self.is_torn {
            return Err(Broken("the network: its other end is gone".to_owned()));
        }
        self.watched = EventSet::IN;
        Ok(waits.add(&self.wire.fd(), self.watched, WIRE)?)
    }

    fn serve(
        &mut self,
        queue: usize,
        rings: &mut [Ring<M>],
        waits: &mut Waits,
    ) -> Result<(), Broken> {
        self.carry(rings, waits, [queue == RECEIVE, queue == TRANSMIT])
    }

    fn ready(&mut self, _: u32, rings: &mut [Ring<M>], waits: &mut Waits) -> Result<(), Broken> {
        if self.watched.is_empty() {
            // What it was not asked for: its other end has hung up.
            return Err(self.torn(&io::ErrorKind::BrokenPipe.into()));
        }
        let wants_room = self.watched.contains(EventSet::OUT);
        self.carry(rings, waits, [true, wants_room])
    }

    fn reset(&mut self) {
        self.waiting = None;
    }
}
