//! The walk turned round: from a physical address to the virtual one by which a kernel executes it.

use std::cell::Cell;
use std::collections::HashSet;

use super::kernel_tables::BADDR;
use super::region;
use super::stage1::{self, Regime, is_upper};

/// Descriptors that are looked at in all. A kernel has some ten thousand above its text: vmemmap, fixmap, vmalloc.
const MOST: usize = 1 << 18;

/// What was looked for at some cost and not found is not looked for again until it is forgotten.
#[derive(Default)]
pub struct Patience {
    is_lost: Cell<bool>,
}

impl Patience {
    /// Looks, unless that was in vain.
    pub fn look<T>(&self, look: impl FnOnce() -> Option<T>) -> Option<T> {
        let found = if self.is_lost.get() { None } else { look() };
        self.is_lost.set(found.is_none());
        found
    }

    /// There may be something to be found again.
    pub fn regain(&self) {
        self.is_lost.set(false);
    }
}

/// The highest address of the upper half that leads to `ipa` and may be executed, by the first of `regimes` that has one,
/// if tables tell within a bound. The linear map and other aliases may not be executed. `read` is that of
/// [`stage1::translate`].
pub fn executable_address(
    ipa: u64,
    regimes: impl IntoIterator<Item = Regime>,
    read: impl Fn(u64) -> Option<u64>,
) -> Option<u64> {
    let mut left = MOST;
    let mut seen = HashSet::new();
    regimes
        .into_iter()
        // vCPUs share the kernel's tables, whatever process they are in.
        .filter(|regime| seen.insert((regime.ttbr1 & BADDR, regime.tcr, regime.sctlr)))
        .find_map(|regime| search(ipa, &regime, &mut left, &read))
}

/// The same by one regime; takes the descriptors that it looks at from `left`.
fn search(
    ipa: u64,
    regime: &Regime,
    left: &mut usize,
    mut read: impl FnMut(u64) -> Option<u64>,
) -> Option<u64> {
    let mut va = u64::MAX;
    if regime.sctlr & stage1::SCTLR_M == 0 {
        return None;
    }
    while *left > 0 {
        *left -= 1;
        let region = region::around(va, regime, &mut read);
        if region.access.is_some_and(|access| access.execute)
            && let Ok(mapping) = stage1::translate(region.first, regime, &mut read)
            && let Some(offset) = ipa.checked_sub(mapping.ipa)
            && offset <= region.last - region.first
        {
            return Some(region.first + offset);
        }
        va = region.first.checked_sub(1).filter(|va| is_upper(*va))?;
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// 4K pages, 48-bit halves, TTBR1 at 0x2000.
    const REGIME: Regime = Regime {
        sctlr: stage1::SCTLR_M,
        tcr: 16 | 16 << 16 | 2 << 30 | 5 << 32,
        ttbr0: 0x1000,
        ttbr1: 0x2000,
        mmfr0: 5,
        mmfr2: 0,
    };
    const BLOCK: u64 = 0b01;
    const NEXT: u64 = 0b11;
    const NO_EXECUTE: u64 = 0b11 << 53;

    fn find(ipa: u64, tables: &[(u64, u64)]) -> Option<u64> {
        let tables: BTreeMap<u64, u64> = tables.iter().copied().collect();
        let read = |at| match at {
            0x2000..0x6000 => Some(tables.get(&at).copied().unwrap_or(0)),
            _ => None,
        };
        executable_address(ipa, [REGIME], read)
    }

    #[test]
    fn the_image_is_found_above_its_alias_that_is_not_executed() {
        // Entry 0: the linear map. Entry 256: 2 MiB blocks of text, the second one of which is the image's.
        let tables = [
            (0x2000, 0x3000 | NEXT),
            (0x3008, 0x4000_0000 | BLOCK | NO_EXECUTE),
            (0x2800, 0x4000 | NEXT),
            (0x4000, 0x5000 | NEXT),
            (0x5008, 0x8000_0000 | BLOCK),
            (0x5010, 0x4020_0000 | BLOCK),
        ];

        assert_eq!(find(0x4021_0000, &tables), Some(0xffff_8000_0041_0000));
        assert_eq!(find(0x4001_0000, &tables), None);
    }

    #[test]
    fn with_the_mmu_off_or_tables_that_lead_nowhere_there_is_none() {
        assert_eq!(find(0x4000_0000, &[]), None);
        assert_eq!(find(0x4000_0000, &[(0x2ff8, 0xdead_f000 | NEXT)]), None);
        let off = Regime { sctlr: 0, ..REGIME };
        assert_eq!(executable_address(0x4000_0000, [off], |_| Some(u64::MAX)), None);
    }

    #[test]
    fn tables_that_lead_to_themselves_are_left_in_the_end_however_many_there_are() {
        let reads = Cell::new(0);
        let all = |_| {
            reads.set(reads.get() + 1);
            Some(0x2000 | NEXT | NO_EXECUTE)
        };
        let regimes = (0..8).map(|index| Regime { ttbr1: 0x2000 + (index << 12), ..REGIME });

        assert_eq!(executable_address(0x4000_0000, regimes, all), None);
        assert_eq!(reads.get(), 4 * MOST);
    }

    #[test]
    fn the_same_tables_are_searched_once() {
        let reads = Cell::new(0);
        let none = |_| {
            reads.set(reads.get() + 1);
            Some(0)
        };
        let same = (0..8).map(|asid| Regime { ttbr1: 0x2001 | asid << 48, ttbr0: asid, ..REGIME });

        assert_eq!(executable_address(0x4000_0000, same, none), None);
        // One level of one table.
        assert_eq!(reads.get(), 256 * 2);
    }

    #[test]
    fn what_one_regime_does_not_tell_another_does() {
        let tables = |at| match at {
            0x3ff8 => Some(0x4000 | NEXT),
            0x4ff8 => Some(0x4000_0000 | BLOCK),
            _ => Some(0),
        };
        let regimes = [REGIME, Regime { ttbr1: 0x3000, ..REGIME }];

        let found = executable_address(0x4000_1000, regimes, tables);

        assert_eq!(found, Some((u64::MAX << 30) + 0x1000));
    }

    #[test]
    fn what_was_not_found_is_looked_for_again_when_that_is_forgotten() {
        let patience = Patience::default();
        let looks = Cell::new(0);
        let look = |found: Option<u64>| {
            patience.look(|| {
                looks.set(looks.get() + 1);
                found
            })
        };

        assert_eq!((look(None), look(Some(1)), looks.get()), (None, None, 1));
        patience.regain();
        assert_eq!((look(Some(1)), look(Some(1)), looks.get()), (Some(1), Some(1), 3));
    }
}
