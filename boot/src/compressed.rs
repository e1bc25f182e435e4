//! Compressed kernels, told by their first bytes and decompressed into a file in memory.
//!
//! Decompressed once: what is in a compressed file and is compressed itself is for the user to decompress.
//! Of what stands behind the compressed data (`size_append` of the kernel's scripts/Makefile.lib puts the length there, four bytes) nothing is
//! looked at, unless it is more of the same, as some parallel compressors make it: that is the next part of the content.

mod input;
mod lz4;
mod lzo;
mod lzop;
mod output;
mod window;
mod zboot;

use std::error::Error;
use std::fmt;
use std::io;
use std::ops::Range;

use flate2::bufread::GzDecoder;
use lzma_rust2::{LzmaReader, XzReader};
use ruzstd::decoding::StreamingDecoder;

use crate::bytes::{le_u32, le_u64};
use crate::placement::Size;
use crate::source::{Source, SourceError};

use input::Input;
use output::Output;
use zboot::Zboot;

pub(crate) use zboot::is_zboot;

/// How something is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 1952.
    Gzip,
    /// tukaani.org/xz/xz-file-format.txt.
    Xz,
    /// LZMA alone: xz-5.4's doc/lzma-file-format.txt.
    Lzma,
    /// RFC 8878.
    Zstd,
    /// lz4's doc/lz4_Frame_format.md.
    Lz4,
    /// The same, "legacy frame": what `lz4 -l` makes, and with it the kernel's build.
    Lz4Legacy,
    /// As bzip2 1.0 makes it.
    Bzip2,
    /// A file of lzop, with LZO1X in it: Linux lib/decompress_unlzo.c, Documentation/staging/lzo.rst.
    Lzop,
}

impl Format {
    /// What a file that begins so is compressed by.
    pub(crate) fn recognize(head: &[u8]) -> Option<Self> {
        // None is a likely start of A64 code, which often is a branch over a table: `xx xx 00 14`.
        const MAGICS: [(&[u8], Format); 7] = [
            (b"\x1f\x8b\x08", Format::Gzip),
            (b"\xfd7zXZ\0", Format::Xz),
            (b"\x28\xb5\x2f\xfd", Format::Zstd),
            (b"\x04\x22\x4d\x18", Format::Lz4),
            (b"\x02\x21\x4c\x18", Format::Lz4Legacy),
            (b"BZh", Format::Bzip2),
            (b"\x89LZO\0\r\n\x1a\n", Format::Lzop),
        ];
        let magic = MAGICS.iter().find(|(magic, _)| head.starts_with(magic));
        magic.map(|(_, format)| *format).or_else(|| is_lzma(head).then_some(Self::Lzma))
    }

    /// What EFI zboot calls it: COMP_TYPE of drivers/firmware/efi/libstub/Makefile.zboot, now or before.
    fn named(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"gzip" => Self::Gzip,
            b"xz" | b"xzkern" => Self::Xz,
            b"lzma" => Self::Lzma,
            b"zstd" | b"zstd22" => Self::Zstd,
            b"lz4" => Self::Lz4Legacy,
            b"lzo" => Self::Lzop,
            _ => return None,
        })
    }

    /// Decompresses what `input` begins with, and leaves what is behind.
    fn decompress(self, input: &mut Input<'_>, output: &mut Output) -> Result<(), Fault> {
        match self {
            Self::Gzip => output.drain(&input.end(), &mut GzDecoder::new(input)),
            Self::Bzip2 => output.drain(&input.end(), &mut bzip2::bufread::BzDecoder::new(input)),
            Self::Lz4 => output.drain(&input.end(), &mut lz4_flex::frame::FrameDecoder::new(input)),
            Self::Lz4Legacy => lz4::decompress(input, output),
            Self::Lzop => lzop::decompress(input, output),
            Self::Xz => {
                window::check_xz(input.rest())?;
                output.drain(&input.end(), &mut XzReader::new(input, false))
            }
            Self::Lzma => {
                window::check(le_u32(input.rest(), LZMA_WINDOW).map(u64::from))?;
                let end = input.end();
                let decoder = LzmaReader::new_mem_limit(input, u32::MAX, None);
                output.drain(&end, &mut decoder.map_err(|error| end.fault(error))?)
            }
            Self::Zstd => zstd(input, output),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Lzma => "lzma",
            Self::Zstd => "zstd",
            Self::Lz4 | Self::Lz4Legacy => "lz4",
            Self::Bzip2 => "bzip2",
            Self::Lzop => "lzop",
        })
    }
}

/// Where the size of the dictionary is in LZMA's header, and that of the content, and the first byte of data, which is 0.
const LZMA_WINDOW: usize = 1;
const LZMA_SIZE: usize = 5;
const LZMA_DATA: usize = 13;

