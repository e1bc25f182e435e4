//! Where an instruction leads, in all three instruction sets (Arm ARM C4.1, F3.1, F4.1): as much as
//! is needed to know every way out of a load-exclusive/store-exclusive region.

use super::insn::Word;
use super::pstate::Isa;

/// What an instruction does to the flow of control, and to the exclusive monitor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// Goes on with the next instruction.
    Next,
    /// Goes there, or on with the next instruction.
    Branch(u64),
    /// Goes on; sets the exclusive monitor.
    LoadExclusive,
    /// Goes on; needs the exclusive monitor.
    StoreExclusive,
    /// Goes somewhere unknown, or does what a region has no business with: calls, indirect branches,
    /// exceptions, system registers, waiting.
    Opaque,
}

/// `value[hi:lo]`.
fn bits(value: u32, hi: u32, lo: u32) -> u32 {
    value >> lo & (u32::MAX >> (31 - (hi - lo)))
}

/// `value[n - 1:0]` sign-extended; n in 1..=32.
fn signed(value: u32, n: u32) -> i64 {
    i64::from((value << (32 - n)).cast_signed() >> (32 - n))
}

impl Flow {
    /// What the instruction at `pc` does.
    pub fn of(pc: u64, word: Word, isa: Isa) -> Self {
        match isa {
            Isa::A64 => a64(pc, word.0),
            Isa::A32 => a32(pc, word.0),
            Isa::T32 if word.len(isa) == 2 => t16(pc, word.0 & 0xffff),
            Isa::T32 => t32(pc, word.0 & 0xffff, word.0 >> 16),
        }
    }
}

fn a64(pc: u64, word: u32) -> Flow {
    let to = |words: i64| Flow::Branch(pc.wrapping_add_signed(words * 4));
    // Exclusives: size, 001000, o2 = 0, L, o1. With o1 and a size of 32 bits at most it is CASP.
    let is_casp = word & 1 << 31 == 0 && word & 1 << 21 != 0;
    match word {
        _ if word & 0x3fc0_0000 == 0x0840_0000 && !is_casp => Flow::LoadExclusive,
        _ if word & 0x3fc0_0000 == 0x0800_0000 && !is_casp => Flow::StoreExclusive,
        // B; with bit 31 it is BL.
        _ if word & 0xfc00_0000 == 0x1400_0000 => to(signed(word, 26)),
        _ if word & 0xfc00_0000 == 0x9400_0000 => Flow::Opaque,
        // B.cond and BC.cond; CBZ and CBNZ.
        _ if word & 0xff00_0000 == 0x5400_0000 => to(signed(bits(word, 23, 5), 19)),
        _ if word & 0x7e00_0000 == 0x3400_0000 => to(signed(bits(word, 23, 5), 19)),
        // TBZ and TBNZ.
        _ if word & 0x7e00_0000 == 0x3600_0000 => to(signed(bits(word, 18, 5), 14)),
        // CB<cc>, FEAT_CMPBR; RETAASPPC and RETABSPPC.
        _ if word & 0x7e00_0000 == 0x7400_0000 => Flow::Opaque,
        _ if word & 0xff00_0000 == 0x5500_0000 => Flow::Opaque,
        // WFE, WFI, and their relatives with a timeout.
        0xd503_205f | 0xd503_207f => Flow::Opaque,
        // Hints and barriers, CLREX among them.
        _ if word & 0xffff_f01f == 0xd503_201f || word & 0xffff_f01f == 0xd503_301f => Flow::Next,
        // MRS, of anything but the masks that a step changes.
        _ if word & 0xfff0_0000 == 0xd530_0000 && word & 0xffff_ffe0 != 0xd53b_4220 => Flow::Next,
        // Exceptions, system registers, branches to a register.
        _ if word & 0xfc00_0000 == 0xd400_0000 => Flow::Opaque,
        // UDF.
        _ if word >> 16 == 0 => Flow::Opaque,
        _ => Flow::Next,
    }
}

fn a32(pc: u64, word: u32) -> Flow {
    let rd = bits(word, 15, 12);
    match word {
        // Unconditional: CLREX and barriers; the rest is not for a region.
        _ if word & 0xffff_ff00 == 0xf57f_f000 => Flow::Next,
        _ if word >> 28 == 0xf => Flow::Opaque,
        // Bit 9 is clear in LDA and STL, which are not exclusive.
        _ if word & 0x0f90_02f0 == 0x0190_0290 => Flow::LoadExclusive,
        _ if word & 0x0f90_02f0 == 0x0180_0290 => Flow::StoreExclusive,
        _ if word & 0x0f80_02f0 == 0x0180_0090 => Flow::Next,
        // B; with bit 24 it is BL.
        _ if word & 0x0f00_0000 == 0x0a00_0000 => {
            Flow::Branch(pc.wrapping_add_signed(8 + signed(word, 24) * 4))
        }
        _ if word & 0x0f00_0000 == 0x0b00_0000 => Flow::Opaque,
        // SVC; miscellaneous: MRS, MSR, BX, BKPT, HVC, SMC and so on; UDF.
        _ if word & 0x0f00_0000 == 0x0f00_0000 => Flow::Opaque,
        _ if word & 0x0f90_0080 == 0x0100_0000 => Flow::Opaque,
        _ if word & 0x0ff0_00f0 == 0x07f0_00f0 => Flow::Opaque,
        // Writes PC: as a destination, or out of memory by LDM.
        _ if rd == 0xf || word & 0x0e10_8000 == 0x0810_8000 => Flow::Opaque,
        // Hints, WFE and WFI among them, and MSR immediate.
        _ if word & 0x0fb0_0000 == 0x0320_0000 => Flow::Opaque,
        _ => Flow::Next,
    }
}

