//! What carries packets between the queues and the wire.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use vmm_sys_util::epoll::EventSet;
use vmm_sys_util::timerfd::TimerFd;

use super::{
    F_MRG_RXBUF, HEADER, LONGEST, Link, NUM_BUFFERS, QUEUES, RECEIVE, Shared, TRANSMIT, Wire,
};
use crate::virtio::{Backend, Broken, Ram, Request, Ring, Waits};

/// Tokens among what the worker waits for.
const WIRE: u32 = 0;
const MENDING: u32 = 1;

/// How often it is tried to mend a torn wire.
const PAUSE: Duration = Duration::from_secs(1);

/// Packets in one direction before the other has its turn.
const TURN: usize = 64;

/// Carries packets between the queues and the wire.
pub struct Carrier {
    wire: Shared,
    link: Link,
    report: Box<dyn Fn(&str) + Send>,
    features: u64,
    /// A packet of the wire's, and how many bytes of it there are if the guest has no room for it yet.
    received: Box<[u8]>,
    waiting: Option<usize>,
    /// A packet of the guest's.
    sent: Vec<u8>,
    /// What is waited for at the wire.
    watched: EventSet,
    /// What has just torn the wire.
    failure: Option<io::Error>,
    /// When to try again, while the wire is torn. What is sent is lost then.
    mending: Option<TimerFd>,
}

impl Carrier {
    /// Takes the wire. `report` gets a line for the user when that is torn, and when it is there again.
    pub fn new(wire: Shared, link: Link, report: Box<dyn Fn(&str) + Send>) -> Self {
        Self {
            wire,
            link,
            report,
            features: 0,
            received: vec![0; HEADER + LONGEST].into_boxed_slice(),
            waiting: None,
            sent: Vec::new(),
            watched: EventSet::empty(),
            failure: None,
            mending: None,
        }
    }

    fn wire(&self) -> MutexGuard<'_, dyn Wire + 'static> {
        self.wire.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_torn(&self) -> bool {
        self.failure.is_some() || self.mending.is_some()
    }

    /// Hands packets to the guest as long as there are some and it has room. True if there may be more, and it is the
    /// other direction's turn.
    fn deliver<M: Ram>(&mut self, ring: &mut Ring<M>) -> Result<bool, Broken> {
        ring.quiet()?;
        for _ in 0..TURN {
            let Some(len) = self.waiting.take().or_else(|| self.receive()) else {
                ring.signal()?;
                return Ok(false);
            };
            if !self.put(ring, len)? {
                self.waiting = Some(len);
                ring.signal()?;
                return Ok(false);
            }
        }
        ring.signal()?;
        Ok(true)
    }

    /// The next packet of the wire.
    fn receive(&mut self) -> Option<usize> {
        if self.is_torn() {
            return None;
        }
        let mut wire = self.wire.lock().unwrap_or_else(PoisonError::into_inner);
        match wire.receive(&mut self.received) {
            Ok(len) => Some(len),
            Err(error) => {
                self.failure = Some(error).filter(|error| error.kind() != ErrorKind::WouldBlock);
                None
            }
        }
    }

    /// Has the wire keep what comes while the guest has no room, if it can.
    fn hold(&mut self) -> bool {
        let held = if self.is_torn() { Ok(false) } else { self.wire().hold() };
        held.unwrap_or_else(|error| {
            self.failure = Some(error);
            false
        })
    }

    /// Puts a packet into as many buffers as it takes. False, with nothing taken, if there are too few: then the driver says when it adds some.
    fn put<M: Ram>(&mut self, ring: &mut Ring<M>, len: usize) -> Result<bool, Broken> {
        let can_merge = self.features & F_MRG_RXBUF != 0;
        let mut buffers: Vec<Request<M>> = Vec::new();
        let mut room = 0;
        while room < len {
            if !buffers.is_empty() && !can_merge {
                // The driver offers less than what the wire carries: lost, as on a wire with frames that are too long.
                ring.put_back(buffers.len());
                return Ok(true);
            }
            let Some(request) = ring.take()? else {
                // Before they are put back: those that are too few are no news.
                if ring.listen()? {
                    ring.quiet()?;
                    continue;
                }
                ring.put_back(buffers.len());
                return Ok(false);
            };
            room += request.writer()?.available_bytes();
            buffers.push(request);
            if buffers.len() > usize::from(QUEUES[RECEIVE]) {
                return Err(Broken("receive buffers without room".to_owned()));
            }
        }
        let packet = self.received.get_mut(..len).unwrap_or_default();
        if let Some(number) = packet.get_mut(NUM_BUFFERS..HEADER) {
            number.copy_from_slice(&(buffers.len() as u16).to_le_bytes());
        }
        let mut rest: &[u8] = packet;
        let mut used = Vec::with_capacity(buffers.len());
        for request in &buffers {
            let mut writer = request.writer()?;
            let (now, later) = rest.split_at(rest.len().min(writer.available_bytes()));
            writer.write_all(now)?;
            rest = later;
            used.push((request.head(), now.len() as u32));
        }
        ring.done_together(&used)?;
        Ok(true)
    }

    /// Sends what the guest has, as long as the wire takes it. True if there may be more, and it is the other
    /// direction's turn.
    fn transmit<M: Ram>(&mut self, ring: &mut Ring<M>) -> Result<bool, Broken> {
        ring.quiet()?;
        for _ in 0..TURN {
            let Some(request) = ring.take()? else {
                ring.signal()?;
                return ring.listen();
            };
            self.sent.clear();
            let most = HEADER + LONGEST;
            request.reader()?.take(most as u64 + 1).read_to_end(&mut self.sent)?;
            // Too short and too long are lost, as on any wire.
            if self.sent.len() > HEADER && self.sent.len() <= most && !self.is_torn() {
                let sent = self.wire().send(&self.sent);
                match sent {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        ring.put_back(1);
                        // Nothing is to be heard of the queue until the wire has room.
                        self.watched |= EventSet::OUT;
                        ring.signal()?;
                        return Ok(false);
                    }
                    sent => self.failure = sent.err(),
                }
            }
            ring.done(request.head(), 0)?;
        }
        ring.signal()?;
        Ok(true)
    }

