//! What an A64 instruction may change but memory: enough to know, after a step over it, what need
//! not be read again (Arm ARM C4.1). Where there is any doubt it is more than the instruction does.

use super::insn::Word;
use super::pstate::{self, Pstate};

/// What one instruction that runs to its end changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Effect {
    /// x0 to x30, a bit each, and [`Effect::SP`].
    pub registers: u32,
    /// PSTATE, beyond the BTYPE that every instruction clears.
    pub sets_flags: bool,
    /// PC, beyond going on with the next instruction.
    pub branches: bool,
}

impl Effect {
    /// The bit of both stack pointers. Where 31 in a register field means the zero register, it is set
    /// as well.
    pub const SP: u32 = 1 << 31;

    /// What the instruction does that is executed with this PSTATE, or `None` if that may be anything:
    /// system instructions, vectors, whatever is rare or new.
    pub fn of(word: Word, state: Pstate) -> Option<Self> {
        // A step of the guest's own, or an indirect branch before: what becomes of PSTATE is for KVM
        // to say.
        if state.is_aarch32() || state.0 & (pstate::SS | pstate::BTYPE) != 0 {
            return None;
        }
        let word = word.0;
        match word >> 25 & 0xf {
            0b1000 | 0b1001 => immediate(word),
            0b1010 | 0b1011 => branch(word),
            0b0101 | 0b1101 => register(word),
            0b0100 | 0b1100 => memory(word),
            // UDF and SME, SVE, vectors.
            _ => None,
        }
    }
}

/// Bits of the registers whose fields begin at these bits: Rd and Rt at 0, Rn at 5, Rt2 at 10, Rs at 16.
fn fields<const N: usize>(word: u32, at: [u32; N]) -> u32 {
    at.into_iter().fold(0, |registers, at| registers | 1 << (word >> at & 0x1f))
}

/// Data processing, immediate (C4.1.93).
fn immediate(word: u32) -> Option<Effect> {
    let opc = word >> 29 & 0b11;
    let sets_flags = match word >> 23 & 0b111 {
        // ADDS and SUBS.
        0b010 => opc & 1 != 0,
        // ANDS.
        0b100 => opc == 0b11,
        // ADR and ADRP, wide moves, bit fields.
        0b000 | 0b001 | 0b101 | 0b110 => false,
        // EXTR; with other bits here AUTIASPPC, which writes x30.
        0b111 if opc == 0b00 => false,
        // Tags, minimum and maximum.
        _ => return None,
    };
    Some(Effect { registers: fields(word, [0]), sets_flags, branches: false })
}

/// Branches, exceptions and system instructions (C4.1.94).
fn branch(word: u32) -> Option<Effect> {
    let to = |registers| Some(Effect { registers, sets_flags: false, branches: true });
    match word {
        // B and BL, as if they were one: another vCPU may put either in place of the other while this one
        // executes it (B2.2.5).
        _ if word & 0x7c00_0000 == 0x1400_0000 => to(1 << 30),
        // B.cond and BC.cond, CBZ and CBNZ, TBZ and TBNZ.
        _ if word & 0xff00_0000 == 0x5400_0000 => to(0),
        _ if word & 0x7c00_0000 == 0x3400_0000 => to(0),
        // RET; BR and BLR leave a BTYPE behind.
        _ if word & 0xffff_fc1f == 0xd65f_0000 => to(0),
        // NOP; BTI.
        _ if word == 0xd503_201f || word & 0xffff_ff3f == 0xd503_241f => {
            Some(Effect { registers: 0, sets_flags: false, branches: false })
        }
        // MRS; RNDR sets flags.
        _ if word & 0xfff0_0000 == 0xd530_0000 => {
            Some(Effect { registers: fields(word, [0]), sets_flags: true, branches: false })
        }
        _ => None,
    }
}

/// Data processing, register (C4.1.95).
fn register(word: u32) -> Option<Effect> {
    let opc = word >> 29 & 0b11;
    let sets_flags = match word >> 24 & 0b1_1111 {
        // ANDS and BICS.
        0b0_1010 => opc == 0b11,
        // ADDS and SUBS.
        0b0_1011 => opc & 1 != 0,
        // Three sources.
        0b1_1011 => false,
        0b1_1010 => match word >> 21 & 0b111 {
            // With carry, and what turns, sets and compares flags.
            0b000 | 0b010 => true,
            // CSEL and its like.
            0b100 => false,
            // One source, such as AUTIA171615, which writes x17.
            0b110 if opc >> 1 == 1 && word >> 15 & 1 != 0 => return None,
            // One and two sources; SUBPS.
            0b110 => opc & 1 != 0,
            _ => return None,
        },
        _ => return None,
    };
    Some(Effect { registers: fields(word, [0]), sets_flags, branches: false })
}

/// Loads and stores of general registers (C4.1.96). Where 31 means the zero register, SP counts as
/// written only if the base is written back to it.
fn memory(word: u32) -> Option<Effect> {
    let bit = |n: u32| word >> n & 1 != 0;
    let low = word >> 10 & 0b11;
    // Loaded and status registers, then the base where it may be written.
    let loaded = |registers: u32| registers & !Effect::SP;
    let base = fields(word, [5]);
    let registers = match word >> 24 & 0b11_1111 {
        // Exclusive, ordered, CAS; CASP writes two pairs of registers.
        0b00_1000 if bit(23) || !bit(21) || bit(31) => loaded(fields(word, [0, 10, 16])),
        // Literal; an unsigned offset.
        0b01_1000 | 0b11_1001 => loaded(fields(word, [0])),
        // LDAPUR and STLUR; the rest are tags, copies and pairs.
        0b01_1001 if !bit(21) && low == 0b00 => loaded(fields(word, [0])),
        // Pairs.
        0b10_1000 | 0b10_1001 => loaded(fields(word, [0, 10])) | base,
        // A signed offset, before or behind or unprivileged; LDRAA and LDRAB.
        0b11_1000 if !bit(21) || bit(10) => loaded(fields(word, [0])) | base,
        // An offset register.
        0b11_1000 if low == 0b10 => loaded(fields(word, [0])),
        // Atomics, SWP and LDAPR; with bit 15 also what writes eight registers, or flags.
        0b11_1000 if !bit(15) || matches!(word >> 12 & 0b111, 0b000 | 0b100) => {
            loaded(fields(word, [0]))
        }
        // Vectors, and everything else.
        _ => return None,
    };
    Some(Effect { registers, sets_flags: false, branches: false })
}

#[cfg(test)]
#[path = "effect_tests.rs"]
mod tests;
