//! Ranges of virtual addresses that are alike, for debuggers that ask what is where.

use std::ops::Range;

use super::attributes::Attributes;
use super::stage1::{
    Half, Regime, SCTLR_M, Unmapped, Walk, align_down, bits, implemented_bits, input_size,
};

/// A range of virtual addresses that share a descriptor, or that have none for the same reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Region {
    /// Its first address.
    pub first: u64,
    /// Its last address.
    pub last: u64,
    /// What is allowed there; `None` where nothing is mapped.
    pub access: Option<Access>,
}

/// What is allowed at EL1, or at EL0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    /// Stores. Loads always are.
    pub write: bool,
    /// Instruction fetches.
    pub execute: bool,
}

impl Region {
    /// Of a hole, the part around `va` that is in `range`, where everything is allowed, or that is not.
    pub fn filled(self, va: u64, range: &Range<u64>) -> Self {
        let Some(last) = range.end.checked_sub(1).filter(|last| *last >= range.start) else {
            return self;
        };
        if self.access.is_some() {
            return self;
        }
        match (va < range.start, va > last) {
            (true, _) => Self { last: self.last.min(range.start - 1), ..self },
            (_, true) => Self { first: self.first.max(last + 1), ..self },
            _ => Self {
                first: self.first.max(range.start),
                last: self.last.min(last),
                access: Some(Access { write: true, execute: true }),
            },
        }
    }
}

/// Bits of addresses in a half of which TCR says nothing sensible: up to the bit that tells the
/// halves apart.
const HALF_BITS: u32 = 55;

/// The region around `va`. `read` is that of [`stage1::translate`].
pub fn around(va: u64, regime: &Regime, read: impl FnMut(u64) -> Option<u64>) -> Region {
    if regime.sctlr & SCTLR_M == 0 {
        // Stage 1 off: everything is allowed (D8.2.10).
        let end = 1 << implemented_bits(regime);
        return if va < end {
            let access = Some(Access { write: true, execute: true });
            Region { first: 0, last: end - 1, access }
        } else {
            Region { first: end, last: u64::MAX, access: None }
        };
    }
    let half = Half::of(va, regime);
    let input_bits = half.as_ref().map_err(|unmapped| *unmapped);
    match input_bits.and_then(|half| Ok((half, half.check(va, regime)?))) {
        Ok((half, input_bits)) => {
            described(va, &half.walk(va, input_bits, regime, read, |_| {}), regime)
        }
        Err(Unmapped::NotCanonical) => between_halves(regime),
        Err(_) => whole_half(va),
    }
}

/// The half of an address, as wide as it can be, or what is between the halves then.
fn whole_half(va: u64) -> Region {
    const END: u64 = 1 << HALF_BITS;
    const START: u64 = u64::MAX << HALF_BITS;
    let (first, last) = match va {
        0..END => (0, END - 1),
        END..START => (END, START - 1),
        START.. => (START, u64::MAX),
    };
    Region { first, last, access: None }
}

/// Where addresses are not canonical.
fn between_halves(regime: &Regime) -> Region {
    let size = |va| {
        let half = Half::of(va, regime).and_then(|half| input_size(&half, regime));
        half.unwrap_or(HALF_BITS)
    };
    let last = (u64::MAX << size(u64::MAX)).wrapping_sub(1);
    Region { first: 1 << size(0), last, access: None }
}