    /// Serves these ways, by turns, and waits for what can be done next.
    fn carry<M: Ram>(
        &mut self,
        rings: &mut [Ring<M>],
        waits: &mut Waits,
        ways: [bool; 2],
    ) -> Result<(), Broken> {
        let [receive, transmit, ..] = rings else { return Ok(()) };
        let before = self.watched;
        let mut has_more = ways;
        while has_more.contains(&true) {
            if has_more[TRANSMIT] {
                self.watched.remove(EventSet::OUT);
                has_more[TRANSMIT] = self.transmit(transmit)?;
            }
            if has_more[RECEIVE] {
                has_more[RECEIVE] = self.deliver(receive)?;
                let is_ready = self.waiting.is_none() || self.hold();
                self.watched.set(EventSet::IN, is_ready);
            }
        }
        if ways[TRANSMIT] && !self.is_torn() {
            let is_behind = self.wire().is_behind();
            match is_behind {
                Ok(is_behind) => {
                    self.watched
                        .set(EventSet::OUT, is_behind || self.watched.contains(EventSet::OUT));
                }
                Err(error) => self.failure = Some(error),
            }
        }
        if let Some(error) = self.failure.take() {
            let fd = self.wire().fd();
            // It is closed when there is another one, or was never there.
            let _ = waits.remove(&fd);
            return self.tear(&error, receive, waits);
        }
        if self.watched != before && self.mending.is_none() {
            let fd = self.wire().fd();
            waits.change(&fd, self.watched, WIRE)?;
        }
        Ok(())
    }

    /// The link is down until the wire is mended.
    fn tear<M: Ram>(
        &mut self,
        error: &io::Error,
        ring: &Ring<M>,
        waits: &mut Waits,
    ) -> Result<(), Broken> {
        self.watched = EventSet::empty();
        if self.link.swap(false, Ordering::AcqRel) {
            (self.report)(&format!("{error}; the guest's link is down until it is there again"));
            ring.announce();
        }
        let mut timer = TimerFd::new().map_err(io::Error::from)?;
        timer.reset(PAUSE, Some(PAUSE)).map_err(io::Error::from)?;
        waits.add(&timer, EventSet::IN, MENDING)?;
        self.mending = Some(timer);
        Ok(())
    }

    /// Waits for what the wire brings.
    fn connect<M: Ram>(&mut self, ring: &Ring<M>, waits: &mut Waits) -> Result<(), Broken> {
        self.watched = EventSet::IN;
        let fd = self.wire().fd();
        waits.add(&fd, self.watched, WIRE)?;
        if !self.link.swap(true, Ordering::AcqRel) {
            (self.report)("it is there again");
            ring.announce();
        }
        Ok(())
    }

    /// Tries to mend the wire.
    fn mend<M: Ram>(&mut self, rings: &mut [Ring<M>], waits: &mut Waits) -> Result<(), Broken> {
        let (Some(timer), [receive, ..]) = (&mut self.mending, &*rings) else { return Ok(()) };
        timer.wait().map_err(io::Error::from)?;
        let begun = self.wire().begin(self.features);
        if begun.is_err() {
            return Ok(());
        }
        if let Some(timer) = self.mending.take() {
            waits.remove(&timer)?;
        }
        self.connect(receive, waits)?;
        self.carry(rings, waits, [true, true])
    }
}

impl<M: Ram> Backend<M> for Carrier {
    fn start(
        &mut self,
        features: u64,
        rings: &mut [Ring<M>],
        waits: &mut Waits,
    ) -> Result<(), Broken> {
        self.features = features;
        let [receive, ..] = &*rings else { return Ok(()) };
        let begun = self.wire().begin(features);
        match begun {
            Ok(()) => self.connect(receive, waits),
            Err(error) => self.tear(&error, receive, waits),
        }
    }

    fn serve(
        &mut self,
        queue: usize,
        rings: &mut [Ring<M>],
        waits: &mut Waits,
    ) -> Result<(), Broken> {
        self.carry(rings, waits, [queue == RECEIVE, queue == TRANSMIT])
    }

    fn ready(
        &mut self,
        token: u32,
        rings: &mut [Ring<M>],
        waits: &mut Waits,
    ) -> Result<(), Broken> {
        if token == MENDING {
            return self.mend(rings, waits);
        }
        if self.mending.is_some() {
            // Torn by what came at the same time.
            return Ok(());
        }
        if self.watched.is_empty() {
            // Not what it was asked for: its other end is gone, unless this came before it was not to be asked.
            if !self.wire().has_hung_up() {
                return Ok(());
            }
            self.failure = Some(ErrorKind::BrokenPipe.into());
        }
        let wants_room = self.watched.contains(EventSet::OUT);
        self.carry(rings, waits, [true, wants_room])
    }

    fn reset(&mut self) {
        self.waiting = None;
        self.mending = None;
    }
}
