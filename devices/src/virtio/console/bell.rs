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
    /// Threads that hear it: one, unless a guest's was given up and has not ended when the next guest's begins.
    running: usize,
    /// Somebody waits until the thread has taken all that the guest has sent.
    is_awaited: bool,
    /// The thread has heard that since.
    is_heard: bool,
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
        (state.is_awaited, state.is_heard) = (true, false);
        self.ring();
        let is_busy = |state: &mut State| state.running > 0 && state.is_awaited;
        drop(self.changed.wait_timeout_while(state, limit, is_busy));
    }

    /// The thread begins.
    pub(super) fn begin(&self) {
        self.lock().running += 1;
    }

    /// The thread ends.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.running = state.running.saturating_sub(1);
        self.changed.notify_all();
    }

    /// The thread has heard it, and is about to look into every queue.
    pub(super) fn hear(&self) {
        // EAGAIN: heard before.
        let _ = self.fd.read();
        let mut state = self.lock();
        state.is_heard = state.is_awaited;
    }

    /// In no queue that the thread has looked into is anything left. Only if it was rung for are these all of them.
    pub(super) fn note_empty(&self) {
        let mut state = self.lock();
        if std::mem::take(&mut state.is_heard) {
            state.is_awaited = false;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_hears_of_queues_that_were_looked_into_since() {
        let bell = Bell::new().unwrap();
        bell.begin();

        bell.drain(Duration::ZERO);
        // Only some of them may have been.
        bell.note_empty();
        assert!(bell.lock().is_awaited);
        bell.hear();
        bell.note_empty();

        assert!(!bell.lock().is_awaited);
    }

    #[test]
    fn a_thread_that_was_given_up_and_ends_late_takes_nobody_with_it() {
        let bell = Bell::new().unwrap();
        bell.begin();
        bell.begin();

        bell.end();

        assert_eq!(bell.lock().running, 1);
    }
}
