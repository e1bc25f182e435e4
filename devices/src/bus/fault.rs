//! Accesses that nobody took, each kind reported once.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// An access of the guest that nobody took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Guest physical address.
    pub ipa: u64,
    /// Width in bytes.
    pub size: usize,
    /// A write; else a read.
    pub write: bool,
    /// Who refused it, or `None` where nothing is mapped.
    pub device: Option<&'static str>,
    /// Why.
    pub reason: &'static str,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (direction, outcome) =
            if self.write { ("write", "ignored") } else { ("read", "reads as ones") };
        write!(f, "{}-byte guest {direction} at {:#x}: ", self.size, self.ipa)?;
        if let Some(device) = self.device {
            write!(f, "{device}: ")?;
        }
        write!(f, "{}; {outcome}", self.reason)
    }
}

/// What reports are counted by, together with the direction.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// The device with this base; names need not be unique.
    Device(u64),
    /// The 4 KiB page of this number, where no device is.
    Page(u64),
}

impl Source {
    pub(super) const fn page_of(ipa: u64) -> Self {
        Self::Page(ipa >> 12)
    }
}

/// Reports before the one that says that it is the last. A hostile guest touches every page there is.
pub(super) const MAX_REPORTS: usize = 64;

pub(super) const LAST_REPORT: &str = "too many different faults, further ones are not reported";

pub(super) struct FaultLog {
    report: Box<dyn Fn(&Fault) + Send + Sync>,
    /// At most `MAX_REPORTS` + 1, the last report included.
    reported: Mutex<HashSet<(Source, bool)>>,
}

impl FaultLog {
    pub(super) fn new(report: Box<dyn Fn(&Fault) + Send + Sync>) -> Self {
        Self { report, reported: Mutex::default() }
    }

    pub(super) fn report(&self, source: Source, mut fault: Fault) {
        match self.admit(source, fault.write) {
            Admission::Report => {}
            Admission::Last => fault.reason = LAST_REPORT,
            Admission::Suppress => return,
        }
        (self.report)(&fault);
    }

    fn admit(&self, source: Source, write: bool) -> Admission {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        if reported.len() > MAX_REPORTS || !reported.insert((source, write)) {
            Admission::Suppress
        } else if reported.len() > MAX_REPORTS {
            Admission::Last
        } else {
            Admission::Report
        }
    }
}

enum Admission {
    Report,
    Last,
    Suppress,
}
