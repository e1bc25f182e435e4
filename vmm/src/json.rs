//! JSON (RFC 8259), written and never read.

use std::fmt::{self, Write as _};

/// A value.
pub enum Json {
    /// Nothing known.
    Null,
    /// A number.
    Number(u64),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Json>),
    /// An object. Its names are different from each other.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// An object with these names.
    pub fn object<const N: usize>(members: [(&str, Json); N]) -> Self {
        Self::Object(members.map(|(name, value)| (name.to_owned(), value)).into())
    }

    /// Indented by so many steps.
    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => quote(f, text),
            Self::List(items) => {
                block(f, depth, ['[', ']'], items, |f, item| item.write(f, depth + 1))
            }
            Self::Object(members) => block(f, depth, ['{', '}'], members, |f, (name, value)| {
                quote(f, name)?;
                f.write_str(": ")?;
                value.write(f, depth + 1)
            }),
        }
    }
}

fn block<T>(
    f: &mut fmt::Formatter<'_>,
    depth: usize,
    [open, close]: [char; 2],
    items: &[T],
    write: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    f.write_char(open)?;
    for (n, item) in items.iter().enumerate() {
        let comma = if n == 0 { "" } else { "," };
        write!(f, "{comma}\n{:1$}", "", 2 * (depth + 1))?;
        write(f, item)?;
    }
    if !items.is_empty() {
        write!(f, "\n{:1$}", "", 2 * depth)?;
    }
    f.write_char(close)
}

fn quote(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' | '\\' => write!(f, "\\{character}")?,
            '\0'..='\x1f' | '\x7f' => write!(f, "\\u{:04x}", u32::from(character))?,
            _ => f.write_char(character)?,
        }
    }
    f.write_char('"')
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u64> for Json {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<T: Into<Json>> FromIterator<T> for Json {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_nested_and_indented() {
        let json = Json::object([
            ("none", None::<u64>.into()),
            ("list", ["a", "b"].into_iter().collect()),
            ("empty", Json::Object(Vec::new())),
            ("number", u64::MAX.into()),
        ]);

        assert_eq!(
            json.to_string(),
            "{\n  \"none\": null,\n  \"list\": [\n    \"a\",\n    \"b\"\n  ],\n  \"empty\": {},\n  \"number\": 18446744073709551615\n}"
        );
    }

    #[test]
    fn what_a_guest_says_stays_inside_of_its_quotes() {
        let json = Json::from("a\"\\\n\x1b[31mé\u{fffd}");

        assert_eq!(json.to_string(), "\"a\\\"\\\\\\u000a\\u001b[31mé\u{fffd}\"");
    }
}
