//! A range of guest physical addresses.

use std::fmt;

/// A non-empty range of guest physical addresses whose last byte has an address too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    base: u64,
    size: u64,
}

/// Not a range. Whoever wrote the machine's map is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeError {
    /// It has no bytes.
    Empty {
        /// Its first address.
        base: u64,
    },
    /// It passes the last 64-bit address.
    Overflow {
        /// Its first address.
        base: u64,
        /// Its length in bytes.
        size: u64,
    },
}

impl fmt::Display for RangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty { base } => write!(f, "range at {base:#x} is empty"),
            Self::Overflow { base, size } => {
                write!(f, "range of {size:#x} bytes at {base:#x} passes the last address")
            }
        }
    }
}

impl std::error::Error for RangeError {}

impl Range {
    /// The `size` bytes from `base`.
    pub const fn new(base: u64, size: u64) -> Result<Self, RangeError> {
        if size == 0 {
            return Err(RangeError::Empty { base });
        }
        if base.checked_add(size - 1).is_none() {
            return Err(RangeError::Overflow { base, size });
        }
        Ok(Self { base, size })
    }

    /// First address.
    pub const fn base(&self) -> u64 {
        self.base
    }

    /// Length in bytes, never 0.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Last address that belongs to the range.
    pub const fn last(&self) -> u64 {
        self.base + (self.size - 1)
    }

    /// Whether `addr` belongs to the range.
    pub const fn contains(&self, addr: u64) -> bool {
        self.base <= addr && addr <= self.last()
    }

    /// Whether the two share an address.
    pub const fn overlaps(&self, other: &Self) -> bool {
        self.base <= other.last() && other.base <= self.last()
    }

    /// Bytes from `addr` to the range's end, both included; 0 outside.
    pub(super) const fn room(&self, addr: u64) -> u64 {
        if self.contains(addr) { self.size - (addr - self.base) } else { 0 }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}..={:#x}", self.base, self.last())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_address_can_belong_to_a_range() {
        let range = Range::new(u64::MAX - 0xf, 0x10).unwrap();

        assert_eq!(range.last(), u64::MAX);
        assert!(range.contains(u64::MAX));
        assert_eq!(range.room(u64::MAX), 1);
    }

    #[test]
    fn refuses_what_is_empty_or_passes_the_last_address() {
        let base = 0xffff_ffff_ffff_fff0;

        let empty = Range::new(base, 0).unwrap_err();
        let overflow = Range::new(base, 0x11).unwrap_err();

        assert_eq!(empty.to_string(), "range at 0xfffffffffffffff0 is empty");
        assert_eq!(
            overflow.to_string(),
            "range of 0x11 bytes at 0xfffffffffffffff0 passes the last address"
        );
    }

    #[test]
    fn neighbours_do_not_overlap() {
        let range = Range::new(0x1000, 0x1000).unwrap();
        let overlaps = |base, size| range.overlaps(&Range::new(base, size).unwrap());

        assert!(!overlaps(0x0, 0x1000));
        assert!(!overlaps(0x2000, 0x1000));
        assert!(overlaps(0x0, 0x1001));
        assert!(overlaps(0x1fff, 1));
        assert!(overlaps(0x1800, 1));
        assert!(overlaps(0x0, u64::MAX));
    }

    #[test]
    fn contains_its_first_and_last_address_and_no_other_end() {
        let range = Range::new(0x1000, 0x1000).unwrap();

        assert!(!range.contains(0xfff));
        assert!(range.contains(0x1000));
        assert!(range.contains(0x1fff));
        assert!(!range.contains(0x2000));
    }
}
