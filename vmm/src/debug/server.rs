//! The GDB server: one client at a time, and the guest.

use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, BorrowedFd};

use gdbstub::{Flow, Session, Stop, StopReason, Target, Tid, stop};

use super::target::{Event, Guest};
use super::transport::{Listener, Stream, Transport};
use crate::kvm::control::VcpuStop;
use crate::message::say;

/// Largest piece read from a client at once. It bounds the replies that can pile up: a packet of a few
/// bytes can ask for 64 KiB, which may double on the way.
const READ_SIZE: usize = 4 << 10;

/// What a debugger is told that comes before the guest's first instruction.
const FIRST_STOP: Stop = Stop { tid: Tid::FIRST, reason: StopReason::Signal(stop::SIGTRAP) };

/// What a debugger is told of a guest whose kernel panicked.
const PANICKED: Stop = Stop { tid: Tid::FIRST, reason: StopReason::Signal(stop::SIGABRT) };

struct Client {
    stream: Box<dyn Stream>,
    /// Begins with the first byte: whoever only connects, such as a port scan, stops no guest.
    session: Option<Session>,
    /// Replies that the stream has not taken yet. While there are any, nothing is read.
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
    /// The client left that [`Server::end`] was waiting for.
    Left,
    /// There is no guest any more: the old one has gone, and this kept a new one from coming.
    Failed(String),
}

/// The GDB server.
pub struct Server {
    /// `None`: nobody can come.
    listener: Option<Listener>,
    client: Option<Client>,
    /// A connection that is over and waits for [`Server::drop_closed`].
    closed: Option<Client>,
    guest: Guest,
    /// `None` while the guest runs.
    stop: Option<Stop>,
    /// The guest has ended by itself.
    has_ended: bool,
    /// The guest has been made anew, and nobody has asked since.
    is_new: bool,
}

impl Server {
    /// A server for a guest that is parked at its first instruction. Without a transport nobody can come before
    /// [`Self::listen`].
    pub fn new(transport: Option<Transport>, guest: Guest) -> Self {
        let (listener, client) = match transport {
            Some(Transport::Listener(listener)) => (Some(listener), None),
            Some(Transport::Stdio(stream)) => (None, Some(Client::new(Box::new(stream)))),
            None => (None, None),
        };
        Self {
            listener,
            client,
            closed: None,
            guest,
            stop: Some(FIRST_STOP),
            has_ended: false,
            is_new: false,
        }
    }

    /// Lets the guest run before any debugger came.
    pub fn run_undebugged(&mut self) {
        self.guest.detach();
        self.stop = None;
    }

    /// Lets debuggers come, from now on.
    pub fn listen(&mut self, listener: Listener) {
        self.listener = Some(listener);
    }

    /// Where debuggers come, if they can.
    pub fn address(&self) -> Option<String> {
        self.listener.as_ref().map(Listener::address)
    }

    /// Stops the guest for good, whether or not there is a debugger to hear of it.
    pub fn hold(&mut self) {
        let stop = match self.guest.interrupt_now() {
            Event::Stopped(Stop { tid, .. }) => Stop { tid, ..PANICKED },
            Event::Nothing | Event::Ended(_) => PANICKED,
        };
        let was_running = self.stop.is_none();
        self.stop = Some(stop);
        if was_running {
            self.tell(stop);
        }
    }

    /// The guest.
    pub fn guest(&self) -> &Guest {
        &self.guest
    }

    /// Parks every vCPU and waits until they are.
    pub fn park(&self) {
        self.guest.park();
    }

    /// Becomes readable when a debugger connects; then call [`Self::accept`].
    pub fn listener(&self) -> Option<&impl AsRawFd> {
        self.listener.as_ref()
    }

