//! Named ports without a console.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use vmm_sys_util::epoll::EventSet;
use vmm_sys_util::timerfd::TimerFd;

use super::bell::Bell;
use super::control::{HEADER, Port, Word};
use super::pump::{Collection, Delivery, Pump};
use super::socket::{Socket, Wanted};
use super::{ID, QUEUE, TRANSMIT};
use crate::virtio::{Backend, Broken, Front, Ram, Ring, Waits, read_config};

/// Ports at most: as many as QEMU has, beside port 0.
pub const MOST: usize = 30;

/// There are several ports, and queues to talk about them.
const F_MULTIPORT: u64 = 1 << 1;

/// Queues of messages to the driver and from it (5.3.2); those of ports from 1 on follow.
const TO_DRIVER: usize = 2;
const FROM_DRIVER: usize = 3;

/// Tokens of the bell and the timer; two of each port from 1 on follow, of its listener and its client.
const BELL: u32 = 0;
const RETRY: u32 = 1;

/// How soon a client comes in for whom there was no descriptor.
const RETRY_TIME: Duration = Duration::from_millis(100);

/// What a driver sees beside its queues.
pub struct Face {
    /// cols, rows, max_nr_ports (5.3.4).
    space: [u8; 8],
    queues: Vec<u16>,
}

impl Face {
    /// Of this many ports, beside port 0.
    pub fn new(ports: usize) -> Self {
        let mut space = [0; 8];
        let (_, most) = space.split_at_mut(4);
        most.copy_from_slice(&(1 + ports as u32).to_le_bytes());
        Self { space, queues: vec![QUEUE; 4 + 2 * ports] }
    }
}

impl Front for Face {
    fn id(&self) -> u32 {
        ID
    }

    fn features(&self) -> u64 {
        F_MULTIPORT
    }

    fn queues(&self) -> &[u16] {
        &self.queues
    }

    fn read(&self, offset: u64, data: &mut [u8]) {
        read_config(&self.space, offset, data);
    }
}

/// What serves the queues.
pub struct Channels {
    bell: Arc<Bell>,
    list: Vec<Channel>,
    /// The driver has begun.
    is_ready: bool,
    /// Others may have taken all descriptors, and nobody tells when they give one back.
    retry: TimerFd,
}

/// A port.
struct Channel {
    socket: Socket,
    port: Port,
    pump: Pump,
    /// All that the guest has sent has been taken.
    is_collected: bool,
    /// Nobody comes in before the timer has gone off.
    is_shut: bool,
}

impl Channels {
    /// Ports with these sockets, in this order. What is left in their queues is waited for by `bell`.
    pub fn new(sockets: Vec<Socket>, bell: Arc<Bell>) -> io::Result<Self> {
        let channel = |socket| Channel {
            socket,
            port: Port::default(),
            pump: Pump::new(),
            is_collected: true,
            is_shut: false,
        };
        let list = sockets.into_iter().map(channel).collect();
        Ok(Self { bell, list, is_ready: false, retry: TimerFd::new()? })
    }

    /// Takes what the driver says.
    fn hear<M: Ram>(&mut self, ring: &mut Ring<M>) -> Result<(), Broken> {
        ring.drain(|request| {
            let mut bytes = [0; HEADER];
            // What is too short says nothing.
            if request.reader()?.read_exact(&mut bytes).is_ok()
                && let Some(word) = Word::decode(bytes)
            {
                self.take(word);
            }
            Ok(0)
        })
    }

    fn take(&mut self, word: Word) {
        match word {
            Word::DeviceReady(is_ready) => {
                self.is_ready = is_ready;
                for channel in &mut self.list {
                    channel.port = Port::default();
                }
            }
            Word::PortReady(id, is_ready) => {
                if let Some(port) = self.port(id) {
                    port.is_ready = is_ready;
                }
            }
            Word::PortOpen(id, is_open) => {
                if let Some(port) = self.port(id) {
                    port.is_open = is_open;
                }
            }
        }
    }

    /// `None` if there is no such port, or nothing to say about it.
    fn port(&mut self, id: u32) -> Option<&mut Port> {
        let index = usize::try_from(id).ok()?.checked_sub(1)?;
        Some(&mut self.list.get_mut(index)?.port)
    }

    /// Tells the driver what it does not know yet, as long as it has room.
    fn tell<M: Ram>(&mut self, ring: &mut Ring<M>) -> Result<(), Broken> {
        for (id, channel) in (1..).zip(&mut self.list).filter(|_| self.is_ready) {
            loop {
                // Not told before there is room for it.
                let mut port = channel.port;
                let is_open = channel.socket.is_open();
                let Some(message) = port.next(id, &channel.socket.name, is_open) else { break };
                let Some(request) = ring.take()? else {
                    if ring.listen()? {
                        continue;
                    }
                    return ring.signal();
                };
                let (_, room) = request.buffers()?;
                let written = room.write(&message);
                ring.done(request.head(), written as u32)?;
                channel.port = port;
            }
        }
        ring.signal()
    }

