//! AArch64's registers as GDB lays them out (GDB manual, AArch64 Features). Those of the core have
//! the same numbers for every target; a [`Description`](crate::Description) says which others there
//! are, and their numbers.
//!
//! | number | register | bytes | offset in `g` |
//! |-------:|----------|------:|--------------:|
//! | 0-30   | x0-x30   | 8     | 0             |
//! | 31     | sp       | 8     | 248           |
//! | 32     | pc       | 8     | 256           |
//! | 33     | cpsr     | 4     | 264           |
//!
//! All little-endian: the stub serves little-endian guests only.

use crate::hex;

/// One register.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Register {
    /// x0 to x30.
    X(u8),
    /// The stack pointer in use: SP_EL0 or that of the current exception level, as SPSel says.
    Sp,
    /// The program counter.
    Pc,
    /// PSTATE in the layout of SPSR_ELx. 32 bits, GDB's name for it.
    Cpsr,
    /// v0 to v31. With SVE, the low 16 bytes of z0 to z31.
    V(u8),
    /// Floating-point status.
    Fpsr,
    /// Floating-point control.
    Fpcr,
    /// z0 to z31, of SVE.
    Z(u8),
    /// p0 to p15, of SVE: a bit for each byte of a Z.
    P(u8),
    /// The first-fault register of SVE.
    Ffr,
    /// The length of an SVE vector in units of 64 bits.
    Vg,
    /// The bits that a pointer's authentication code takes.
    PacMask(PacMask),
    /// The thread pointer of EL0.
    Tpidr,
    /// The second thread pointer of EL0, of SME.
    Tpidr2,
    /// A system register, by its place among those of the description.
    System(u16),
}

/// Pointers whose authentication codes are alike: those to data or to code, in the upper or in the
/// lower half of the address space.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct PacMask {
    /// To code, not to data.
    pub is_code: bool,
    /// In the upper half, the kernel's.
    pub is_upper: bool,
}

impl PacMask {
    /// All of them, in the order of GDB's feature `pauth_v2`.
    pub const ALL: [Self; 4] = [
        Self { is_code: false, is_upper: false },
        Self { is_code: true, is_upper: false },
        Self { is_code: false, is_upper: true },
        Self { is_code: true, is_upper: true },
    ];
}

impl Register {
    /// x0-x30, sp, pc and cpsr in the order of their numbers, from 0: what a stop reply carries, so
    /// that a step needs no `g` after it.
    pub fn core() -> impl Iterator<Item = Self> {
        (0..31).map(Self::X).chain([Self::Sp, Self::Pc, Self::Cpsr])
    }

    /// Its bytes on the wire, before hex; `vector` is those of a Z.
    pub(crate) fn size(self, vector: usize) -> usize {
        match self {
            Self::Cpsr | Self::Fpsr | Self::Fpcr => 4,
            Self::V(_) => 16,
            Self::Z(_) => vector,
            Self::P(_) | Self::Ffr => vector / 8,
            Self::X(_)
            | Self::Sp
            | Self::Pc
            | Self::Vg
            | Self::PacMask(_)
            | Self::Tpidr
            | Self::Tpidr2
            | Self::System(_) => 8,
        }
    }
}

/// The value of one register; bytes that it does not have are zero.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegisterValue(Bytes);

/// Steps read and write dozens of them: most need no memory of their own.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Bytes {
    Few(u128),
    Many(Box<[u8]>),
}

impl RegisterValue {
    /// The low 32 bits.
    pub fn as_u32(&self) -> u32 {
        self.as_u128() as u32
    }

    /// The low 64 bits.
    pub fn as_u64(&self) -> u64 {
        self.as_u128() as u64
    }

    /// The low 128 bits.
    pub fn as_u128(&self) -> u128 {
        match &self.0 {
            Bytes::Few(value) => *value,
            Bytes::Many(bytes) => little_endian(bytes.get(..16).unwrap_or(bytes)),
        }
    }

    /// Its first `size` bytes, little-endian.
    pub fn to_bytes(&self, size: usize) -> Vec<u8> {
        let mut bytes = match &self.0 {
            Bytes::Few(value) => value.to_le_bytes().to_vec(),
            Bytes::Many(bytes) => bytes.to_vec(),
        };
        bytes.resize(size, 0);
        bytes
    }

    /// The value of bytes, little-endian.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        if bytes.len() <= 16 {
            Self(Bytes::Few(little_endian(bytes)))
        } else {
            Self(Bytes::Many(bytes.into()))
        }
    }

    /// Appends its first `size` bytes in hex.
    pub(crate) fn push_hex(&self, size: usize, out: &mut Vec<u8>) {
        match &self.0 {
            Bytes::Few(value) if size <= 16 => {
                hex::push_bytes(out, value.to_le_bytes().get(..size).unwrap_or_default());
            }
            _ => hex::push_bytes(out, &self.to_bytes(size)),
        }
    }
}

/// At most 16 bytes as a number.
fn little_endian(bytes: &[u8]) -> u128 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u128::from(*byte))
}

impl Default for RegisterValue {
    fn default() -> Self {
        Self(Bytes::Few(0))
    }
}

impl From<u32> for RegisterValue {
    fn from(value: u32) -> Self {
        Self(Bytes::Few(value.into()))
    }
}

impl From<u64> for RegisterValue {
    fn from(value: u64) -> Self {
        Self(Bytes::Few(value.into()))
    }
}

impl From<u128> for RegisterValue {
    fn from(value: u128) -> Self {
        Self(Bytes::Few(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_is_x0_to_cpsr() {
        let core: Vec<_> = Register::core().collect();

        assert_eq!(core.len(), 34);
        assert_eq!(core[0], Register::X(0));
        assert_eq!(core[30..], [Register::X(30), Register::Sp, Register::Pc, Register::Cpsr]);
        assert_eq!(core.iter().map(|reg| reg.size(0)).sum::<usize>(), 268);
    }

    fn digits(value: &RegisterValue, size: usize) -> String {
        let mut digits = Vec::new();
        value.push_hex(size, &mut digits);
        String::from_utf8(digits).unwrap()
    }

    #[test]
    fn a_value_has_the_bytes_that_are_asked_for() {
        let value = RegisterValue::from(0x1234_u32);

        assert_eq!(value.to_bytes(4), [0x34, 0x12, 0, 0]);
        assert_eq!(value.to_bytes(1), [0x34]);
        assert_eq!(digits(&value, 6), "341200000000");
        assert_eq!(value.to_bytes(256).len(), 256);
        assert_eq!(RegisterValue::from_bytes(&[0x34, 0x12, 0, 0]), value);
    }

    #[test]
    fn a_long_value_keeps_all_of_its_bytes() {
        let bytes: Vec<u8> = (0..=255).collect();

        let value = RegisterValue::from_bytes(&bytes);

        assert_eq!(value.to_bytes(256), bytes);
        assert_eq!(value.as_u32(), 0x0302_0100);
        assert_eq!(value.as_u128(), 0x0f0e_0d0c_0b0a_0908_0706_0504_0302_0100);
        assert!(digits(&value, 256).ends_with("fdfeff"));
        assert_eq!(digits(&value, 17), "000102030405060708090a0b0c0d0e0f10");
    }
}
