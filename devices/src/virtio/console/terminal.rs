//! A console: one port, whose other end is what the user looks at and types into.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use vmm_sys_util::epoll::EventSet;

use super::bell::Bell;
use super::pump::{Collection, End, Pump};
use super::{ID, QUEUE, RECEIVE, TRANSMIT};
use crate::bus::Refused;
use crate::virtio::{Backend, Broken, Front, Ram, Ring, Waits, read_config};
use crate::wire::Wire;

const QUEUES: [u16; 2] = [QUEUE, QUEUE];

/// The configuration space has the size of what shows the console.
const F_SIZE: u64 = 1 << 0;
/// A character written to `emerg_wr` of the configuration space is shown, without queues and at any time.
const F_EMERG_WRITE: u64 = 1 << 2;

/// `struct virtio_console_config` (5.3.4): cols, rows, max_nr_ports, emerg_wr.
const EMERG_WR: u64 = 8;

/// Bytes for the guest that wait for room in its queue.
const WAITING: usize = 4096;

/// Token of the bell.
const BELL: u32 = 0;

/// Of what shows the console, in characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size {
    /// Columns.
    pub cols: u16,
    /// Rows.
    pub rows: u16,
}

/// The host's end of a console, whichever guest is at the other.
pub struct Terminal {
    bell: Bell,
    state: Mutex<State>,
}

struct State {
    /// For the guest.
    input: VecDeque<u8>,
    /// Not all that was offered has been taken since the host was last told to go on.
    is_held_back: bool,
    size: Option<Size>,
    /// How often it has changed.
    generation: u32,
    /// It has, and the driver does not know.
    is_resized: bool,
}

impl Terminal {
    /// One that is this large, as far as that is known.
    pub fn new(size: Option<Size>) -> io::Result<Self> {
        let state = State {
            input: VecDeque::new(),
            is_held_back: false,
            size,
            generation: 0,
            is_resized: false,
        };
        Ok(Self { bell: Bell::new()?, state: Mutex::new(state) })
    }

    /// Takes bytes for the guest; returns how many. The host keeps the others until [`Wire::receive_ready`].
    pub fn receive(&self, bytes: &[u8]) -> usize {
        let mut state = self.lock();
        let taken = bytes.len().min(WAITING.saturating_sub(state.input.len()));
        state.input.extend(bytes.iter().take(taken));
        state.is_held_back |= taken < bytes.len();
        drop(state);
        if taken > 0 {
            self.bell.ring();
        }
        taken
    }

    /// The host can take bytes of the guest's again.
    pub fn transmit_ready(&self) {
        self.bell.ring();
    }

    /// What shows the console has another size.
    pub fn resize(&self, size: Size) {
        let mut state = self.lock();
        if state.size.is_some_and(|old| old != size) {
            state.size = Some(size);
            state.generation = state.generation.wrapping_add(1);
            state.is_resized = true;
            self.bell.ring();
        }
    }

