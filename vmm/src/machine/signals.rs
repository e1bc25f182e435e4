//! Signals that end minivmm, as events of the loop.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::exit::Outcome;

/// The signals, blocked for the whole process.
pub struct Signals {
    set: SigSet,
    fd: SignalFd,
}

impl Signals {
    /// Blocks them for this thread and all that it starts later.
    pub fn block() -> io::Result<Self> {
        let set = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT]
            .into_iter()
            .collect::<SigSet>();
        set.thread_block()?;
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Self { set, fd })
    }

    /// What the signal that arrived means, if one has.
    pub fn take(&self) -> Option<Outcome> {
        let number = self.fd.read_signal().ok().flatten()?.ssi_signo;
        Some(if number == Signal::SIGINT as u32 {
            Outcome::Interrupted
        } else {
            Outcome::Terminated(number as u8)
        })
    }

    /// Lets the next one end the process at once.
    pub fn unblock(&self) {
        // The set is valid, and there is no other failure.
        let _ = self.set.thread_unblock();
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}
