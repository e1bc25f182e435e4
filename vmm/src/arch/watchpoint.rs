//! Debug registers: how breakpoints and watchpoints sit in them (Arm ARM D24.3.2, DBGBCR_EL1 and
//! D24.3.9, DBGWCR_EL1), and which watchpoint an exception belongs to.

/// What a watchpoint stops: DBGWCR.LSC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Loads.
    Read = 0b01,
    /// Stores.
    Write = 0b10,
    /// Both.
    Any = 0b11,
}

/// One watchpoint of the debugger's; it may take several register pairs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Watchpoint {
    /// First virtual address watched.
    pub addr: u64,
    /// Bytes watched, at least 1.
    pub len: u64,
    /// What it stops.
    pub access: Access,
}

/// A register pair, value and control.
pub type Pair = (u64, u64);

/// E: enabled.
const ENABLE: u64 = 1 << 0;
/// PMC and PAC: at EL1 and EL0.
const EL1_EL0: u64 = 0b11 << 1;
const LSC_SHIFT: u32 = 3;
const BAS_SHIFT: u32 = 5;
const MASK_SHIFT: u32 = 24;
/// BAS of a breakpoint on an A64 instruction.
const BAS_A64: u64 = 0b1111 << BAS_SHIFT;
/// Largest range of one pair: MASK = 31.
const MAX_RANGE: u64 = 1 << 31;

/// An address with its top byte as bit 55 has it (Arm ARM D8.9.1, tagged addresses).
fn untagged(addr: u64) -> u64 {
    (addr.cast_signed() << 8 >> 8).cast_unsigned()
}

/// The pair that stops at an instruction.
pub fn breakpoint_pair(addr: u64) -> Pair {
    (addr, ENABLE | EL1_EL0 | BAS_A64)
}

impl Watchpoint {
    /// A watchpoint, or `None` if it is empty or runs past the end of the address space. A tag in
    /// the top byte of the address does not count.
    pub fn new(addr: u64, len: u64, access: Access) -> Option<Self> {
        let addr = untagged(addr);
        addr.checked_add(len.checked_sub(1)?)?;
        Some(Self { addr, len, access })
    }

    /// Last address watched.
    fn last(&self) -> u64 {
        self.addr + (self.len - 1)
    }

    /// The register pairs that watch exactly these bytes: aligned powers of two from 16 bytes on by
    /// MASK, the rest by BAS, which reaches the bytes of one doubleword.
    pub fn pairs(self) -> impl Iterator<Item = Pair> {
        let control = ENABLE | EL1_EL0 | (self.access as u64) << LSC_SHIFT;
        let mut next = self.addr;
        let mut left = self.len;
        std::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            let aligned = 1 << next.trailing_zeros().min(63);
            let range = (1 << left.ilog2()).min(aligned).min(MAX_RANGE);
            let (pair, taken) = if range > 8 {
                let mask = u64::from(range.ilog2());
                ((next, control | 0xff << BAS_SHIFT | mask << MASK_SHIFT), range)
            } else {
                let first = next % 8;
                let taken = (8 - first).min(left);
                let bytes = (0xff >> (8 - taken)) << first;
                ((next - first, control | bytes << BAS_SHIFT), taken)
            };
            next = next.wrapping_add(taken);
            left -= taken;
            Some(pair)
        })
    }

    /// How far outside the watched bytes `far` lies; 0 inside.
    fn distance(&self, far: u64) -> u64 {
        if far < self.addr { self.addr - far } else { far.saturating_sub(self.last()) }
    }

    /// The watched address nearest to `far`.
    pub fn nearest(&self, far: u64) -> u64 {
        untagged(far).clamp(self.addr, self.last())
    }
}

