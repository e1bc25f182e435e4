//! One connection: bytes between a Unix socket and the guest, never more than the other side has room for (specification,
//! 5.10.6.3).

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::num::Wrapping;
use std::os::unix::net::UnixStream;

use vmm_sys_util::epoll::EventSet;

use super::packet::{Header, NO_RECEIVE, NO_SEND, Operation};

/// Bytes of the guest's that may wait for the socket to take them, which the guest is told.
pub const ROOM: u32 = 256 << 10;

/// Longest line with which a client of the host's says where it wants to: `CONNECT 4294967295\n`.
const LONGEST_LINE: usize = 32;

/// How far a connection has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// A client of the host's has not said yet which port it wants.
    Asking,
    /// It has, and the guest has not answered.
    Connecting,
    /// Both sides know of it.
    Open,
}

/// What a connection has to say next, before data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Word {
    /// [`Operation::Request`].
    Request,
    /// [`Operation::Response`].
    Response,
    /// [`Operation::Shutdown`] with these flags.
    Shutdown(u32),
    /// [`Operation::CreditUpdate`].
    Credit,
}

/// A connection.
pub struct Connection {
    socket: UnixStream,
    /// How far it has come.
    pub state: State,
    /// Said in this order.
    words: VecDeque<Word>,
    /// What was read of a client's first line.
    line: Vec<u8>,
    /// Bytes of the guest's that the socket has not taken yet; at most [`ROOM`].
    unsent: VecDeque<u8>,
    /// Bytes that the socket has taken, and that the guest was told.
    taken: Wrapping<u32>,
    told: Wrapping<u32>,
    /// The guest's receive buffer, what it has taken out of it, and what was sent to it.
    peer_room: u32,
    peer_taken: Wrapping<u32>,
    sent: Wrapping<u32>,
    /// Who sends no more: the socket, the guest.
    has_ended: bool,
    has_guest_ended: bool,
    /// The guest wants to hear no more.
    is_guest_deaf: bool,
    /// What is waited for at the socket now.
    pub watched: EventSet,
}

impl Connection {
    /// With a client of the host's that has just come.
    pub fn accepted(socket: UnixStream) -> Self {
        Self::new(socket, State::Asking)
    }

    /// That the guest asked for, and that has a socket now.
    pub fn requested(socket: UnixStream, request: &Header) -> Self {
        let mut connection = Self::new(socket, State::Open);
        connection.hear(request);
        connection.words.push_back(Word::Response);
        connection
    }

    fn new(socket: UnixStream, state: State) -> Self {
        Self {
            socket,
            state,
            words: VecDeque::new(),
            line: Vec::new(),
            unsent: VecDeque::new(),
            taken: Wrapping(0),
            told: Wrapping(0),
            peer_room: 0,
            peer_taken: Wrapping(0),
            sent: Wrapping(0),
            has_ended: false,
            has_guest_ended: false,
            is_guest_deaf: false,
            watched: EventSet::empty(),
        }
    }

    /// The socket.
    pub fn socket(&self) -> &UnixStream {
        &self.socket
    }

    /// Takes what every packet tells.
    pub fn hear(&mut self, header: &Header) {
        self.peer_room = header.room;
        self.peer_taken = Wrapping(header.taken);
    }

    /// The numbers that every packet tells.
    pub fn credit(&mut self) -> (u32, u32) {
        self.told = self.taken;
        (ROOM, self.taken.0)
    }

    /// How many bytes the guest has room for. What makes no sense is none.
    fn peer_free(&self) -> usize {
        let under_way = (self.sent - self.peer_taken).0;
        self.peer_room.saturating_sub(under_way) as usize
    }

    /// Whether it has something to say to the guest, or may have.
    pub fn has_news(&self) -> bool {
        self.has_words() || self.can_read()
    }

    /// Whether it has to say something before data.
    pub fn has_words(&self) -> bool {
        !self.words.is_empty()
    }

    fn can_read(&self) -> bool {
        self.state == State::Open && !self.has_ended && !self.is_guest_deaf && self.peer_free() > 0
    }

