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
    /// Blocks them for this thread and all that it starts later. One that whoever started us has
    /// ignored, as nohup does, stays ignored.
    pub fn block() -> io::Result<Self> {
        let set = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT]
            .into_iter()
            .filter(|signal| !is_ignored(*signal))
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

/// Whether the process ignores a signal (proc(5), SigIgn: signal 1 in bit 0).
pub fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & 1 << (signal as u32 - 1) != 0
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}
