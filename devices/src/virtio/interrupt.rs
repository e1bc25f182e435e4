//! A device's interrupt: its line is high while the driver has something to acknowledge.

use std::sync::{Mutex, PoisonError};

use crate::irq::IrqLine;

/// A used buffer (specification, 4.2.2, InterruptStatus).
const USED: u32 = 1 << 0;
/// The configuration, or that the device needs a reset.
const CONFIGURATION: u32 = 1 << 1;

/// InterruptStatus and the line that goes with it. vCPU threads and the device's own share it.
pub struct Interrupt {
    status: Mutex<u32>,
    line: Box<dyn IrqLine>,
}

impl Interrupt {
    pub(super) fn new(line: Box<dyn IrqLine>) -> Self {
        Self { status: Mutex::new(0), line }
    }

    /// The device has used buffers that the driver wants to hear of.
    pub fn used(&self) {
        self.change(|status| status | USED);
    }

    /// The configuration space has changed.
    pub fn configuration(&self) {
        self.change(|status| status | CONFIGURATION);
    }

    pub(super) fn acknowledge(&self, bits: u32) {
        self.change(|status| status & !bits);
    }

    pub(super) fn status(&self) -> u32 {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(u32) -> u32) {
        // Held while the line is driven: it must end as the status does.
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        let was_high = *status != 0;
        *status = change(*status);
        let is_high = *status != 0;
        if is_high != was_high {
            self.line.set(is_high);
        }
    }
}
