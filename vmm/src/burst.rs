//! When the guest prints so much that a device's window is worth opening, and until when.

use std::time::{Duration, Instant};

/// So many characters, close to each other, make a burst (docs/performance.md, "Console output"), which begins with the
/// end of their line: what it takes to begin would be a pause in the middle of it.
const BEGIN: u32 = 16;

/// So many make one without an end of their line.
const LONG_LINE: u32 = 128;

/// How close: what is typed is echoed further apart.
const CLOSE: Duration = Duration::from_millis(5);

/// A burst is over after so many ticks without a character: lines follow each other in less, and the guest's next
/// burst costs more than these ticks.
const IDLE_TICKS: u32 = 4;

/// It is over after so many ticks in any case: a guest that looks for input while it prints must be seen to look.
const MAX_TICKS: u32 = 100;

/// What the guest is printing at the moment.
#[derive(Debug)]
pub enum Burst {
    /// Single characters: so many close to each other, and when the last one came.
    Off(u32, Option<Instant>),
    /// A burst, for so many ticks, the last of them without a character.
    On {
        /// Ticks since it began.
        ticks: u32,
        /// Ticks since the last character.
        idle: u32,
    },
}

impl Default for Burst {
    fn default() -> Self {
        Self::Off(0, None)
    }
}

impl Burst {
    /// Whether there is a burst.
    pub fn is_on(&self) -> bool {
        matches!(self, Self::On { .. })
    }

    /// A burst begins.
    pub fn begin(&mut self) {
        *self = Self::On { ticks: 0, idle: 0 };
    }

    /// A character outside of a burst; true if one should begin.
    pub fn is_due(&mut self, now: Instant, character: u8) -> bool {
        let Self::Off(count, last) = self else { return false };
        let is_close = last.is_some_and(|last| now.saturating_duration_since(last) < CLOSE);
        *count = if is_close { count.saturating_add(1) } else { 1 };
        *last = Some(now);
        *count >= if character == b'\n' { BEGIN } else { LONG_LINE }
    }

    /// Characters within a burst.
    pub fn note(&mut self) {
        if let Self::On { idle, .. } = self {
            *idle = 0;
        }
    }

    /// A tick has passed; true if the burst should end.
    pub fn is_over(&mut self) -> bool {
        let Self::On { ticks, idle } = self else { return false };
        *ticks += 1;
        *idle += 1;
        *idle > IDLE_TICKS || *ticks >= MAX_TICKS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many of these characters, so far apart, a burst begins.
    fn begins_after(characters: &[u8], gap: Duration) -> Option<usize> {
        let mut burst = Burst::default();
        let start = Instant::now();
        let due = (0..).zip(characters).position(|(n, it)| burst.is_due(start + gap * n, *it));
        due.map(|last| last + 1)
    }

    const FAST: Duration = Duration::from_micros(20);

    fn begun() -> Burst {
        let mut burst = Burst::default();
        burst.begin();
        burst
    }

    #[test]
    fn a_line_makes_a_burst_at_its_end_and_a_prompt_does_not() {
        assert_eq!(begins_after(b"login: ", FAST), None);
        assert_eq!(begins_after(b"[    0.000000] Booting Linux\r\n[ ", FAST), Some(30));
        assert_eq!(begins_after(b"short\nlines\nin a row\n", FAST), Some(21));
    }

    #[test]
    fn output_without_lines_makes_one_too() {
        assert_eq!(begins_after(&[b'.'; 1000], FAST), Some(128));
    }

    #[test]
    fn an_echo_of_what_is_typed_does_not() {
        assert_eq!(begins_after(&[b'\n'; 1000], Duration::from_millis(30)), None);
    }

    #[test]
    fn a_pause_begins_the_count_anew() {
        let mut burst = Burst::default();
        let start = Instant::now();
        assert!((1..BEGIN).all(|_| !burst.is_due(start, b'\n')));

        assert!(!burst.is_due(start + CLOSE, b'\n'));

        assert!((2..BEGIN).all(|_| !burst.is_due(start + CLOSE, b'\n')));
        assert!(burst.is_due(start + CLOSE, b'\n'));
    }

    #[test]
    fn a_burst_ends_when_nothing_comes_for_some_ticks() {
        let mut burst = begun();
        for _ in 0..3 {
            burst.note();
            assert!((0..IDLE_TICKS).all(|_| !burst.is_over()));
        }
        assert!(burst.is_over());
    }

    #[test]
    fn a_burst_ends_after_some_time_in_any_case() {
        let mut burst = begun();

        let ticks = (1..=1000).find(|_| {
            burst.note();
            burst.is_over()
        });

        assert_eq!(ticks, Some(MAX_TICKS));
    }

    #[test]
    fn within_a_burst_none_is_due_and_outside_none_is_over() {
        assert!((0..1000).all(|_| !begun().is_due(Instant::now(), b'\n')));
        assert!((0..1000).all(|_| !Burst::default().is_over()));
    }
}
