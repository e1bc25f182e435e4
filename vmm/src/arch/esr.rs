//! Exception syndromes (Arm ARM D24.2.40, ESR_ELx), as KVM hands them over in `kvm_debug_exit_arch`.

use std::fmt;

/// An exception syndrome: EC in bits 31:26, IL in 25, ISS in 24:0, ISS2 from 32 up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Esr(pub u64);

/// Exception classes that leave KVM as `KVM_EXIT_DEBUG`. KVM always reports the lower-EL value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// EC 0x30, a debug register's breakpoint.
    HardwareBreakpoint,
    /// EC 0x32, software step.
    SoftwareStep,
    /// EC 0x34, a debug register's watchpoint. FAR is valid for this class only.
    Watchpoint,
    /// EC 0x38, the A32 and T32 instruction BKPT.
    Bkpt,
    /// EC 0x3c, the A64 instruction BRK.
    Brk,
    /// Anything else; holds EC.
    Other(u8),
}

const EC_SHIFT: u32 = 26;
const EC_BREAKPOINT: u8 = 0x30;
const EC_SOFTSTEP: u8 = 0x32;
const EC_WATCHPOINT: u8 = 0x34;
const EC_BKPT: u8 = 0x38;
const EC_BRK: u8 = 0x3c;

impl Esr {
    /// The syndrome of `BRK #imm`: EC 0x3c and IL.
    pub fn brk(imm: u16) -> Self {
        Self(u64::from(EC_BRK) << EC_SHIFT | 1 << 25 | u64::from(imm))
    }

    /// The whole EC field, bits 31:26.
    pub fn ec(self) -> u8 {
        (self.0 >> EC_SHIFT) as u8 & 0x3f
    }

    /// What kind of debug exception this is.
    pub fn class(self) -> Class {
        match self.ec() {
            EC_BREAKPOINT => Class::HardwareBreakpoint,
            EC_SOFTSTEP => Class::SoftwareStep,
            EC_WATCHPOINT => Class::Watchpoint,
            EC_BKPT => Class::Bkpt,
            EC_BRK => Class::Brk,
            other => Class::Other(other),
        }
    }

    /// Immediate of a BRK (ISS bits 15:0).
    pub fn brk_immediate(self) -> u16 {
        self.0 as u16
    }

    /// WnR of a watchpoint (ISS bit 6): the access was a store.
    pub fn is_write(self) -> bool {
        self.0 & 1 << 6 != 0
    }

    /// ISV of a software step syndrome (bit 24). Clear where an exception was taken to EL1 within
    /// the step, or where KVM emulated the instruction.
    pub fn step_valid(self) -> bool {
        self.0 & (1 << 24) != 0
    }

    /// The syndrome as the guest's ESR_EL1 must hold it: breakpoint, step and watchpoint have one
    /// class for "from a lower EL" and the next one up for "from the same EL"; BRK has one for both.
    pub fn at_el1(self, taken_from_el1: bool) -> Self {
        match self.class() {
            Class::HardwareBreakpoint | Class::SoftwareStep | Class::Watchpoint
                if taken_from_el1 =>
            {
                Self(self.0 | 1 << EC_SHIFT)
            }
            _ => self,
        }
    }
}

impl fmt::Debug for Esr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x} (EC {:#x})", self.0, self.ec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_come_from_bits_31_to_26() {
        // As measured on KVM: hardware breakpoint, step, watchpoint, BKPT, BRK #0x800.
        assert_eq!(Esr(0xc200_0022).class(), Class::HardwareBreakpoint);
        assert_eq!(Esr(0xcb00_0022).class(), Class::SoftwareStep);
        assert_eq!(Esr(0xd200_0022).class(), Class::Watchpoint);
        assert_eq!(Esr(0xe200_0000).class(), Class::Bkpt);
        assert_eq!(Esr(0xf200_0800).class(), Class::Brk);
        assert_eq!(Esr(0x9600_0045).class(), Class::Other(0x25));
    }

    #[test]
    fn a_brk_syndrome_is_what_the_cpu_makes() {
        assert_eq!(Esr::brk(0x800), Esr(0xf200_0800));
        assert_eq!(Esr::brk(0x800).brk_immediate(), 0x800);
    }

    #[test]
    fn iss2_does_not_reach_the_class() {
        assert_eq!(Esr(0xffff_ffff_f200_0000).class(), Class::Brk);
    }

    #[test]
    fn a_native_step_is_valid_and_one_that_took_an_exception_is_not() {
        assert!(Esr(0xcb00_0022).step_valid());
        assert!(!Esr(0xca00_0022).step_valid());
    }

    #[test]
    fn only_classes_with_a_same_level_twin_change_at_el1() {
        for (from_el0, from_el1) in [
            (0xc200_0022, 0xc600_0022),
            (0xca00_0022, 0xce00_0022),
            (0xd200_0022, 0xd600_0022),
            (0xf200_0001, 0xf200_0001),
        ] {
            assert_eq!(Esr(from_el0).at_el1(true), Esr(from_el1));
            assert_eq!(Esr(from_el0).at_el1(false), Esr(from_el0));
        }
    }
}
