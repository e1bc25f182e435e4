//! Console output cut into lines.

/// A line that is longer comes in pieces of so many bytes: kernel lines are below 1 KiB (LOG_LINE_MAX).
pub const LINE_MAX: usize = 4096;

/// Cuts output into lines of bounded length.
#[derive(Default)]
pub struct Lines {
    current: Vec<u8>,
}

impl Lines {
    /// Calls `complete` for each line that `bytes` complete, without its end.
    pub fn feed(&mut self, mut bytes: &[u8], mut complete: impl FnMut(&[u8])) {
        while !bytes.is_empty() {
            let room = bytes.len().min(LINE_MAX.saturating_sub(self.current.len()));
            let end = bytes.iter().take(room).position(|byte| *byte == b'\n');
            let (text, rest) = bytes.split_at_checked(end.unwrap_or(room)).unwrap_or((bytes, &[]));
            self.current.extend(text);
            bytes = if end.is_some() { rest.get(1..).unwrap_or_default() } else { rest };
            if end.is_some() || self.current.len() >= LINE_MAX {
                complete(self.current());
                self.current.clear();
            }
        }
    }

    /// The line that is not ended yet.
    pub fn current(&self) -> &[u8] {
        self.current.strip_suffix(b"\r").unwrap_or(&self.current)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Vec<u8>) {
        let mut lines = Lines::default();
        let mut complete = Vec::new();
        for piece in pieces {
            lines.feed(piece, |line| complete.push(line.to_vec()));
        }
        (complete, lines.current().to_vec())
    }

    #[test]
    fn lines_are_cut_however_their_bytes_come() {
        let text = b"one\r\n\ntwo\nthr";
        let expected = (vec![b"one".to_vec(), vec![], b"two".to_vec()], b"thr".to_vec());

        assert_eq!(cut(&[text]), expected);
        assert_eq!(cut(&text.chunks(1).collect::<Vec<_>>()), expected);
    }

    #[test]
    fn a_line_without_an_end_comes_in_pieces() {
        let (complete, rest) = cut(&[&[b'x'; 2 * LINE_MAX + 7]]);

        assert_eq!(complete, [[b'x'; LINE_MAX], [b'x'; LINE_MAX]]);
        assert_eq!(rest, [b'x'; 7]);
    }
}
