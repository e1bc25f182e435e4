//! Standard input and output as the two ends of the guest's serial line; or standard error alone, where
//! a debugger has these.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::{Arc, PoisonError};

use devices::pl011::Wire;
use devices::pvpanic;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::Uart;
use super::escape::{Escape, HELP, Wish};
use super::output::Output;
use super::terminal::{self, Terminal};
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
}

/// What the serial line is connected to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ends {
    /// Standard input and output.
    InputAndOutput,
    /// Standard error, and nothing to type at.
    Error,
}

/// The host's end of the serial line, whichever UART is at the other.
#[derive(Clone)]
pub struct Line {
    output: Arc<Output>,
    room: Arc<EventFd>,
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

    /// From now on the UART is asked for output once a tick, or no longer.
    pub fn set_burst(&self, is_burst: bool) {
        self.output.set_burst(is_burst);
    }
}

impl Console {
    /// Nothing moves before [`Self::start`].
    pub fn new(ends: Ends, reader: Reader) -> io::Result<Self> {
        let line =
            Line { output: Output::new(reader)?, room: Arc::new(EventFd::new(EFD_NONBLOCK)?) };
        Ok(Self { line, ends })
    }

    /// The end that the UART gets.
    pub fn line(&self) -> &Line {
        &self.line
    }

    /// Starts the output, and makes the terminal raw if there is one to type at.
    pub fn start(self, uart: Uart) -> io::Result<RunningConsole> {
        let Line { output, room } = self.line;
        // Unbuffered: what is shown is what the guest has sent.
        let sink = match self.ends {
            Ends::InputAndOutput => io::stdout().as_fd().try_clone_to_owned()?,
            Ends::Error => io::stderr().as_fd().try_clone_to_owned()?,
        };
        output.start(File::from(sink), uart.clone())?;
        let (stdin, terminal) = match self.ends {
            Ends::InputAndOutput => {
                (File::from(io::stdin().as_fd().try_clone_to_owned()?), terminal::make_raw()?)
            }
            Ends::Error => (File::open("/dev/null")?, Terminal::None),
        };
        Ok(RunningConsole {
            output,
            room,
            ends: self.ends,
            uart,
            stdin,
            // To read the terminal of another job would stop us (SIGTTIN).
            has_ended: self.ends == Ends::Error || terminal == Terminal::OfAnotherJob,
            escape: (terminal == Terminal::Raw).then(Escape::default),
            pending: Vec::new(),
        })
    }
}

/// The console while the guest runs.
pub struct RunningConsole {
    output: Arc<Output>,
    room: Arc<EventFd>,
    ends: Ends,
    uart: Uart,
    /// Open to the end: a descriptor must leave epoll before it is closed.
    stdin: File,
    has_ended: bool,
    /// On a terminal only: piped input is the guest's to the last byte.
    escape: Option<Escape>,
    /// Read, and not yet taken by the UART. While there is any, nothing is read but a terminal.
    pending: Vec<u8>,
}

impl RunningConsole {
    /// The output's queue.
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// What the serial line is connected to.
    pub fn ends(&self) -> Ends {
        self.ends
    }

    /// Becomes readable when the UART has room again; then call [`Self::feed`].
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

    /// Reads standard input once, which may block unless it is readable, and feeds the UART.
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

    /// Gives the UART what it takes of the pending input.
    pub fn feed(&mut self) {
        // EAGAIN: called without a signal from the UART.
        let _ = self.room.read();
        let mut uart = self.uart.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = uart.receive(&self.pending);
        drop(uart);
        self.pending.drain(..taken);
    }
}
