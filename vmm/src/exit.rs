//! How minivmm ends, and the exit status that tells scripts so. The numbers are stable.

use std::fmt;
use std::time::Duration;

/// Why minivmm ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The guest powered off, or there was nothing to run.
    PoweredOff,
    /// The debugger killed the guest.
    Killed,
    /// The host or the VMM failed; the message says what.
    HostFailed(String),
    /// Bad command line or unusable file; nothing was started.
    Unusable(String),
    /// The guest asked for a reset.
    Reset,
    /// The guest crashed, or did something that nobody can handle; the message says what.
    Crashed(String),
    /// The guest's kernel panicked.
    Panicked,
    /// `--until` matched this line of the console.
    Until(String),
    /// `--fail-on` matched this line of the console.
    FailedOn(String),
    /// `--timeout` passed; it was this long.
    TimedOut(Duration),
    /// The user stopped it, from the console or by SIGINT.
    Interrupted,
    /// Whoever started minivmm has ended.
    Orphaned,
    /// Somebody sent this signal; holds its number.
    Terminated(u8),
}

impl Outcome {
    /// The report's word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::PoweredOff => "powered-off",
            Self::Killed => "killed-by-debugger",
            Self::HostFailed(_) => "host-failed",
            Self::Unusable(_) => "unusable",
            Self::Reset => "reset",
            Self::Crashed(_) => "crashed",
            Self::Panicked => "panicked",
            Self::Until(_) => "until",
            Self::FailedOn(_) => "fail-on",
            Self::TimedOut(_) => "timeout",
            Self::Orphaned => "orphaned",
            Self::Interrupted => "interrupted",
            Self::Terminated(_) => "terminated",
        }
    }

    /// Whether somebody may want to know where the guest was.
    pub fn is_hang(&self) -> bool {
        matches!(self, Self::TimedOut(_)) || *self == Self::Terminated(libc::SIGQUIT as u8)
    }

    /// Whether the user asked for just this, and needs not be told.
    pub fn is_wanted(&self) -> bool {
        matches!(self, Self::PoweredOff | Self::Killed | Self::Until(_))
    }

    /// Whether the guest brought it about. What its console has said before that counts more.
    pub fn is_of_guest(&self) -> bool {
        matches!(self, Self::PoweredOff | Self::Reset | Self::Crashed(_) | Self::Panicked)
    }

    /// Whether the guest ended as one does that was asked to.
    pub fn is_orderly(&self) -> bool {
        matches!(self, Self::PoweredOff | Self::Reset)
    }

    /// The process's exit status.
    pub fn status(&self) -> u8 {
        match self {
            Self::PoweredOff | Self::Killed | Self::Until(_) => 0,
            Self::HostFailed(_) => 1,
            Self::Unusable(_) => 2,
            Self::Reset => 32,
            Self::Crashed(_) => 33,
            Self::Panicked | Self::FailedOn(_) => 34,
            Self::TimedOut(_) => 124,
            // As if its terminal had gone: SIGHUP.
            Self::Orphaned => 129,
            Self::Interrupted => 130,
            Self::Terminated(signal) => 128u8.saturating_add(*signal),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PoweredOff => f.write_str("guest powered off"),
            Self::Killed => f.write_str("guest killed by the debugger"),
            Self::HostFailed(what) | Self::Unusable(what) => f.write_str(what),
            Self::Reset => f.write_str("guest asked for a reset"),
            Self::Crashed(what) => write!(f, "guest crashed: {what}"),
            Self::Panicked => f.write_str("guest kernel panicked"),
            Self::Until(line) => write!(f, "--until matched {line:?}"),
            Self::FailedOn(line) => write!(f, "--fail-on matched {line:?}"),
            Self::TimedOut(limit) => write!(f, "--timeout: {} s have passed", limit.as_secs()),
            Self::Orphaned => f.write_str("stopped with the process that started it"),
            Self::Interrupted => f.write_str("stopped by the user"),
            Self::Terminated(signal) => write!(f, "stopped by signal {signal}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_the_documented_ones() {
        let text = String::new;
        for (outcome, status) in [
            (Outcome::PoweredOff, 0),
            (Outcome::Killed, 0),
            (Outcome::HostFailed(text()), 1),
            (Outcome::Unusable(text()), 2),
            (Outcome::Reset, 32),
            (Outcome::Crashed(text()), 33),
            (Outcome::Panicked, 34),
            (Outcome::Until(text()), 0),
            (Outcome::FailedOn(text()), 34),
            (Outcome::TimedOut(Duration::ZERO), 124),
            (Outcome::Orphaned, 129),
            (Outcome::Interrupted, 130),
            (Outcome::Terminated(15), 143),
        ] {
            assert_eq!(outcome.status(), status, "{outcome:?}");
        }
    }
}
