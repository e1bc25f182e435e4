//! What comes behind a command's name. An error is one line: what was found, and what is expected.

use gdbstub::TargetError;

/// A number, decimal or hexadecimal with 0x in front.
pub fn number(what: &str, word: &str) -> Result<u64, TargetError> {
    let parsed = match word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        // from_str_radix takes a sign.
        Some(digits) if !digits.starts_with('+') => u64::from_str_radix(digits, 16).ok(),
        None if !word.starts_with('+') => word.parse().ok(),
        _ => None,
    };
    let wrong =
        || format!("{what} {word:?}: expected a decimal number or a hexadecimal one with 0x");
    parsed.ok_or_else(|| TargetError::Invalid(wrong()))
}

/// Checks that no words are left.
pub fn none(command: &str, words: &[&str]) -> Result<(), TargetError> {
    match words {
        [] => Ok(()),
        [word, ..] => Err(unexpected(command, word, "nothing")),
    }
}

/// The error for a word that is not what it should be.
pub fn unexpected(command: &str, word: &str, expected: &str) -> TargetError {
    TargetError::Invalid(format!("{command}: found {word:?}, expected {expected}"))
}

/// The error for a word that is not there.
pub fn missing(command: &str, expected: &str) -> TargetError {
    TargetError::Invalid(format!("{command}: found nothing behind it, expected {expected}"))
}

/// The only word.
pub fn one<'a>(command: &str, words: &[&'a str], expected: &str) -> Result<&'a str, TargetError> {
    match words {
        [] => Err(missing(command, expected)),
        [word] => Ok(word),
        [_, more, ..] => Err(unexpected(command, more, "nothing behind the first argument")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal_or_hexadecimal() {
        assert_eq!(number("va", "0xffff800080000000"), Ok(0xffff_8000_8000_0000));
        assert_eq!(number("va", "0X1f"), Ok(0x1f));
        assert_eq!(number("count", "18446744073709551615"), Ok(u64::MAX));
        for word in ["", "0x", "ffff", "-1", "+1", "0x+1", "0x1ffffffffffffffff", "1k"] {
            assert_eq!(
                number("va", word).unwrap_err().to_string(),
                format!("va {word:?}: expected a decimal number or a hexadecimal one with 0x")
            );
        }
    }

    #[test]
    fn too_few_and_too_many_words_are_told() {
        assert_eq!(one("translate", &["0x1"], "an address"), Ok("0x1"));
        assert_eq!(
            one("translate", &[], "an address").unwrap_err().to_string(),
            "translate: found nothing behind it, expected an address"
        );
        assert_eq!(
            one("translate", &["1", "2"], "an address").unwrap_err().to_string(),
            "translate: found \"2\", expected nothing behind the first argument"
        );
        assert_eq!(none("vcpus", &[]), Ok(()));
        assert_eq!(
            none("vcpus", &["1"]).unwrap_err().to_string(),
            "vcpus: found \"1\", expected nothing"
        );
    }
}
