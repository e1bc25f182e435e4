//! Standard input and output as the two ends of the guest's console; or standard error alone, where
//! a debugger has these.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use devices::pvpanic;
use devices::virtio::console::Terminal as Port;
use devices::wire::Wire;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::Uart;
use super::escape::{Escape, HELP, Wish};
use super::output::Output;
use super::size::{self, Resizes};
use super::terminal::{self, Terminal};
use crate::cli;
use crate::log::Log;
use crate::message;
use crate::reader::Reader;

/// Bytes read from standard input at once.
const READ_SIZE: usize = 4096;

/// Bytes typed at a terminal that wait for a guest that does not read. A terminal is read all the
/// time, since the next key may be Ctrl-A; what is typed beyond this is lost.
const TYPE_AHEAD: usize = 1 << 20;

/// The console before the guest runs.
pub struct Console {
    line: Line,
    ends: Ends,
    resizes: Option<Resizes>,
}

/// What the console is connected to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ends {
    /// Standard input and output.
    InputAndOutput,
    /// Standard error, and nothing to type at.
    Error,
    /// Nothing: there is none.
    Nothing,
}

/// The host's end of the console, whichever devices are at the other.
#[derive(Clone)]
pub struct Line {
    output: Arc<Output>,
    room: Arc<EventFd>,
    /// Of a virtio console, which then has all of the input. The output is the UART's as well, which the guest's kernel has
    /// before it has virtio.
    port: Option<Arc<Port>>,
}

impl Wire for Line {
    fn transmit(&mut self, bytes: &[u8]) -> usize {
        self.output.push(bytes)
    }
    fn receive_ready(&mut self) {
        // Counts up; never full.
        let _ = self.room.write(1);
    }
}

impl Line {
    /// Another guest talks from here on.
    pub fn begin_anew(&self) {
        self.output.begin_anew();
    }

    /// The guest's kernel tells that it panicked.
    pub fn note_panic(&self, event: pvpanic::Event) {
        self.output.note_panic(event == pvpanic::Event::Panicked);
    }

    /// The virtio console's end, if that is what the console is.
    pub fn port(&self) -> Option<&Arc<Port>> {
        self.port.as_ref()
    }

    /// From now on the UART is asked for output once a tick, or no longer.
    pub fn set_burst(&self, is_burst: bool) {
        self.output.set_burst(is_burst);
    }
}

impl Console {
    /// Nothing moves before [`Self::start`].
    pub fn new(kind: cli::Console, ends: Ends, reader: Reader) -> io::Result<Self> {
        let is_virtio = kind == cli::Console::Virtio;
        // Before the size is asked for: a later one is heard of.
        let is_sized = is_virtio && ends == Ends::InputAndOutput;
        let resizes = is_sized.then(Resizes::watch).transpose()?;
        let size = resizes.as_ref().and_then(|_| size::current());
        let port = is_virtio.then(|| Port::new(size).map(Arc::new)).transpose()?;
        let (output, room) = (Output::new(reader)?, Arc::new(EventFd::new(EFD_NONBLOCK)?));
        Ok(Self { line: Line { output, room, port }, ends, resizes })
    }

    /// The end that the devices get.
    pub fn line(&self) -> &Line {
        &self.line
    }

    /// Starts the output, and makes the terminal raw if there is one to type at.
    pub fn start(self, uart: Uart, log: Log) -> io::Result<RunningConsole> {
        log.begin()?;
        let Line { output, room, port } = self.line;
        // Unbuffered: what is shown is what the guest has sent.
        let sink = match self.ends {
            Ends::InputAndOutput => File::from(io::stdout().as_fd().try_clone_to_owned()?),
            Ends::Error => File::from(io::stderr().as_fd().try_clone_to_owned()?),
            Ends::Nothing => File::options().write(true).open("/dev/null")?,
        };
        output.start(log, sink, uart.clone(), port.clone())?;
        let (stdin, terminal) = match self.ends {
            Ends::InputAndOutput => {
                (File::from(io::stdin().as_fd().try_clone_to_owned()?), terminal::make_raw()?)
            }
            Ends::Error | Ends::Nothing => (File::open("/dev/null")?, Terminal::None),
        };
        Ok(RunningConsole {
            output,
            room,
            ends: self.ends,
            uart,
            port,
            resizes: self.resizes,
            stdin,
            // To read the terminal of another job would stop us (SIGTTIN).
            has_ended: self.ends != Ends::InputAndOutput || terminal == Terminal::OfAnotherJob,
            escape: (terminal == Terminal::Raw).then(Escape::default),
            pending: Vec::new(),
        })
    }
}