/// What the descriptor at which a walk ended says of all its addresses.
fn described(va: u64, walk: &Walk, regime: &Regime) -> Region {
    let first = align_down(va, walk.shift);
    let last = first | bits(u64::MAX, walk.shift - 1, 0);
    let access = walk.ipa.is_ok().then(|| {
        let attributes = Attributes::of(va, walk.descriptor, walk.hierarchical, regime);
        let (el1, el0) = (attributes.el1(), attributes.el0());
        Access { write: el1.write, execute: el1.execute || el0.execute }
    });
    Region { first, last, access }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// 4K pages, 48-bit halves, TTBR0 at 0x1000, TTBR1 at 0x2000.
    const REGIME: Regime = Regime {
        sctlr: SCTLR_M,
        tcr: 16 | 16 << 16 | 2 << 30 | 5 << 32,
        ttbr0: 0x1000,
        ttbr1: 0x2000,
        mmfr0: 5,
        mmfr2: 0,
    };

    /// Tables of the upper half: its first page is `page`, its second 2 MiB `block`.
    fn tables(top: u64, page: u64, block: u64) -> BTreeMap<u64, u64> {
        [
            (0x2000, 0x3003 | top),
            (0x3000, 0x4003),
            (0x4000, 0x5003),
            (0x4008, block),
            (0x5000, page),
        ]
        .into()
    }

    fn region(va: u64, regime: &Regime, memory: &BTreeMap<u64, u64>) -> (u64, u64, &'static str) {
        let read = |ipa| Some(memory.get(&ipa).copied().unwrap_or(0));
        let Region { first, last, access } = around(va, regime, read);
        let access = match access {
            None => "none",
            Some(Access { write: false, execute: false }) => "r",
            Some(Access { write: true, execute: false }) => "rw",
            Some(Access { write: false, execute: true }) => "rx",
            Some(Access { write: true, execute: true }) => "rwx",
        };
        (first, last, access)
    }

    const BASE: u64 = 0xffff_0000_0000_0000;
    const PXN: u64 = 1 << 53;
    const UXN: u64 = 1 << 54;
    const READ_ONLY: u64 = 1 << 7;

    #[test]
    fn pages_blocks_and_holes_have_their_own_size() {
        let memory = tables(0, 0x8003 | UXN | READ_ONLY, 0x20_0001 | UXN | PXN);

        assert_eq!(region(BASE + 0x123, &REGIME, &memory), (BASE, BASE + 0xfff, "rx"));
        assert_eq!(region(BASE + 0x1000, &REGIME, &memory), (BASE + 0x1000, BASE + 0x1fff, "none"));
        let block = (BASE + 0x20_0000, BASE + 0x3f_ffff, "rw");
        assert_eq!(region(BASE + 0x2a_bcde, &REGIME, &memory), block);
        let hole = (BASE + 0x4000_0000, BASE + 0x7fff_ffff, "none");
        assert_eq!(region(BASE + 0x4000_0000, &REGIME, &memory), hole);
        assert_eq!(region(0x1234, &REGIME, &memory), (0, (1 << 39) - 1, "none"));
    }

    #[test]
    fn tables_take_permissions_away_unless_tcr_ignores_them() {
        let memory = tables(1 << 59 | 1 << 60 | 1 << 62, 0x8003, 0);
        let flat = Regime { tcr: REGIME.tcr | 1 << 42, ..REGIME };

        assert_eq!(region(BASE, &REGIME, &memory).2, "r");
        assert_eq!(region(BASE, &flat, &memory).2, "rwx");
    }

    #[test]
    fn what_el1_or_el0_may_execute_is_executable() {
        let access = |bits| region(BASE, &REGIME, &tables(0, 0x8003 | bits, 0)).2;
        let user = 1 << 6;

        assert_eq!(access(UXN | READ_ONLY), "rx");
        assert_eq!(access(PXN | READ_ONLY), "rx");
        assert_eq!(access(PXN | UXN | READ_ONLY), "r");
        assert_eq!(access(user | PXN), "rwx");
        // EL0 can write it: not for EL1.
        assert_eq!(access(user | UXN), "rw");
        assert_eq!(access(user | UXN | READ_ONLY), "rx");
    }

    #[test]
    fn a_page_whose_first_store_makes_it_dirty_is_writable() {
        let memory = tables(0, 0x8003 | PXN | UXN | READ_ONLY | 1 << 51, 0);

        assert_eq!(region(BASE, &REGIME, &memory).2, "rw");
    }

    #[test]
    fn between_the_halves_is_nothing() {
        let hole = (1 << 48, BASE - 1, "none");

        assert_eq!(region(0x1_0000_0000_0000, &REGIME, &BTreeMap::new()), hole);
        assert_eq!(region(BASE - 1, &REGIME, &BTreeMap::new()), hole);
    }

    #[test]
    fn a_half_without_walks_is_one_region() {
        let regime = Regime { tcr: REGIME.tcr | 1 << 7, ..REGIME };

        assert_eq!(region(0x1234, &regime, &BTreeMap::new()), (0, (1 << 55) - 1, "none"));
        let between = (1 << 55, (u64::MAX << 55) - 1, "none");
        assert_eq!(region(1 << 56, &regime, &BTreeMap::new()), between);
    }

    #[test]
    fn with_the_mmu_off_all_physical_addresses_are_one_region() {
        let regime = Regime { sctlr: 0, ..REGIME };

        assert_eq!(region(0x1234, &regime, &BTreeMap::new()), (0, (1 << 48) - 1, "rwx"));
        assert_eq!(region(1 << 48, &regime, &BTreeMap::new()), (1 << 48, u64::MAX, "none"));
    }

    #[test]
    fn a_hole_is_cut_where_something_fills_it() {
        let hole = Region { first: 0x1000, last: 0x8fff, access: None };
        let range = 0x3000..0x5000;
        let filled = Some(Access { write: true, execute: true });

        assert_eq!(hole.filled(0x2fff, &range), Region { last: 0x2fff, ..hole });
        assert_eq!(
            hole.filled(0x3000, &range),
            Region { first: 0x3000, last: 0x4fff, access: filled }
        );
        assert_eq!(hole.filled(0x5000, &range), Region { first: 0x5000, ..hole });
        // It sticks out, or is empty, or there is no hole.
        assert_eq!(
            hole.filled(0x8000, &(0x7000..u64::MAX)),
            Region { first: 0x7000, last: 0x8fff, access: filled }
        );
        assert_eq!(hole.filled(0x3000, &(0x3000..0x3000)), hole);
        let mapped = Region { access: Some(Access { write: false, execute: true }), ..hole };
        assert_eq!(mapped.filled(0x3000, &range), mapped);
    }
}