    /// What is to be watched of the client, if there is one: call [`Self::serve`] when it is readable,
    /// or writable while [`Self::has_unsent`].
    pub fn client(&self) -> Option<BorrowedFd<'_>> {
        let client = self.client.as_ref()?;
        let has_unsent = !client.unsent.is_empty();
        Some(if has_unsent { client.stream.output() } else { client.stream.input() })
    }

    /// Whether the client has yet to take what was sent.
    pub fn has_unsent(&self) -> bool {
        self.client.as_ref().is_some_and(|client| !client.unsent.is_empty())
    }

    /// Whether the guest is stopped, by a debugger or for one.
    pub fn is_stopped(&self) -> bool {
        self.stop.is_some()
    }

    /// Whether a debugger has the guest, which has ended or is stopped.
    pub fn holds(&self) -> bool {
        (self.stop.is_some() || self.has_ended) && self.session().is_some()
    }

    /// Whether a debugger has the guest: one that has come, said something and not detached.
    pub fn is_debugged(&self) -> bool {
        self.session().is_some() && !self.guest.is_free()
    }

    /// Whether there is another guest since this was last asked.
    pub fn take_new(&mut self) -> bool {
        std::mem::take(&mut self.is_new)
    }

    /// Lets [`Self::stops`] be called although no vCPU may have stopped.
    pub fn wake(&self) {
        self.guest.wake();
    }

    /// Closes the connection to a client that is gone. Its descriptor is watched no longer.
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
        let Some(Ok(mut stream)) = self.listener.as_ref().map(Listener::accept) else {
            return Outcome::Nothing;
        };
        if self.client.is_some() {
            // Best effort: the client may not be reading.
            let _ = stream.write(b"$E.minivmm serves one debugger at a time#34");
        } else {
            self.client = Some(Client::new(stream));
        }
        Outcome::Nothing
    }

    /// Moves bytes between the client and its session.
    pub fn serve(&mut self) -> Outcome {
        let outcome = self.exchange();
        // There may be room for them now, or nobody left to wait for.
        self.pass_words_on();
        outcome
    }

    fn exchange(&mut self) -> Outcome {
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
        match self.guest.take_restarted() {
            Some(Ok(())) => {
                self.stop = Some(FIRST_STOP);
                self.has_ended = false;
                self.is_new = true;
            }
            Some(Err(why)) => return Outcome::Failed(why),
            None => {}
        }
        if self.guest.is_end_wanted() {
            return Outcome::Killed;
        }
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
        if self.guest.take_interrupt() {
            let event = self.guest.interrupt_now();
            return self.report(event);
        }
        Outcome::Nothing
    }

    /// Takes the vCPUs' stops and tells the client.
    pub fn stops(&mut self) -> Outcome {
        let event = self.guest.next_event();
        // Behind that, which takes the wake-up: what is said later wakes again.
        self.pass_words_on();
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
            text.lines().for_each(say);
        }
    }

    /// Tells the client that the guest has ended with this exit status. True if it may want to run the
    /// guest again: [`Outcome::Left`] comes when it does not.
    pub fn end(&mut self, status: u8) -> bool {
        self.has_ended = true;
        self.tell(Stop { tid: Tid::FIRST, reason: StopReason::Exited(status) });
        self.session().is_some_and(Session::outlives_target)
    }

    fn session(&self) -> Option<&Session> {
        self.client.as_ref()?.session.as_ref()
    }

    fn report(&mut self, event: Event) -> Outcome {
        // What a vCPU did last before the client killed the guest.
        if self.session().is_some_and(Session::has_outlived_target) {
            return Outcome::Nothing;
        }
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
        let is_over = self.session().is_some_and(Session::has_outlived_target);
        let has_detached = self.session().is_some() && self.guest.is_free();
        self.closed = self.client.take();
        if is_over {
            return if self.has_ended { Outcome::Left } else { Outcome::Killed };
        }
        // With no listener nobody can come and go on with it.
        if self.listener.is_none() && !has_detached {
            say("gdb: standard input ended without a detach: guest killed");
            return Outcome::Killed;
        }
        Outcome::Nothing
    }
}

impl Client {
    fn new(stream: Box<dyn Stream>) -> Self {
        Self { stream, session: None, unsent: Vec::new() }
    }

    /// Sends as much as the stream takes now.
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
