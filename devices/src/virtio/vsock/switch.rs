//! Which packet belongs to which connection, and who may send next.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use vmm_sys_util::epoll::EventSet;

use super::connection::{Connection, State, operation};
use super::entrance::{Entrance, LISTENER, RETRY};
use super::packet::{Address, HEADER, Header, Operation, STREAM};
use super::{HOST, RECEIVE, TRANSMIT};
use crate::virtio::{Backend, Broken, Ram, Ring, Waits, unix};

/// Connections at once. Another one waits if it is the host's, and is refused if it is the guest's.
const MOST: usize = 1023;
/// Answers to packets of no connection that wait for room; more are lost.
const MOST_RESETS: usize = 256;
/// Bytes of data in one packet. Linux takes 64 KiB and gives buffers of 4.
const MOST_DATA: usize = 64 << 10;

/// Ports that the host's clients have, from here on. Linux's services are below.
const FIRST_PORT: u32 = 1 << 30;

/// What a connection is found by: the host's port and the guest's.
type Ports = (u32, u32);

/// A connection, and the packets it is known by.
struct Known {
    connection: Connection,
    /// `None` until its client has said where it wants to.
    ports: Option<Ports>,
    /// It stands in [`Switch::turns`].
    is_queued: bool,
}

/// The host's side of all connections.
pub struct Switch {
    cid: u64,
    path: PathBuf,
    entrance: Entrance,
    connections: HashMap<u32, Known>,
    by_ports: HashMap<Ports, u32>,
    /// Those that may have something for the guest, in turn.
    turns: VecDeque<u32>,
    resets: VecDeque<Header>,
    next_token: u32,
    next_port: u32,
    data: Vec<u8>,
    room: Box<[u8]>,
}

impl Switch {
    /// For the guest of this context. Clients come to `listener`; guests' connections go to sockets whose names begin with `path`.
    pub fn new(cid: u32, path: &Path, listener: UnixListener) -> io::Result<Self> {
        Ok(Self {
            cid: cid.into(),
            path: path.to_owned(),
            entrance: Entrance::new(listener)?,
            connections: HashMap::new(),
            by_ports: HashMap::new(),
            turns: VecDeque::new(),
            resets: VecDeque::new(),
            next_token: RETRY,
            next_port: FIRST_PORT,
            data: Vec::new(),
            room: vec![0; MOST_DATA].into_boxed_slice(),
        })
    }

    fn header(&self, ports: Ports, operation: Operation) -> Header {
        Header {
            source: Address { cid: HOST, port: ports.0 },
            destination: Address { cid: self.cid, port: ports.1 },
            len: 0,
            kind: STREAM,
            operation: Some(operation),
            flags: 0,
            room: 0,
            taken: 0,
        }
    }

    /// Has the guest told that there is no such connection.
    fn refuse(&mut self, ports: Ports) {
        if self.resets.len() < MOST_RESETS {
            self.resets.push_back(self.header(ports, Operation::Reset));
        }
    }

    fn add(&mut self, connection: Connection, ports: Option<Ports>) -> u32 {
        loop {
            self.next_token = self.next_token.wrapping_add(1);
            if self.next_token > RETRY && !self.connections.contains_key(&self.next_token) {
                break;
            }
        }
        let token = self.next_token;
        if let Some(ports) = ports {
            self.by_ports.insert(ports, token);
        }
        self.connections.insert(token, Known { connection, ports, is_queued: false });
        token
    }

    fn remove(&mut self, token: u32, waits: &mut Waits) {
        let Some(known) = self.connections.remove(&token) else { return };
        if let Some(ports) = known.ports {
            self.by_ports.remove(&ports);
        }
        if !known.connection.watched.is_empty() {
            // It is closed right after: there is nothing that could go wrong with that.
            let _ = waits.remove(known.connection.socket());
        }
        self.entrance.open(waits);
    }

    /// Ends a connection of which the guest knows.
    fn break_off(&mut self, token: u32, waits: &mut Waits) {
        let known = self.connections.get(&token);
        let ports = known
            .filter(|known| known.connection.state != State::Asking)
            .and_then(|known| known.ports);
        self.remove(token, waits);
        if let Some(ports) = ports {
            self.refuse(ports);
        }
    }

    /// After anything has happened to a connection: it gets its turn, and what it waits for is waited for.
    fn settle(&mut self, token: u32, waits: &mut Waits) -> io::Result<()> {
        let Some(known) = self.connections.get_mut(&token) else { return Ok(()) };
        if known.connection.is_over() {
            self.break_off(token, waits);
            return Ok(());
        }
        if known.connection.has_news() && !known.is_queued {
            known.is_queued = true;
            self.turns.push_back(token);
        }
        known.watch(token, waits)
    }

