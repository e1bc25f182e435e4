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

/// Characters in a burst that were worth what it took to begin and to end it.
const WORTH: u32 = 64;

/// Each burst that was not worth it makes the next one take so many times more to begin: input, and a guest that
/// clears UARTTXINTR, end them early.
const CAUTION: u32 = 4;

/// More than this it never takes.
const MOST: u32 = 1 << 14;

/// What the guest is printing at the moment.
#[derive(Debug)]
pub struct Burst {
    /// Characters that the next one takes to begin.
    needed: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Single characters: so many close to each other, and when the last one came.
    Off(u32, Option<Instant>),
    /// A burst, for so many ticks, the last of them without a character.
    On {
        /// Ticks since it began.
        ticks: u32,
        /// Ticks since the last character.
        idle: u32,
        /// Characters since it began.
        characters: u32,
    },
}

impl Default for Burst {
    fn default() -> Self {
        Self { needed: BEGIN, state: State::Off(0, None) }
    }
}

impl Burst {
    /// Whether there is a burst.
    pub fn is_on(&self) -> bool {
        matches!(self.state, State::On { .. })
    }

    /// A burst begins.
    pub fn begin(&mut self) {
        self.state = State::On { ticks: 0, idle: 0, characters: 0 };
    }

    /// A burst ends.
    pub fn end(&mut self) {
        let State::On { characters, .. } = self.state else { return };
        let is_worth_it = characters >= WORTH;
        self.needed = if is_worth_it { BEGIN } else { (self.needed * CAUTION).min(MOST) };
        self.state = State::Off(0, None);
    }

    /// A character outside of a burst; true if one should begin.
    pub fn is_due(&mut self, now: Instant, character: u8) -> bool {
        let State::Off(count, last) = &mut self.state else { return false };
        let is_close = last.is_some_and(|last| now.saturating_duration_since(last) < CLOSE);
        *count = if is_close { count.saturating_add(1) } else { 1 };
        *last = Some(now);
        *count >= if character == b'\n' { self.needed } else { self.needed.max(LONG_LINE) }
    }

    /// So many characters came within a burst.
    pub fn note(&mut self, count: usize) {
        if let State::On { idle, characters, .. } = &mut self.state {
            *idle = 0;
            *characters = characters.saturating_add(count as u32);
        }
    }

    /// A tick has passed; true if the burst should end.
    pub fn is_over(&mut self) -> bool {
        let State::On { ticks, idle, .. } = &mut self.state else { return false };
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
        begins_after_by(&mut Burst::default(), characters, gap)
    }

    fn begins_after_by(burst: &mut Burst, characters: &[u8], gap: Duration) -> Option<usize> {
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
            burst.note(1);
            assert!((0..IDLE_TICKS).all(|_| !burst.is_over()));
        }
        assert!(burst.is_over());
    }

    #[test]
    fn a_burst_ends_after_some_time_in_any_case() {
        let mut burst = begun();

        let ticks = (1..=1000).find(|_| {
            burst.note(1);
            burst.is_over()
        });

        assert_eq!(ticks, Some(MAX_TICKS));
    }

    /// Characters that a burst takes to begin after one that carried so many.
    fn needed_after(burst: &mut Burst, characters: usize) -> u32 {
        burst.begin();
        burst.note(characters);
        burst.end();
        burst.needed
    }

    #[test]
    fn bursts_that_are_not_worth_it_become_rare() {
        let mut burst = Burst::default();

        assert_eq!(needed_after(&mut burst, 63), 64);
        assert_eq!(needed_after(&mut burst, 0), 256);
        assert_eq!(begins_after_by(&mut burst, &[b'\n'; 1000], FAST), Some(256));
        assert_eq!((0..10).map(|_| needed_after(&mut burst, 1)).last(), Some(MOST));
        assert_eq!(needed_after(&mut burst, 64), BEGIN);
    }

    #[test]
    fn within_a_burst_none_is_due_and_outside_none_is_over() {
        assert!((0..1000).all(|_| !begun().is_due(Instant::now(), b'\n')));
        assert!((0..1000).all(|_| !Burst::default().is_over()));
    }
}