    /// As [`Bell::drain`].
    pub fn drain(&self, limit: Duration) {
        self.bell.drain(limit);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a driver sees beside its queues.
pub struct Face {
    terminal: Arc<Terminal>,
    wire: Mutex<Box<dyn Wire>>,
}

impl Face {
    /// Of this terminal; `wire` is the way to it.
    pub fn new(terminal: Arc<Terminal>, wire: Box<dyn Wire>) -> Self {
        Self { terminal, wire: Mutex::new(wire) }
    }
}

impl Front for Face {
    fn id(&self) -> u32 {
        ID
    }

    fn features(&self) -> u64 {
        let size = if self.terminal.lock().size.is_some() { F_SIZE } else { 0 };
        F_EMERG_WRITE | size
    }

    fn queues(&self) -> &[u16] {
        &QUEUES
    }

    fn read(&self, offset: u64, data: &mut [u8]) {
        let size = self.terminal.lock().size.unwrap_or(Size { cols: 0, rows: 0 });
        let size = [size.cols.to_le_bytes(), size.rows.to_le_bytes()];
        read_config(size.as_flattened(), offset, data);
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), Refused> {
        let (EMERG_WR, Some(character)) = (offset, data.first()) else {
            return Err(Refused("of this configuration space only emerg_wr is written"));
        };
        let wire = self.wire.get_mut().unwrap_or_else(PoisonError::into_inner);
        match wire.transmit(&[*character]) {
            0 => Err(Refused("the console has no room for an emergency write, byte lost")),
            _ => Ok(()),
        }
    }

    fn generation(&self) -> u32 {
        self.terminal.lock().generation
    }
}

/// What serves the queues.
pub struct Console {
    port: Port,
    pump: Pump,
    /// The driver knows of the size.
    wants_size: bool,
    /// It was told to look at it. That is not before it sends something: Linux has nothing before that whose size it could be.
    is_size_told: bool,
}

/// The terminal as the pump sees it.
struct Port {
    terminal: Arc<Terminal>,
    wire: Box<dyn Wire>,
    /// The guest has sent something.
    has_spoken: bool,
}

impl Console {
    /// For this terminal; `wire` is the way to it.
    pub fn new(terminal: Arc<Terminal>, wire: Box<dyn Wire>) -> Self {
        let port = Port { terminal, wire, has_spoken: false };
        Self { port, pump: Pump::new(), wants_size: false, is_size_told: false }
    }

    fn deliver<M: Ram>(&mut self, rings: &mut [Ring<M>]) -> Result<(), Broken> {
        if let Some(ring) = rings.get_mut(RECEIVE) {
            self.pump.deliver(ring, &mut self.port)?;
        }
        Ok(())
    }

    fn collect<M: Ram>(&mut self, rings: &mut [Ring<M>]) -> Result<(), Broken> {
        let Some(ring) = rings.get_mut(TRANSMIT) else { return Ok(()) };
        if self.pump.collect(ring, Some(&mut self.port))? == Collection::Done {
            self.port.terminal.bell.note_empty();
        }
        if self.port.has_spoken && !self.is_size_told {
            self.tell_size(rings);
        }
        Ok(())
    }

    /// Tells the driver of the size.
    fn tell_size<M: Ram>(&mut self, rings: &[Ring<M>]) {
        self.is_size_told = true;
        if let Some(ring) = rings.first().filter(|_| self.wants_size) {
            ring.announce();
        }
    }
}

impl End for Port {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let mut state = self.terminal.lock();
        let count = room.len().min(state.input.len());
        for (room, byte) in room.iter_mut().zip(state.input.drain(..count)) {
            *room = byte;
        }
        let is_ready = state.input.is_empty() && std::mem::take(&mut state.is_held_back);
        drop(state);
        if is_ready {
            self.wire.receive_ready();
        }
        if count == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(count) }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.has_spoken = true;
        match self.wire.transmit(bytes) {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

impl<M: Ram> Backend<M> for Console {
    fn start(&mut self, features: u64, _: &mut [Ring<M>], waits: &mut Waits) -> Result<(), Broken> {
        self.wants_size = features & F_SIZE != 0;
        self.port.terminal.bell.begin();
        Ok(waits.add(&self.port.terminal.bell, EventSet::IN, BELL)?)
    }

    fn serve(&mut self, queue: usize, rings: &mut [Ring<M>], _: &mut Waits) -> Result<(), Broken> {
        match queue {
            RECEIVE => self.deliver(rings),
            _ => self.collect(rings),
        }
    }

    fn ready(&mut self, _: u32, rings: &mut [Ring<M>], _: &mut Waits) -> Result<(), Broken> {
        self.port.terminal.bell.hear();
        if std::mem::take(&mut self.port.terminal.lock().is_resized) {
            self.tell_size(rings);
        }
        self.deliver(rings)?;
        self.collect(rings)
    }

    fn reset(&mut self) {
        self.pump.reset();
        (self.is_size_told, self.port.has_spoken) = (false, false);
        self.port.terminal.bell.end();
    }
}
