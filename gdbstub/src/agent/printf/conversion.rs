//! Conversions: `%d` and the like.

use super::MOST_STRING;
use crate::agent::arithmetic::Unary;
use crate::agent::{Fault, Machine, memory};

/// `%[flags][width][.precision][length]conversion` (C, fprintf).
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Conversion {
    flags: Flags,
    width: usize,
    precision: Option<usize>,
    kind: Kind,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a character of its own in the format")]
struct Flags {
    /// `-`.
    left: bool,
    /// `+`.
    plus: bool,
    /// A space.
    space: bool,
    /// `#`.
    alternate: bool,
    /// `0`.
    zero: bool,
}

/// What an argument is taken for, and the bits of it that count: its type is as wide as AArch64
/// Linux has it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Kind {
    Decimal { bits: u8 },
    Unsigned { bits: u8 },
    Octal { bits: u8 },
    LowerHex { bits: u8 },
    UpperHex { bits: u8 },
    Char,
    Pointer,
    String,
}

/// What is left of a format, from behind the `%` of a conversion.
struct Spec<'a>(&'a [u8]);

impl Spec<'_> {
    fn conversion(&mut self) -> Option<Conversion> {
        let mut flags = Flags::default();
        while let Some(flag) = flags.field(self.peek()) {
            *flag = true;
            self.next();
        }
        let width = self.number()?;
        let precision = if self.skip(b'.') { Some(self.number()?) } else { None };
        let bits = self.length();
        let int = bits.unwrap_or(32);
        let kind = match self.next()? {
            b'd' | b'i' => Kind::Decimal { bits: int },
            b'u' => Kind::Unsigned { bits: int },
            b'o' => Kind::Octal { bits: int },
            b'x' => Kind::LowerHex { bits: int },
            b'X' => Kind::UpperHex { bits: int },
            b'c' if bits.is_none() => Kind::Char,
            b'p' if bits.is_none() => Kind::Pointer,
            b's' if bits.is_none() => Kind::String,
            _ => return None,
        };
        Some(Conversion { flags, width, precision, kind })
    }

    /// Digits, 0 if there are none; `None` if that is more than [`MOST_STRING`].
    fn number(&mut self) -> Option<usize> {
        let mut number = 0_usize;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            self.next();
            number = number * 10 + usize::from(digit - b'0');
            if number > MOST_STRING {
                return None;
            }
        }
        Some(number)
    }

    /// The bits that the length modifier names.
    fn length(&mut self) -> Option<u8> {
        match self.peek()? {
            b'h' => {
                self.next();
                Some(if self.skip(b'h') { 8 } else { 16 })
            }
            b'l' => {
                self.next();
                self.skip(b'l');
                Some(64)
            }
            b'j' | b'z' | b't' => {
                self.next();
                Some(64)
            }
            _ => None,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn skip(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.next();
        }
        found
    }
}

impl Flags {
    /// The flag that `ascii` sets.
    fn field(&mut self, ascii: Option<u8>) -> Option<&mut bool> {
        match ascii? {
            b'-' => Some(&mut self.left),
            b'+' => Some(&mut self.plus),
            b' ' => Some(&mut self.space),
            b'#' => Some(&mut self.alternate),
            b'0' => Some(&mut self.zero),
            _ => None,
        }
    }
}

impl Conversion {
    /// The conversion behind a `%`, `None` if there is no such, and what follows it or the byte
    /// that made it none.
    pub fn parse(format: &[u8]) -> (Option<Self>, &[u8]) {
        let mut spec = Spec(format);
        (spec.conversion(), spec.0)
    }

    /// Appends the text of an argument.
    pub fn print(
        self,
        arg: u64,
        machine: &mut dyn Machine,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let low = |bits| Unary::ZeroExt(bits).apply(arg);
        match self.kind {
            Kind::Decimal { bits } => {
                let value = Unary::Ext(bits).apply(arg).cast_signed();
                let sign = match self.flags {
                    _ if value < 0 => "-",
                    Flags { plus: true, .. } => "+",
                    Flags { space: true, .. } => " ",
                    _ => "",
                };
                self.integer(sign, &value.unsigned_abs().to_string(), out);
            }
            Kind::Unsigned { bits } => self.integer("", &low(bits).to_string(), out),
            Kind::Octal { bits } => {
                let mut digits = format!("{:o}", low(bits));
                if self.flags.alternate && digits != "0" {
                    digits.insert(0, '0');
                }
                self.integer("", &digits, out);
            }
            Kind::LowerHex { bits } => {
                let prefix = if self.flags.alternate && low(bits) != 0 { "0x" } else { "" };
                self.integer(prefix, &format!("{:x}", low(bits)), out);
            }
            Kind::UpperHex { bits } => {
                let prefix = if self.flags.alternate && low(bits) != 0 { "0X" } else { "" };
                self.integer(prefix, &format!("{:X}", low(bits)), out);
            }
            Kind::Char => self.pad(&[arg as u8], out),
            // As the C library that GDB runs on has it.
            Kind::Pointer if arg == 0 => self.pad(b"(nil)", out),
            Kind::Pointer => self.integer("0x", &format!("{arg:x}"), out),
            // As GDB and gdbserver have it.
            Kind::String if arg == 0 => self.pad(b"(null)", out),
            Kind::String => {
                let most = self.precision.unwrap_or(MOST_STRING);
                let (mut text, whole) = memory::string(machine, arg, most)?;
                if !whole && self.precision.is_none() {
                    text.extend(b"...");
                }
                self.pad(&text, out);
            }
        }
        Ok(())
    }

    /// Digits with what stands before them. With a precision there are at least as many digits,
    /// and no other zeros; of a zero with precision 0 there is none.
    fn integer(self, prefix: &str, digits: &str, out: &mut Vec<u8>) {
        let digits = if self.precision == Some(0) && digits == "0" { "" } else { digits };
        let zeros = match self.precision {
            Some(precision) => precision,
            None if self.flags.zero && !self.flags.left => self.width.saturating_sub(prefix.len()),
            None => 0,
        };
        self.pad(format!("{prefix}{digits:0>zeros$}").as_bytes(), out);
    }

    /// Fills up to the width with spaces.
    fn pad(self, text: &[u8], out: &mut Vec<u8>) {
        let spaces = vec![b' '; self.width.saturating_sub(text.len())];
        let (before, after) =
            if self.flags.left { (&[][..], &*spaces) } else { (&*spaces, &[][..]) };
        out.extend([before, text, after].into_iter().flatten());
    }
}
