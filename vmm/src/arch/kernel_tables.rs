//! Which tables the kernel uses, for when the vCPU is not in it.

use super::stage1::{self, Regime, is_upper};

/// TTBRn_EL1.BADDR; CnP and ASID aside.
pub const BADDR: u64 = 0xffff_ffff_fffe;

/// The last two values of TTBR1_EL1 with different tables that a vCPU had at EL1. Where the kernel is unmapped
/// at EL0 (KPTI), TTBR1_EL1 holds a trampoline's tables then, and for some instructions at EL1 too.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct KernelTables([Option<u64>; 2]);

impl KernelTables {
    /// Takes the value at EL1 down.
    pub fn note(&mut self, ttbr1: u64) {
        let [last, before] = &mut self.0;
        let old = last.replace(ttbr1);
        if old.is_some_and(|old| (old ^ ttbr1) & BADDR != 0) {
            *before = old;
        }
    }

    /// The later one first.
    pub fn iter(self) -> impl Iterator<Item = u64> {
        self.0.into_iter().flatten()
    }
}

/// Which of `regimes` is the kernel's, for a vCPU at EL0, the first one of which is its own: that which maps the last
/// bytes below `stack`, SP_EL1, and `vectors`, VBAR_EL1. With the kernel unmapped (KPTI) the vectors alone are mapped.
/// Without any that does it is the vCPU's own. `read` is that of [`stage1::translate`].
pub fn kernels(
    regimes: &[Regime],
    stack: u64,
    vectors: u64,
    mut read: impl FnMut(u64) -> Option<u64>,
) -> usize {
    /// SP is aligned to so many bytes, and what is pushed goes below it.
    const PUSHED: u64 = 16;
    let needed = [stack.wrapping_sub(PUSHED), vectors];
    // What is in the lower half is no kernel's of this kind.
    let mut is_mapped = |regime: &Regime, va: u64| {
        !is_upper(va) || stage1::translate(va, regime, &mut read).is_ok()
    };
    let mut is_kernels = |regime: &Regime| needed.iter().all(|va| is_mapped(regime, *va));
    regimes.iter().position(&mut is_kernels).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks of 1 GiB from 0xffff_ff80_0000_0000 on: 4K pages, 39 bits.
    const UPPER: u64 = 0xffff_ff80_0000_0000;
    const VECTORS: u64 = UPPER + 0x800;
    /// The end of a block: what is pushed lies in front of it.
    const STACK: u64 = UPPER + 0x8000_0000;

    fn regime(ttbr1: u64) -> Regime {
        let tcr = 25 | 25 << 16 | 2 << 30 | 5 << 32;
        Regime { sctlr: stage1::SCTLR_M, tcr, ttbr0: 0, ttbr1, mmfr0: 5, mmfr2: 0 }
    }

    /// A trampoline's tables at 0x1000 with the vectors alone, the kernel's at 0x2000 and others of theirs at 0x3000.
    fn descriptor(ipa: u64) -> u64 {
        const BLOCK: u64 = 1 << 10 | 1;
        if [0x1000, 0x2000, 0x2008, 0x3000, 0x3008].contains(&ipa) { BLOCK } else { 0 }
    }

    fn chosen(tables: &[u64], stack: u64, vectors: u64) -> u64 {
        let regimes: Vec<_> = tables.iter().map(|table| regime(*table)).collect();
        tables[kernels(&regimes, stack, vectors, |ipa| Some(descriptor(ipa)))]
    }

    #[test]
    fn the_vcpus_own_tables_are_the_kernels_unless_the_kernel_is_unmapped() {
        assert_eq!(chosen(&[0x2000, 0x3000, 0x1000], STACK, VECTORS), 0x2000);
        assert_eq!(chosen(&[0x1000, 0x2000, 0x3000], STACK, VECTORS), 0x2000);
        // Nor the vectors.
        assert_eq!(chosen(&[0x4000, 0x1000, 0x3000], STACK, VECTORS), 0x3000);
    }

    #[test]
    fn where_no_tables_are_the_kernels_it_is_the_vcpus_own() {
        assert_eq!(chosen(&[0x4000, 0x1000], STACK, VECTORS), 0x4000);
        assert_eq!(chosen(&[0x4000, 0x2000], 0, VECTORS & 0x7f_ffff_ffff), 0x4000);
    }

    #[test]
    fn a_process_after_the_other_leaves_the_tables_before_remembered() {
        const ASID: u64 = 1 << 48;
        const CNP: u64 = 1;
        let mut tables = KernelTables::default();
        for ttbr1 in [0x1000, 0x2000, 0x2000 + ASID, 0x2000 + 2 * ASID + CNP] {
            tables.note(ttbr1);
        }

        assert_eq!(tables.iter().collect::<Vec<_>>(), [0x2000 + 2 * ASID + CNP, 0x1000]);
    }

    #[test]
    fn the_last_two_kernel_tables_are_remembered() {
        let mut tables = KernelTables::default();
        for ttbr1 in [0x1000, 0x2000, 0x2000, 0x1000, 0x1000, 0x3000] {
            tables.note(ttbr1);
        }

        assert_eq!(tables.iter().collect::<Vec<_>>(), [0x3000, 0x1000]);
    }
}
