//! How memory is shown: what `xp` is asked for, and a line of it.

use gdbstub::TargetError;

/// How an item is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    Hexadecimal,
    Signed,
    Unsigned,
    Octal,
    Character,
}

/// What is to be shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dump {
    /// How many items.
    pub count: u64,
    /// How each is written.
    pub format: Format,
    /// Bytes of each: 1, 2, 4 or 8.
    pub size: usize,
}

/// Bytes of a line.
pub const LINE: usize = 16;

impl Dump {
    /// Reads what stands behind the slash: `8xw`.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let wrong = || {
            TargetError::Invalid(format!(
                "xp /{text}: expected a count, a format x d u o c and a size b h w g, each once at most"
            ))
        };
        let letters = text.trim_start_matches(|letter: char| letter.is_ascii_digit());
        let digits = text.strip_suffix(letters).unwrap_or_default();
        let count = if digits.is_empty() { 1 } else { digits.parse().map_err(|_| wrong())? };
        let (mut format, mut size) = (None, None);
        for letter in letters.chars() {
            let is_twice = match letter {
                'b' => size.replace(1),
                'h' => size.replace(2),
                'w' => size.replace(4),
                'g' => size.replace(8),
                'x' => format.replace(Format::Hexadecimal).map(|_| 0),
                'd' => format.replace(Format::Signed).map(|_| 0),
                'u' => format.replace(Format::Unsigned).map(|_| 0),
                'o' => format.replace(Format::Octal).map(|_| 0),
                'c' => format.replace(Format::Character).map(|_| 0),
                _ => return Err(wrong()),
            };
            if is_twice.is_some() {
                return Err(wrong());
            }
        }
        let format = format.unwrap_or(Format::Hexadecimal);
        let usual = if format == Format::Character { 1 } else { 4 };
        Ok(Self { count, format, size: size.unwrap_or(usual) })
    }

    /// A line: the address of the first item, and as many as these bytes are.
    pub fn line(&self, at: u64, bytes: &[u8]) -> String {
        let items = bytes.chunks_exact(self.size).map(|item| self.item(item));
        items.fold(format!("{at:016x}:"), |line, item| line + " " + &item) + "\n"
    }

    fn item(&self, bytes: &[u8]) -> String {
        let value = bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
        let unused = 64 - 8 * self.size as u32;
        let signed = (value << unused).cast_signed() >> unused;
        // Columns of the widest value there is.
        match (self.format, self.size) {
            (Format::Hexadecimal, size) => format!("0x{value:0digits$x}", digits = 2 * size),
            (Format::Octal, size) => format!("0{value:0digits$o}", digits = (8 * size).div_ceil(3)),
            (Format::Signed, 1) => format!("{signed:4}"),
            (Format::Signed, 2) => format!("{signed:6}"),
            (Format::Signed, 4) => format!("{signed:11}"),
            (Format::Signed, _) => format!("{signed:20}"),
            (Format::Unsigned, 1) => format!("{value:3}"),
            (Format::Unsigned, 2) => format!("{value:5}"),
            (Format::Unsigned, 4) => format!("{value:10}"),
            (Format::Unsigned, _) => format!("{value:20}"),
            (Format::Character, _) => match value as u8 {
                b'\'' => "'\\''".to_owned(),
                byte => format!("'{}'", byte.escape_ascii()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: [u8; 16] =
        [0x01, 0x02, 0x03, 0x84, 0xff, 0xff, 0xff, 0xff, b'A', b'\'', 0, b'\n', 8, 0, 0, 0];

    fn shown(text: &str) -> String {
        let dump = Dump::parse(text).unwrap();
        dump.line(0x4000_0000, &BYTES)
    }

    #[test]
    fn counts_formats_and_sizes_come_in_any_order_behind_the_count() {
        let dump = |count, format, size| Ok(Dump { count, format, size });

        assert_eq!(Dump::parse(""), dump(1, Format::Hexadecimal, 4));
        assert_eq!(Dump::parse("8xw"), dump(8, Format::Hexadecimal, 4));
        assert_eq!(Dump::parse("2gd"), dump(2, Format::Signed, 8));
        assert_eq!(Dump::parse("c"), dump(1, Format::Character, 1));
    }

    #[test]
    fn what_is_no_format_is_told() {
        for text in ["8i", "x8", "xx", "wb", "99999999999999999999x", "-1x"] {
            assert_eq!(
                Dump::parse(text).unwrap_err().to_string(),
                format!(
                    "xp /{text}: expected a count, a format x d u o c and a size b h w g, each once at most"
                )
            );
        }
    }

    #[test]
    fn each_format_and_size_has_its_columns() {
        for (text, line) in [
            ("4xw", "0x84030201 0xffffffff 0x0a002741 0x00000008"),
            ("2xg", "0xffffffff84030201 0x000000080a002741"),
            ("8xh", "0x0201 0x8403 0xffff 0xffff 0x2741 0x0a00 0x0008 0x0000"),
            ("4dw", "-2080177663          -1   167782209           8"),
            ("4uw", "2214789633 4294967295  167782209          8"),
            ("2ow", "020400601001 037777777777 001200023501 000000000010"),
        ] {
            assert_eq!(shown(text), format!("0000000040000000: {line}\n"), "{text}");
        }
        assert!(shown("16db").ends_with(
            ":    1    2    3 -124   -1   -1   -1   -1   65   39    0   10    8    0    0    0\n"
        ));
        assert!(shown("c").ends_with(": '\\x01' '\\x02' '\\x03' '\\x84' '\\xff' '\\xff' '\\xff' '\\xff' 'A' '\\'' '\\x00' '\\n' '\\x08' '\\x00' '\\x00' '\\x00'\n"));
    }
}