/// What the console's output goes through.
pub struct Writers {
    output: Arc<Output>,
    port: Option<Arc<Port>>,
}

impl Writers {
    /// Waits until what the guest, which is stopped, has sent to a virtio console has been queued for the output.
    pub fn drain(&self, limit: Duration) {
        if let Some(port) = &self.port {
            port.drain(limit);
        }
    }

    /// Waits until what is queued is written.
    pub fn flush(&self, limit: Duration) {
        self.output.flush(limit);
    }
}

/// The console while the guest runs.
pub struct RunningConsole {
    output: Arc<Output>,
    room: Arc<EventFd>,
    ends: Ends,
    uart: Uart,
    port: Option<Arc<Port>>,
    resizes: Option<Resizes>,
    /// Open to the end: a descriptor must leave epoll before it is closed.
    stdin: File,
    has_ended: bool,
    /// On a terminal only: piped input is the guest's to the last byte.
    escape: Option<Escape>,
    /// Read, and not yet taken by the device. While there is any, nothing is read but a terminal.
    pending: Vec<u8>,
}

impl RunningConsole {
    /// The output's queue.
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// What is left to write, for another thread to wait for.
    pub fn writers(&self) -> Writers {
        Writers { output: self.output.clone(), port: self.port.clone() }
    }

    /// Becomes readable when the terminal's size may have changed; then call [`Self::resize`].
    pub fn resizes(&self) -> Option<&Resizes> {
        self.resizes.as_ref()
    }

    /// Tells the guest of the terminal's size.
    pub fn resize(&self) {
        if let (Some(port), Some(resizes)) = (&self.port, &self.resizes)
            && let Some(size) = resizes.take()
        {
            port.resize(size);
        }
    }

    /// What the console is connected to.
    pub fn ends(&self) -> Ends {
        self.ends
    }

    /// Becomes readable when the device has room again; then call [`Self::feed`].
    pub fn room_fd(&self) -> &EventFd {
        &self.room
    }

    /// Standard input.
    pub fn stdin_fd(&self) -> RawFd {
        self.stdin.as_raw_fd()
    }

    /// Whether there may be more input, and a place for what [`Self::read`] reads.
    pub fn wants_input(&self) -> bool {
        !self.has_ended && (self.pending.is_empty() || self.escape.is_some())
    }

    /// Reads standard input once, which may block unless it is readable, and feeds the device.
    /// True if the user wants to quit.
    pub fn read(&mut self) -> bool {
        let mut buffer = [0; READ_SIZE];
        let typed = match self.stdin.read(&mut buffer) {
            Ok(len @ 1..) => buffer.get(..len).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return false,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            // The end, or as good as that: the guest runs on without input.
            Ok(_) | Err(_) => {
                self.has_ended = true;
                return false;
            }
        };
        let wish = match &mut self.escape {
            Some(escape) => escape.filter(typed, &mut self.pending),
            None => {
                self.pending.extend(typed);
                None
            }
        };
        if self.escape.is_some() {
            self.pending.truncate(TYPE_AHEAD);
        }
        self.feed();
        match wish {
            Some(Wish::Quit) => return true,
            Some(Wish::Help) => message::say(HELP),
            None => {}
        }
        false
    }

    /// Gives the device what it takes of the pending input.
    pub fn feed(&mut self) {
        // EAGAIN: called without a signal from the device.
        let _ = self.room.read();
        let taken = match &self.port {
            Some(port) => port.receive(&self.pending),
            None => {
                let mut uart = self.uart.lock().unwrap_or_else(PoisonError::into_inner);
                uart.receive(&self.pending)
            }
        };
        self.pending.drain(..taken);
    }
}
