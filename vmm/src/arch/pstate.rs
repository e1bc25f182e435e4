//! PSTATE in SPSR format (Arm ARM C5.2.19, SPSR_EL1), as `KVM_GET_ONE_REG` gives it.

/// Exception levels a guest without nested virtualization runs at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// Unprivileged.
    El0,
    /// The kernel's.
    El1,
}

/// Processor state, bits as in SPSR_EL1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pstate(pub u64);

/// M[4]: AArch32.
pub const M_AARCH32: u64 = 1 << 4;
/// M[3:0] of EL1 with its own stack pointer.
pub const M_EL1H: u64 = 0b0101;
/// FIQ mask.
pub const F: u64 = 1 << 6;
/// IRQ mask.
pub const I: u64 = 1 << 7;
/// SError mask.
pub const A: u64 = 1 << 8;
/// Debug mask; in AArch32 the same bit is E.
pub const D: u64 = 1 << 9;
/// What a step masks: asynchronous exceptions, and never D.
pub const AIF: u64 = A | I | F;
/// Branch type, for BTI.
pub const BTYPE: u64 = 0b11 << 10;
/// Speculative store bypass safe.
pub const SSBS: u64 = 1 << 12;
/// All interrupts masked, FEAT_NMI.
pub const ALLINT: u64 = 1 << 13;
/// Software step.
pub const SS: u64 = 1 << 21;
/// Privileged access never.
pub const PAN: u64 = 1 << 22;
/// Data independent timing.
pub const DIT: u64 = 1 << 24;
/// Tag check override, FEAT_MTE.
pub const TCO: u64 = 1 << 25;
/// Condition flags N, Z, C, V.
pub const NZCV: u64 = 0xf << 28;

impl Pstate {
    /// Exception level the vCPU is at.
    pub fn level(self) -> Level {
        // AArch32 at EL1 is never offered to a guest here: only User mode (0b0000) is EL0.
        if self.0 & 0b1111 == 0 { Level::El0 } else { Level::El1 }
    }

    /// Whether the vCPU executes A32 or T32.
    pub fn is_aarch32(self) -> bool {
        self.0 & M_AARCH32 != 0
    }

    /// Whether `sp` names SP_EL1 (EL1h), not SP_EL0 (EL0 and EL1t).
    pub fn uses_sp_el1(self) -> bool {
        !self.is_aarch32() && self.0 & 0b1111 == M_EL1H
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stack_pointer_follows_spsel() {
        assert!(Pstate(0x3c5).uses_sp_el1());
        assert!(!Pstate(0x3c4).uses_sp_el1());
        assert!(!Pstate(0x0).uses_sp_el1());
    }

    #[test]
    fn el0_is_el0_in_both_states() {
        assert_eq!(Pstate(0x3c5).level(), Level::El1);
        assert_eq!(Pstate(0x3c4).level(), Level::El1);
        assert_eq!(Pstate(0x6000_0000).level(), Level::El0);
        assert_eq!(Pstate(0x6000_0010).level(), Level::El0);
    }
}