/// LZMA has no magic: as xz, this goes by what its header can hold, and by what `lzma` and `xz` write of that.
/// Its first word is no instruction, unless the dictionary's size is odd.
fn is_lzma(head: &[u8]) -> bool {
    /// lc 3, lp 0, pb 2.
    const PROPERTIES: u8 = 0x5d;
    let (Some(window), Some(size)) = (le_u32(head, LZMA_WINDOW), le_u64(head, LZMA_SIZE)) else {
        return false;
    };
    // 2^n, or 2^n + 2^(n-1).
    let is_window =
        window >= 1 << 12 && (window.is_power_of_two() || window >> window.trailing_zeros() == 3);
    let is_size = size == u64::MAX || size < 1 << 38;
    head.first() == Some(&PROPERTIES) && is_window && is_size && head.get(LZMA_DATA) == Some(&0)
}

/// RFC 8878. Its checksum is left to us.
fn zstd(input: &mut Input<'_>, output: &mut Output) -> Result<(), Fault> {
    let window = window::of_zstd(input.rest());
    window::check(window)?;
    let end = input.end();
    let decoder = StreamingDecoder::new(input).map_err(|error| end.fault(io::Error::other(error)));
    let mut decoder = decoder?;
    output.drain(&end, &mut decoder)?;
    let expected = decoder.decoder.get_checksum_from_data();
    if expected.is_some() && expected != decoder.decoder.get_calculated_checksum() {
        return Err(Fault::checksum());
    }
    Ok(())
}

/// A file with a kernel in it that has to be decompressed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Compressed {
    format: Format,
    /// Where in the file.
    payload: Range<u64>,
    is_zboot: bool,
}

impl Compressed {
    /// What a file of `file_len` bytes is that begins with `head`; `None` if it is not compressed, or for another machine.
    pub fn recognize(head: &[u8], file_len: u64) -> Result<Option<Self>, CompressedError> {
        if let Some(zboot) = Zboot::parse(head) {
            return zboot.compressed(file_len).map(Some);
        }
        let format = Format::recognize(head);
        Ok(format.map(|format| Self { format, payload: 0..file_len, is_zboot: false }))
    }

    /// What is in it, at most `limit` bytes.
    pub fn decompress(&self, file: &Source, limit: u64) -> Result<Source, CompressedError> {
        self.content(file, limit).map_err(|fault| CompressedError { name: self.to_string(), fault })
    }

    fn content(&self, file: &Source, limit: u64) -> Result<Source, Fault> {
        let len = self.payload.end - self.payload.start;
        // What is larger than that even compressed need not be read.
        let room = usize::try_from(len).ok().filter(|_| len <= limit);
        let mut bytes = vec![0; room.ok_or(Fault::TooLarge { limit })?];
        file.read_at(&mut bytes, self.payload.start).map_err(Fault::File)?;
        let mut input = Input::new(&bytes);
        let mut output = Output::new(limit)?;
        loop {
            self.format.decompress(&mut input, &mut output)?;
            if Format::recognize(input.rest()) != Some(self.format) {
                return output.finish();
            }
        }
    }
}

impl fmt::Display for Compressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { format, is_zboot, .. } = self;
        if *is_zboot {
            write!(f, "EFI zboot kernel ({format})")
        } else {
            write!(f, "{format}-compressed file")
        }
    }
}

/// Why a compressed file is of no use.
#[derive(Debug)]
pub struct CompressedError {
    /// What it is.
    name: String,
    fault: Fault,
}

impl CompressedError {
    /// Whether it is the host that failed, and not the user, who chose the file.
    pub fn is_of_host(&self) -> bool {
        matches!(self.fault, Fault::Memory(_))
    }
}

/// Why something cannot be decompressed.
#[derive(Debug)]
enum Fault {
    /// The file cannot be read.
    File(SourceError),
    /// It ends too early.
    Truncated,
    /// The decoder's reason.
    Corrupt(io::Error),
    /// It would need so much memory.
    Window(u64),
    /// More comes out.
    TooLarge {
        /// Than so many bytes.
        limit: u64,
    },
    /// Nothing comes out.
    Empty,
    /// EFI zboot has another name for what it is compressed by.
    Unknown(String),
    /// The host has no room for what comes out.
    Memory(io::Error),
}

impl Fault {
    fn corrupt(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Corrupt(io::Error::other(reason))
    }

    fn checksum() -> Self {
        Self::corrupt("checksum mismatch")
    }
}

impl fmt::Display for CompressedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name)?;
        match &self.fault {
            Fault::File(error) => write!(f, "{error}"),
            Fault::Truncated => write!(f, "truncated, expected more"),
            Fault::Corrupt(_) => write!(f, "corrupt"),
            Fault::Window(found) => {
                write!(f, "a window of {found:#x} bytes, expected at most {:#x}", window::MOST)
            }
            Fault::TooLarge { limit } => {
                write!(f, "its content does not fit into --memory {}", Size(*limit))
            }
            Fault::Empty => write!(f, "without content, expected a kernel"),
            Fault::Unknown(name) => write!(
                f,
                "compressed by {name:?}, expected gzip, lz4, lzma, lzo, xz, xzkern, zstd or zstd22"
            ),
            Fault::Memory(_) => write!(f, "no memory for its content"),
        }
    }
}

impl Error for CompressedError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.fault {
            Fault::File(error) => error.source(),
            Fault::Corrupt(error) | Fault::Memory(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
