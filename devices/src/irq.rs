//! The interrupt output of a device.

#[cfg(test)]
pub(crate) mod fake;

/// One level-triggered, active-high interrupt line. It starts low.
pub trait IrqLine: Send + Sync {
    /// Drives the line. Devices call it only when the level changes.
    fn set(&self, high: bool);
}
