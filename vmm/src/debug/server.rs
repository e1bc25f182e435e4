//! The GDB server: a listening socket, one client at a time, and the guest.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use gdbstub::{Flow, Session, Stop, StopReason, Target, Tid, stop};

use super::target::{Event, Guest};
use crate::kvm::control::VcpuStop;
use crate::message;

/// Largest piece read from a client at once. It bounds the replies that can pile up: a packet of a few
/// bytes can ask for 32 KiB.
const READ_SIZE: usize = 4 << 10;

/// What a debugger is told that comes before the guest's first instruction.
const FIRST_STOP: Stop = Stop { tid: Tid::FIRST, reason: StopReason::Signal(stop::SIGTRAP) };

/// A socket that waits for debuggers.
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix socket, and its path, removed at the end.
    Unix(UnixListener, PathBuf),
}

impl Listener {
    /// Listens on `host:port`.
    pub fn tcp(host: &str, port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((host, port))?;
        listener.set_nonblocking(true)?;
        Ok(Self::Tcp(listener))
    }

    /// Listens on a Unix socket that only its owner may connect to. One that nobody listens on any
    /// more is replaced.
    pub fn unix(path: &Path) -> io::Result<Self> {
        let is_socket = fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket());
        let refused = |error: io::Error| error.kind() == ErrorKind::ConnectionRefused;
        if is_socket && UnixStream::connect(path).err().is_some_and(refused) {
            fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Self::Unix(listener, path.to_owned()))
    }

    fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                // Packets are small and each waits for its answer.
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                Ok(Box::new(stream))
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                Ok(Box::new(stream))
            }
        }
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Self::Tcp(listener) => listener.as_raw_fd(),
            Self::Unix(listener, _) => listener.as_raw_fd(),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            // Gone already is as good.
            let _ = fs::remove_file(path);
        }
    }
}

/// A connection to a client.
trait Stream: Read + Write + AsFd {}
impl Stream for TcpStream {}
impl Stream for UnixStream {}

struct Client {
    stream: Box<dyn Stream>,
    /// Begins with the first byte: whoever only connects, such as a port scan, stops no guest.
    session: Option<Session>,
    /// Replies that the socket has not taken yet. While there are any, nothing is read.
    unsent: Vec<u8>,
}

/// What the server's owner has to do.
pub enum Outcome {
    /// Go on.
    Nothing,
    /// The debugger killed the guest.
    Killed,
    /// The guest ended, and the client is still to be told its exit status by [`Server::end`].
    Ended(VcpuStop),
}

/// The GDB server.
pub struct Server {
    listener: Listener,
    client: Option<Client>,
    /// A connection that is over and waits for [`Server::drop_closed`].
    closed: Option<Client>,
    guest: Guest,
    /// `None` while the guest runs.
    stop: Option<Stop>,
}

impl Server {
    /// A server for a guest that is parked at its first instruction.
    pub fn new(listener: Listener, guest: Guest) -> Self {
        Self { listener, client: None, closed: None, guest, stop: Some(FIRST_STOP) }
    }

    /// Lets the guest run before any debugger came.
    pub fn run_undebugged(&mut self) {
        self.guest.detach();
        self.stop = None;
    }

    /// Becomes readable when a debugger connects; then call [`Self::accept`].
    pub fn listener(&self) -> &impl AsRawFd {
        &self.listener
    }

