//! A synchronous exception taken to EL1, as AArch64.TakeException does it (Arm ARM J1.1.2, D1.3.3).

use super::esr::{Class, Esr};
use super::pstate::{self, Level, Pstate};

/// What the CPU looks at when it takes an exception to EL1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Before {
    /// Preferred return address: for debug exceptions, of the instruction itself.
    pub pc: u64,
    /// PSTATE with the guest's own A, I and F, never a step's mask.
    pub pstate: Pstate,
    /// VBAR_EL1.
    pub vbar: u64,
    /// SCTLR_EL1.
    pub sctlr: u64,
    /// Whether the vCPU has FEAT_MTE2, so that PSTATE.TCO exists.
    pub mte: bool,
    /// Whether the vCPU has FEAT_NMI, so that PSTATE.ALLINT exists.
    pub nmi: bool,
}

/// What the registers hold at the vector's first instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Taken {
    /// PC, in the vector table.
    pub pc: u64,
    /// PSTATE at EL1h.
    pub pstate: Pstate,
    /// ELR_EL1.
    pub elr: u64,
    /// SPSR_EL1.
    pub spsr: u64,
    /// ESR_EL1.
    pub esr: u64,
    /// FAR_EL1; `None` leaves the register alone.
    pub far: Option<u64>,
}

const SCTLR_SPAN: u64 = 1 << 23;
const SCTLR_DSSBS: u64 = 1 << 44;
const SCTLR_SPINTMASK: u64 = 1 << 62;

/// Offset into the vector table of a synchronous exception (Arm ARM D1.3.1.5, table D1-6).
pub fn sync_vector(from: Pstate) -> u64 {
    match (from.level(), from.is_aarch32()) {
        (Level::El1, _) if from.uses_sp_el1() => 0x200,
        (Level::El1, _) => 0x000,
        (Level::El0, false) => 0x400,
        (Level::El0, true) => 0x600,
    }
}

