//! Where the host's clients come in.

use std::io::{self, ErrorKind};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use vmm_sys_util::epoll::EventSet;
use vmm_sys_util::timerfd::TimerFd;

use crate::virtio::Waits;

/// Tokens: of the listening socket, and of the timer.
pub(super) const LISTENER: u32 = 0;
pub(super) const RETRY: u32 = 1;

/// How soon somebody comes in for whom there was no descriptor.
const RETRY_TIME: Duration = Duration::from_millis(100);

/// A listening socket, and whether it is waited for.
pub(super) struct Entrance {
    listener: UnixListener,
    is_shut: bool,
    /// Others may have taken all descriptors, and nobody tells when they give one back.
    retry: TimerFd,
}

impl Entrance {
    pub(super) fn new(listener: UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self { listener, is_shut: false, retry: TimerFd::new()? })
    }

    /// Waits for clients, in a thread that has just begun.
    pub(super) fn start(&mut self, waits: &mut Waits) -> io::Result<()> {
        self.is_shut = false;
        waits.add(&self.retry, EventSet::IN, RETRY)?;
        waits.add(&self.listener, EventSet::IN, LISTENER)
    }

    /// The next client, if there is one that can come in.
    pub(super) fn next(&mut self, waits: &mut Waits) -> io::Result<Option<UnixStream>> {
        loop {
            match self.listener.accept() {
                Ok((socket, _)) => {
                    socket.set_nonblocking(true)?;
                    return Ok(Some(socket));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                // The client has gone again.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // There are no descriptors left, unless it is for good.
                Err(_) => {
                    self.retry.reset(RETRY_TIME, None)?;
                    self.shut(waits)?;
                    return Ok(None);
                }
            }
        }
    }

    /// Nobody comes in before [`Self::open`].
    pub(super) fn shut(&mut self, waits: &mut Waits) -> io::Result<()> {
        self.is_shut = true;
        waits.remove(&self.listener)
    }

    /// There is room for another one.
    pub(super) fn open(&mut self, waits: &mut Waits) {
        if std::mem::take(&mut self.is_shut) {
            // If that fails, nobody comes in any more, and all else goes on.
            let _ = waits.add(&self.listener, EventSet::IN, LISTENER);
        }
    }

    /// The timer has gone off.
    pub(super) fn retry(&mut self, waits: &mut Waits) -> io::Result<()> {
        self.retry.wait()?;
        self.open(waits);
        Ok(())
    }
}
