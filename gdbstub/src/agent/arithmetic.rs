//! The operators, on stack entries of 64 bits.

use crate::agent::Fault;

/// `a b => a OP b`, where b is the top of the stack.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    DivSigned,
    DivUnsigned,
    RemSigned,
    RemUnsigned,
    Lsh,
    RshSigned,
    RshUnsigned,
    And,
    Or,
    Xor,
    Equal,
    LessSigned,
    LessUnsigned,
}

impl Binary {
    /// The result. It wraps at 64 bits, that of i64::MIN / -1 as well.
    ///
    /// A shift of 64 bits or more, which a negative count is too, shifts everything out: what the
    /// manual leaves open and GDB does where it evaluates the expression itself. (gdbserver has
    /// its host's CPU take the count modulo 64.)
    pub fn apply(self, a: u64, b: u64) -> Result<u64, Fault> {
        let (signed_a, signed_b) = (a.cast_signed(), b.cast_signed());
        let count = u32::try_from(b).unwrap_or(u32::MAX);
        Ok(match self {
            Self::Add => a.wrapping_add(b),
            Self::Sub => a.wrapping_sub(b),
            Self::Mul => a.wrapping_mul(b),
            Self::DivSigned | Self::DivUnsigned | Self::RemSigned | Self::RemUnsigned if b == 0 => {
                return Err(Fault::DivisionByZero);
            }
            Self::DivSigned => signed_a.wrapping_div(signed_b).cast_unsigned(),
            Self::DivUnsigned => a.wrapping_div(b),
            Self::RemSigned => signed_a.wrapping_rem(signed_b).cast_unsigned(),
            Self::RemUnsigned => a.wrapping_rem(b),
            Self::Lsh => a.checked_shl(count).unwrap_or(0),
            Self::RshSigned => (signed_a >> count.min(63)).cast_unsigned(),
            Self::RshUnsigned => a.checked_shr(count).unwrap_or(0),
            Self::And => a & b,
            Self::Or => a | b,
            Self::Xor => a ^ b,
            Self::Equal => u64::from(a == b),
            Self::LessSigned => u64::from(signed_a < signed_b),
            Self::LessUnsigned => u64::from(a < b),
        })
    }
}

/// `a => OP a`.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Unary {
    LogNot,
    BitNot,
    /// Keeps this many bits and copies the highest of them upwards.
    Ext(u8),
    /// Keeps this many bits.
    ZeroExt(u8),
}

impl Unary {
    /// The result. Extending from 64 bits or more changes nothing, from 0 bits gives 0.
    pub fn apply(self, a: u64) -> u64 {
        match self {
            Self::LogNot => u64::from(a == 0),
            Self::BitNot => !a,
            Self::Ext(0) | Self::ZeroExt(0) => 0,
            Self::Ext(bits) => {
                let unused = 64_u32.saturating_sub(u32::from(bits));
                ((a << unused).cast_signed() >> unused).cast_unsigned()
            }
            Self::ZeroExt(bits) => {
                let unused = 64_u32.saturating_sub(u32::from(bits));
                a << unused >> unused
            }
        }
    }
}
