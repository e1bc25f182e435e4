//! Hexadecimal as the protocol has it (RSP manual, Overview): numbers most significant digit
//! first, without prefix or leading zeros; byte strings two digits a byte, in memory order.

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

/// The digit of the low four bits.
const fn nibble(bits: u8) -> u8 {
    match bits & 0xf {
        bits @ 0..10 => b'0' + bits,
        bits => b'a' - 10 + bits,
    }
}

/// The two digits of a byte.
pub const fn pair(byte: u8) -> [u8; 2] {
    [nibble(byte >> 4), nibble(byte)]
}

/// Appends a byte string.
pub fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + 2 * bytes.len(), 0);
    // Written in place: the compiler makes vectors of it.
    let (digits, _) = out.get_mut(start..).unwrap_or_default().as_chunks_mut();
    for (digits, byte) in digits.iter_mut().zip(bytes) {
        *digits = pair(*byte);
    }
}

/// A byte string as text.
pub fn text(bytes: &[u8]) -> String {
    bytes.iter().copied().flat_map(pair).map(char::from).collect()
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
    #[expect(clippy::len_without_is_empty, reason = "a length to compare, not a collection")]
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
        text.push(b'T');
        push_bytes(&mut text, &[0x00, 0x7f, 0x80, 0xff, 0x9a]);
        assert_eq!(text, b"T007f80ff9a");
        assert_eq!(HexBytes::parse(b"007f80fF").unwrap().decode(), [0x00, 0x7f, 0x80, 0xff]);
    }

    #[test]
    fn every_byte_has_its_digits() {
        for byte in 0..=u8::MAX {
            assert_eq!(pair(byte).to_vec(), format!("{byte:02x}").into_bytes());
        }
    }

    #[test]
    fn half_a_byte_and_strange_digits_are_refused() {
        assert_eq!(HexBytes::parse(b"123"), None);
        assert_eq!(HexBytes::parse(b"1g"), None);
        assert_eq!(HexBytes::parse(b"").map(HexBytes::len), Some(0));
    }
}
