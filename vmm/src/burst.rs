//! When the guest prints so much that a device's window is worth opening, and until when.

use std::time::{Duration, Instant};

/// So many characters, close to each other, make a burst (docs/performance.md, "Console output").
const BEGIN: u32 = 24;

/// How close: what is typed is echoed further apart.
const CLOSE: Duration = Duration::from_millis(1);

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
    pub fn is_due(&mut self, now: Instant) -> bool {
        let Self::Off(count, last) = self else { return false };
        let is_close = last.is_some_and(|last| now.saturating_duration_since(last) < CLOSE);
        *count = if is_close { count.saturating_add(1) } else { 1 };
        *last = Some(now);
        *count >= BEGIN
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
