//! pvpanic: a guest's kernel tells of its panic (QEMU, docs/specs/pvpanic.rst; Linux, drivers/misc/pvpanic/pvpanic-mmio.c).
//!
//! One register of one byte. Reads give the events that it takes, writes are events.
//!
//! Not emulated: PVPANIC_SHUTDOWN (bit 2), for which there is PSCI.

use crate::bus::{Device, Refused};

#[cfg(test)]
mod tests;

/// The kernel panicked, and that was it.
const PANICKED: u8 = 1 << 0;
/// The kernel panicked, and another one that is loaded for this case takes over.
const CRASH_LOADED: u8 = 1 << 1;

/// What the guest tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The kernel panicked.
    Panicked,
    /// The kernel panicked, and hands over to its crash kernel.
    CrashLoaded,
}

/// A pvpanic device.
pub struct Pvpanic {
    report: Box<dyn FnMut(Event) + Send>,
}

impl Pvpanic {
    /// One that reports to the host so.
    pub fn new(report: Box<dyn FnMut(Event) + Send>) -> Self {
        Self { report }
    }
}

impl Device for Pvpanic {
    fn read(&mut self, offset: u64, data: &mut [u8]) -> Result<(), Refused> {
        match (offset, data) {
            (0, [byte]) => {
                *byte = PANICKED | CRASH_LOADED;
                Ok(())
            }
            _ => Err(NOT_THE_BYTE),
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), Refused> {
        let (0, [byte]) = (offset, data) else { return Err(NOT_THE_BYTE) };
        if byte & PANICKED != 0 {
            (self.report)(Event::Panicked);
        } else if byte & CRASH_LOADED != 0 {
            (self.report)(Event::CrashLoaded);
        }
        Ok(())
    }
}

const NOT_THE_BYTE: Refused = Refused("there is one register, of one byte");
