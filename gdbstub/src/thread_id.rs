//! thread-id syntax (RSP manual, Packets): `2`, `0`, `-1`, and with the `multiprocess` feature
//! `p1.2`, `p1.-1`, `p1`.

use crate::hex;
use crate::target::Tid;

/// The one process there is.
pub const PROCESS: u64 = 1;

/// The process or thread part of a thread-id.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Part {
    /// -1.
    All,
    /// 0: whichever the stub likes.
    Any,
    /// This one.
    One(u64),
}

impl Part {
    fn parse(text: &[u8]) -> Option<Self> {
        match text {
            b"-1" => Some(Self::All),
            _ => Some(match hex::number(text)? {
                0 => Self::Any,
                number => Self::One(number),
            }),
        }
    }

    fn covers(self, number: u64) -> bool {
        match self {
            Self::All | Self::Any => true,
            Self::One(this) => this == number,
        }
    }
}

/// Which threads a client means.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct ThreadId {
    /// The process; [`Part::Any`] where the client names none.
    pub process: Part,
    /// The thread.
    pub thread: Part,
}

impl ThreadId {
    /// Parses either syntax, whichever was negotiated: they cannot be confused.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let Some(text) = text.strip_prefix(b"p") else {
            return Some(Self { process: Part::Any, thread: Part::parse(text)? });
        };
        let mut parts = text.splitn(2, |byte| *byte == b'.');
        Some(Self {
            process: Part::parse(parts.next()?)?,
            thread: parts.next().map_or(Some(Part::All), Part::parse)?,
        })
    }

    /// Whether `tid` is among them.
    pub fn covers(self, tid: Tid) -> bool {
        self.process.covers(PROCESS) && self.thread.covers(tid.number().into())
    }
}

/// Writes a thread's id, with its process if the client knows of processes.
pub fn format(tid: Tid, multiprocess: bool) -> String {
    let thread = tid.number();
    if multiprocess { format!("p{PROCESS:x}.{thread:x}") } else { format!("{thread:x}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covered(text: &[u8]) -> Vec<u32> {
        let id = ThreadId::parse(text).unwrap();
        (0..20).map(Tid::from_index).filter(|tid| id.covers(*tid)).map(Tid::number).collect()
    }

    #[test]
    fn one_thread() {
        assert_eq!(covered(b"2"), [2]);
        assert_eq!(covered(b"p1.2"), [2]);
        assert_eq!(covered(b"p0.10"), [16]);
        assert_eq!(covered(b"p-1.1"), [1]);
    }

    #[test]
    fn all_or_any_of_them() {
        for text in [&b"-1"[..], b"0", b"p1.-1", b"p1.0", b"p1", b"p0.0", b"p-1.-1"] {
            assert_eq!(covered(text).len(), 20, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn another_process_has_none_of_them() {
        assert_eq!(covered(b"p2.1"), []);
        assert_eq!(covered(b"p2"), []);
    }

    #[test]
    fn what_is_no_thread_id_is_refused() {
        for text in [&b""[..], b"p", b"p1.", b"p.1", b"-2", b"x", b"p1.2.3", b"10000000000000000"] {
            assert_eq!(ThreadId::parse(text), None, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn ids_are_hexadecimal() {
        assert_eq!(format(Tid::from_index(15), false), "10");
        assert_eq!(format(Tid::from_index(15), true), "p1.10");
    }
}
