//! MMIO bus and device models. A device sees an offset, never an address, never KVM.
#![forbid(unsafe_code)]

pub mod bus;
pub mod disk;
pub mod gpio;
pub mod irq;
pub mod pl011;
pub mod pvpanic;
pub mod rtc;
pub mod virtio;
pub mod wire;
