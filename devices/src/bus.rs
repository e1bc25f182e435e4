//! From guest physical addresses to devices.
//!
//! An access that nobody takes does not stop the guest: it reads as ones, as on an undriven bus, or is
//! ignored, and is reported once.

mod fault;
mod range;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use fault::{FaultLog, Source};

pub use fault::Fault;
pub use range::{Range, RangeError};

/// Registers in guest physical memory, reached by offset.
pub trait Device: Send {
    /// Fills `data`, little-endian, with what the guest reads at `offset`. 1, 2, 4 or 8 bytes.
    ///
    /// When it refuses, the bus overwrites `data` with ones.
    fn read(&mut self, offset: u64, data: &mut [u8]) -> Result<(), Refused>;

    /// Takes what the guest writes at `offset`, little-endian. 1, 2, 4 or 8 bytes.
    fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), Refused>;

    /// Takes the writes that others have noted on its behalf and that it has not seen yet: a vCPU is about to stop.
    fn catch_up(&mut self) {}
}

/// An access that a device does not take, and why. The guest is at fault and runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused(pub &'static str);

/// A device that cannot be put where it should go. The machine's map is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusError {
    /// Another device is there already.
    Overlap {
        /// The device that was to be inserted.
        name: &'static str,
        /// Where it was to go.
        range: Range,
        /// The device that is there.
        holder: &'static str,
        /// What that one holds.
        held: Range,
    },
}

impl fmt::Display for BusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Overlap { name, range, holder, held } = self;
        write!(f, "{name} at {range} overlaps {holder} at {held}")
    }
}

impl std::error::Error for BusError {}

struct Slot {
    range: Range,
    name: &'static str,
    device: Arc<Mutex<dyn Device>>,
}

/// The devices of a machine, by guest physical address. vCPU threads share it.
pub struct Bus {
    /// Sorted by address.
    slots: Vec<Slot>,
    faults: FaultLog,
}

impl Bus {
    /// A bus without devices. `report` gets each kind of fault once; a hostile guest cannot flood it.
    pub fn new(report: Box<dyn Fn(&Fault) + Send + Sync>) -> Self {
        Self { slots: Vec::new(), faults: FaultLog::new(report) }
    }

    /// Gives `range` to a device; `name` is what reports call it.
    pub fn insert(
        &mut self,
        range: Range,
        name: &'static str,
        device: Arc<Mutex<dyn Device>>,
    ) -> Result<(), BusError> {
        if let Some(slot) = self.slots.iter().find(|slot| slot.range.overlaps(&range)) {
            return Err(BusError::Overlap { name, range, holder: slot.name, held: slot.range });
        }
        let index = self.slots.partition_point(|slot| slot.range.base() < range.base());
        self.slots.insert(index, Slot { range, name, device });
        Ok(())
    }

    /// What a guest reads at `ipa`, little-endian: ones where nobody answers. Tells the device there by its
    /// position among [`Self::names`].
    pub fn read(&self, ipa: u64, data: &mut [u8]) -> Option<usize> {
        let index = self.position(ipa);
        let outcome =
            self.access(index, ipa, data.len(), |device, offset| device.read(offset, data));
        if let Err(unanswered) = outcome {
            data.fill(0xff);
            self.report(unanswered, ipa, data.len(), false);
        }
        index
    }

    /// What a guest writes at `ipa`, little-endian: ignored where nobody takes it. Tells the device there, too.
    pub fn write(&self, ipa: u64, data: &[u8]) -> Option<usize> {
        let index = self.position(ipa);
        let outcome =
            self.access(index, ipa, data.len(), |device, offset| device.write(offset, data));
        if let Err(unanswered) = outcome {
            self.report(unanswered, ipa, data.len(), true);
        }
        index
    }

    /// The devices' names, in the order of their addresses.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &'static str> {
        self.slots.iter().map(|slot| slot.name)
    }

    /// Lets no device lag behind the guest.
    pub fn catch_up(&self) {
        for slot in &self.slots {
            slot.device.lock().unwrap_or_else(PoisonError::into_inner).catch_up();
        }
    }

    fn access(
        &self,
        index: Option<usize>,
        ipa: u64,
        size: usize,
        perform: impl FnOnce(&mut dyn Device, u64) -> Result<(), Refused>,
    ) -> Result<(), Unanswered<'_>> {
        let slot = index.and_then(|index| self.slots.get(index));
        let slot = slot.ok_or(Unanswered { slot: None, reason: "no device there" })?;
        let refused = |Refused(reason)| Unanswered { slot: Some(slot), reason };
        if slot.range.room(ipa) < size as u64 {
            return Err(refused(Refused("access runs over the end of the device")));
        }
        // A thread that panicked in a device ends the VMM elsewhere; the other vCPUs need not panic too.
        let mut device = slot.device.lock().unwrap_or_else(PoisonError::into_inner);
        perform(&mut *device, ipa - slot.range.base()).map_err(refused)
    }

    fn position(&self, ipa: u64) -> Option<usize> {
        let index = self.slots.partition_point(|slot| slot.range.last() < ipa);
        self.slots.get(index).filter(|slot| slot.range.contains(ipa)).map(|_| index)
    }

    fn report(&self, unanswered: Unanswered<'_>, ipa: u64, size: usize, write: bool) {
        let Unanswered { slot, reason } = unanswered;
        let source = slot.map_or(Source::page_of(ipa), |slot| Source::Device(slot.range.base()));
        let device = slot.map(|slot| slot.name);
        self.faults.report(source, Fault { ipa, size, write, device, reason });
    }
}

/// An access without effect: nobody there (no slot), or refused.
#[derive(Clone, Copy)]
struct Unanswered<'a> {
    slot: Option<&'a Slot>,
    reason: &'static str,
}
