//! The host's end of a serial line.

/// Where a guest's bytes go, and who has some for it.
///
/// Both are called with the device locked, from within the guest's accesses or from the device's own thread: they must not
/// call back into it.
pub trait Wire: Send {
    /// Takes bytes that leave the device; returns how many. Having taken less than all, the host tells the device once it
    /// can take more (`transmit_ready`).
    fn transmit(&mut self, bytes: &[u8]) -> usize;

    /// The host, having been held back, may offer its bytes again (`receive`). Once per time held back, and not before
    /// it is worth its while.
    fn receive_ready(&mut self);
}
