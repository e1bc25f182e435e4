//! Timers of the event loop.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::{Duration, Instant};

use nix::sys::timer::{Expiration, TimerSetTimeFlags};
use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};

/// Becomes readable once, when the time has come.
pub struct Alarm(TimerFd);

impl Alarm {
    /// One that is not set.
    pub fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        Ok(Self(TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?))
    }

    /// Sets it anew.
    pub fn set(&self, time: Duration) -> io::Result<()> {
        // 0 would turn it off.
        let time = time.max(Duration::from_nanos(1));
        Ok(self.0.set(Expiration::OneShot(time.into()), TimerSetTimeFlags::empty())?)
    }

    /// Turns it off; what it had to say is heard.
    pub fn stop(&self) {
        // Neither fails on a descriptor that is a timer's.
        let _ = self.0.unset();
        let _ = nix::unistd::read(self.0.as_fd(), &mut [0; 8]);
    }
}

impl AsRawFd for Alarm {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// `--timeout`: a time that passes only while nobody holds the guest.
pub struct Countdown {
    alarm: Alarm,
    limit: Duration,
    left: Duration,
    /// `None` while it stands still.
    since: Option<Instant>,
    is_set: bool,
}

impl Countdown {
    /// Begins.
    pub fn start(limit: Duration) -> io::Result<Self> {
        let alarm = Alarm::new()?;
        alarm.set(limit)?;
        Ok(Self { alarm, limit, left: limit, since: Some(Instant::now()), is_set: true })
    }

    /// How long it is in all.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// What is left of it.
    pub fn left(&self) -> Duration {
        self.left.saturating_sub(self.since.map_or(Duration::ZERO, |since| since.elapsed()))
    }

    /// Lets it stand still, or go on. While a debugger steps this happens often: the alarm is set anew only when it has
    /// gone off too early.
    pub fn hold(&mut self, is_held: bool) -> io::Result<()> {
        match (is_held, self.since) {
            (true, Some(_)) => {
                self.left = self.left();
                self.since = None;
            }
            (false, None) => {
                self.since = Some(Instant::now());
                self.set()?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether it is over. To be asked when the alarm has gone off.
    pub fn is_over(&mut self) -> io::Result<bool> {
        self.alarm.stop();
        self.is_set = false;
        if self.since.is_some() && !self.left().is_zero() {
            self.set()?;
        }
        Ok(self.left().is_zero())
    }

    fn set(&mut self) -> io::Result<()> {
        if !self.is_set {
            self.alarm.set(self.left())?;
            self.is_set = true;
        }
        Ok(())
    }
}

impl AsRawFd for Countdown {
    fn as_raw_fd(&self) -> RawFd {
        self.alarm.as_raw_fd()
    }
}
