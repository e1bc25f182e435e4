//! Hexadecimal as the protocol has it (RSP manual, Overview): numbers most significant digit
//! first, without prefix or leading zeros; byte strings two digits a byte, in memory order.

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The value of one digit, in either case.
pub fn digit(ascii: u8) -> Option<u8> {
    match ascii {
        b'0'..=b'9' => Some(ascii - b'0'),
        b'a'..=b'f' => Some(ascii - b'a' + 10),
        b'A'..=b'F' => Some(ascii - b'A' + 10),
        _ => None,
    }
}

/// A number. `None` if it is empty, has anything but digits or does not fit.
pub fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter()
        .try_fold(0u64, |number, ascii| Some(number.checked_mul(16)? | u64::from(digit(*ascii)?)))
}

/// The two digits of a byte.
pub fn pair(byte: u8) -> [u8; 2] {
    [byte >> 4, byte & 0xf].map(|nibble| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0'))
}

/// Appends a byte string.
pub fn push_bytes(out: &mut Vec<u8>, bytes: impl IntoIterator<Item = u8>) {
    out.extend(bytes.into_iter().flat_map(pair));
}

/// Digits that make up whole bytes, still undecoded.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct HexBytes<'a>(&'a [[u8; 2]]);

impl<'a> HexBytes<'a> {
    /// Checks the text. `None` if a digit is missing or is none.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let (pairs, odd) = text.as_chunks();
        let valid = odd.is_empty() && text.iter().all(|ascii| digit(*ascii).is_some());
        valid.then_some(Self(pairs))
    }

    /// How many bytes they make.
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// The bytes. `parse` has checked every digit.
    pub fn decode(self) -> Vec<u8> {
        let value = |ascii| digit(ascii).unwrap_or_default();
        self.0.iter().map(|[high, low]| value(*high) << 4 | value(*low)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_both_cases_and_leading_zeros() {
        assert_eq!(number(b"0"), Some(0));
        assert_eq!(number(b"000dEaD"), Some(0xdead));
        assert_eq!(number(b"ffffffffffffffff"), Some(u64::MAX));
        assert_eq!(number(b"0000000000000000000001"), Some(1));
    }

    #[test]
    fn numbers_that_do_not_fit_or_are_none_are_refused() {
        assert_eq!(number(b"10000000000000000"), None);
        assert_eq!(number(b""), None);
        assert_eq!(number(b"0x10"), None);
        assert_eq!(number(b"-1"), None);
        assert_eq!(number(b"1 "), None);
    }

    #[test]
    fn bytes_go_both_ways() {
        let mut text = Vec::new();
        push_bytes(&mut text, [0x00, 0x7f, 0x80, 0xff]);
        assert_eq!(text, b"007f80ff");
        assert_eq!(HexBytes::parse(b"007f80fF").unwrap().decode(), [0x00, 0x7f, 0x80, 0xff]);
    }

    #[test]
    fn half_a_byte_and_strange_digits_are_refused() {
        assert_eq!(HexBytes::parse(b"123"), None);
        assert_eq!(HexBytes::parse(b"1g"), None);
        assert_eq!(HexBytes::parse(b"").map(HexBytes::len), Some(0));
    }
}
