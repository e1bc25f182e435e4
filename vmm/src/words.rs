//! What vCPU threads have to say to a debugger while the guest runs.

use std::sync::{Condvar, Mutex, PoisonError};

/// Bytes that wait for a debugger that is slow to read; one text more may come on top.
const CAPACITY: usize = 64 << 10;

/// Texts on their way from the vCPU threads to the main one.
#[derive(Default)]
pub struct Words {
    queue: Mutex<String>,
    changed: Condvar,
}

impl Words {
    /// Queues a text. Where there is no room it waits for some, unless the caller is asked to park:
    /// then nothing is queued, and the result is false.
    pub fn push(&self, text: &str, is_kicked: impl Fn() -> bool) -> bool {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = |queue: &mut String| queue.len() >= CAPACITY && !is_kicked();
        let queue = self.changed.wait_while(queue, is_full);
        let mut queue = queue.unwrap_or_else(PoisonError::into_inner);
        let has_room = queue.len() < CAPACITY;
        if has_room {
            queue.push_str(text);
        }
        has_room
    }

    /// Takes all there is.
    pub fn take(&self) -> String {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        self.wake_those_who_wait(&queue);
        std::mem::take(&mut queue)
    }

    /// Has those who wait ask again whether they are to park.
    pub fn wake(&self) {
        // Locked, so that nobody is between having asked and waiting.
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        self.wake_those_who_wait(&queue);
    }

    /// Nobody does while there is room, and each notification is a system call.
    fn wake_those_who_wait(&self, queue: &str) {
        if queue.len() >= CAPACITY {
            self.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;
    use std::thread;

    #[test]
    fn texts_are_taken_in_their_order() {
        let words = Words::default();

        assert!(words.push("a ", || false));
        assert!(words.push("b", || false));
        assert_eq!(words.take(), "a b");
        assert_eq!(words.take(), "");
    }

    #[test]
    fn a_text_waits_for_room() {
        let words = Words::default();
        words.push(&"x".repeat(CAPACITY), || false);
        let (asked, has_asked) = mpsc::channel();

        thread::scope(|scope| {
            let pushing = scope.spawn(|| {
                words.push("y", || {
                    let _ = asked.send(());
                    false
                })
            });
            has_asked.recv().unwrap();
            assert_eq!(words.take().len(), CAPACITY);
            assert!(pushing.join().unwrap());
        });

        assert_eq!(words.take(), "y");
    }

    #[test]
    fn one_that_is_to_park_waits_no_longer_and_has_said_nothing() {
        let words = Words::default();
        words.push(&"x".repeat(CAPACITY), || false);
        let is_kicked = AtomicBool::new(false);
        let (asked, has_asked) = mpsc::channel();

        thread::scope(|scope| {
            let pushing = scope.spawn(|| {
                words.push("y", || {
                    let _ = asked.send(());
                    is_kicked.load(Ordering::SeqCst)
                })
            });
            has_asked.recv().unwrap();
            is_kicked.store(true, Ordering::SeqCst);
            words.wake();
            assert!(!pushing.join().unwrap());
        });

        assert_eq!(words.take().len(), CAPACITY);
    }
}