/// The one of `watchpoints` that an exception with this FAR belongs to; `is_write` as ESR.WnR has it.
///
/// FAR need not lie inside the watched bytes: an access that begins before them may report its own
/// start, and DC ZVA or a wide load a lower one still, but none reports more than the highest
/// watched byte it touched (Arm ARM D2.10.5). So of those that stop this kind of access and do not
/// end before FAR, the nearest one wins; one that does is better than none.
pub fn find(watchpoints: &[Watchpoint], far: u64, is_write: bool) -> Option<usize> {
    let far = untagged(far);
    let unwanted = if is_write { Access::Read } else { Access::Write };
    let candidates = (0..).zip(watchpoints).filter(|(_, point)| point.access != unwanted);
    let rank = |point: &Watchpoint| (point.last() < far, point.distance(far));
    candidates.min_by_key(|(_, point)| rank(point)).map(|(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(addr: u64, len: u64) -> Vec<Pair> {
        Watchpoint::new(addr, len, Access::Write).unwrap().pairs().collect()
    }

    /// E, PAC and LSC of a write watchpoint.
    const WRITE: u64 = 0x17;

    #[test]
    fn a_breakpoint_pair_is_what_kvm_took_when_measured() {
        assert_eq!(breakpoint_pair(0xffff_8000_8000_0004), (0xffff_8000_8000_0004, 0x1e7));
    }

    #[test]
    fn bytes_of_a_doubleword_are_selected_by_bas() {
        assert_eq!(pairs(0x1000, 1), [(0x1000, WRITE | 0x01 << 5)]);
        assert_eq!(pairs(0x1004, 4), [(0x1000, WRITE | 0xf0 << 5)]);
        assert_eq!(pairs(0x1003, 3), [(0x1000, WRITE | 0x38 << 5)]);
        assert_eq!(pairs(0x1000, 8), [(0x1000, WRITE | 0xff << 5)]);
    }

    #[test]
    fn what_crosses_a_doubleword_takes_two() {
        assert_eq!(pairs(0x1006, 4), [(0x1000, WRITE | 0xc0 << 5), (0x1008, WRITE | 0x03 << 5)]);
    }

    #[test]
    fn large_ranges_are_masks() {
        assert_eq!(pairs(0x1000, 16), [(0x1000, WRITE | 0xff << 5 | 4 << 24)]);
        assert_eq!(pairs(0x8000_0000, 1 << 31), [(0x8000_0000, WRITE | 0xff << 5 | 31 << 24)]);
        assert_eq!(pairs(0, 1 << 32).len(), 2);
    }

    #[test]
    fn any_other_length_takes_as_many_as_it_needs() {
        assert_eq!(
            pairs(0x1004, 0x20),
            [
                (0x1000, WRITE | 0xf0 << 5),
                (0x1008, WRITE | 0xff << 5),
                (0x1010, WRITE | 0xff << 5 | 4 << 24),
                (0x1020, WRITE | 0x0f << 5),
            ]
        );
    }

    #[test]
    fn every_byte_is_watched_once() {
        for addr in 0x1000..0x1020u64 {
            for len in 1..=70u64 {
                let mut watched = Vec::new();
                for (value, control) in pairs(addr, len) {
                    match control >> 24 {
                        0 => watched.extend(
                            (0..8).filter(|n| control >> (5 + n) & 1 == 1).map(|n| value + n),
                        ),
                        mask => watched.extend(value..value + (1 << mask)),
                    }
                }
                assert_eq!(watched, (addr..addr + len).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn the_end_of_the_address_space_is_the_end() {
        assert!(Watchpoint::new(u64::MAX, 2, Access::Any).is_none());
        assert!(Watchpoint::new(0, 0, Access::Any).is_none());
        assert_eq!(pairs(u64::MAX - 3, 4), [(u64::MAX - 7, WRITE | 0xf0 << 5)]);
    }

    #[test]
    fn tags_do_not_count() {
        let point = Watchpoint::new(0xab00_0000_0000_1000, 4, Access::Write).unwrap();

        assert_eq!(point.pairs().next(), Some((0x1000, WRITE | 0x0f << 5)));
        assert_eq!(find(&[point], 0xcd00_0000_0000_1002, true), Some(0));
        assert_eq!(point.nearest(0xcd00_0000_0000_1002), 0x1002);
    }

    #[test]
    fn the_nearest_watchpoint_of_the_right_kind_is_the_one() {
        let points = [
            Watchpoint::new(0x1000, 4, Access::Write).unwrap(),
            Watchpoint::new(0x1010, 4, Access::Any).unwrap(),
            Watchpoint::new(0x1010, 8, Access::Read).unwrap(),
        ];

        assert_eq!(find(&points, 0x1002, true), Some(0));
        assert_eq!(find(&points, 0x1013, true), Some(1));
        assert_eq!(find(&points, 0x1016, false), Some(2));
        // A pair of stores from 0x100c on: FAR below the watched bytes.
        assert_eq!(find(&points, 0x100c, true), Some(1));
        assert_eq!(points[1].nearest(0x100c), 0x1010);
        // A pair of stores from 0x1004 on: the first watchpoint ends before FAR, so it was not touched.
        assert_eq!(find(&points, 0x1004, true), Some(1));
        assert_eq!(find(&points[..1], 0x1004, true), Some(0));
        assert_eq!(find(&[], 0x1000, true), None);
    }
}
