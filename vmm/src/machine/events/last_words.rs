//! What a guest has said before its end is written before the run is over.

use std::io::Write;
use std::os::fd::AsFd;
use std::thread::Builder;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::Loop;
use crate::exit::Outcome;
use crate::machine::ports;
use crate::machine::timers::Countdown;

/// How long a user who quits waits for a reader that does not read, or for a guest that cannot be stopped.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

impl Loop {
    /// Waits until what the guest, which is stopped if it can be, has said is written. Its last line may decide what the end is.
    pub(super) fn last_words(&self, outcome: Outcome, is_parked: bool) -> Outcome {
        let output = self.parts.console.output();
        if is_parked && (outcome.is_of_guest() || outcome == Outcome::Killed) {
            // Worth waiting for.
            if let Some(other) = self.wait_for_readers(outcome.is_of_guest()) {
                return other;
            }
        } else {
            // One that talks on would keep the queue from ever being empty.
            output.flush(FLUSH_LIMIT);
        }
        let is_open = outcome.is_of_guest() || matches!(outcome, Outcome::TimedOut(_));
        let verdict = if is_open { output.verdict(true) } else { None };
        let asked = || self.asked.clone().filter(|_| outcome.is_orderly());
        verdict.or_else(asked).unwrap_or(outcome)
    }

    /// Waits until all is written, or nobody waits for it any longer; what ended the run then, if it is something else. `has_ended`: by
    /// itself, so that its devices have got all there is.
    fn wait_for_readers(&self, has_ended: bool) -> Option<Outcome> {
        let limits = [self.parts.timeout.as_ref().map(Countdown::left), self.grace.left()];
        let limit = limits.into_iter().flatten().min();
        let limit = limit.map_or(Duration::MAX, |left| left.max(FLUSH_LIMIT));
        let (console, bell) = (self.parts.console.writers(), self.parts.ports.clone());
        let written = self.written.clone();
        // It may have to wait for longer than we do.
        let waiting = Builder::new().name("last words".to_owned()).spawn(move || {
            if has_ended {
                console.drain(limit);
                if let Some(bell) = bell {
                    ports::drain(&bell, limit);
                }
            }
            console.flush(limit);
            // Open at both ends, and empty.
            let _ = (&written.1).write(&[0]);
        });
        if waiting.is_err() {
            self.parts.console.output().flush(FLUSH_LIMIT);
            return None;
        }
        let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut fds = vec![readable(self.written.0.as_fd()), readable(self.parts.signals.as_fd())];
        fds.extend(self.parts.parent.as_ref().map(|parent| readable(parent.as_fd())));
        // As long as it goes for a limit that has no end.
        let timeout = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
        while poll(&mut fds, timeout) == Err(Errno::EINTR) {}
        let mut is_ready = fds.iter().map(|fd| fd.any().unwrap_or(false));
        match (is_ready.next(), is_ready.next(), is_ready.next()) {
            (Some(true), ..) => None,
            (_, Some(true), _) => self.parts.signals.take(),
            (.., Some(true)) => Some(Outcome::Orphaned),
            _ => None,
        }
    }
}
