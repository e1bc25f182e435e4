//! Packets (specification, 5.10.6): a header of 44 bytes, little-endian, and data behind it.

/// Bytes of a header.
pub const HEADER: usize = 44;

/// Stream sockets, the only ones there are here.
pub const STREAM: u16 = 1;

/// `SHUTDOWN`: the sender receives no more.
pub const NO_RECEIVE: u32 = 1;
/// `SHUTDOWN`: the sender sends no more.
pub const NO_SEND: u32 = 2;

/// What a packet is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum Operation {
    /// Somebody connects.
    Request = 1,
    /// And is heard.
    Response = 2,
    /// There is no such connection, or no longer.
    Reset = 3,
    /// One direction or both have ended.
    Shutdown = 4,
    /// Data.
    Data = 5,
    /// Room in the sender's buffer.
    CreditUpdate = 6,
    /// The sender wants to hear of the other's room.
    CreditRequest = 7,
}

impl Operation {
    fn of(number: u16) -> Option<Self> {
        Some(match number {
            1 => Self::Request,
            2 => Self::Response,
            3 => Self::Reset,
            4 => Self::Shutdown,
            5 => Self::Data,
            6 => Self::CreditUpdate,
            7 => Self::CreditRequest,
            _ => return None,
        })
    }
}

/// `struct virtio_vsock_hdr`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Who sends.
    pub source: Address,
    /// Who is to receive.
    pub destination: Address,
    /// Bytes of data.
    pub len: u32,
    /// [`STREAM`], or what is not served.
    pub kind: u16,
    /// `None` if it is none of those there are.
    pub operation: Option<Operation>,
    /// Of a `SHUTDOWN`.
    pub flags: u32,
    /// Bytes of the sender's receive buffer.
    pub room: u32,
    /// Bytes that the sender has taken out of it, modulo 2^32.
    pub taken: u32,
}

/// One end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Address {
    /// Context: 2 is the host.
    pub cid: u64,
    /// Port.
    pub port: u32,
}

impl Header {
    /// Reads one.
    pub fn decode(bytes: &[u8; HEADER]) -> Self {
        let long = |at: usize| u64::from_le_bytes(piece(bytes, at));
        let word = |at: usize| u32::from_le_bytes(piece(bytes, at));
        let half = |at: usize| u16::from_le_bytes(piece(bytes, at));
        Self {
            source: Address { cid: long(0), port: word(16) },
            destination: Address { cid: long(8), port: word(20) },
            len: word(24),
            kind: half(28),
            operation: Operation::of(half(30)),
            flags: word(32),
            room: word(36),
            taken: word(40),
        }
    }

    /// Writes it.
    pub fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let fields: [&[u8]; 10] = [
            &self.source.cid.to_le_bytes(),
            &self.destination.cid.to_le_bytes(),
            &self.source.port.to_le_bytes(),
            &self.destination.port.to_le_bytes(),
            &self.len.to_le_bytes(),
            &self.kind.to_le_bytes(),
            &self.operation.map_or(0, |operation| operation as u16).to_le_bytes(),
            &self.flags.to_le_bytes(),
            &self.room.to_le_bytes(),
            &self.taken.to_le_bytes(),
        ];
        for (to, from) in bytes.iter_mut().zip(fields.into_iter().flatten()) {
            *to = *from;
        }
        bytes
    }
}

/// `N` bytes of a header; `at` lies in it.
fn piece<const N: usize>(bytes: &[u8; HEADER], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_what_linux_has() {
        let header = Header {
            source: Address { cid: 3, port: 0x0102_0304 },
            destination: Address { cid: 2, port: 1024 },
            len: 5,
            kind: STREAM,
            operation: Some(Operation::Data),
            flags: 0,
            room: 1 << 18,
            taken: 7,
        };
        let bytes = header.encode();

        assert_eq!(bytes[..8], 3_u64.to_le_bytes());
        assert_eq!(bytes[16..20], [4, 3, 2, 1]);
        assert_eq!(bytes[28..32], [1, 0, 5, 0]);
        assert_eq!(bytes[36..], [0, 0, 4, 0, 7, 0, 0, 0]);
        assert_eq!(Header::decode(&bytes), header);
        let mut strange = bytes;
        strange[30] = 8;
        assert_eq!(Header::decode(&strange).operation, None);
    }
}
