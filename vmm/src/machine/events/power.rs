//! Ends that take their time: a guest that is asked to power off, and one that has something left to say.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use super::{Guest, Loop};
use crate::debug::server::Server;
use crate::exit::Outcome;
use crate::machine::button::{self, PRESS};
use crate::machine::timers::Alarm;
use crate::message::say;

/// For how long a guest may take to power off when it was asked to.
const POWER_OFF: Duration = Duration::from_secs(10);

/// When the loop goes on to an end that it knows by now.
pub struct Grace {
    alarm: Alarm,
    next: Next,
    /// When a guest that was asked to power off is stopped.
    end: Option<Instant>,
}

/// What is due when the time has come.
enum Next {
    Nothing,
    /// The button is let go, and then there is this much time.
    Release(Duration),
    End(Outcome),
}

impl Grace {
    /// Nothing is due.
    pub fn new() -> io::Result<Self> {
        Ok(Self { alarm: Alarm::new()?, next: Next::Nothing, end: None })
    }

    /// What is left of the time to power off, if the guest was asked to.
    pub fn left(&self) -> Option<Duration> {
        self.end.map(|end| end.saturating_duration_since(Instant::now()))
    }

    /// Another guest runs: what the one before it has said of its panic is no reason to end this one.
    pub fn forget_panic(&mut self) {
        if matches!(self.next, Next::End(Outcome::Panicked)) {
            self.alarm.stop();
            self.next = Next::Nothing;
        }
    }
}

impl AsRawFd for Grace {
    fn as_raw_fd(&self) -> RawFd {
        self.alarm.as_raw_fd()
    }
}

impl Loop {
    /// SIGTERM asks the guest first, if it listens; all other signals, and a second one, end the run.
    pub(super) fn on_signal(&mut self) {
        let Some(outcome) = self.parts.signals.take() else { return };
        let is_first = self.asked.replace(outcome.clone()).is_none();
        let is_polite = outcome == Outcome::Terminated(libc::SIGTERM as u8);
        if is_polite && is_first && self.can_power_off() && button::press(&self.parts.button) {
            say(
                "SIGTERM: asked the guest to power off; in 10 s, or by another signal, it is stopped",
            );
            self.grace.end = Some(Instant::now() + POWER_OFF);
            self.grace.next = Next::Release(POWER_OFF.saturating_sub(PRESS));
            self.set(PRESS);
        } else {
            self.outcome = Some(outcome);
        }
    }

    fn can_power_off(&self) -> bool {
        let is_alone = matches!(self.parts.guest, Guest::Alone(..));
        let is_stopped = self.parts.guest.server().is_some_and(Server::is_stopped);
        let has_panicked = self.parts.console.output().has_panicked();
        !has_panicked && self.end.is_none() && (is_alone || !is_stopped)
    }

    /// Ends so, unless something else ends it before.
    pub(super) fn wait_for(&mut self, time: Duration, outcome: Outcome) {
        self.grace.next = Next::End(outcome);
        self.set(time);
    }

    fn set(&mut self, time: Duration) {
        if let Err(error) = self.grace.alarm.set(time) {
            self.outcome = Some(Outcome::HostFailed(format!("timer: {error}")));
        }
    }

    /// The time has come.
    pub(super) fn on_grace(&mut self) {
        self.grace.alarm.stop();
        match std::mem::replace(&mut self.grace.next, Next::Nothing) {
            Next::Nothing => {}
            Next::Release(rest) => {
                button::release(&self.parts.button);
                if let Some(outcome) = self.asked.clone() {
                    self.wait_for(rest, outcome);
                }
            }
            Next::End(outcome) => self.outcome = Some(outcome),
        }
    }
}
