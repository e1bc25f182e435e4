//! MMIO bus and device models. A device sees an offset, never an address, never KVM.
#![forbid(unsafe_code)]
