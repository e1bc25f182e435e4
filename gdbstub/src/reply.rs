//! What a client is answered (RSP manual, Overview and Packets).

use std::fmt;

use crate::agent::BadBytecode;
use crate::command::Malformed;
use crate::hex;
use crate::target::TargetError;

/// An answer to a packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// Done.
    Ok,
    /// The packet is not supported, which is no error.
    Empty,
    /// As it stands.
    Text(String),
    /// Bytes in hex: registers, memory, a thread's words.
    Hex(Vec<u8>),
    /// The same with bytes that are no text.
    Bytes(Vec<u8>),
    /// Text for the client to show while it waits for a stop or for a monitor command (RSP manual,
    /// Stop Reply Packets, "O").
    Console(Vec<u8>),
    /// Part of a document, and whether more of it follows: `m` or `l`, then binary data.
    Chunk { more: bool, data: Vec<u8> },
    /// None now: `k` has none, and that of a resume is the stop reply to come.
    None,
}

impl Reply {
    /// The packet's data, if there is to be a packet.
    pub fn data(self) -> Option<Vec<u8>> {
        match self {
            Self::Ok => Some(b"OK".to_vec()),
            Self::Empty => Some(Vec::new()),
            Self::Text(text) => Some(text.into_bytes()),
            Self::Bytes(bytes) => Some(bytes),
            Self::Console(text) => {
                let mut data = vec![b'O'];
                hex::push_bytes(&mut data, &text);
                Some(data)
            }
            Self::Hex(bytes) => {
                let mut data = Vec::with_capacity(2 * bytes.len());
                hex::push_bytes(&mut data, &bytes);
                Some(data)
            }
            Self::Chunk { more, mut data } => {
                data.insert(0, if more { b'm' } else { b'l' });
                Some(data)
            }
            Self::None => None,
        }
    }
}

/// How a client wants to be told of errors.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum ErrorStyle {
    /// `Enn`.
    Number,
    /// `E.text`, for clients that offered `error-message`. Older ones know it after some packets
    /// only, and take it for data after others.
    Text,
    /// `Enn;text` in hex, for an LLDB that sent `QEnableErrorStrings`.
    NumberAndText,
}

/// Why a packet was not obeyed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Error {
    /// The client's: not as the manual has it.
    Malformed(Malformed),
    /// The client's: it must wait for the stop reply, or interrupt.
    Running,
    /// The client's: it has killed the target or detached from it, or it has ended.
    NoTarget,
    /// The client's: its packet is longer than the `PacketSize` it was told.
    TooLong,
    /// The transport's: the checksum was wrong and there is no `-` to say so with.
    Checksum,
    /// The client's: no thread is named so.
    NoSuchThread,
    /// The client's: no process is named so.
    NoSuchProcess,
    /// The client's: no document is named so.
    NoSuchAnnex,
    /// The client's: the document ends before this offset.
    OffsetPastEnd,
    /// The client's: the target description has no register of this number.
    NoSuchRegister {
        /// The number.
        number: u64,
    },
    /// The client's: too few or too many bytes for a register or for all of them.
    RegisterSize {
        /// Bytes sent.
        found: usize,
        /// Bytes there are.
        expected: usize,
    },
    /// The client's: an empty read, or a range that passes 2^64.
    BadRange {
        /// Its first address.
        addr: u64,
        /// Its bytes.
        length: u64,
    },
    /// The client's: an expression that cannot be evaluated.
    Expression(BadBytecode),
    /// The client's: more memory than can be looked through while it waits.
    TooMuch {
        /// Bytes asked for.
        length: u64,
        /// Bytes it may be.
        most: u64,
    },
    /// The client's: it wants memory of its own in the guest.
    NoMemoryToGive,
    /// Whose it is, the target says.
    Target(TargetError),
}

impl Error {
    /// The reply's data.
    pub fn data(&self, style: ErrorStyle) -> Vec<u8> {
        let number = format!("E{:02x}", self.errno());
        match style {
            ErrorStyle::Number => number.into_bytes(),
            ErrorStyle::Text => format!("E.{self}").bytes().map(unframed).collect(),
            ErrorStyle::NumberAndText => {
                let mut data = format!("{number};").into_bytes();
                hex::push_bytes(&mut data, self.to_string().as_bytes());
                data
            }
        }
    }

