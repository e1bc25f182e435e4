//! Replies as they go out: escaped, run-length encoded, summed up (RSP manual, Overview).
//!
//! Memory is most of what is sent, and one byte in 64 of it does not go out as it is. Those are looked for
//! a block at a time, in a way that the compiler makes vectors of.

use super::{ESCAPE, ESCAPE_MASK};
use crate::hex;

/// What a repeat count has added, to make it printable.
const COUNT_BASE: u8 = 29;
/// Shorter ones gain nothing.
const SHORTEST_RUN: usize = 4;
/// Its count is `~`, the last printable.
const LONGEST_RUN: usize = 98;

/// Bytes looked at in one go.
const BLOCK: usize = 32;

/// Appends a reply as a packet.
pub fn encode(data: &[u8], out: &mut Vec<u8>) {
    out.reserve(data.len() + data.len() / 16 + 4);
    out.push(b'$');
    let start = out.len();
    let mut rest = data;
    while !rest.is_empty() {
        let (plain, after) = rest.split_at(plain(rest));
        push_plain(plain, rest, out);
        rest = match after {
            [] => after,
            [byte, after @ ..] if is_framing(*byte) => {
                out.extend_from_slice(&[ESCAPE, byte ^ ESCAPE_MASK]);
                after
            }
            [byte, ..] => after.get(push_run(*byte, run(*byte, after), out)..).unwrap_or_default(),
        };
    }
    let sent = out.get(start..).unwrap_or_default();
    let sum = sent.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    out.push(b'#');
    out.extend(hex::pair(sum));
}

/// Appends `plain`, which `data` begins with. To copy a whole block and cut it costs less than a short
/// copy whose length is not known when this is compiled.
fn push_plain(plain: &[u8], data: &[u8], out: &mut Vec<u8>) {
    match data.first_chunk::<64>() {
        Some(block) if plain.len() <= 64 => {
            let len = out.len() + plain.len();
            out.extend_from_slice(block);
            out.truncate(len);
        }
        _ => out.extend_from_slice(plain),
    }
}

/// How many bytes at the start go out as they are: those before one to be escaped, or a run.
fn plain(data: &[u8]) -> usize {
    let mut rest = data;
    while let Some(window) = rest.first_chunk() {
        if let Some(head) = first_head(window) {
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

/// Where in the first [`BLOCK`] bytes one to be escaped, or a run, begins.
fn first_head(window: &[u8; BLOCK + SHORTEST_RUN - 1]) -> Option<usize> {
    const WORD: usize = size_of::<u64>();
    let mut heads = [0; BLOCK];
    heads.iter_mut().zip(window.array_windows()).for_each(|(head, bytes)| *head = is_head(*bytes));
    let (words, _) = heads.as_chunks();
    let words = words.iter().map(|word| u64::from_le_bytes(*word));
    let (number, word) = words.enumerate().find(|(_, word)| *word != 0)?;
    Some(number * WORD + word.trailing_zeros() as usize / 8)
}

/// 1 or 0: no branch, which would keep vectors away.
#[inline]
fn is_head([a, b, c, d]: [u8; SHORTEST_RUN]) -> u8 {
    u8::from(is_framing(a)) | u8::from(a == b) & u8::from(b == c) & u8::from(c == d)
}

#[inline]
fn is_framing(byte: u8) -> bool {
    matches!(byte, b'#' | b'$' | b'*' | ESCAPE)
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
