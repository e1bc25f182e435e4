//! How far back compressed data refers, which is memory that its decoder needs: read before a decoder is made.

use super::Fault;
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

/// Of the first block of an xz stream (xz-file-format.txt, 3.1 and 5.3.1).
pub(super) fn of_xz(stream: &[u8]) -> Option<u64> {
    const HEADER: usize = 12;
    const LZMA2: u64 = 0x21;
    let mut fields = stream.get(HEADER + 1..)?;
    let (flags, rest) = fields.split_first()?;
    fields = rest;
    for is_present in [flags & 1 << 6, flags & 1 << 7] {
        if is_present != 0 {
            number(&mut fields)?;
        }
    }
    for _ in 0..=flags & 3 {
        let (id, size) = (number(&mut fields)?, number(&mut fields)?);
        let (properties, rest) = fields.split_at_checked(usize::try_from(size).ok()?)?;
        fields = rest;
        if id == LZMA2 {
            // 40 stands for 4 GiB - 1, and is the last.
            let bits = u32::from(*properties.first()?).min(40);
            return Some((2 | u64::from(bits & 1)) << (bits / 2 + 11));
        }
    }
    None
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
