//! What a command prints, up to a bound.

use super::Print;

/// Bytes that a command prints at most. They wait in memory for the debugger to take them, as two digits each.
const MOST: usize = 1 << 20;

/// The way to the debugger.
pub struct Output<'a, 'p> {
    print: &'a mut Print<'p>,
    /// Bytes that may still be printed.
    room: usize,
}

impl<'a, 'p> Output<'a, 'p> {
    /// Prints nothing yet.
    pub fn new(print: &'a mut Print<'p>) -> Self {
        Self { print, room: MOST }
    }

    /// Prints a piece, as long as there is room for it.
    pub fn print(&mut self, text: &str) {
        match self.room.checked_sub(text.len()) {
            Some(room) => {
                self.room = room;
                (self.print)(text);
            }
            None if self.is_full() => {}
            None => {
                self.room = 0;
                (self.print)("...\ncut off here: a command prints at most 1 MiB\n");
            }
        }
    }

    /// Whether nothing more can be printed: it need not be found out.
    pub fn is_full(&self) -> bool {
        self.room == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_cut_off_once_and_said() {
        let mut text = String::new();
        let print: &mut Print<'_> = &mut |piece| text += piece;
        let mut output = Output::new(print);
        let line = "x".repeat(99) + "\n";

        let mut lines = 0;
        while !output.is_full() {
            output.print(&line);
            lines += 1;
        }
        output.print("more\n");

        assert_eq!(lines, MOST / 100 + 1);
        assert_eq!(text.lines().count(), MOST / 100 + 2);
        assert!(text.ends_with("x\n...\ncut off here: a command prints at most 1 MiB\n"));
    }
}