    /// The client's socket, if there is one. Call [`Self::serve`] when it is readable, or writable
    /// while [`Self::has_unsent`].
    pub fn client(&self) -> Option<BorrowedFd<'_>> {
        self.client.as_ref().map(|client| client.stream.as_fd())
    }

    /// Whether the client has yet to take what was sent.
    pub fn has_unsent(&self) -> bool {
        self.client.as_ref().is_some_and(|client| !client.unsent.is_empty())
    }

    /// Closes the socket of a client that is gone. Its descriptor is watched no longer.
    pub fn drop_closed(&mut self) {
        self.closed = None;
    }

    /// Takes a client; a second one is sent away.
    pub fn accept(&mut self) -> Outcome {
        // The client may have left, with that news still waiting behind this one.
        match self.serve() {
            Outcome::Nothing => {}
            outcome => return outcome,
        }
        // It left before it was let in, or descriptors ran out: the next one may do better.
        let Ok(mut stream) = self.listener.accept() else { return Outcome::Nothing };
        if self.client.is_some() {
            // Best effort: the client may not be reading.
            let _ = stream.write(b"$E.minivmm serves one debugger at a time#34");
        } else {
            self.client = Some(Client { stream, session: None, unsent: Vec::new() });
        }
        Outcome::Nothing
    }

    /// Moves bytes between the client and its session.
    pub fn serve(&mut self) -> Outcome {
        let Some(client) = &mut self.client else { return Outcome::Nothing };
        if client.flush().is_err() {
            return self.lose_client();
        }
        if !client.unsent.is_empty() {
            return Outcome::Nothing;
        }
        let mut buffer = [0; READ_SIZE];
        let bytes = match client.stream.read(&mut buffer) {
            Ok(0) => return self.lose_client(),
            Ok(len) => buffer.get(..len).unwrap_or_default(),
            Err(error) if is_temporary(&error) => return Outcome::Nothing,
            Err(_) => return self.lose_client(),
        };
        if client.session.is_none() {
            let stop = match self.stop {
                Some(stop) => stop,
                None => match self.guest.interrupt_now() {
                    Event::Stopped(stop) => stop,
                    Event::Nothing => FIRST_STOP,
                    Event::Ended(ended) => return Outcome::Ended(ended),
                },
            };
            self.stop = Some(stop);
            client.session = Some(Session::new(stop));
        }
        let Some(session) = &mut client.session else { return Outcome::Nothing };
        let flow = session.receive(bytes, &mut self.guest, &mut client.unsent);
        let is_running = session.is_running();
        // A lost client shows at the next read.
        let _ = client.flush();
        match flow {
            Flow::Killed => return Outcome::Killed,
            Flow::Detached => {
                self.closed = self.client.take();
                self.stop = None;
                return Outcome::Nothing;
            }
            Flow::Continue => {}
        }
        if is_running {
            self.stop = None;
        }
        self.pass_words_on();
        if self.guest.take_interrupt() {
            let event = self.guest.interrupt_now();
            return self.report(event);
        }
        Outcome::Nothing
    }

    /// Takes the vCPUs' stops and tells the client.
    pub fn stops(&mut self) -> Outcome {
        self.pass_words_on();
        let event = self.guest.next_event();
        self.report(event)
    }

    /// Shows what breakpoint commands have printed: to the client, unless it is slow to take what
    /// was sent before; else, for it to be seen by somebody, on standard error.
    fn pass_words_on(&mut self) {
        let client = self.client.as_ref();
        let takes = |client: &Client| {
            client.unsent.is_empty() && client.session.as_ref().is_none_or(Session::takes_words)
        };
        if client.is_none_or(takes) {
            self.pass_all_words_on();
        }
    }

    fn pass_all_words_on(&mut self) {
        let text = self.guest.take_words();
        if text.is_empty() {
            return;
        }
        if let Some(client) = &mut self.client
            && let Some(session) = &mut client.session
            && session.console(&text, &mut client.unsent)
        {
            // A lost client shows at the next read.
            let _ = client.flush();
        } else {
            text.lines().for_each(message::say);
        }
    }

    /// Tells the client that the guest has ended with this exit status.
    pub fn end(&mut self, status: u8) {
        self.tell(Stop { tid: Tid::FIRST, reason: StopReason::Exited(status) });
    }

    fn report(&mut self, event: Event) -> Outcome {
        match event {
            Event::Nothing => Outcome::Nothing,
            Event::Stopped(stop) => {
                self.stop = Some(stop);
                self.tell(stop);
                Outcome::Nothing
            }
            Event::Ended(ended) => Outcome::Ended(ended),
        }
    }

    fn tell(&mut self, stop: Stop) {
        // What was said before the stop is heard before it.
        self.pass_all_words_on();
        if let Some(client) = &mut self.client
            && let Some(session) = &mut client.session
        {
            session.stopped(stop, &mut self.guest, &mut client.unsent);
            // A lost client shows at the next read.
            let _ = client.flush();
        }
    }

    /// The client went away without a word. A stopped guest stays stopped and keeps its
    /// breakpoints, a running one runs on to the next of them.
    fn lose_client(&mut self) -> Outcome {
        self.closed = self.client.take();
        Outcome::Nothing
    }
}

impl Client {
    /// Sends as much as the socket takes now.
    fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(len) => {
                    self.unsent.drain(..len);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
