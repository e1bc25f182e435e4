//! The console's escape key: Ctrl-A, as in QEMU and screen.

/// Ctrl-A.
const ESCAPE: u8 = 0x01;

/// What the keys mean, for Ctrl-A h.
pub const HELP: &str = "Ctrl-A x quits, Ctrl-A a sends Ctrl-A to the guest, Ctrl-A h shows this";

/// What the user wants of minivmm itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    /// Ctrl-A x.
    Quit,
    /// Ctrl-A h or ?.
    Help,
}

/// Splits typed bytes into the guest's and ours; a pair may span two reads.
#[derive(Default)]
pub struct Escape {
    is_pending: bool,
}

impl Escape {
    /// Appends what is meant for the guest to `guest`, and returns the last wish in `typed`.
    pub fn filter(&mut self, typed: &[u8], guest: &mut Vec<u8>) -> Option<Wish> {
        let mut wish = None;
        for &byte in typed {
            if !std::mem::take(&mut self.is_pending) {
                if byte == ESCAPE {
                    self.is_pending = true;
                } else {
                    guest.push(byte);
                }
                continue;
            }
            match byte {
                b'x' | b'X' => return Some(Wish::Quit),
                b'h' | b'H' | b'?' => wish = Some(Wish::Help),
                b'a' | b'A' | ESCAPE => guest.push(ESCAPE),
                // Not a key of ours: both belong to the guest.
                other => guest.extend([ESCAPE, other]),
            }
        }
        wish
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(reads: &[&[u8]]) -> (Vec<u8>, Option<Wish>) {
        let mut escape = Escape::default();
        let mut guest = Vec::new();
        let mut last = None;
        for read in reads {
            last = escape.filter(read, &mut guest).or(last);
        }
        (guest, last)
    }

    #[test]
    fn ordinary_keys_reach_the_guest() {
        assert_eq!(filter(&[b"ls\r\x03\x04"]), (b"ls\r\x03\x04".to_vec(), None));
    }

    #[test]
    fn ctrl_a_x_quits_and_ctrl_a_h_helps() {
        assert_eq!(filter(&[b"a\x01xb"]), (b"a".to_vec(), Some(Wish::Quit)));
        assert_eq!(filter(&[b"a\x01", b"hb"]), (b"ab".to_vec(), Some(Wish::Help)));
    }

    #[test]
    fn ctrl_a_itself_can_be_typed() {
        assert_eq!(filter(&[b"\x01a"]), (b"\x01".to_vec(), None));
        assert_eq!(filter(&[b"\x01\x01"]), (b"\x01".to_vec(), None));
        assert_eq!(filter(&[b"\x01z"]), (b"\x01z".to_vec(), None));
    }
}
