//! AArch64's registers as GDB numbers and lays them out (GDB manual, AArch64 Features;
//! `target_xml` describes the same to the client).
//!
//! | number | register | bytes | offset in `g` |
//! |-------:|----------|------:|--------------:|
//! | 0-30   | x0-x30   | 8     | 0             |
//! | 31     | sp       | 8     | 248           |
//! | 32     | pc       | 8     | 256           |
//! | 33     | cpsr     | 4     | 264           |
//! | 34-65  | v0-v31   | 16    | 268           |
//! | 66     | fpsr     | 4     | 780           |
//! | 67     | fpcr     | 4     | 784           |
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
    /// v0 to v31.
    V(u8),
    /// Floating-point status.
    Fpsr,
    /// Floating-point control.
    Fpcr,
}

impl Register {
    /// The register with GDB's number, `None` past the last.
    pub fn from_number(number: u64) -> Option<Self> {
        let number = u8::try_from(number).ok()?;
        match number {
            0..=30 => Some(Self::X(number)),
            31 => Some(Self::Sp),
            32 => Some(Self::Pc),
            33 => Some(Self::Cpsr),
            34..=65 => Some(Self::V(number - 34)),
            66 => Some(Self::Fpsr),
            67 => Some(Self::Fpcr),
            _ => None,
        }
    }

    /// GDB's number.
    pub fn number(self) -> u8 {
        match self {
            Self::X(n) => n,
            Self::Sp => 31,
            Self::Pc => 32,
            Self::Cpsr => 33,
            Self::V(n) => n.saturating_add(34),
            Self::Fpsr => 66,
            Self::Fpcr => 67,
        }
    }

    /// Its bytes on the wire, before hex.
    pub fn size(self) -> usize {
        match self {
            Self::X(_) | Self::Sp | Self::Pc => 8,
            Self::Cpsr | Self::Fpsr | Self::Fpcr => 4,
            Self::V(_) => 16,
        }
    }

    /// Every register, in `g` packet order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..).map_while(Self::from_number)
    }

    /// x0-x30, sp, pc and cpsr, in `g` packet order: what a stop reply carries, so that a step
    /// needs no `g` after it.
    pub fn core() -> impl Iterator<Item = Self> {
        Self::all().take_while(|reg| *reg != Self::V(0))
    }
}

/// The value of one register; upper bits that the register does not have are zero.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct RegisterValue(u128);

impl RegisterValue {
    /// The low 32 bits.
    pub fn as_u32(self) -> u32 {
        self.0 as u32
    }

    /// The low 64 bits.
    pub fn as_u64(self) -> u64 {
        self.0 as u64
    }

    /// All of it.
    pub fn as_u128(self) -> u128 {
        self.0
    }

    /// Appends its wire bytes as register `reg` in hex.
    pub(crate) fn push_hex(self, reg: Register, out: &mut Vec<u8>) {
        let bytes = self.0.to_le_bytes();
        hex::push_bytes(out, bytes.get(..reg.size()).unwrap_or_default());
    }

    /// The same as text.
    pub(crate) fn to_hex(self, reg: Register) -> String {
        let mut digits = Vec::new();
        self.push_hex(reg, &mut digits);
        digits.into_iter().map(char::from).collect()
    }

    /// Its wire bytes as register `reg`, little-endian.
    pub fn to_bytes(self, reg: Register) -> impl Iterator<Item = u8> {
        self.0.to_le_bytes().into_iter().take(reg.size())
    }

    /// The value of wire bytes, little-endian. `None` unless there are as many as `reg` has.
    pub fn from_bytes(reg: Register, bytes: &[u8]) -> Option<Self> {
        if bytes.len() != reg.size() {
            return None;
        }
        let value = bytes.iter().rev().fold(0, |value, byte| value << 8 | u128::from(*byte));
        Some(Self(value))
    }
}

impl From<u32> for RegisterValue {
    fn from(value: u32) -> Self {
        Self(value.into())
    }
}

impl From<u64> for RegisterValue {
    fn from(value: u64) -> Self {
        Self(value.into())
    }
}

impl From<u128> for RegisterValue {
    fn from(value: u128) -> Self {
        Self(value)
    }
}

/// All registers of one thread.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Registers {
    /// x0 to x30.
    pub x: [u64; 31],
    /// The stack pointer in use, see [`Register::Sp`].
    pub sp: u64,
    /// The program counter.
    pub pc: u64,
    /// PSTATE in the layout of SPSR_ELx.
    pub cpsr: u32,
    /// v0 to v31.
    pub v: [u128; 32],
    /// Floating-point status.
    pub fpsr: u32,
    /// Floating-point control.
    pub fpcr: u32,
}

impl Registers {
    /// Bytes in a `g` packet, before hex.
    pub const SIZE: usize = 31 * 8 + 8 + 8 + 4 + 32 * 16 + 4 + 4;