    /// Somebody has come.
    fn accept(&mut self, waits: &mut Waits) -> Result<(), Broken> {
        while self.connections.len() < MOST {
            let Some(socket) = self.entrance.next(waits)? else { return Ok(()) };
            let token = self.add(Connection::accepted(socket), None);
            self.settle(token, waits)?;
        }
        Ok(self.entrance.shut(waits)?)
    }

    /// A client has written of its first line.
    fn hear_client(&mut self, token: u32) -> io::Result<()> {
        let Some(known) = self.connections.get_mut(&token) else { return Ok(()) };
        let Some(port) = known.connection.asked()? else { return Ok(()) };
        while self.by_ports.contains_key(&(self.next_port, port)) {
            self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_PORT);
        }
        let ports = (self.next_port, port);
        self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_PORT);
        known.ports = Some(ports);
        self.by_ports.insert(ports, token);
        Ok(())
    }

    /// A packet of the guest's, whose data is in `self.data`.
    fn hear_guest(&mut self, header: &Header, waits: &mut Waits) -> io::Result<()> {
        let ports = (header.destination.port, header.source.port);
        let is_ours = header.destination.cid == HOST
            && header.source.cid == self.cid
            && header.kind == STREAM;
        let found = self.by_ports.get(&ports).copied().filter(|_| is_ours);
        let Some(token) = found else {
            match header.operation {
                Some(Operation::Request) if is_ours => return self.connect(ports, header, waits),
                Some(Operation::Reset) => {}
                _ => self.refuse(ports),
            }
            return Ok(());
        };
        let Some(known) = self.connections.get_mut(&token) else { return Ok(()) };
        let connection = &mut known.connection;
        connection.hear(header);
        let done = match (header.operation, connection.state) {
            (Some(Operation::Response), State::Connecting) => connection.answered(ports.0),
            (Some(Operation::Data), State::Open) => connection.write(&self.data),
            (Some(Operation::Shutdown), State::Open) => connection.shut(header.flags),
            (Some(Operation::CreditUpdate), _) => Ok(()),
            (Some(Operation::CreditRequest), _) => {
                connection.ask_credit();
                Ok(())
            }
            (Some(Operation::Reset), _) => {
                self.remove(token, waits);
                return Ok(());
            }
            // It comes out of turn.
            _ => Err(io::ErrorKind::InvalidData.into()),
        };
        if done.is_err() {
            self.break_off(token, waits);
            return Ok(());
        }
        self.settle(token, waits)
    }

    /// The guest wants to connect.
    fn connect(&mut self, ports: Ports, request: &Header, waits: &mut Waits) -> io::Result<()> {
        let mut name = OsString::from(&self.path);
        name.push(format!("_{}", ports.0));
        let socket =
            (self.connections.len() < MOST).then(|| unix::connect(Path::new(&name)).ok()).flatten();
        let Some(socket) = socket else {
            self.refuse(ports);
            return Ok(());
        };
        let token = self.add(Connection::requested(socket, request), Some(ports));
        self.settle(token, waits)
    }

    /// Takes the guest's packets.
    fn take<M: Ram>(&mut self, ring: &mut Ring<M>, waits: &mut Waits) -> Result<(), Broken> {
        ring.drain(|request| {
            let mut reader = request.reader()?;
            let mut bytes = [0; HEADER];
            if reader.read_exact(&mut bytes).is_err() {
                return Ok(0);
            }
            let header = Header::decode(&bytes);
            self.data.clear();
            reader
                .take(header.len.into())
                .take(MOST_DATA as u64 * 4)
                .read_to_end(&mut self.data)?;
            self.hear_guest(&header, waits)?;
            Ok(0)
        })
    }

    /// Gives the guest what there is for it, as long as it has room.
    fn give<M: Ram>(&mut self, ring: &mut Ring<M>, waits: &mut Waits) -> Result<(), Broken> {
        ring.quiet()?;
        while !self.resets.is_empty() || !self.turns.is_empty() {
            let Some(request) = ring.take()? else {
                if ring.listen()? {
                    ring.quiet()?;
                    continue;
                }
                break;
            };
            let mut writer = request.writer()?;
            let space = writer.available_bytes().saturating_sub(HEADER);
            match self.next(space, waits)? {
                Some((header, len)) if writer.available_bytes() >= HEADER => {
                    writer.write_all(&header.encode())?;
                    writer.write_all(self.room.get(..len).unwrap_or_default())?;
                    ring.done(request.head(), (HEADER + len) as u32)?;
                }
                // A buffer without room for a packet.
                Some(_) => ring.done(request.head(), 0)?,
                None => ring.put_back(1),
            }
        }
        ring.signal()
    }

    /// The next packet, with its data in `self.room`. `None` if whoever's turn it was had nothing.
    fn next(&mut self, space: usize, waits: &mut Waits) -> io::Result<Option<(Header, usize)>> {
        if let Some(header) = self.resets.pop_front() {
            return Ok(Some((header, 0)));
        }
        let Some(token) = self.turns.pop_front() else { return Ok(None) };
        let Some(known) = self.connections.get_mut(&token) else { return Ok(None) };
        known.is_queued = false;
        let Some(ports) = known.ports else { return Ok(None) };
        let connection = &mut known.connection;
        let (operation, flags, len) = match connection.word() {
            Some(word) => {
                let (operation, flags) = operation(word);
                (operation, flags, 0)
            }
            // A buffer with no room for data: it says something true instead.
            None if space == 0 => (Operation::CreditUpdate, 0, 0),
            None => {
                let room = self.room.get_mut(..space.min(MOST_DATA)).unwrap_or_default();
                match connection.read(room) {
                    Ok(0) => {
                        // What it has to say now, if its end has come, has its turn again. Else the socket will tell.
                        if connection.has_words() {
                            known.is_queued = true;
                            self.turns.push_back(token);
                        }
                        known.watch(token, waits)?;
                        return Ok(None);
                    }
                    Ok(len) => (Operation::Data, 0, len),
                    Err(_) => {
                        self.break_off(token, waits);
                        return Ok(None);
                    }
                }
            }
        };
        let credit = connection.credit();
        self.settle(token, waits)?;
        let header = self.header(ports, operation);
        Ok(Some((
            Header { len: len as u32, flags, room: credit.0, taken: credit.1, ..header },
            len,
        )))
    }
}

