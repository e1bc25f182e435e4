//! As much of JSON (RFC 8259) as LLDB's packets have.

/// A string with its quotes.
pub fn string(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            control if control.is_control() => {
                out.extend(format!("\\u{:04x}", u32::from(control)).chars());
            }
            other => out.push(other),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_backslashes_and_control_characters_are_escaped() {
        assert_eq!(string("vCPU 0"), r#""vCPU 0""#);
        assert_eq!(string("\"\\\n\u{85}é"), "\"\\\"\\\\\\u000a\\u0085é\"");
    }
}
