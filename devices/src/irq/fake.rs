//! An interrupt line that remembers what was driven onto it.

use std::sync::{Arc, Mutex};

use super::IrqLine;

/// Clones share the line.
#[derive(Clone, Default)]
pub(crate) struct FakeLine(Arc<Mutex<Vec<bool>>>);

impl FakeLine {
    pub(crate) fn is_high(&self) -> bool {
        self.0.lock().unwrap().last().copied().unwrap_or(false)
    }

    /// Every level driven so far, oldest first.
    pub(crate) fn history(&self) -> Vec<bool> {
        self.0.lock().unwrap().clone()
    }
}

impl IrqLine for FakeLine {
    fn set(&self, high: bool) {
        self.0.lock().unwrap().push(high);
    }
}