impl Known {
    /// One that has its turn anyway need not be told that there is something to read.
    fn watch(&mut self, token: u32, waits: &mut Waits) -> io::Result<()> {
        let connection = &mut self.connection;
        let mut wanted = connection.wants();
        wanted.set(EventSet::IN, wanted.contains(EventSet::IN) && !self.is_queued);
        let before = std::mem::replace(&mut connection.watched, wanted);
        match (before.is_empty(), wanted.is_empty()) {
            _ if before == wanted => Ok(()),
            (true, _) => waits.add(connection.socket(), wanted, token),
            // Not with nothing to wait for: a socket whose other end has hung up would say so all the time.
            (false, true) => waits.remove(connection.socket()),
            (false, false) => waits.change(connection.socket(), wanted, token),
        }
    }
}

impl<M: Ram> Backend<M> for Switch {
    fn start(&mut self, _: u64, _: &mut [Ring<M>], waits: &mut Waits) -> Result<(), Broken> {
        Ok(self.entrance.start(waits)?)
    }

    fn serve(
        &mut self,
        queue: usize,
        rings: &mut [Ring<M>],
        waits: &mut Waits,
    ) -> Result<(), Broken> {
        if let Some(ring) = rings.get_mut(TRANSMIT).filter(|_| queue == TRANSMIT) {
            self.take(ring, waits)?;
        }
        rings.get_mut(RECEIVE).map_or(Ok(()), |ring| self.give(ring, waits))
    }

    fn ready(
        &mut self,
        token: u32,
        rings: &mut [Ring<M>],
        waits: &mut Waits,
    ) -> Result<(), Broken> {
        if token == LISTENER {
            return self.accept(waits);
        }
        if token == RETRY {
            return Ok(self.entrance.retry(waits)?);
        }
        let Some(known) = self.connections.get_mut(&token) else { return Ok(()) };
        let done = match known.connection.state {
            State::Asking => self.hear_client(token),
            _ => known.connection.flush(),
        };
        match done {
            Ok(()) => self.settle(token, waits)?,
            Err(_) => self.break_off(token, waits),
        }
        rings.get_mut(RECEIVE).map_or(Ok(()), |ring| self.give(ring, waits))
    }

    fn reset(&mut self) {
        self.connections.clear();
        self.by_ports.clear();
        self.turns.clear();
        self.resets.clear();
    }
}
