//! All that a half of the address space maps, in order.

use super::attributes::{Attributes, Gist};
use super::stage1::{Half, Regime, Unmapped, align_down, bits, is_upper};

/// Neighbouring addresses that are mapped alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    /// First address.
    pub first: u64,
    /// Last address.
    pub last: u64,
    /// Where the first one leads.
    pub ipa: u64,
    /// Pieces that follow each other in physical memory.
    pub pieces: u64,
    /// What may be done there, and what kind of memory it is.
    pub gist: Gist,
}

/// Where a survey ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// With the last address of the half.
    Half,
    /// Before this address: it was too much, or nobody wants to hear more.
    Before(u64),
}

const TOP_BYTE: u64 = 0xff << 56;

/// Tells `see` of every run of addresses from `from` to the end of its half. It says whether to go on. At most
/// `limit` descriptors of pages, of blocks and of nothing are looked at. `read` is that of
/// [`translate`](super::stage1::translate); stage 1 is on.
pub fn survey(
    from: u64,
    regime: &Regime,
    mair: u64,
    limit: usize,
    mut read: impl FnMut(u64) -> Option<u64>,
    mut see: impl FnMut(&Run) -> bool,
) -> Result<End, Unmapped> {
    let half = Half::of(from, regime)?;
    let input_bits = half.check(from, regime)?;
    let end = if is_upper(from) { u64::MAX } else { (1 << input_bits) - 1 };
    let mut run: Option<(Run, u64)> = None;
    // Where it is ignored (TBI), the top byte may be anything.
    let mut va = if is_upper(from) { from | TOP_BYTE } else { from & !TOP_BYTE };
    for _ in 0..limit {
        let walk = half.walk(va, input_bits, regime, &mut read, |_| {});
        let last = align_down(va, walk.shift) | bits(u64::MAX, walk.shift - 1, 0);
        let found = walk.ipa.ok().map(|ipa| {
            let attributes = Attributes::of(va, walk.descriptor, walk.hierarchical, regime);
            (ipa, attributes.gist(mair))
        });
        run = match (run, found) {
            (Some((run, next)), Some((ipa, gist))) if run.gist == gist => {
                let pieces = run.pieces + u64::from(ipa != next);
                Some((Run { last, pieces, ..run }, ipa + (last - va) + 1))
            }
            (old, found) => {
                if let Some((old, _)) = old
                    && !see(&old)
                {
                    return Ok(End::Before(va));
                }
                let begin = |(ipa, gist)| {
                    (Run { first: va, last, ipa, pieces: 1, gist }, ipa + (last - va) + 1)
                };
                found.map(begin)
            }
        };
        if last >= end {
            if let Some((run, _)) = run {
                see(&run);
            }
            return Ok(End::Half);
        }
        va = last + 1;
    }
    if let Some((run, _)) = run {
        see(&run);
    }
    Ok(End::Before(va))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// MAIR_EL1: attribute 0 is write-back, 1 a device.
    const MAIR: u64 = 0x00ff;
    const UPPER: u64 = 0xffff_0000_0000_0000;
    /// A page for EL1 alone: AF, inner shareable, valid.
    const PAGE: u64 = 0x0060_0000_0000_0703;
    /// Never stored to.
    const READ_ONLY: u64 = 1 << 7;

    /// 4 KiB granule, 48 bits, tables from 0x1000 (TTBR0) and 0x2000 (TTBR1) on.
    fn regime() -> Regime {
        let tcr = 16 | 16 << 16 | 2 << 30 | 5 << 32;
        Regime { sctlr: 1, tcr, ttbr0: 0x1000, ttbr1: 0x2000, mmfr0: 5, mmfr2: 0 }
    }

    fn runs(from: u64, words: &[(u64, u64)], limit: usize) -> (Vec<Run>, End) {
        let memory: BTreeMap<u64, u64> = words.iter().copied().collect();
        let read = |ipa| (ipa < 1 << 32).then(|| memory.get(&ipa).copied().unwrap_or(0));
        let mut runs = Vec::new();
        let end = survey(from, &regime(), MAIR, limit, read, |run| {
            runs.push(*run);
            true
        });
        (runs, end.unwrap())
    }

    #[test]
    fn neighbours_are_one_run_whether_or_not_they_are_neighbours_in_memory() {
        let (runs, end) = runs(
            UPPER,
            &[
                (0x2000, 0x3003),
                (0x3000, 0x4003),
                (0x4000, 0x5003),
                // Two pages in a row, one elsewhere, one read-only, and one behind a hole.
                (0x5000, PAGE | 0x8000_0000),
                (0x5008, PAGE | 0x8000_1000),
                (0x5010, PAGE | 0x9000_0000),
                (0x5018, PAGE | READ_ONLY | 0x9000_1000),
                (0x5028, PAGE | 0xa000_0000),
            ],
            1 << 14,
        );

        let found: Vec<_> =
            runs.iter().map(|run| (run.first, run.last, run.ipa, run.pieces)).collect();
        assert_eq!(
            found,
            [
                (UPPER, UPPER + 0x2fff, 0x8000_0000, 2),
                (UPPER + 0x3000, UPPER + 0x3fff, 0x9000_1000, 1),
                (UPPER + 0x5000, UPPER + 0x5fff, 0xa000_0000, 1),
            ]
        );
        assert_eq!(runs[1].gist.to_string(), "EL1 r-- EL0 --- normal, write-back");
        assert_eq!(end, End::Half);
    }

    #[test]
    fn a_block_and_the_pages_behind_it_are_one() {
        let (runs, _) = runs(
            0,
            &[
                (0x1000, 0x3003),
                (0x3000, 0x4003),
                (0x4000, PAGE & !2 | 0x8000_0000),
                (0x4008, 0x5003),
                (0x5000, PAGE | 0x8020_0000),
            ],
            1 << 14,
        );

        assert_eq!(runs.len(), 1);
        assert_eq!((runs[0].last, runs[0].pieces), (0x20_0fff, 1));
    }

    #[test]
    fn the_last_address_of_all_ends_it() {
        let (runs, end) = runs(
            u64::MAX - 0xfff,
            &[(0x2ff8, 0x3003), (0x3ff8, 0x4003), (0x4ff8, 0x5003), (0x5ff8, PAGE | 0x8000_0000)],
            10,
        );

        assert_eq!((runs.len(), runs[0].last, end), (1, u64::MAX, End::Half));
    }

    #[test]
    fn an_address_whose_top_byte_is_ignored_is_the_one_without_it() {
        let tables = [
            (0x1000, 0x3003),
            (0x2ff8, 0x3003),
            (0x3000, 0x4003),
            (0x3ff8, 0x4003),
            (0x4000, 0x5003),
            (0x4ff8, 0x5003),
            (0x5000, PAGE | 0x9000_0000),
            (0x5ff8, PAGE | 0x8000_0000),
        ];
        let memory: BTreeMap<u64, u64> = tables.into_iter().collect();
        let read = |ipa| Some(memory.get(&ipa).copied().unwrap_or(0));
        let regime = Regime { tcr: regime().tcr | 0b11 << 37, ..regime() };
        let first = |from| {
            let mut first = None;
            let end = survey(from, &regime, MAIR, 2000, read, |run| {
                first = first.or(Some((run.first, run.ipa)));
                true
            });
            (first.unwrap(), end)
        };

        let last_page = u64::MAX - 0xfff;
        assert_eq!(first(last_page & !TOP_BYTE), ((last_page, 0x8000_0000), Ok(End::Half)));
        let lower = first(0x5a00_0000_0000_0000);
        assert_eq!(lower.0, (0, 0x9000_0000));
    }

    #[test]
    fn tables_that_lead_in_circles_are_left_after_so_many_descriptors() {
        // Each entry of the table is the table: 2^36 pages.
        let words: Vec<_> = (0..512).map(|index| (0x2000 + index * 8, 0x2003 | 1 << 10)).collect();

        let (runs, end) = runs(UPPER, &words, 1000);

        assert_eq!((runs.len(), runs[0].pieces), (1, 1000));
        assert_eq!(end, End::Before(UPPER + 1000 * 0x1000));
    }

    #[test]
    fn whoever_has_heard_enough_is_told_no_more() {
        let (mut seen, words) = (0, [(0x2000, PAGE & !2), (0x2008, 0), (0x2010, 0x3003)]);
        let memory: BTreeMap<u64, u64> = words.into_iter().collect();
        let read = |ipa| Some(memory.get(&ipa).copied().unwrap_or(0));
        let regime = Regime { tcr: regime().tcr | 9 << 16, ..regime() };

        let end = survey(u64::MAX << 39, &regime, MAIR, 100, read, |_| {
            seen += 1;
            false
        });

        assert_eq!((seen, end), (1, Ok(End::Before((u64::MAX << 39) + (1 << 30)))));
    }

    #[test]
    fn what_is_no_address_has_no_half() {
        let result = survey(1 << 50, &regime(), MAIR, 10, |_| None, |_| true);
        assert_eq!(result, Err(Unmapped::NotCanonical));
    }
}
