//! Replies as they go out: escaped, run-length encoded, summed up (RSP manual, Overview).
//!
//! Memory is most of what is sent, and has few bytes that do not go out as they are. They are looked
//! for in whole blocks, in a way that the compiler makes vectors of, and what is between them is copied
//! a block at a time.

use std::ops::Range;

use super::{ESCAPE, ESCAPE_MASK};
use crate::hex;

/// What a repeat count has added, to make it printable.
const COUNT_BASE: u8 = 29;
/// Shorter ones gain nothing.
const SHORTEST_RUN: usize = 4;
/// Its count is `~`, the last printable.
const LONGEST_RUN: usize = 98;

/// Bytes looked at in one go, a bit of a [`Heads`] each.
const BLOCK: usize = 64;

/// A block and what is needed to see whether a run begins with its last byte.
type Window = [u8; BLOCK + SHORTEST_RUN - 1];

/// The bytes of a block that do not go out as they are: those to be escaped, and those that begin four
/// equal ones. The first is the lowest bit.
type Heads = u64;

/// Appends a reply as a packet.
pub fn encode(data: &[u8], out: &mut Vec<u8>) {
    // Memory has one byte in 64 to escape.
    out.reserve(data.len() + data.len() / 16 + BLOCK);
    out.push(b'$');
    let start = out.len();
    let mut rest = data;
    while let Some(window) = rest.first_chunk() {
        rest = rest.get(push_block(window, rest, out)..).unwrap_or_default();
    }
    while let Some(&byte) = rest.first() {
        rest = rest.get(push_run(byte, run(byte, rest), out)..).unwrap_or_default();
    }
    let sent = out.get(start..).unwrap_or_default();
    let sum = sent.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    out.push(b'#');
    out.extend(hex::pair(sum));
}

/// Appends the block that `rest` begins with, or as much of it as there is up to the end of a run, and
/// returns how much that was.
fn push_block(window: &Window, rest: &[u8], out: &mut Vec<u8>) -> usize {
    let mut heads = heads(window);
    let mut done = 0;
    while heads != 0 {
        let head = heads.trailing_zeros() as usize;
        push_plain(rest, done..head, out);
        let at_head = rest.get(head..).unwrap_or_default();
        let Some(&byte) = at_head.first() else { break };
        done = head + push_run(byte, run(byte, at_head), out);
        if done >= BLOCK {
            return done;
        }
        heads &= Heads::MAX << done;
    }
    push_plain(rest, done..BLOCK, out);
    BLOCK
}

/// Appends at most a block of bytes as they are. Copying a whole one and cutting it costs less than a
/// length that is not known when this is compiled.
fn push_plain(data: &[u8], range: Range<usize>, out: &mut Vec<u8>) {
    match data.get(range.start..).and_then(<[u8]>::first_chunk::<BLOCK>) {
        Some(block) => {
            let len = out.len() + range.len();
            out.extend_from_slice(block);
            out.truncate(len);
        }
        None => out.extend_from_slice(data.get(range).unwrap_or_default()),
    }
}

fn heads(window: &Window) -> Heads {
    let mut heads = [0; BLOCK];
    heads.iter_mut().zip(window.array_windows()).for_each(|(head, bytes)| *head = is_head(bytes));
    // Mostly there are none.
    if heads.iter().fold(0, |all, head| all | head) == 0 {
        return 0;
    }
    let (words, _) = heads.as_chunks();
    words.iter().rev().fold(0, |bits, word| bits << 8 | gather(u64::from_le_bytes(*word)))
}

/// The lowest bits of eight bytes, that of the lowest byte lowest. No other bits may be set.
fn gather(word: u64) -> u64 {
    word.wrapping_mul(0x0102_0408_1020_4080) >> 56
}

#[inline]
fn is_head([a, b, c, d]: &[u8; SHORTEST_RUN]) -> u8 {
    let is_run = u8::from(a == b) & u8::from(b == c) & u8::from(c == d);
    is_run
        | u8::from(*a == b'#')
        | u8::from(*a == b'$')
        | u8::from(*a == b'*')
        | u8::from(*a == ESCAPE)
}

/// How many of these bytes there are at the start, up to what one count tells.
fn run(byte: u8, data: &[u8]) -> usize {
    let data = data.get(..LONGEST_RUN).unwrap_or(data);
    let (words, _) = data.as_chunks();
    let equal = 8 * words.iter().take_while(|word| **word == [byte; 8]).count();
    equal + data.iter().skip(equal).take_while(|next| **next == byte).count()
}

/// Appends the head of a run of equal bytes and returns how many it took of them, at least one.
///
/// `0* ` is `0` and three more: the byte after `*` is 29 plus the count, from 3 so that it pays
/// (RSP manual, Overview, "Run-length encoding"). Neither `#` nor `$` may stand there; `"`, five
/// more, stands in. Escaped bytes stay single: clients differ in whether they expand or unescape
/// first.
fn push_run(byte: u8, run: usize, out: &mut Vec<u8>) -> usize {
    if matches!(byte, b'#' | b'$' | b'*' | ESCAPE) {
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
