//! What a vCPU has come back from the guest for, and how long it stayed outside.

use super::clock;
use crate::arch::esr::{Class, Esr};

/// One kind of exit.
#[derive(Clone, Copy, Default)]
pub struct Count {
    /// How often.
    pub count: u64,
    /// Ticks of the host's counter from the return of KVM_RUN to its next call, parked vCPUs aside.
    pub ticks: u64,
}

/// Why KVM_RUN came back. Devices are by their position on the bus.
#[derive(Clone, Copy)]
pub enum Reason {
    /// A load; of no device at all if it is `None`.
    Read(Option<usize>),
    /// A store.
    Write(Option<usize>),
    /// A debug exception.
    Debug(Esr),
    /// KVM_EXIT_SYSTEM_EVENT.
    System,
    /// A kick, or another signal.
    Interrupted,
    /// Anything else.
    Other,
}

/// Names of the kinds that are no accesses, in the order of [`Exits::position`].
const NAMES: [&str; OTHERS] = [
    "hardware breakpoint",
    "software step",
    "watchpoint",
    "BKPT instruction",
    "BRK instruction",
    "system event",
    "interrupted",
    "other",
];
const OTHERS: usize = 8;

/// The counters of a vCPU. Its own thread has them for itself while it runs.
pub struct Exits {
    /// [`NAMES`], then two for each device, then two for no device.
    counts: Vec<Count>,
    /// What KVM_RUN came back for last, and when.
    last: Option<(usize, u64)>,
}

impl Exits {
    /// For a bus with so many devices.
    pub fn new(devices: usize) -> Self {
        Self { counts: vec![Count::default(); OTHERS + 2 * (devices + 1)], last: None }
    }

    fn position(&self, reason: Reason) -> usize {
        let device = |index: Option<usize>| match index {
            Some(index) => OTHERS + 2 * index,
            None => self.counts.len() - 2,
        };
        match reason {
            Reason::Debug(esr) => match esr.class() {
                Class::HardwareBreakpoint => 0,
                Class::SoftwareStep => 1,
                Class::Watchpoint => 2,
                Class::Bkpt => 3,
                Class::Brk => 4,
                Class::Other(_) => OTHERS - 1,
            },
            Reason::System => 5,
            Reason::Interrupted => 6,
            Reason::Other => 7,
            Reason::Read(index) => device(index),
            Reason::Write(index) => device(index) + 1,
        }
    }

    /// KVM_RUN came back `at` these ticks, for this.
    pub fn came_back(&mut self, reason: Reason, at: u64) {
        let position = self.position(reason);
        if let Some(kind) = self.counts.get_mut(position) {
            kind.count += 1;
            self.last = Some((position, at));
        }
    }

    /// KVM_RUN is called again, or the vCPU parks.
    pub fn settle(&mut self) {
        if let Some((position, since)) = self.last.take()
            && let Some(kind) = self.counts.get_mut(position)
        {
            // The thread may have moved to a CPU that reads it a little earlier.
            kind.ticks += clock::ticks().saturating_sub(since);
        }
    }

    /// Begins anew.
    pub fn reset(&mut self) {
        self.counts.fill(Count::default());
    }

    /// All that have happened, by name. `devices` are those of the bus.
    pub fn iter(
        &self,
        devices: impl Iterator<Item = &'static str>,
    ) -> impl Iterator<Item = (String, Count)> {
        let names = devices.chain(std::iter::once("no device"));
        let accesses =
            names.flat_map(|name| [format!("read of {name}"), format!("write to {name}")]);
        let names = NAMES.iter().map(|name| (*name).to_owned()).chain(accesses);
        names.zip(self.counts.iter().copied()).filter(|(_, kind)| kind.count > 0)
    }
}
