//! Who reads along with the console: the regular expressions that end a run, and the report.

use crate::cli::{Ending, Pattern};
use crate::exit::Outcome;
use crate::lines::Lines;
use crate::memoir::Memoir;

/// Reads what is written to the console, right behind that.
#[derive(Default)]
pub struct Reader {
    until: Option<Pattern>,
    fail_on: Option<Pattern>,
    lines: Lines,
    /// There is more of the current line than was matched.
    has_unmatched: bool,
    /// The first match, which decides.
    verdict: Option<Outcome>,
    /// For the report.
    memoir: Option<Memoir>,
}

impl Reader {
    /// For a run that ends so.
    pub fn new(ending: &Ending) -> Self {
        let (until, fail_on) = (ending.until.clone(), ending.fail_on.clone());
        let memoir = ending.report.is_some().then(Memoir::default);
        Self { until, fail_on, memoir, ..Self::default() }
    }

    /// As [`Self::read`]; another guest has said what begins at `anew`. The lines of the one before it are not its own, nor is its life.
    pub fn read_anew(&mut self, bytes: &[u8], anew: Option<usize>) -> bool {
        let Some((before, bytes)) = anew.and_then(|at| bytes.split_at_checked(at)) else {
            return self.read(bytes);
        };
        let is_judged = self.read(before);
        self.lines = Lines::default();
        self.has_unmatched = false;
        self.memoir = self.memoir.take().map(|_| Memoir::default());
        self.read(bytes) || is_judged
    }

    /// Reads what has been shown. True if a verdict came of it.
    pub fn read(&mut self, bytes: &[u8]) -> bool {
        let is_matching = self.is_matching();
        if !is_matching && self.memoir.is_none() {
            return false;
        }
        let (until, fail_on) = (self.until.as_ref(), self.fail_on.as_ref());
        let (verdict, memoir) = (&mut self.verdict, &mut self.memoir);
        self.lines.feed(bytes, |line| {
            let line = String::from_utf8_lossy(line);
            if let Some(memoir) = memoir {
                memoir.take(&line);
            }
            if verdict.is_none() {
                *verdict = judge(&line, until, fail_on);
            }
        });
        self.has_unmatched = !self.lines.current().is_empty();
        is_matching && self.verdict.is_some()
    }

    /// Whether a line has begun that [`Self::pause`] would match.
    pub fn awaits_pause(&self) -> bool {
        self.has_unmatched && self.is_matching()
    }

    /// Nothing has come for a while, so that the line is taken for whole as it is, as a prompt is. True if a verdict
    /// came of it.
    pub fn pause(&mut self) -> bool {
        if !self.awaits_pause() {
            return false;
        }
        self.has_unmatched = false;
        let line = String::from_utf8_lossy(self.lines.current());
        self.verdict = judge(&line, self.until.as_ref(), self.fail_on.as_ref());
        self.verdict.is_some()
    }

    /// The first match, if there was one.
    pub fn verdict(&self) -> Option<Outcome> {
        self.verdict.clone()
    }

    /// What the console has said so far.
    pub fn memoir(&self) -> Memoir {
        let mut memoir = self.memoir.clone().unwrap_or_default();
        let current = self.lines.current();
        if !current.is_empty() {
            memoir.take(&String::from_utf8_lossy(current));
        }
        memoir
    }

    fn is_matching(&self) -> bool {
        (self.until.is_some() || self.fail_on.is_some()) && self.verdict.is_none()
    }
}

/// What a line means. One that matches both is a failure.
fn judge(line: &str, until: Option<&Pattern>, fail_on: Option<&Pattern>) -> Option<Outcome> {
    let is_match = |pattern: Option<&Pattern>| pattern.is_some_and(|it| it.0.is_match(line));
    if is_match(fail_on) {
        Some(Outcome::FailedOn(line.to_owned()))
    } else if is_match(until) {
        Some(Outcome::Until(line.to_owned()))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{self, Request};

    fn reader(words: &[&str]) -> Reader {
        match cli::parse(&[&["--kernel", "Image"], words].concat()) {
            Ok(Request::Run(config)) => Reader::new(&config.ending),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_line_is_matched_when_it_is_whole_however_it_comes() {
        let mut reader = reader(&["--until", "^ok$"]);

        assert!(!reader.read(b"ok, "));
        assert!(!reader.read(b"go on\nno"));
        assert!(!reader.read(b"t ok\no"));
        assert!(reader.read(b"k\r\nmore"));

        assert_eq!(reader.verdict(), Some(Outcome::Until("ok".to_owned())));
    }

    #[test]
    fn a_pause_takes_a_line_for_whole_once() {
        let mut reader = reader(&["--until", "login: $"]);
        assert!(!reader.awaits_pause());

        reader.read(b"login: me\nword");
        assert!(reader.awaits_pause());
        assert!(!reader.pause());
        assert!(!reader.awaits_pause());
        reader.read(b"\nlogin: ");

        assert!(reader.pause());
    }

    #[test]
    fn another_guest_begins_with_a_line_and_a_life_of_its_own() {
        let mut reader = reader(&["--until", "^ready", "--report", "file"]);
        reader.read(b"Linux version 6.1\nlogin: ");

        assert!(reader.read_anew(b"me\nlogin: ready\n", Some(10)));

        assert_eq!(reader.verdict(), Some(Outcome::Until("ready".to_owned())));
        assert_eq!(reader.memoir().version, None);
        assert_eq!(reader.memoir().last_lines().collect::<Vec<_>>(), ["ready"]);
    }

    #[test]
    fn the_first_match_decides() {
        let mut reader = reader(&["--until", "good", "--fail-on", "bad"]);

        assert!(reader.read(b"good\nbad\n"));
        reader.read(b"bad\n");

        assert_eq!(reader.verdict(), Some(Outcome::Until("good".to_owned())));
    }

    #[test]
    fn without_patterns_nothing_is_read() {
        let mut reader = reader(&[]);

        assert!(!reader.read(b"anything\nmore"));

        assert!(!reader.awaits_pause() && reader.lines.current().is_empty());
    }
}