    /// Linux's number for an error of the sort. The manual gives the digits no meaning, save that
    /// a bad annex is 00 (RSP manual, General Query Packets, "qXfer object read").
    fn errno(&self) -> u8 {
        const ESRCH: u8 = 3;
        const EIO: u8 = 5;
        const E2BIG: u8 = 7;
        const ENOMEM: u8 = 12;
        const EFAULT: u8 = 14;
        const EBUSY: u8 = 16;
        const EINVAL: u8 = 22;
        const ENOSPC: u8 = 28;
        const EOPNOTSUPP: u8 = 95;
        match self {
            Self::NoSuchAnnex => 0,
            Self::NoSuchThread | Self::NoSuchProcess | Self::NoTarget => ESRCH,
            Self::Checksum | Self::Target(TargetError::Host(_)) => EIO,
            Self::TooLong | Self::TooMuch { .. } => E2BIG,
            Self::NoMemoryToGive => ENOMEM,
            Self::BadRange { .. } | Self::Target(TargetError::Unmapped { .. }) => EFAULT,
            Self::Running => EBUSY,
            Self::Target(TargetError::NoRoom { .. }) => ENOSPC,
            Self::Target(TargetError::Unsupported) => EOPNOTSUPP,
            Self::Malformed(_)
            | Self::OffsetPastEnd
            | Self::NoSuchRegister { .. }
            | Self::RegisterSize { .. }
            | Self::Expression(_)
            | Self::Target(TargetError::Unavailable | TargetError::Invalid(_)) => EINVAL,
        }
    }
}

/// Clients do not unescape an error's text, so nothing in it may need escaping.
fn unframed(byte: u8) -> u8 {
    match byte {
        b'#' | b'$' | b'*' | b'}' => b'?',
        b' '..=b'~' => byte,
        _ => b'?',
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(Malformed { expected }) => {
                write!(f, "malformed packet, expected {expected}")
            }
            Self::Running => f.write_str("the target is running"),
            Self::NoTarget => {
                f.write_str("there is no guest: it was killed, detached from, or has ended")
            }
            Self::TooLong => f.write_str("packet longer than PacketSize"),
            Self::Checksum => f.write_str("wrong checksum"),
            Self::NoSuchThread => f.write_str("no such thread"),
            Self::NoSuchProcess => f.write_str("no such process, expected 1"),
            Self::NoSuchAnnex => f.write_str("no such annex, expected target.xml"),
            Self::OffsetPastEnd => f.write_str("offset past the end of the document"),
            Self::NoSuchRegister { number } => write!(f, "no register has number {number:#x}"),
            Self::RegisterSize { found, expected } => {
                write!(f, "{found:#x} bytes of register, expected {expected:#x}")
            }
            Self::BadRange { addr, length } => write!(
                f,
                "{length:#x} bytes at {addr:#x}, expected at least one and none past 2^64"
            ),
            Self::Expression(error) => error.fmt(f),
            Self::TooMuch { length, most } => {
                write!(f, "{length:#x} bytes of memory, expected at most {most:#x}")
            }
            Self::NoMemoryToGive => {
                f.write_str("the memory is the guest's, none of it can be allocated")
            }
            Self::Target(error) => error.fmt(f),
        }
    }
}

impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl From<TargetError> for Error {
    fn from(error: TargetError) -> Self {
        Self::Target(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(reply: Reply) -> String {
        reply.data().map_or("no packet".to_owned(), |data| data.escape_ascii().to_string())
    }

    #[test]
    fn replies_as_packet_data() {
        assert_eq!(data(Reply::Ok), "OK");
        assert_eq!(data(Reply::Empty), "");
        assert_eq!(data(Reply::Text("QC1".to_owned())), "QC1");
        assert_eq!(data(Reply::Hex(vec![0x0b, 0xad])), "0bad");
        assert_eq!(data(Reply::Chunk { more: true, data: b"<a".to_vec() }), "m<a");
        assert_eq!(data(Reply::Chunk { more: false, data: b"/>".to_vec() }), "l/>");
        assert_eq!(data(Reply::None), "no packet");
    }

    #[test]
    fn errors_are_a_number_or_a_text_as_the_client_likes() {
        let error = Error::from(TargetError::Unmapped { addr: 0x4000 });

        assert_eq!(error.data(ErrorStyle::Number), b"E0e");
        assert_eq!(error.data(ErrorStyle::Text), b"E.no memory at 0x4000");
        assert_eq!(
            error.data(ErrorStyle::NumberAndText),
            b"E0e;6e6f206d656d6f727920617420307834303030"
        );
    }

    #[test]
    fn a_bad_annex_is_number_zero() {
        assert_eq!(Error::NoSuchAnnex.data(ErrorStyle::Number), b"E00");
    }

    #[test]
    fn nothing_in_an_error_text_needs_escaping() {
        let error = Error::from(TargetError::Host("#1 ${*} \n\u{e9}".to_owned()));

        assert_eq!(error.data(ErrorStyle::Text), b"E.the host failed: ?1 ?{?? ???");
    }
}
