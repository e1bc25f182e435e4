//! What [`Vm::new`](super::vm::Vm::new) is to make: sizes, addresses and interrupt numbers. KVM knows
//! no machine map; whoever assembles the machine hands it in. All addresses are IPAs.

use crate::arch::features::Choices;

/// A machine's KVM half.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// First address of RAM.
    pub ram_base: u64,
    /// Bytes of RAM, not 0.
    pub ram_size: u64,
    /// vCPUs, at least 1.
    pub vcpus: usize,
    /// What they have and lack; the rest is as the host has it.
    pub features: Choices,
    /// GIC distributor.
    pub distributor: u64,
    /// GICv2 CPU interface.
    pub cpu_interface: u64,
    /// GICv3 redistributors; together as many as there are vCPUs, or fewer if the machine has no
    /// room for as many.
    pub redistributors: Vec<Redistributors>,
    /// A device's registers, a page with the first one of 4 bytes, for the [`Window`](super::window::Window).
    pub window: u64,
    /// The PMU's overflow interrupt, a PPI.
    pub pmu_intid: u32,
}

/// A row of redistributors, one after the other, 128 KiB each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Redistributors {
    /// First address.
    pub base: u64,
    /// How many.
    pub count: u64,
}

/// Bytes of one redistributor with both its frames (Arm IHI 0069, 12.10).
const REDISTRIBUTOR_SIZE: u64 = 0x2_0000;

impl Redistributors {
    /// Last address.
    pub fn last(&self) -> u64 {
        self.base + (self.count * REDISTRIBUTOR_SIZE - 1)
    }
}
