//! What a child process has written so far.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long to wait for anything. Nested emulation on a busy machine is slow; a pass never waits.
pub const PATIENCE: Duration = Duration::from_secs(100);

/// Output of a child process, collected by a thread and kept in a log file too.
#[derive(Clone)]
pub struct Transcript(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    /// Everything before this was matched by [`Transcript::expect`].
    seen: usize,
    /// Everything before this is in the log file.
    logged: usize,
    has_ended: bool,
}

impl Transcript {
    /// Collects everything from `source`, and copies it to the file at `log`.
    pub fn of(mut source: impl Read + Send + 'static, log: &Path) -> Self {
        let transcript = Self(Arc::default());
        let shared = transcript.clone();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                let len = source.read(&mut buffer).unwrap_or(0);
                let mut state = shared.lock();
                state.bytes.extend(buffer.get(..len).unwrap_or_default());
                state.has_ended = len == 0;
                shared.0.1.notify_all();
                if len == 0 {
                    break;
                }
            }
        });
        // A thread of its own: the file is on a slow file system, and must not slow the child down.
        let (shared, log) = (transcript.clone(), File::create(log).expect("log file"));
        thread::spawn(move || shared.keep(log));
        transcript
    }

    fn keep(&self, mut log: File) {
        let mut state = self.lock();
        loop {
            let new = state.bytes.get(state.logged..).unwrap_or_default().to_vec();
            if new.is_empty() && state.has_ended {
                return;
            }
            if new.is_empty() {
                state = self.0.1.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            drop(state);
            log.write_all(&new).expect("log file");
            state = self.lock();
            state.logged += new.len();
            self.0.1.notify_all();
        }
    }

    /// Lets the log catch up, before the test ends and its threads with it.
    fn wait_for_log<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let behind = |state: &mut State| state.logged < state.bytes.len();
        let waited = self.0.1.wait_timeout_while(state, Duration::from_secs(5), behind);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for `wanted` behind what was matched before, and returns the text up to its end.
    /// Panics with what is there if it does not come.
    pub fn expect(&self, wanted: &str) -> String {
        self.expect_within(wanted, PATIENCE)
    }

    /// As [`Self::expect`], for what takes longer.
    pub fn expect_within(&self, wanted: &str, patience: Duration) -> String {
        let deadline = Instant::now() + patience;
        let mut state = self.lock();
        let mut searched = 0_usize;
        loop {
            let new = state.bytes.get(state.seen..).unwrap_or_default();
            // What was searched before, except for a match that it may begin.
            let from = searched.saturating_sub(wanted.len());
            searched = new.len();
            if let Some(at) = find(new.get(from..).unwrap_or_default(), wanted.as_bytes()) {
                let at = from + at;
                let end = state.seen + at + wanted.len();
                let text =
                    String::from_utf8_lossy(new.get(..at + wanted.len()).unwrap_or_default());
                let text = text.into_owned();
                state.seen = end;
                return text;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.has_ended || left.is_zero() {
                let state = self.wait_for_log(state);
                let new = state.bytes.get(state.seen..).unwrap_or_default();
                let why = if state.has_ended { "the output ended" } else { "time is up" };
                panic!("expected {wanted:?}, {why}; found\n{}", String::from_utf8_lossy(new));
            }
            let woken = self.0.1.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the end and returns everything. Panics with what is there if it does not come.
    pub fn finish(&self) -> String {
        let state = self.lock();
        let waited = self.0.1.wait_timeout_while(state, PATIENCE, |state| !state.has_ended);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let state = self.wait_for_log(state);
        let text = String::from_utf8_lossy(&state.bytes).into_owned();
        assert!(state.has_ended, "expected the end of the output, time is up; found\n{text}");
        text
    }

    /// Waits for the end, or for long enough.
    pub fn wait_for_end(&self) {
        let state = self.lock();
        let waited = self.0.1.wait_timeout_while(state, PATIENCE, |state| !state.has_ended);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Everything so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.lock().bytes).into_owned()
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
