//! The `printf` bytecode: C's printf for what an expression can push.

mod conversion;

use std::fmt;

use crate::agent::{Fault, Machine};
use conversion::Conversion;

/// Most bytes `%s` prints of a string; what is longer is cut, and `...` says so. Widths and
/// precisions go as far.
const MOST_STRING: usize = 4096;

/// A format understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Format(Vec<Piece>);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    Text(Vec<u8>),
    Value(Conversion),
}

/// The client's fault: a format that cannot be printed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BadFormat {
    /// It does not end in its only NUL.
    Terminator,
    /// An escape sequence that C does not have, or a NUL.
    Escape(String),
    /// A conversion that cannot be done.
    Conversion(String),
    /// It does not convert the arguments that are there.
    Arguments {
        /// How many there are.
        found: usize,
        /// How many it converts.
        expected: usize,
    },
}

impl fmt::Display for BadFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Terminator => f.write_str("expected one NUL, at the end of the format"),
            Self::Escape(escape) => write!(
                f,
                "escape {escape} in the format, expected one of \
                 \\a \\b \\e \\f \\n \\r \\t \\v \\\\ \\\" \\' \\1 to \\377"
            ),
            Self::Conversion(spec) => write!(
                f,
                "conversion {spec} in the format, expected one of %d %i %o %u %x %X %c %p %s \
                 with a width and precision of at most {MOST_STRING}"
            ),
            Self::Arguments { found, expected } => {
                write!(f, "expected {expected} arguments for the format, found {found}")
            }
        }
    }
}

impl Format {
    /// Understands a format of `args` arguments as the bytecode has it: with escape sequences as
    /// in C source, and a NUL at the end.
    pub fn parse(format: &[u8], args: u8) -> Result<Self, BadFormat> {
        let Some((0, format)) = format.split_last() else { return Err(BadFormat::Terminator) };
        if format.contains(&0) {
            return Err(BadFormat::Terminator);
        }
        let format = unescape(format)?;
        let mut pieces = Vec::new();
        let mut rest = format.as_slice();
        while let Some((first, after)) = rest.split_first() {
            let text = |text: &[u8]| Piece::Text(text.to_vec());
            if *first != b'%' {
                let end = rest.iter().position(|byte| *byte == b'%').unwrap_or(rest.len());
                let (literal, after) = rest.split_at_checked(end).unwrap_or((rest, b""));
                pieces.push(text(literal));
                rest = after;
            } else if let Some(after) = after.strip_prefix(b"%") {
                pieces.push(text(b"%"));
                rest = after;
            } else {
                let (conversion, after) = Conversion::parse(after);
                let spec = rest.strip_suffix(after).unwrap_or(rest);
                let bad = || BadFormat::Conversion(escape(spec));
                pieces.push(Piece::Value(conversion.ok_or_else(bad)?));
                rest = after;
            }
        }
        let format = Self(pieces);
        let (found, expected) = (usize::from(args), format.arguments());
        (found == expected).then_some(format).ok_or(BadFormat::Arguments { found, expected })
    }

    /// How many arguments it converts.
    pub fn arguments(&self) -> usize {
        self.0.iter().filter(|piece| matches!(piece, Piece::Value(_))).count()
    }

    /// The text, of at most `most` bytes. `args` are as many as it converts, the first one first.
    pub fn print(
        &self,
        args: &[u64],
        machine: &mut dyn Machine,
        most: usize,
    ) -> Result<Vec<u8>, Fault> {
        let mut out = Vec::new();
        let mut args = args.iter().copied();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.extend(text),
                Piece::Value(conversion) => {
                    conversion.print(args.next().unwrap_or_default(), machine, &mut out)?;
                }
            }
            if out.len() > most {
                return Err(Fault::TooMuchOutput);
            }
        }
        Ok(out)
    }
}

/// Undoes escape sequences: C's without the hexadecimal ones, and GDB's `\e`.
fn unescape(text: &[u8]) -> Result<Vec<u8>, BadFormat> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let code = bytes.next();
        out.push(match code {
            Some(b'a') => 0x07,
            Some(b'b') => 0x08,
            Some(b'e') => 0x1b,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'v') => 0x0b,
            Some(code @ (b'\\' | b'"' | b'\'')) => code,
            Some(first @ b'0'..=b'7') => {
                let mut value = u32::from(first - b'0');
                for _ in 0..2 {
                    let Some(digit) = bytes.next_if(|byte| (b'0'..=b'7').contains(byte)) else {
                        break;
                    };
                    value = value << 3 | u32::from(digit - b'0');
                }
                let value = u8::try_from(value).ok().filter(|value| *value != 0);
                value.ok_or_else(|| BadFormat::Escape(format!("\\{}...", char::from(first))))?
            }
            code => {
                return Err(BadFormat::Escape(format!("\\{}", escape(code.as_slice()))));
            }
        });
    }
    Ok(out)
}

/// Bytes of a format as they may stand in a line for a person.
fn escape(text: &[u8]) -> String {
    text.escape_ascii().to_string()
}
