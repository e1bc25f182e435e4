//! What ends a run besides the guest itself, and what is kept of it.

use std::path::PathBuf;
use std::time::Duration;

use regex_lite::Regex;

/// When a run is over, and what is left of it then.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Ending {
    /// For how long the guest may run.
    pub timeout: Option<Duration>,
    /// A line of the console that ends the run well.
    pub until: Option<Pattern>,
    /// A line of the console that ends it badly.
    pub fail_on: Option<Pattern>,
    /// What becomes of a guest whose kernel panicked.
    pub on_panic: OnPanic,
    /// Where the console's output is kept.
    pub console_log: Option<PathBuf>,
    /// Where the report goes.
    pub report: Option<PathBuf>,
}

/// What becomes of a guest whose kernel panicked.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum OnPanic {
    /// The run ends.
    #[default]
    Exit,
    /// It stands still.
    Hold,
    /// It stands still, and a debugger may come in any case.
    Gdb,
}

/// `exit`, `hold` or `gdb`.
pub fn on_panic(text: &str) -> Result<OnPanic, String> {
    match text {
        "exit" => Ok(OnPanic::Exit),
        "hold" => Ok(OnPanic::Hold),
        "gdb" => Ok(OnPanic::Gdb),
        _ => Err(format!("--on-panic {text}: expected exit, hold or gdb")),
    }
}

/// A regular expression over a line, in which what is no UTF-8 is U+FFFD. Its classes are ASCII's.
#[derive(Clone, Debug)]
pub struct Pattern(pub Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

/// 60s, 5m, 1h; seconds where there is no unit.
pub fn duration(flag: &str, text: &str) -> Result<Duration, String> {
    let (digits, unit) = match text.char_indices().next_back() {
        Some((at, 's')) => (text.get(..at), 1),
        Some((at, 'm')) => (text.get(..at), 60),
        Some((at, 'h')) => (text.get(..at), 3600),
        _ => (Some(text), 1),
    };
    let seconds = digits.and_then(super::number).and_then(|number| number.checked_mul(unit));
    // What the host's timers take (timespec has a signed number of seconds).
    let seconds = seconds.filter(|seconds| (1..=u64::from(u32::MAX)).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| {
        format!("{flag} {text}: expected a time of a second or more: 60s, 5m, 1h or seconds")
    })
}

/// A regular expression, of the syntax of the crate `regex-lite`.
pub fn pattern(flag: &str, text: &str) -> Result<Pattern, String> {
    if text.is_empty() {
        return Err(format!("{flag}: empty, expected a regular expression"));
    }
    Regex::new(text)
        .map(Pattern)
        .map_err(|error| format!("{flag} {text}: {error}, expected a regular expression"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_take_s_m_and_h() {
        let seconds = |text| duration("--timeout", text).map(|time| time.as_secs());
        assert_eq!(seconds("60"), Ok(60));
        assert_eq!(seconds("60s"), Ok(60));
        assert_eq!(seconds("5m"), Ok(300));
        assert_eq!(seconds("1h"), Ok(3600));
        for bad in ["", "0", "s", "0s", "-1", "1.5s", "1d", "60 s", "500ms", "99999999999h", "1é"]
        {
            assert_eq!(
                duration("--timeout", bad),
                Err(format!(
                    "--timeout {bad}: expected a time of a second or more: 60s, 5m, 1h or seconds"
                ))
            );
        }
    }

    #[test]
    fn patterns_match_lines() {
        let matches = |text, line: &str| pattern("--until", text).unwrap().0.is_match(line);

        assert!(matches(r"(?i)LOGIN: $", "debian login: "));
        assert!(matches(r"\d+ of \w+", "\u{fffd} 3 of four"));
        assert!(matches("né", "né"));
        assert!(matches(r"\x1b\[31mFAIL", "\x1b[31mFAIL\x1b[0m"));
        assert!(!matches(r"^login", "a login"));
    }

    #[test]
    fn a_bad_pattern_is_named_in_one_line() {
        assert_eq!(
            pattern("--until", "a(b"),
            Err("--until a(b: found open group without closing ')', expected a regular expression"
                .to_owned())
        );
        assert!(pattern("--fail-on", "").unwrap_err().starts_with("--fail-on: empty"));
        let long = pattern("--fail-on", r"(\w{1000}){1000}").unwrap_err();
        assert!(!long.contains('\n'), "{long}");
    }
}
