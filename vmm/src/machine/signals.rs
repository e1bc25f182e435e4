//! Signals that end minivmm, as events of the loop.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::exit::Outcome;

const ALL: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];

/// The signals, blocked for the whole process.
pub struct Signals(SignalFd);

impl Signals {
    /// Blocks them for this thread and all that it starts later. Where whoever started us has SIGHUP or SIGINT ignored, as nohup does
    /// and a shell for what it starts in the background, it stays so. For SIGQUIT a shell does the same, and is not obeyed: nobody sends
    /// that one by accident.
    pub fn block() -> io::Result<Self> {
        let stays =
            |signal| matches!(signal, Signal::SIGHUP | Signal::SIGINT) && is_ignored(signal);
        let set: SigSet = ALL.into_iter().filter(|signal| !stays(*signal)).collect();
        // A blocked signal is kept even if it is ignored.
        set.thread_block()?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(Self(SignalFd::with_flags(&set, flags)?))
    }

    /// What the signal that arrived means, if one has.
    pub fn take(&self) -> Option<Outcome> {
        let number = self.0.read_signal().ok().flatten()?.ssi_signo;
        Some(if number == Signal::SIGINT as u32 {
            Outcome::Interrupted
        } else {
            Outcome::Terminated(number as u8)
        })
    }
}

/// Lets the next one end the process at once.
pub fn unblock() {
    // The set is valid, and there is no other failure.
    let _ = SigSet::from_iter(ALL).thread_unblock();
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
        self.0.as_raw_fd()
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
