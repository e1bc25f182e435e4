//! Framing: `$packet-data#checksum` and what may stand between packets (RSP manual, Overview).

mod encode;

use std::mem;

use crate::hex;

pub use encode::encode;

/// Most data bytes in a packet, as sent (before unescaping), without `$`, `#` and checksum: what
/// `PacketSize` in the `qSupported` reply promises to take. Larger ones gain a client nothing.
pub const PACKET_SIZE: usize = 0x10000;

/// Precedes a byte that was exclusive-ored with [`ESCAPE_MASK`] (RSP manual, Overview, "Binary
/// Data").
const ESCAPE: u8 = b'}';
const ESCAPE_MASK: u8 = 0x20;

/// Something complete from the client.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Event<'a> {
    /// A packet whose checksum is right, unescaped.
    Packet(&'a [u8]),
    /// A packet whose checksum is wrong.
    BadChecksum,
    /// A packet of more than [`PACKET_SIZE`] bytes; they are gone.
    TooLong,
    /// `+`: the last reply arrived whole.
    Ack,
    /// `-`: the last reply did not.
    Nak,
    /// 0x03 between packets (RSP manual, Interrupts) or in a checksum. In a packet's data it is data:
    /// `X` has it there.
    Interrupt,
}

/// Where in the stream the next byte belongs.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
enum State {
    /// Between packets.
    #[default]
    Idle,
    /// After `$`.
    Data,
    /// After `}` in the data.
    Escaped,
    /// After `#`.
    Checksum,
    /// After `#` and a digit.
    ChecksumLow(u8),
}

/// Finds packets in a byte stream, in whatever pieces it comes. Holds at most [`PACKET_SIZE`]
/// bytes.
///
/// Anything unknown between packets is skipped. A `$` inside a packet starts a new one: it cannot
/// be data, which would have it escaped, so the end of the old one was lost.
///
/// Escapes are undone in every packet, not just in those the manual calls binary: no other has a
/// `}` from GDB, and LLDB escapes those in its JSON. Run-length encoding is for replies only.
#[derive(Debug, Default)]
pub struct Decoder {
    state: State,
    data: Vec<u8>,
    /// Data bytes as sent, saturating.
    sent: usize,
    /// Their sum modulo 256.
    sum: u8,
}

impl Decoder {
    /// Takes the next byte, and returns what it completes.
    pub fn push(&mut self, byte: u8) -> Option<Event<'_>> {
        let state = mem::take(&mut self.state);
        match (state, byte) {
            (State::Idle, b'+') => return Some(Event::Ack),
            (State::Idle, b'-') => return Some(Event::Nak),
            (State::Idle, 0x03) => return Some(Event::Interrupt),
            (_, b'$') => self.start(),
            (State::Idle, _) => {}
            (State::Data | State::Escaped, b'#') => self.state = State::Checksum,
            (State::Data, ESCAPE) => {
                self.count(byte);
                self.state = State::Escaped;
            }
            (State::Data, _) => self.store(byte, byte),
            (State::Escaped, _) => self.store(byte, byte ^ ESCAPE_MASK),
            // Between the halves of a packet that came in pieces it cannot be data.
            (State::Checksum | State::ChecksumLow(_), 0x03) => {
                self.state = state;
                return Some(Event::Interrupt);
            }
            (State::Checksum, _) => match hex::digit(byte) {
                Some(high) => self.state = State::ChecksumLow(high),
                None => return Some(Event::BadChecksum),
            },
            (State::ChecksumLow(high), _) => {
                let right = hex::digit(byte).is_some_and(|low| high << 4 | low == self.sum);
                return Some(match right {
                    false => Event::BadChecksum,
                    true if self.sent > PACKET_SIZE => Event::TooLong,
                    true => Event::Packet(&self.data),
                });
            }
        }
        None
    }

    fn start(&mut self) {
        self.data.clear();
        self.sent = 0;
        self.sum = 0;
        self.state = State::Data;
    }

    fn count(&mut self, byte: u8) {
        self.sent = self.sent.saturating_add(1);
        self.sum = self.sum.wrapping_add(byte);
    }

    fn store(&mut self, sent: u8, meant: u8) {
        self.count(sent);
        if self.sent <= PACKET_SIZE {
            self.data.push(meant);
        }
        self.state = State::Data;
    }
}

#[cfg(test)]
mod tests;
