//! A range of guest physical addresses.

use std::fmt;

/// A non-empty range of guest physical addresses whose end is an address too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    start: u64,
    size: u64,
}

impl Region {
    /// The `size` bytes from `start`, or `None` if that is empty or its end does not fit into 64 bits.
    pub const fn new(start: u64, size: u64) -> Option<Self> {
        if size == 0 || start.checked_add(size).is_none() {
            return None;
        }
        Some(Self { start, size })
    }

    /// [`Region::new`] for the constants of the machine map: a bad one does not compile.
    pub(crate) const fn fixed(start: u64, size: u64) -> Self {
        assert!(size != 0 && start <= u64::MAX - size);
        Self { start, size }
    }

    /// First address.
    pub const fn start(self) -> u64 {
        self.start
    }

    /// Length in bytes, never 0.
    pub const fn size(self) -> u64 {
        self.size
    }

    /// First address behind the region.
    pub const fn end(self) -> u64 {
        self.start + self.size
    }

    /// Whether all of `other` lies in this region.
    pub const fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end() <= self.end()
    }

    /// What both have, if they overlap.
    pub fn intersection(self, other: Self) -> Option<Self> {
        let start = self.start.max(other.start);
        Self::new(start, self.end().min(other.end()).saturating_sub(start))
    }

    /// Whether the two share an address.
    pub const fn overlaps(self, other: Self) -> bool {
        self.start < other.end() && other.start < self.end()
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}..{:#x}", self.start, self.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_empty_or_passes_the_last_address() {
        assert_eq!(Region::new(0x1000, 0), None);
        assert_eq!(Region::new(u64::MAX, 1), None);
        assert_eq!(Region::new(0x1000, u64::MAX - 0xfff), None);
        assert!(Region::new(0x1000, u64::MAX - 0x1000).is_some());
    }

    #[test]
    fn neighbours_do_not_overlap() {
        let left = Region::fixed(0x1000, 0x1000);

        assert!(!left.overlaps(Region::fixed(0x2000, 0x1000)));
        assert!(!left.overlaps(Region::fixed(0x0, 0x1000)));
        assert!(left.overlaps(Region::fixed(0x1fff, 1)));
        assert!(left.overlaps(Region::fixed(0x0, 0x10000)));
    }

    #[test]
    fn an_intersection_is_what_both_have() {
        let left = Region::fixed(0x1000, 0x1000);
        let with = |start, size| left.intersection(Region::fixed(start, size));

        assert_eq!(with(0x1800, 0x1000), Some(Region::fixed(0x1800, 0x800)));
        assert_eq!(with(0x0, 0x1001), Some(Region::fixed(0x1000, 1)));
        assert_eq!(with(0x0, 0x10000), Some(left));
        assert_eq!(with(0x2000, 0x1000), None);
        assert_eq!(with(0x0, 0x1000), None);
    }

    #[test]
    fn contains_itself_and_nothing_that_sticks_out() {
        let region = Region::fixed(0x1000, 0x1000);

        assert!(region.contains(region));
        assert!(!region.contains(Region::fixed(0x1000, 0x1001)));
        assert!(!region.contains(Region::fixed(0xfff, 2)));
    }

    #[test]
    fn reads_as_a_half_open_range() {
        assert_eq!(Region::fixed(0x900_0000, 0x1000).to_string(), "0x9000000..0x9001000");
    }
}
