//! PSTATE in SPSR format (Arm ARM C5.2.19, SPSR_EL1), as `KVM_GET_ONE_REG` gives it.

/// Exception levels a guest without nested virtualization runs at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// Unprivileged.
    El0,
    /// The kernel's.
    El1,
}

/// Instruction sets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Isa {
    /// AArch64.
    A64,
    /// AArch32, four bytes each.
    A32,
    /// AArch32, two or four bytes each.
    T32,
}

/// Processor state, bits as in SPSR_EL1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pstate(pub u64);

/// M[4]: AArch32.
pub const M_AARCH32: u64 = 1 << 4;
/// M[3:0] of EL1 with its own stack pointer.
pub const M_EL1H: u64 = 0b0101;
/// T, of AArch32: T32, not A32.
pub const T: u64 = 1 << 5;
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

    /// The instruction set in force.
    pub fn isa(self) -> Isa {
        match (self.is_aarch32(), self.0 & T != 0) {
            (false, _) => Isa::A64,
            (true, false) => Isa::A32,
            (true, true) => Isa::T32,
        }
    }

    /// Condition under which the next T32 instruction executes: its IT block's, or "always" outside
    /// of one. ITSTATE[7:2] is PSTATE[15:10], ITSTATE[1:0] is PSTATE[26:25] (Arm ARM G1.2.2).
    pub fn it_condition(self) -> u32 {
        let it = (self.0 >> 10 & 0x3f) << 2 | self.0 >> 25 & 0b11;
        if it & 0xf == 0 { 0b1110 } else { (it >> 4) as u32 }
    }

    /// Whether a condition field of AArch32 holds (Arm ARM F2.3.1).
    pub fn passes(self, condition: u32) -> bool {
        let [v, c, z, n] = [28, 29, 30, 31].map(|bit| self.0 >> bit & 1 != 0);
        let holds = match condition >> 1 & 0b111 {
            0b000 => z,
            0b001 => c,
            0b010 => n,
            0b011 => v,
            0b100 => c && !z,
            0b101 => n == v,
            0b110 => n == v && !z,
            _ => return true,
        };
        holds != (condition & 1 != 0)
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
    fn conditions_are_looked_up_in_nzcv() {
        // Z and C set.
        let state = Pstate(0x6000_0010);
        let passing: Vec<u32> = (0..16).filter(|condition| state.passes(*condition)).collect();
        // EQ, CS, PL, VC, LS, GE, LE, AL and the unconditional space.
        assert_eq!(passing, [0, 2, 5, 7, 9, 10, 13, 14, 15]);
    }

    #[test]
    fn the_instruction_set_follows_t_and_the_it_block_its_state() {
        assert_eq!(
            [0x0, 0x10, 0x30].map(|bits| Pstate(bits).isa()),
            [Isa::A64, Isa::A32, Isa::T32]
        );
        assert_eq!(Pstate(0x30).it_condition(), 0b1110);
        // ITTE NE, before its second instruction: condition 0001, mask 0110 of which IT[1] is bit 26.
        assert_eq!(Pstate(0x30 | 0x1 << 12 | 0b01 << 10 | 1 << 26).it_condition(), 0b0001);
    }

    #[test]
    fn el0_is_el0_in_both_states() {
        assert_eq!(Pstate(0x3c5).level(), Level::El1);
        assert_eq!(Pstate(0x3c4).level(), Level::El1);
        assert_eq!(Pstate(0x6000_0000).level(), Level::El0);
        assert_eq!(Pstate(0x6000_0010).level(), Level::El0);
    }
}
