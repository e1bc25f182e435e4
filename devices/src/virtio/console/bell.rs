//! What somebody outside says to a device's thread.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

/// Wakes a device's thread, and waits for it where it has to come to an end.
pub struct Bell {
    fd: EventFd,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// There is a thread that hears it.
    is_running: bool,
    /// Somebody waits until the thread has taken all that the guest has sent.
    is_awaited: bool,
}

impl Bell {
    /// One that nobody hears yet.
    pub fn new() -> io::Result<Self> {
        let fd = EventFd::new(EFD_NONBLOCK)?;
        Ok(Self { fd, state: Mutex::default(), changed: Condvar::new() })
    }

    /// Has the thread look for what there is to do.
    pub fn ring(&self) {
        // Counts up; never full.
        let _ = self.fd.write(1);
    }

    /// Waits until all that the guest has put into its queues has been taken, at most as long as `limit`. The guest is
    /// stopped.
    pub fn drain(&self, limit: Duration) {
        let mut state = self.lock();
        state.is_awaited = true;
        self.ring();
        let is_busy = |state: &mut State| state.is_running && state.is_awaited;
        drop(self.changed.wait_timeout_while(state, limit, is_busy));
    }

    /// The thread begins or ends.
    pub(super) fn set_running(&self, is_running: bool) {
        self.lock().is_running = is_running;
        self.changed.notify_all();
    }

    /// The thread has heard it.
    pub(super) fn hear(&self) {
        // EAGAIN: heard before.
        let _ = self.fd.read();
    }

    /// The thread has looked into every queue, and nothing is left that it has not taken.
    pub(super) fn note_empty(&self) {
        let mut state = self.lock();
        if std::mem::take(&mut state.is_awaited) {
            self.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsRawFd for Bell {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}
