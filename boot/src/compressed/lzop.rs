//! The files of lzop: a header, and blocks of LZO1X with their checksums. All numbers are big-endian.

use super::Fault;
use super::input::Input;
use super::lzo;
use super::output::Output;

// Flags of the header (Linux lib/decompress_unlzo.c, lzop's src/conf.h).
const ADLER32_OF_CONTENT: u32 = 1 << 0;
const ADLER32_OF_BLOCK: u32 = 1 << 1;
const EXTRA_FIELD: u32 = 1 << 6;
const CRC32_OF_CONTENT: u32 = 1 << 8;
const CRC32_OF_BLOCK: u32 = 1 << 9;
const FILTER: u32 = 1 << 11;

/// The first version whose header has a level, and what version can read it.
const VERSION_WITH_LEVEL: u16 = 0x940;

/// Bytes that a block decompresses to, at most: lzop's own limit.
const MOST: usize = 64 << 20;

/// Decompresses one.
pub(super) fn decompress(input: &mut Input<'_>, output: &mut Output) -> Result<(), Fault> {
    let flags = header(input)?;
    let mut content = Vec::new();
    loop {
        let len = input.be_u32()? as usize;
        if len == 0 {
            return Ok(());
        }
        let size = input.be_u32()? as usize;
        if len > MOST || size > len {
            return Err(Fault::corrupt("block size"));
        }
        let mut checksum = |flag| (flags & flag != 0).then(|| input.be_u32()).transpose();
        let (adler32, crc32) = (checksum(ADLER32_OF_CONTENT)?, checksum(CRC32_OF_CONTENT)?);
        if size < len {
            checksum(ADLER32_OF_BLOCK)?;
            checksum(CRC32_OF_BLOCK)?;
        }
        let block = input.take(size)?;
        content.clear();
        if size == len {
            content.extend_from_slice(block);
        } else {
            lzo::decompress(block, &mut content, len)
                .ok_or_else(|| Fault::corrupt("LZO1X data"))?;
        }
        if content.len() != len {
            return Err(Fault::corrupt("block size"));
        }
        let is_wrong = |expected: Option<u32>, sum: fn(&[u8]) -> u32| {
            expected.is_some_and(|expected| expected != sum(&content))
        };
        if is_wrong(adler32, self::adler32) || is_wrong(crc32, self::crc32) {
            return Err(Fault::checksum());
        }
        output.write(&content)?;
    }
}

/// Flags of the header, which are all that matters.
fn header(input: &mut Input<'_>) -> Result<u32, Fault> {
    const MAGIC: usize = 9;
    input.take(MAGIC)?;
    let version = (u16::from(input.u8()?) << 8) | u16::from(input.u8()?);
    let has_level = version >= VERSION_WITH_LEVEL;
    // Version of the library, version needed, method, level.
    input.take(if has_level { 6 } else { 3 })?;
    let flags = input.be_u32()?;
    if flags & FILTER != 0 {
        return Err(Fault::corrupt("filtered, expected no filter"));
    }
    // Mode and time of the file, 32 bits or 64.
    input.take(if has_level { 12 } else { 8 })?;
    let name = input.u8()?;
    input.take(name.into())?;
    // Checksum of the header.
    input.be_u32()?;
    if flags & EXTRA_FIELD != 0 {
        let len = input.be_u32()? as usize;
        input.take(len)?;
        input.be_u32()?;
    }
    Ok(flags)
}

/// RFC 1950, chapter 9.
fn adler32(bytes: &[u8]) -> u32 {
    const BASE: u32 = 65521;
    // After as many bytes neither sum has overflowed.
    const BATCH: usize = 5552;
    let (mut a, mut b) = (1, 0);
    for batch in bytes.chunks(BATCH) {
        for byte in batch {
            a += u32::from(*byte);
            b += a;
        }
        a %= BASE;
        b %= BASE;
    }
    b << 16 | a
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}
