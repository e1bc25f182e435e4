//! How far back compressed data refers, which is memory that its decoder needs: read before a decoder is made.

use super::Fault;
use super::input::Input;
use crate::bytes::{le_u16, le_u32, le_u64};

/// Bytes of a window: `zstd --ultra -22` makes it as large, and scripts/xz_wrap.sh of the kernel.
pub(super) const MOST: u64 = 128 << 20;

pub(super) fn check(window: Option<u64>) -> Result<(), Fault> {
    match window {
        Some(window) if window > MOST => Err(Fault::Window(window)),
        // A header without one is for the decoder to judge.
        _ => Ok(()),
    }
}

/// Of a zstd frame (RFC 8878, 3.1.1.1).
pub(super) fn of_zstd(frame: &[u8]) -> Option<u64> {
    const SINGLE_SEGMENT: u8 = 1 << 5;
    let descriptor = *frame.get(4)?;
    if descriptor & SINGLE_SEGMENT == 0 {
        let window = *frame.get(5)?;
        let base = 1_u64 << (10 + (window >> 3));
        return Some(base + base / 8 * u64::from(window & 7));
    }
    let content = match descriptor & 3 {
        0 => 5,
        1 => 6,
        2 => 7,
        _ => 9,
    };
    match descriptor >> 6 {
        0 => frame.get(content).copied().map(u64::from),
        1 => le_u16(frame, content).map(|size| u64::from(size) + 256),
        2 => le_u32(frame, content).map(u64::from),
        _ => le_u64(frame, content),
    }
}

/// Checks each block of an xz stream (xz-file-format.txt): a decoder is made anew for each, by what its own header says.
pub(super) fn check_xz(stream: &[u8]) -> Result<(), Fault> {
    const HEADER: usize = 12;
    /// Where the kind of check is, and the bytes that each kind takes (2.1.1.2).
    const CHECK: usize = 7;
    const CHECKS: [usize; 16] = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];
    let mut input = Input::new(stream);
    let kind = input.take(HEADER)?.get(CHECK).map_or(0, |flags| usize::from(flags & 0xf));
    loop {
        // In units of four bytes (3.1.1); 0 is the index's.
        let size = usize::from(input.u8()?);
        if size == 0 {
            return Ok(());
        }
        let header = input.take(4 * size + 3)?;
        check(Some(of_block(header).ok_or_else(|| Fault::corrupt("block header"))?))?;
        let padding = skip_chunks(&mut input)?.wrapping_neg() % 4;
        input.take(padding + CHECKS.get(kind).copied().unwrap_or(0))?;
    }
}

/// Of a block, by its header without the first byte (xz-file-format.txt, 3.1 and 5.3.1). `None` unless LZMA2 is the last filter, as it has to be.
fn of_block(header: &[u8]) -> Option<u64> {
    const LZMA2: u64 = 0x21;
    let (flags, mut fields) = header.split_first()?;
    for is_present in [flags & 1 << 6, flags & 1 << 7] {
        if is_present != 0 {
            number(&mut fields)?;
        }
    }
    let (mut most, mut is_last) = (0, false);
    for _ in 0..=flags & 3 {
        let (id, size) = (number(&mut fields)?, number(&mut fields)?);
        let (properties, rest) = fields.split_at_checked(usize::try_from(size).ok()?)?;
        fields = rest;
        is_last = id == LZMA2;
        if is_last {
            // 40 stands for 4 GiB - 1, and is the last.
            let bits = u32::from(*properties.first()?).min(40);
            most = most.max((2 | u64::from(bits & 1)) << (bits / 2 + 11));
        }
    }
    is_last.then_some(most)
}

/// Skips LZMA2's chunks up to their end, and returns how many bytes they take (xz's src/liblzma/lzma/lzma2_decoder.c).
fn skip_chunks(input: &mut Input<'_>) -> Result<usize, Fault> {
    let start = input.rest().len();
    loop {
        let control = input.u8()?;
        let mut size = || Ok::<_, Fault>(usize::from(input.u8()?) << 8 | usize::from(input.u8()?));
        let len = match control {
            0 => return Ok(start - input.rest().len()),
            // Not compressed.
            1 | 2 => size()? + 1,
            3..0x80 => return Err(Fault::corrupt("LZMA2 chunk")),
            // Of the content; of the data; and whether there are properties in front of these.
            _ => {
                size()?;
                size()? + 1 + usize::from(control >= 0xc0)
            }
        };
        input.take(len)?;
    }
}

/// A multibyte integer (xz-file-format.txt, 1.2).
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for position in 0..9 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
