//! The size of the user's terminal.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use devices::virtio::console::Size;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::termios::tcgetwinsize;

/// Of the terminal on standard output, if there is one.
pub fn current() -> Option<Size> {
    let size = tcgetwinsize(io::stdout()).ok()?;
    Some(Size { cols: size.ws_col, rows: size.ws_row })
}

/// Becomes readable when the terminal's size may have changed.
pub struct Resizes(SignalFd);

impl Resizes {
    /// To be called before there are threads: SIGWINCH is blocked for all of them.
    pub fn watch() -> io::Result<Self> {
        let set = SigSet::from(Signal::SIGWINCH);
        set.thread_block()?;
        Ok(Self(SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?))
    }

    /// The size by now, if it may have changed.
    pub fn take(&self) -> Option<Size> {
        self.0.read_signal().ok().flatten()?;
        current()
    }
}

impl AsRawFd for Resizes {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