/// The registers after a debug exception with syndrome `esr` was taken to EL1.
/// `far` is the faulting address, used by watchpoints only: FAR_EL1 keeps its value otherwise.
pub fn take(before: &Before, esr: Esr, far: u64) -> Taken {
    let from = before.pstate;
    let mut to = from.0 & (pstate::NZCV | pstate::DIT | pstate::PAN) | pstate::M_EL1H;
    to |= pstate::D | pstate::AIF;
    if before.sctlr & SCTLR_SPAN == 0 {
        to |= pstate::PAN;
    }
    if before.sctlr & SCTLR_DSSBS != 0 {
        to |= pstate::SSBS;
    }
    if before.mte {
        to |= pstate::TCO;
    }
    if before.nmi && before.sctlr & SCTLR_SPINTMASK == 0 {
        to |= pstate::ALLINT;
    }
    Taken {
        pc: before.vbar.wrapping_add(sync_vector(from)),
        pstate: Pstate(to),
        elr: before.pc,
        spsr: from.0,
        esr: esr.at_el1(from.level() == Level::El1).0,
        far: (esr.class() == Class::Watchpoint).then_some(far),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VBAR: u64 = 0xffff_8000_8001_0800;
    const PC: u64 = 0xffff_8000_8123_4560;
    /// SCTLR_EL1 of a running Linux: SPAN set, so PAN is left as it is.
    const SCTLR: u64 = SCTLR_SPAN;

    fn before(pstate: u64) -> Before {
        Before { pc: PC, pstate: Pstate(pstate), vbar: VBAR, sctlr: SCTLR, mte: false, nmi: false }
    }

    #[test]
    fn a_brk_in_the_kernel_goes_to_the_current_el_vector_with_all_masked() {
        let taken = take(&before(0x6000_0005), Esr(0xf200_0800), 0xbad);

        assert_eq!(taken.pc, VBAR + 0x200);
        assert_eq!(taken.pstate, Pstate(0x6000_03c5));
        assert_eq!(taken.elr, PC);
        assert_eq!(taken.spsr, 0x6000_0005);
        assert_eq!(taken.esr, 0xf200_0800);
        assert_eq!(taken.far, None);
    }

    #[test]
    fn each_origin_has_its_vector() {
        for (pstate, offset) in
            [(0x5, 0x200), (0x4, 0x000), (0x0, 0x400), (0x10, 0x600), (0x30, 0x600)]
        {
            assert_eq!(take(&before(pstate), Esr(0xf200_0000), 0).pc, VBAR + offset);
        }
    }

    /// PSTATE.UAO.
    const UAO: u64 = 1 << 23;
    /// PSTATE.IL.
    const IL: u64 = 1 << 20;

    #[test]
    fn spsr_gets_every_bit_and_pstate_what_the_architecture_keeps_of_it() {
        // Each bit of PSTATE on its own, at each origin, and whether it outlives the exception.
        let bits = [
            (1 << 31, true), // N
            (1 << 30, true), // Z
            (1 << 29, true), // C
            (1 << 28, true), // V
            (pstate::TCO, false),
            (pstate::DIT, true),
            (UAO, false),
            (pstate::PAN, true),
            (pstate::SS, false),
            (IL, false),
            (pstate::ALLINT, false),
            (pstate::SSBS, false),
            (1 << 11, false), // BTYPE
            (1 << 10, false),
            // These are set whatever they were.
            (pstate::D, false),
            (pstate::A, false),
            (pstate::I, false),
            (pstate::F, false),
        ];
        for origin in [0x0, 0x4, 0x5] {
            for (bit, is_kept) in bits {
                let taken = take(&before(origin | bit), Esr(0xf200_0000), 0);

                assert_eq!(taken.spsr, origin | bit, "{bit:#x} at {origin:#x}");
                let kept = if is_kept { bit } else { 0 };
                assert_eq!(taken.pstate.0, 0x3c5 | kept, "{bit:#x} at {origin:#x}");
            }
        }
    }

    #[test]
    fn aarch32_saves_its_own_bits_and_leaves_none_but_flags_dit_and_pan() {
        // Q, GE, IT and E besides NZCV, in User mode.
        let aarch32 = 0xf000_0000 | 1 << 27 | 0xf << 16 | 0x600_fc00 | 1 << 9 | 0x30;
        let taken = take(&before(aarch32 | pstate::DIT | pstate::PAN), Esr(0xe000_0000), 0);

        assert_eq!(taken.spsr, aarch32 | pstate::DIT | pstate::PAN);
        assert_eq!(taken.pstate.0, 0xf000_03c5 | pstate::DIT | pstate::PAN);
        assert_eq!((taken.pc, taken.esr), (VBAR + 0x600, 0xe000_0000));
    }

    #[test]
    fn sctlr_and_features_set_pan_ssbs_tco_and_allint() {
        let rows = [
            // SCTLR, MTE, NMI, PSTATE besides 0x3c5.
            (SCTLR_SPAN, false, false, 0),
            (0, false, false, pstate::PAN),
            (SCTLR_SPAN | SCTLR_DSSBS, false, false, pstate::SSBS),
            (SCTLR_SPAN, true, false, pstate::TCO),
            (SCTLR_SPAN, false, true, pstate::ALLINT),
            (SCTLR_SPAN | SCTLR_SPINTMASK, false, true, 0),
            (SCTLR_SPAN | SCTLR_SPINTMASK, false, false, 0),
            (SCTLR_DSSBS, true, true, pstate::PAN | pstate::SSBS | pstate::TCO | pstate::ALLINT),
        ];
        for (sctlr, mte, nmi, wanted) in rows {
            for origin in [0x0, 0x4, 0x5, 0x10] {
                let state = Before { sctlr, mte, nmi, ..before(origin) };
                let to = take(&state, Esr(0xf200_0000), 0).pstate.0;
                assert_eq!(to, 0x3c5 | wanted, "SCTLR {sctlr:#x}, MTE {mte}, NMI {nmi}");
            }
        }
    }

    #[test]
    fn classes_tell_whether_the_level_was_the_same() {
        // KVM's syndrome, and ESR_EL1 taken from EL0 and from EL1.
        for (hsr, from_el0, from_el1) in [
            (0xc200_0022, 0xc200_0022, 0xc600_0022), // hardware breakpoint
            (0xca00_0022, 0xca00_0022, 0xce00_0022), // software step
            (0xd200_0062, 0xd200_0062, 0xd600_0062), // watchpoint
            (0xf200_0123, 0xf200_0123, 0xf200_0123), // BRK
        ] {
            assert_eq!(take(&before(0x0), Esr(hsr), 0).esr, from_el0);
            assert_eq!(take(&before(0x4), Esr(hsr), 0).esr, from_el1);
            assert_eq!(take(&before(0x5), Esr(hsr), 0).esr, from_el1);
        }
    }

    #[test]
    fn only_a_watchpoint_touches_far() {
        for hsr in [0xc200_0022, 0xca00_0022, 0xe000_0000, 0xf200_0000] {
            assert_eq!(take(&before(0x5), Esr(hsr), 0xbad).far, None);
        }
        assert_eq!(take(&before(0x5), Esr(0xd200_0022), 0x1234).far, Some(0x1234));
    }

    #[test]
    fn a_watchpoint_brings_far_and_the_same_level_class() {
        let taken = take(&before(0x5), Esr(0xd200_0022), 0xffff_0000_1234_5678);

        assert_eq!(taken.esr, 0xd600_0022);
        assert_eq!(taken.far, Some(0xffff_0000_1234_5678));
    }
}