    /// The value of one register; zero for an `X` or `V` that does not exist.
    pub fn get(&self, reg: Register) -> RegisterValue {
        match reg {
            Register::X(n) => self.x.get(usize::from(n)).copied().unwrap_or_default().into(),
            Register::Sp => self.sp.into(),
            Register::Pc => self.pc.into(),
            Register::Cpsr => self.cpsr.into(),
            Register::V(n) => self.v.get(usize::from(n)).copied().unwrap_or_default().into(),
            Register::Fpsr => self.fpsr.into(),
            Register::Fpcr => self.fpcr.into(),
        }
    }

    /// Sets one register; nothing happens for an `X` or `V` that does not exist.
    pub fn set(&mut self, reg: Register, value: RegisterValue) {
        match reg {
            Register::X(n) => {
                if let Some(x) = self.x.get_mut(usize::from(n)) {
                    *x = value.as_u64();
                }
            }
            Register::Sp => self.sp = value.as_u64(),
            Register::Pc => self.pc = value.as_u64(),
            Register::Cpsr => self.cpsr = value.as_u32(),
            Register::V(n) => {
                if let Some(v) = self.v.get_mut(usize::from(n)) {
                    *v = value.as_u128();
                }
            }
            Register::Fpsr => self.fpsr = value.as_u32(),
            Register::Fpcr => self.fpcr = value.as_u32(),
        }
    }

    /// The bytes of a `g` reply, before hex: [`Self::SIZE`] of them.
    pub fn to_bytes(&self) -> impl Iterator<Item = u8> {
        Register::all().flat_map(|reg| self.get(reg).to_bytes(reg))
    }

    /// The registers in the bytes of a `G` packet. `None` unless there are [`Self::SIZE`].
    pub fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let mut regs = Self::default();
        for reg in Register::all() {
            let (value, rest) = bytes.split_at_checked(reg.size())?;
            regs.set(reg, RegisterValue::from_bytes(reg, value)?);
            bytes = rest;
        }
        bytes.is_empty().then_some(regs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_both_ways_and_end_at_67() {
        for number in 0..=67 {
            let reg = Register::from_number(number).unwrap();
            assert_eq!(u64::from(reg.number()), number);
        }
        assert_eq!(Register::from_number(68), None);
        assert_eq!(Register::from_number(256), None);
        assert_eq!(Register::from_number(u64::MAX), None);
    }

    #[test]
    fn registers_lie_at_gdbs_offsets() {
        let mut regs =
            Registers { sp: 2, pc: 3, cpsr: 4, fpsr: 6, fpcr: 7, ..Registers::default() };
        regs.x[0] = 0x0102_0304_0506_0708;
        regs.x[30] = 1;
        regs.v[0] = 5 << 120;
        regs.v[31] = 5;

        let bytes: Vec<u8> = regs.to_bytes().collect();

        assert_eq!(bytes.len(), Registers::SIZE);
        assert_eq!(bytes[..8], [8, 7, 6, 5, 4, 3, 2, 1]);
        let found: Vec<_> = (8..).zip(&bytes[8..]).filter(|(_, byte)| **byte != 0).collect();
        let expected = [
            (240, &1),
            (248, &2),
            (256, &3),
            (264, &4),
            (283, &5),
            (764, &5),
            (780, &6),
            (784, &7),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_g_packet_comes_back_as_it_went() {
        let bytes: Vec<u8> = (0..Registers::SIZE).map(|at| at as u8).collect();

        let regs = Registers::from_bytes(&bytes).unwrap();

        assert_eq!(regs.x[1], 0x0f0e_0d0c_0b0a_0908);
        assert!(regs.to_bytes().eq(bytes));
    }

    #[test]
    fn a_g_packet_of_another_size_is_refused() {
        assert_eq!(Registers::from_bytes(&[0; Registers::SIZE - 1]), None);
        assert_eq!(Registers::from_bytes(&[0; Registers::SIZE + 1]), None);
    }

    #[test]
    fn a_value_has_the_bytes_of_its_register() {
        let value = RegisterValue::from(0x1234_u32);

        assert!(value.to_bytes(Register::Cpsr).eq([0x34, 0x12, 0, 0]));
        assert!(value.to_bytes(Register::Pc).eq([0x34, 0x12, 0, 0, 0, 0, 0, 0]));
        assert_eq!(RegisterValue::from_bytes(Register::Cpsr, &[0x34, 0x12, 0, 0]), Some(value));
        assert_eq!(RegisterValue::from_bytes(Register::Pc, &[0x34, 0x12, 0, 0]), None);
    }

    #[test]
    fn registers_that_do_not_exist_are_zero_and_stay_so() {
        let mut regs = Registers::default();

        regs.set(Register::X(31), 1_u64.into());
        regs.set(Register::V(32), 1_u64.into());

        assert_eq!(regs, Registers::default());
        assert_eq!(regs.get(Register::X(31)), RegisterValue::default());
    }

    #[test]
    fn the_core_is_x0_to_cpsr() {
        assert_eq!(Register::core().count(), 34);
        assert_eq!(Register::core().last(), Some(Register::Cpsr));
        assert_eq!(Register::all().count(), 68);
    }
}
