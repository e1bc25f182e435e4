//! Why an address does not translate.

use std::fmt;

/// Why an address does not translate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unmapped {
    /// Its top bits are neither all zero nor all one, as far as TCR wants them to be.
    NotCanonical,
    /// TCR.EPDn forbids walks of this half.
    WalkDisabled,
    /// TCR holds a granule or a size that the architecture has no meaning for.
    BadTcr,
    /// Invalid descriptor at this level.
    Invalid(i8),
    /// Descriptor at this level, or TTBR (level 0), points outside the output address size.
    AddressSize(i8),
    /// Table at this level does not lie in guest memory.
    TableOutsideMemory(i8),
}

impl fmt::Display for Unmapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotCanonical => write!(f, "not a canonical address"),
            Self::WalkDisabled => write!(f, "table walks are disabled for this half (TCR_EL1.EPD)"),
            Self::BadTcr => write!(f, "TCR_EL1 holds a reserved granule or size"),
            Self::Invalid(level) => write!(f, "no mapping (level {level})"),
            Self::AddressSize(level) => write!(f, "address size fault (level {level})"),
            Self::TableOutsideMemory(level) => {
                write!(f, "its level {level} table lies outside guest memory")
            }
        }
    }
}
