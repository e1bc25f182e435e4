//! The A64 instructions that a debugger must know (Arm ARM C6.2): the ones that look at or change
//! what a step hides, and BRK.

use super::pstate;

/// BRK #0, what a software breakpoint plants (Arm ARM C6.2.47).
pub const BRK: u32 = 0xd420_0000;

/// An instruction, as far as stepping over it needs care.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Insn {
    /// `MRS Xt, DAIF`; holds t.
    MrsDaif(u8),
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
    /// Everything else steps without care.
    Other,
}

impl Insn {
    /// Decodes one A64 instruction word.
    pub fn decode(word: u32) -> Self {
        // MSR (immediate) has imm4 in CRm, bits 11:8; D, A, I, F are PSTATE bits 9:6.
        let imm_daif = u64::from(word >> 8 & 0xf) << 6;
        match word {
            _ if word & 0xffff_ffe0 == 0xd53b_4220 => Self::MrsDaif(word as u8 & 0x1f),
            _ if word & 0xffff_ffe0 == 0xd51b_4220 => Self::MsrDaif,
            _ if word & 0xffff_f0ff == 0xd503_40df => Self::DaifSet(imm_daif),
            _ if word & 0xffff_f0ff == 0xd503_40ff => Self::DaifClr(imm_daif),
            0xd69f_03e0 | 0xd69f_0bff | 0xd69f_0fff => Self::Eret,
            _ if word & 0xffe0_001f == BRK => Self::Brk((word >> 5) as u16),
            _ => Self::Other,
        }
    }

    /// PSTATE's A, I and F after this instruction ran to its end with them all masked.
    /// `original` is PSTATE before the mask, `now` is PSTATE after the step.
    /// `None`: the result stands as it is, since the instruction itself loaded these bits.
    pub fn aif_after(self, original: u64, now: u64) -> Option<u64> {
        let restored = match self {
            Self::MsrDaif | Self::Eret => return None,
            Self::DaifSet(bits) => original | bits,
            Self::DaifClr(bits) => original & !bits,
            Self::MrsDaif(_) | Self::Brk(_) | Self::Other => original,
        };
        Some(now & !pstate::AIF | restored & pstate::AIF)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_what_the_assembler_makes_of_each() {
        for (word, insn) in [
            (0xd53b_4220, Insn::MrsDaif(0)),
            (0xd53b_4233, Insn::MrsDaif(19)),
            (0xd51b_4221, Insn::MsrDaif),
            (0xd503_42df, Insn::DaifSet(pstate::I)),
            (0xd503_4fdf, Insn::DaifSet(pstate::D | pstate::AIF)),
            (0xd503_43ff, Insn::DaifClr(pstate::I | pstate::F)),
            (0xd69f_03e0, Insn::Eret),
            (0xd69f_0bff, Insn::Eret),
            (0xd69f_0fff, Insn::Eret),
            (0xd420_0000, Insn::Brk(0)),
            (0xd421_0000, Insn::Brk(0x800)),
            (0xd503_201f, Insn::Other),
            // HLT #0 is BRK's neighbour.
            (0xd440_0000, Insn::Other),
        ] {
            assert_eq!(Insn::decode(word), insn, "{word:#x}");
        }
    }

    #[test]
    fn a_plain_instruction_gets_its_bits_back() {
        let after = Insn::Other.aif_after(0x6000_0305, 0x8000_03c5);

        assert_eq!(after, Some(0x8000_0305));
    }

    #[test]
    fn daif_writes_take_effect_on_the_original_bits() {
        let masked = 0x3c5;
        assert_eq!(Insn::DaifSet(pstate::I).aif_after(0x305, masked), Some(0x385));
        assert_eq!(Insn::DaifClr(pstate::I).aif_after(0x3c5, 0x345), Some(0x345));
        assert_eq!(Insn::DaifClr(pstate::I).aif_after(0x385, 0x345), Some(0x305));
        assert_eq!(Insn::MsrDaif.aif_after(0x305, 0x3c5), None);
        assert_eq!(Insn::Eret.aif_after(0x305, 0x0), None);
    }
}
