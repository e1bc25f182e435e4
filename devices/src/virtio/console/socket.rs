//! A named port's end in the host: a Unix socket that one client after the other connects to.

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};

use vmm_sys_util::epoll::EventSet;

use super::pump::End;
use crate::virtio::{Waits, unix};

/// A port's name, and where its clients come.
pub struct Socket {
    pub(super) name: String,
    listener: UnixListener,
    is_listening: bool,
    client: Option<Client>,
}

/// Who is connected.
pub(super) struct Client {
    stream: UnixStream,
    /// It sends no more.
    has_ended: bool,
    /// It reads no more: what the guest sends goes nowhere.
    is_deaf: bool,
    /// What is waited for; `None` if it is not waited for at all.
    watched: Option<EventSet>,
}

/// What a client is to be waited for.
#[derive(Clone, Copy, Default)]
pub(super) struct Wanted {
    /// The guest takes what it sends.
    pub(super) input: bool,
    /// The guest has something that it had no room for.
    pub(super) output: bool,
}

impl Socket {
    /// For clients of this listener.
    pub fn new(name: &str, listener: UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self { name: name.to_owned(), listener, is_listening: false, client: None })
    }

    pub(super) fn client(&mut self) -> Option<&mut Client> {
        self.client.as_mut()
    }

    pub(super) fn is_open(&self) -> bool {
        self.client.is_some()
    }

    /// The next client, if there is one. An error if one cannot come in now, for want of a descriptor.
    pub(super) fn accept(&mut self) -> io::Result<()> {
        if self.is_open() {
            return Ok(());
        }
        match self.listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(true)?;
                let client = Client { stream, has_ended: false, is_deaf: false, watched: None };
                self.client = Some(client);
                Ok(())
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock
                | io::ErrorKind::Interrupted
                | io::ErrorKind::ConnectionAborted => Ok(()),
                _ => Err(error),
            },
        }
    }

    /// Lets the client go if nothing more can come of it. True if so.
    pub(super) fn close_if_over(&mut self, waits: &mut Waits) -> bool {
        let is_over = self.client.as_ref().is_some_and(Client::is_over);
        if let Some(client) = self.client.take_if(|_| is_over)
            && client.watched.is_some()
        {
            // It is closed right after: there is nothing that could go wrong with that.
            let _ = waits.remove(&client.stream);
        }
        is_over
    }

    /// Waits for the next client, by `token`, or no longer.
    pub(super) fn listen(
        &mut self,
        is_free: bool,
        token: u32,
        waits: &mut Waits,
    ) -> io::Result<()> {
        if is_free != self.is_listening {
            self.is_listening = is_free;
            if is_free {
                waits.add(&self.listener, EventSet::IN, token)?;
            } else {
                waits.remove(&self.listener)?;
            }
        }
        Ok(())
    }

    /// The device's thread ends, and with it all that was waited for. The client stays.
    pub(super) fn forget_waits(&mut self) {
        self.is_listening = false;
        if let Some(client) = &mut self.client {
            client.watched = None;
        }
    }
}

impl Client {
    /// Whether it may still send something.
    pub(super) fn may_send(&self) -> bool {
        !self.has_ended
    }

    /// It has sent its last byte.
    pub(super) fn note_end(&mut self) {
        self.has_ended = true;
    }

    /// It has closed its connection, or the end of it that it reads from.
    pub(super) fn note_deaf(&mut self) {
        self.is_deaf = true;
    }

    /// One that has only ended what it sends may wait for an answer.
    fn is_over(&self) -> bool {
        self.has_ended && (self.is_deaf || unix::has_hung_up(&self.stream))
    }

    pub(super) fn watch(
        &mut self,
        wanted: Wanted,
        token: u32,
        waits: &mut Waits,
    ) -> io::Result<()> {
        let mut events = EventSet::empty();
        events.set(EventSet::IN, wanted.input && !self.has_ended);
        events.set(EventSet::OUT, wanted.output && !self.is_deaf);
        // Its end is to be heard of once its bytes have been read. Until then it would be told again and again.
        let wanted = (self.has_ended || !events.is_empty()).then_some(events);
        match (std::mem::replace(&mut self.watched, wanted), wanted) {
            (None, Some(events)) => waits.add(&self.stream, events, token),
            (Some(before), Some(events)) if before != events => {
                waits.change(&self.stream, events, token)
            }
            (Some(_), None) => waits.remove(&self.stream),
            _ => Ok(()),
        }
    }
}

impl End for Client {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.stream.read(room)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_deaf {
            return Ok(bytes.len());
        }
        self.stream.write(bytes)
    }
}