    /// What it has to say before data.
    pub fn word(&mut self) -> Option<Word> {
        self.words.pop_front()
    }

    /// Data for the guest, as much as `room` and the guest's buffer hold. 0 if there is none.
    pub fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if !self.can_read() {
            return Ok(0);
        }
        let len = room.len().min(self.peer_free());
        let room = room.get_mut(..len).unwrap_or_default();
        match again(|| self.socket.read(room)) {
            Ok(0) => {
                self.has_ended = true;
                // What the guest still sends goes on.
                self.words.push_back(Word::Shutdown(NO_SEND));
                Ok(0)
            }
            Ok(count) => {
                self.sent += count as u32;
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Takes data of the guest's. An error if it is more than there was room for.
    pub fn write(&mut self, data: &[u8]) -> io::Result<()> {
        if self.unsent.len() + data.len() > ROOM as usize {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.unsent.extend(data);
        self.flush()
    }

    /// Hands on to the socket what it takes.
    pub fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            let (bytes, _) = self.unsent.as_slices();
            match again(|| self.socket.write(bytes)) {
                Ok(count) => {
                    drop(self.unsent.drain(..count));
                    self.taken += count as u32;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        if (self.taken - self.told).0 >= ROOM / 2 && !self.words.contains(&Word::Credit) {
            self.words.push_back(Word::Credit);
        }
        if self.unsent.is_empty() && self.has_guest_ended {
            // The other end may have gone.
            let _ = self.socket.shutdown(Shutdown::Write);
        }
        Ok(())
    }

    /// The guest wants to hear of the room it has.
    pub fn ask_credit(&mut self) {
        if !self.words.contains(&Word::Credit) {
            self.words.push_back(Word::Credit);
        }
    }

    /// The guest ends one direction or both.
    pub fn shut(&mut self, flags: u32) -> io::Result<()> {
        self.is_guest_deaf |= flags & NO_RECEIVE != 0;
        self.has_guest_ended |= flags & NO_SEND != 0;
        self.flush()
    }

    /// Whether nothing more can come of it: the guest has ended both directions, and all that it sent has gone.
    pub fn is_over(&self) -> bool {
        self.has_guest_ended && self.unsent.is_empty() && (self.is_guest_deaf || self.has_ended)
    }

    /// What is to be waited for at the socket.
    pub fn wants(&self) -> EventSet {
        let mut wanted = EventSet::empty();
        wanted.set(EventSet::IN, self.state == State::Asking || self.can_read());
        wanted.set(EventSet::OUT, !self.unsent.is_empty());
        wanted
    }

    /// Reads on in a client's first line. The port that it wants, when that is complete.
    pub fn asked(&mut self) -> io::Result<Option<u32>> {
        let mut byte = [0];
        // Byte by byte: what follows is for the guest.
        while self.line.last() != Some(&b'\n') {
            match again(|| self.socket.read(&mut byte)) {
                Ok(1) if self.line.len() < LONGEST_LINE => self.line.extend(byte),
                Ok(_) => return Err(io::ErrorKind::InvalidData.into()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        let line = str::from_utf8(&self.line).ok();
        let port = line.and_then(|line| line.trim_end().strip_prefix("CONNECT ")?.parse().ok());
        let port = port.ok_or(io::ErrorKind::InvalidData)?;
        self.state = State::Connecting;
        self.words.push_back(Word::Request);
        Ok(Some(port))
    }

    /// The guest has answered a client's request, which came from this port.
    pub fn answered(&mut self, port: u32) -> io::Result<()> {
        self.state = State::Open;
        self.unsent.extend(format!("OK {port}\n").bytes());
        // It is not the guest's.
        self.taken -= self.unsent.len() as u32;
        self.told = self.taken;
        self.flush()
    }
}

fn again(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// What a word is as a packet's operation and flags.
pub fn operation(word: Word) -> (Operation, u32) {
    match word {
        Word::Request => (Operation::Request, 0),
        Word::Response => (Operation::Response, 0),
        Word::Shutdown(flags) => (Operation::Shutdown, flags),
        Word::Credit => (Operation::CreditUpdate, 0),
    }
}
