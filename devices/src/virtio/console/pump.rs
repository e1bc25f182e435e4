//! Bytes between a port's queues and its end in the host. Neither side waits for the other, and nothing is held in between:
//! what has no room stays where it is.

use std::io::{self, Read};

use crate::virtio::{Broken, Ram, Request, Ring};

/// Bytes moved at once.
const PIECE: usize = 64 << 10;

/// The host's end of a port.
pub(super) trait End {
    /// Reads what there is for the guest; 0 if nothing will come any more, `WouldBlock` if there is nothing now.
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize>;

    /// Takes what the guest sends; `WouldBlock` if it has no room now. An error of another kind: it takes nothing any more.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
}

/// How it went with bytes for the guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Delivery {
    /// There are no more now.
    Done,
    /// The guest has no room.
    NoRoom,
    /// There will be no more.
    Ended,
}

/// How it went with the guest's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Collection {
    /// All were taken.
    Done,
    /// The host's end has no room.
    NoRoom,
    /// The host's end takes no more.
    Refused,
}

/// The state of one port.
pub(super) struct Pump {
    piece: Box<[u8]>,
    /// What has gone of the request that is first in the transmit queue.
    sent: usize,
}

impl Pump {
    pub(super) fn new() -> Self {
        Self { piece: vec![0; PIECE].into_boxed_slice(), sent: 0 }
    }

    /// Forgets what was under way.
    pub(super) fn reset(&mut self) {
        self.sent = 0;
    }

    /// Gives the guest what there is for it.
    pub(super) fn deliver<M: Ram>(
        &mut self,
        ring: &mut Ring<M>,
        end: &mut impl End,
    ) -> Result<Delivery, Broken> {
        ring.quiet()?;
        let delivery = loop {
            let Some(request) = ring.take()? else {
                if ring.listen()? {
                    ring.quiet()?;
                    continue;
                }
                break Delivery::NoRoom;
            };
            let (_, room) = request.buffers()?;
            let len = usize::try_from(room.len()).unwrap_or(usize::MAX).min(self.piece.len());
            let piece = self.piece.get_mut(..len).unwrap_or_default();
            // A buffer without room is given back: nothing read into it would look like the end.
            let read = if piece.is_empty() { Ok(0) } else { again(|| end.read(piece)) };
            match read {
                Ok(0) if !piece.is_empty() => break keep(ring, Delivery::Ended),
                Ok(count) => {
                    let written = room.write(piece.get(..count).unwrap_or_default());
                    ring.done(request.head(), written as u32)?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    break keep(ring, Delivery::Done);
                }
                Err(_) => break keep(ring, Delivery::Ended),
            }
        };
        ring.signal()?;
        Ok(delivery)
    }

    /// Takes what the guest sends; all of it goes nowhere if there is no end.
    pub(super) fn collect<M: Ram>(
        &mut self,
        ring: &mut Ring<M>,
        mut end: Option<&mut impl End>,
    ) -> Result<Collection, Broken> {
        loop {
            ring.quiet()?;
            while let Some(request) = ring.take()? {
                let collection = match &mut end {
                    Some(end) => self.send(ring, &request, *end)?,
                    None => Collection::Done,
                };
                if collection != Collection::Done {
                    ring.put_back(1);
                    ring.signal()?;
                    return Ok(collection);
                }
                self.sent = 0;
                ring.done(request.head(), 0)?;
            }
            ring.signal()?;
            if !ring.listen()? {
                return Ok(Collection::Done);
            }
        }
    }

    /// Sends what has not gone yet of a request.
    fn send<M: Ram>(
        &mut self,
        ring: &Ring<M>,
        request: &Request<M>,
        end: &mut impl End,
    ) -> Result<Collection, Broken> {
        let mut reader = request.reader()?;
        // A driver may have changed it meanwhile.
        let mut rest = reader.split_at(self.sent.min(reader.available_bytes()))?;
        loop {
            // One request may be longer than anybody would wait for.
            if ring.is_stopping() {
                return Ok(Collection::NoRoom);
            }
            let count = rest.read(&mut self.piece)?;
            let mut piece = self.piece.get(..count).unwrap_or_default();
            if piece.is_empty() {
                return Ok(Collection::Done);
            }
            while !piece.is_empty() {
                match again(|| end.write(piece)) {
                    Ok(taken) => {
                        self.sent += taken;
                        piece = piece.get(taken..).unwrap_or_default();
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        return Ok(Collection::NoRoom);
                    }
                    Err(_) => return Ok(Collection::Refused),
                }
            }
        }
    }
}

/// The guest's room stays for later.
fn keep<M: Ram>(ring: &mut Ring<M>, delivery: Delivery) -> Delivery {
    ring.put_back(1);
    delivery
}

fn again(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
