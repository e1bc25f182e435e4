//! The instructions that a debugger must know (Arm ARM C6.2, F5.1): the ones that look at or change
//! what a step hides, and breakpoints.

use super::pstate::{self, Isa, Pstate};

/// BRK #0, what a software breakpoint plants (Arm ARM C6.2.47).
pub const BRK: u32 = 0xd420_0000;

/// An instruction as memory has it, first byte lowest. Of a T32 instruction that has one halfword,
/// the upper one is whatever follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Word(pub u32);

impl Word {
    /// Bytes of the instruction.
    pub fn len(self, isa: Isa) -> u64 {
        // 0b11101, 0b11110 and 0b11111 begin two halfwords (F3.1).
        if isa == Isa::T32 && self.0 & 0xf800 < 0xe800 { 2 } else { 4 }
    }

    /// The instruction that makes a breakpoint exception in this instruction set: BRK #0, or BKPT #0,
    /// which no condition and no IT block skips.
    pub fn breakpoint(isa: Isa) -> Self {
        Self(match isa {
            Isa::A64 => BRK,
            Isa::A32 => 0xe120_0070,
            Isa::T32 => 0xbe00,
        })
    }
}

/// Whether an A64 instruction is an unconditional branch to an address of its own (B, C6.2.25).
pub fn is_branch(word: Word) -> bool {
    word.0 >> 26 == 0b000101
}

/// An instruction, as far as stepping over it needs care.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Insn {
    /// `MRS Xt, DAIF` or, in A32 and T32, `MRS Rt, CPSR`; holds t.
    ReadsMasks(u8),
    /// `MSR DAIF, Xt`.
    MsrDaif,
    /// `MSR DAIFSet, #imm`; holds the bits it sets, as PSTATE holds them.
    DaifSet(u64),
    /// `MSR DAIFClr, #imm`; holds the bits it clears, as PSTATE holds them.
    DaifClr(u64),
    /// `ERET`, `ERETAA`, `ERETAB`.
    Eret,
    /// `BRK #imm`; holds imm.
    Brk(u16),
    /// `HVC` or `SMC`: a PSCI call may turn the vCPU off, and another one on again.
    Hvc,
    /// `WFI`.
    Wfi,
    /// Everything else steps without care.
    Other,
}

impl Insn {
    /// Decodes the instruction that a vCPU in this state is about to execute.
    pub fn decode(word: Word, state: Pstate) -> Self {
        match state.isa() {
            Isa::A64 => Self::decode_a64(word.0),
            isa => Self::decode_aarch32(word.0, isa, state),
        }
    }

    fn decode_a64(word: u32) -> Self {
        // MSR (immediate) has imm4 in CRm, bits 11:8; D, A, I, F are PSTATE bits 9:6.
        let imm_daif = u64::from(word >> 8 & 0xf) << 6;
        match word {
            _ if word & 0xffff_ffe0 == 0xd53b_4220 => Self::ReadsMasks(word as u8 & 0x1f),
            _ if word & 0xffff_ffe0 == 0xd51b_4220 => Self::MsrDaif,
            _ if word & 0xffff_f0ff == 0xd503_40df => Self::DaifSet(imm_daif),
            _ if word & 0xffff_f0ff == 0xd503_40ff => Self::DaifClr(imm_daif),
            0xd69f_03e0 | 0xd69f_0bff | 0xd69f_0fff => Self::Eret,
            _ if word & 0xffe0_001f == BRK => Self::Brk((word >> 5) as u16),
            _ if matches!(word & 0xffe0_001f, 0xd400_0002 | 0xd400_0003) => Self::Hvc,
            0xd503_207f => Self::Wfi,
            _ => Self::Other,
        }
    }

    /// At EL0, which is all of AArch32 that a guest has here, nothing but this matters.
    fn decode_aarch32(word: u32, isa: Isa, state: Pstate) -> Self {
        let (rd, condition) = match isa {
            Isa::A32 if word & 0x0fff_0fff == 0x010f_0000 => (word >> 12, word >> 28),
            Isa::T32 if word & 0xf0ff_ffff == 0x8000_f3ef => (word >> 24, state.it_condition()),
            _ => return Self::Other,
        };
        if state.passes(condition) { Self::ReadsMasks(rd as u8 & 0xf) } else { Self::Other }
    }

    /// PSTATE's A, I and F after this instruction ran to its end with them all masked.
    /// `original` is PSTATE before the mask, `now` is PSTATE after the step.
    /// `None`: the result stands as it is, since the instruction itself loaded these bits.
    pub fn aif_after(self, original: u64, now: u64) -> Option<u64> {
        let restored = match self {
            Self::MsrDaif | Self::Eret => return None,
            Self::DaifSet(bits) => original | bits,
            Self::DaifClr(bits) => original & !bits,
            Self::ReadsMasks(_) | Self::Brk(_) | Self::Hvc | Self::Wfi | Self::Other => original,
        };
        Some(now & !pstate::AIF | restored & pstate::AIF)
    }
}

#[cfg(test)]
#[path = "insn_tests.rs"]
mod tests;