/// A T32 instruction of one halfword.
fn t16(pc: u64, half: u32) -> Flow {
    let to = |bytes: i64| Flow::Branch(pc.wrapping_add_signed(4 + bytes));
    match half {
        // UDF and SVC have the place of two conditions.
        _ if half & 0xfe00 == 0xde00 => Flow::Opaque,
        _ if half & 0xf000 == 0xd000 => to(signed(half, 8) * 2),
        _ if half & 0xf800 == 0xe000 => to(signed(half, 11) * 2),
        // CBZ and CBNZ, forward only.
        _ if half & 0xf500 == 0xb100 => {
            to(i64::from(bits(half, 9, 9) << 6 | bits(half, 7, 3) << 1))
        }
        // BX and BLX; ADD and MOV to PC; POP with PC; BKPT and HLT; WFE and WFI.
        _ if half & 0xff00 == 0x4700 => Flow::Opaque,
        _ if half & 0xfd87 == 0x4487 => Flow::Opaque,
        _ if half & 0xff00 == 0xbd00 => Flow::Opaque,
        _ if half & 0xff00 == 0xbe00 || half & 0xffc0 == 0xba80 => Flow::Opaque,
        0xbf20 | 0xbf30 => Flow::Opaque,
        _ => Flow::Next,
    }
}

/// A T32 instruction of two halfwords.
fn t32(pc: u64, first: u32, second: u32) -> Flow {
    // LDREXB and so on; 0 and 1 are TBB and TBH, 8 to 10 loads and stores that are not exclusive.
    let is_exclusive = matches!(bits(second, 7, 4), 4 | 5 | 7 | 0xc..=0xf);
    match first {
        _ if first & 0xfff0 == 0xe850 => Flow::LoadExclusive,
        _ if first & 0xfff0 == 0xe840 => Flow::StoreExclusive,
        _ if first & 0xfff0 == 0xe8d0 && is_exclusive => Flow::LoadExclusive,
        _ if first & 0xfff0 == 0xe8c0 && is_exclusive => Flow::StoreExclusive,
        _ if first & 0xfff0 == 0xe8d0 && bits(second, 7, 5) == 0 => Flow::Opaque,
        _ if first & 0xf800 == 0xf000 && second & 0x8000 != 0 => t32_branch(pc, first, second),
        // LDM and LDR to PC.
        _ if matches!(first & 0xffd0, 0xe890 | 0xe910) && second & 0x8000 != 0 => Flow::Opaque,
        _ if first & 0xff70 == 0xf850 && second >> 12 == 0xf => Flow::Opaque,
        _ => Flow::Next,
    }
}

/// Branches and miscellaneous control (Arm ARM F3.1.9).
fn t32_branch(pc: u64, first: u32, second: u32) -> Flow {
    let (sign, j1, j2) = (bits(first, 10, 10), bits(second, 13, 13), bits(second, 11, 11));
    let to = |bytes: i64| Flow::Branch(pc.wrapping_add_signed(4 + bytes));
    match second & 0xd000 {
        // B<c>.W; two conditions are taken by system instructions.
        0x8000 if bits(first, 9, 6) < 0xe => {
            let high = sign << 19 | j2 << 18 | j1 << 17 | bits(first, 5, 0) << 11;
            to(signed(high | bits(second, 10, 0), 20) * 2)
        }
        // CLREX and barriers.
        0x8000 if first == 0xf3bf => Flow::Next,
        // B.W.
        0x9000 => {
            let (i1, i2) = (1 ^ j1 ^ sign, 1 ^ j2 ^ sign);
            let high = sign << 23 | i1 << 22 | i2 << 21 | bits(first, 9, 0) << 11;
            to(signed(high | bits(second, 10, 0), 24) * 2)
        }
        _ => Flow::Opaque,
    }
}

/// The branch `word` at `pc`, made to lead to `target`; `None` if it is no branch or cannot reach.
pub fn retarget(pc: u64, word: Word, isa: Isa, target: u64) -> Option<Word> {
    let Flow::Branch(_) = Flow::of(pc, word, isa) else { return None };
    let bytes = target.wrapping_sub(pc).cast_signed();
    let Word(old) = word;
    // Each form's field, by its place and width, in the unit of the offset.
    let field = |offset: i64, width: u32, at: u32| {
        let mask = (u32::MAX >> (32 - width)) << at;
        old & !mask | (offset.cast_unsigned() as u32) << at & mask
    };
    let new = match isa {
        Isa::A64 if old & 0x7c00_0000 == 0x1400_0000 => field(bytes / 4, 26, 0),
        Isa::A64 if old & 0x7e00_0000 == 0x3600_0000 => field(bytes / 4, 14, 5),
        Isa::A64 => field(bytes / 4, 19, 5),
        Isa::A32 => field((bytes - 8) / 4, 24, 0),
        Isa::T32 if word.len(isa) == 2 && old & 0xf000 == 0xd000 => field((bytes - 4) / 2, 8, 0),
        Isa::T32 if word.len(isa) == 2 && old & 0xf800 == 0xe000 => field((bytes - 4) / 2, 11, 0),
        // The others lead forward, or reach so far that nobody writes them for a few instructions.
        Isa::T32 => return None,
    };
    (Flow::of(pc, Word(new), isa) == Flow::Branch(target)).then_some(Word(new))
}

#[cfg(test)]
#[path = "flow_tests.rs"]
mod tests;
