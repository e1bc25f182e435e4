//! Framing: `$packet-data#checksum` and what may stand between packets (RSP manual, Overview).

use std::mem;

use crate::hex;

/// Most data bytes in a packet, as sent (before unescaping), without `$`, `#` and checksum: what
/// `PacketSize` in the `qSupported` reply promises to take. Larger ones gain a client nothing.
pub const PACKET_SIZE: usize = 0x10000;

/// Precedes a byte that was exclusive-ored with [`ESCAPE_MASK`] (RSP manual, Overview, "Binary
/// Data").
const ESCAPE: u8 = b'}';
const ESCAPE_MASK: u8 = 0x20;

/// What a repeat count has added, to make it printable.
const COUNT_BASE: u8 = 29;
/// Shorter ones gain nothing.
const SHORTEST_RUN: usize = 4;
/// Its count is `~`, the last printable.
const LONGEST_RUN: usize = 98;

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

/// Appends a reply as a packet: escaped, run-length encoded, summed up.
pub fn encode(data: &[u8], out: &mut Vec<u8>) {
    // Memory has one byte in 64 to escape.
    out.reserve(data.len() + data.len() / 16 + 4);
    out.push(b'$');
    let start = out.len();
    let mut rest = data;
    while !rest.is_empty() {
        let (plain, after) = rest.split_at(plain(rest));
        out.extend_from_slice(plain);
        rest = after;
        if let Some(&byte) = rest.first() {
            rest = rest.get(push_run(byte, run(byte, rest), out)..).unwrap_or_default();
        }
    }
    let sent = out.get(start..).unwrap_or_default();
    let sum = sent.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    out.push(b'#');
    out.extend(hex::pair(sum));
}

/// How many of these bytes there are at the start, up to what one count tells.
fn run(byte: u8, data: &[u8]) -> usize {
    let data = data.get(..LONGEST_RUN).unwrap_or(data);
    let (words, _) = data.as_chunks::<8>();
    let equal = words.iter().take_while(|word| **word == [byte; 8]).count() * 8;
    equal + data.iter().skip(equal).take_while(|next| **next == byte).count()
}

/// How many bytes at the start go out as they are: those before one to be escaped, or a run.
fn plain(data: &[u8]) -> usize {
    let mut rest = data;
    while let Some(block) = rest.first_chunk() {
        if let Some(head) = first_head(block) {
            return data.len() - rest.len() + head;
        }
        rest = rest.get(BLOCK..).unwrap_or_default();
    }
    let starts_run = |at| {
        let run: Option<&[u8]> = rest.get(at..at + SHORTEST_RUN);
        run.is_some_and(|run| run.iter().all(|byte| Some(byte) == run.first()))
    };
    let head = (0..).zip(rest).find(|(at, byte)| is_framing(**byte) || starts_run(*at));
    data.len() - rest.len() + head.map_or(rest.len(), |(at, _)| at)
}

/// Bytes looked at in one go: the compiler makes vectors of it.
const BLOCK: usize = 32;

/// Where in the first [`BLOCK`] bytes one to be escaped, or a run, begins.
fn first_head(block: &[u8; BLOCK + SHORTEST_RUN - 1]) -> Option<usize> {
    const WORD: usize = size_of::<u64>();
    let mut heads = [0; BLOCK];
    heads.iter_mut().zip(block.array_windows()).for_each(|(head, window)| *head = is_head(window));
    let (words, _) = heads.as_chunks::<WORD>();
    let words = words.iter().map(|word| u64::from_le_bytes(*word));
    let (number, word) = words.enumerate().find(|(_, word)| *word != 0)?;
    Some(number * WORD + word.trailing_zeros() as usize / 8)
}

#[inline]
fn is_head([a, b, c, d]: &[u8; SHORTEST_RUN]) -> u8 {
    u8::from(is_framing(*a)) | u8::from(a == b) & u8::from(b == c) & u8::from(c == d)
}

fn is_framing(byte: u8) -> bool {
    (byte == b'#') | (byte == b'$') | (byte == b'*') | (byte == ESCAPE)
}

/// Appends the head of a run of equal bytes and returns how many it took of them, at least one.
///
/// `0* ` is `0` and three more: the byte after `*` is 29 plus the count, from 3 so that it pays
/// (RSP manual, Overview, "Run-length encoding"). Neither `#` nor `$` may stand there; `"`, five
/// more, stands in. Escaped bytes stay single: clients differ in whether they expand or unescape
/// first.
fn push_run(byte: u8, run: usize, out: &mut Vec<u8>) -> usize {
    if is_framing(byte) {
        out.extend([ESCAPE, byte ^ ESCAPE_MASK]);
        return 1;
    }
    out.push(byte);
    if run < SHORTEST_RUN {
        return 1;
    }
    let count = match run.min(LONGEST_RUN) as u8 - 1 + COUNT_BASE {
        b'#' | b'$' => b'"',
        count => count,
    };
    out.extend([b'*', count]);
    1 + usize::from(count - COUNT_BASE)
}

#[cfg(test)]
mod tests;