    /// Moves all there is to move, of one port or of all, and waits for what can be done next.
    fn work<M: Ram>(
        &mut self,
        which: Option<usize>,
        rings: &mut [Ring<M>],
        waits: &mut Waits,
    ) -> Result<(), Broken> {
        let chosen = self.list.iter_mut().enumerate();
        for (index, channel) in chosen.filter(|(index, _)| which.is_none_or(|it| it == *index)) {
            if let Some([receive, transmit]) = pair(rings, index) {
                channel.work(receive, transmit, tokens(index), waits)?;
            }
        }
        if let Some(ring) = rings.get_mut(TO_DRIVER) {
            self.tell(ring)?;
        }
        // What was told may be what a listener has waited for.
        for (index, channel) in self.list.iter_mut().enumerate() {
            let is_unused =
                channel.port.is_ready && !channel.port.is_told_open && !channel.socket.is_open();
            let is_free = is_unused && !channel.is_shut;
            channel.socket.listen(is_free, tokens(index).0, waits)?;
        }
        if self.list.iter().all(|channel| channel.is_collected) {
            self.bell.note_empty();
        }
        Ok(())
    }
}

impl Channel {
    fn work<M: Ram>(
        &mut self,
        receive: &mut Ring<M>,
        transmit: &mut Ring<M>,
        (_, token): (u32, u32),
        waits: &mut Waits,
    ) -> Result<(), Broken> {
        let mut wanted = Wanted::default();
        if let Some(client) = self.socket.client() {
            // Linux throws away what comes for a port that nobody has open.
            if self.port.is_open && client.may_send() {
                match self.pump.deliver(receive, client)? {
                    Delivery::Done => wanted.input = true,
                    Delivery::NoRoom => {}
                    Delivery::Ended => client.note_end(),
                }
            }
            loop {
                match self.pump.collect(transmit, Some(&mut *client))? {
                    Collection::Done => break,
                    Collection::NoRoom => {
                        wanted.output = true;
                        break;
                    }
                    // What it cannot take any more goes nowhere.
                    Collection::Refused => client.note_deaf(),
                }
            }
        }
        self.is_collected = !wanted.output;
        if self.socket.close_if_over(waits) {
            // The rest was for the client that has gone, and not for the next one.
            self.pump.reset();
            wanted = Wanted::default();
            self.is_collected = true;
        }
        match self.socket.client() {
            Some(client) => client.watch(wanted, token, waits)?,
            None => {
                self.pump.collect(transmit, None::<&mut super::socket::Client>)?;
            }
        }
        Ok(())
    }
}

/// The queues of a port, by its index among ours.
fn pair<M: Ram>(rings: &mut [Ring<M>], index: usize) -> Option<[&mut Ring<M>; 2]> {
    let first = FROM_DRIVER + 1 + 2 * index;
    let [receive, transmit] = rings.get_mut(first..first + 2)? else { return None };
    Some([receive, transmit])
}

/// Of a port's listener and of its client.
fn tokens(index: usize) -> (u32, u32) {
    let first = 2 + 2 * index as u32;
    (first, first + 1)
}

impl<M: Ram> Backend<M> for Channels {
    fn start(&mut self, _: u64, _: &mut [Ring<M>], waits: &mut Waits) -> Result<(), Broken> {
        self.bell.begin();
        waits.add(&self.retry, EventSet::IN, RETRY)?;
        Ok(waits.add(&*self.bell, EventSet::IN, BELL)?)
    }

    fn serve(
        &mut self,
        queue: usize,
        rings: &mut [Ring<M>],
        waits: &mut Waits,
    ) -> Result<(), Broken> {
        match (queue, rings.get_mut(queue)) {
            // Nobody is at port 0.
            (TRANSMIT, Some(ring)) => ring.drain(|_| Ok(0)),
            (FROM_DRIVER, Some(ring)) => {
                self.hear(ring)?;
                self.work(None, rings, waits)
            }
            _ => self.work(queue.checked_sub(FROM_DRIVER + 1).map(|it| it / 2), rings, waits),
        }
    }

    fn ready(
        &mut self,
        token: u32,
        rings: &mut [Ring<M>],
        waits: &mut Waits,
    ) -> Result<(), Broken> {
        if token == BELL {
            self.bell.hear();
            return self.work(None, rings, waits);
        }
        if token == RETRY {
            self.retry.wait().map_err(io::Error::from)?;
            self.list.iter_mut().for_each(|channel| channel.is_shut = false);
            return self.work(None, rings, waits);
        }
        let index = usize::try_from(token / 2).map_err(io::Error::other)? - 1;
        if let Some(channel) = self.list.get_mut(index).filter(|_| token.is_multiple_of(2)) {
            channel.is_shut = channel.socket.accept().is_err();
            if channel.is_shut {
                self.retry.reset(RETRY_TIME, None).map_err(io::Error::from)?;
            }
        }
        self.work(Some(index), rings, waits)
    }

    fn reset(&mut self) {
        self.is_ready = false;
        for channel in &mut self.list {
            channel.port = Port::default();
            channel.pump.reset();
            channel.socket.forget_waits();
            channel.is_shut = false;
        }
        self.bell.end();
    }
}
