//! What a kernel file is, from its first bytes: an arm64 Image, a flat binary, or something else by name.
//!
//! Specification: Linux Documentation/arch/arm64/booting.rst, section 4.

mod foreign;
pub(crate) mod pe;

use std::error::Error;
use std::fmt;

pub use foreign::Foreign;

use crate::bytes::{le_u32, le_u64};

/// Length of an Image's header in bytes.
pub const HEADER_SIZE: u64 = 64;

const TEXT_OFFSET: usize = 8;
const IMAGE_SIZE: usize = 16;
const FLAGS: usize = 24;
const MAGIC: usize = 56;

/// "ARM\x64", little-endian in kernels of either endianness.
const IMAGE_MAGIC: u32 = 0x644d_5241;

const FLAG_BIG_ENDIAN: u64 = 1 << 0;
const FLAG_PAGE_SIZE_SHIFT: u32 = 1;
const FLAG_ANYWHERE: u64 = 1 << 3;

/// Where kernels before v3.17 expect to be, as does a flat binary by QEMU's convention:
/// bytes from the start of RAM.
pub const DEFAULT_TEXT_OFFSET: u64 = 0x8_0000;

/// Page size the kernel was built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageSize {
    /// The header does not say.
    Unspecified,
    /// 4 KiB.
    K4,
    /// 16 KiB.
    K16,
    /// 64 KiB.
    K64,
}

/// An arm64 Image's header. Its numbers are the file's word: [`crate::placement::place`] checks them against RAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageHeader {
    /// Bytes from a 2 MiB-aligned address to the Image and its entry; a multiple of 4.
    pub text_offset: u64,
    /// Bytes that the kernel occupies from its start, BSS included.
    /// `None` before v3.17: the length of the file is all there is to go by, and BSS comes behind it.
    pub image_size: Option<u64>,
    /// Page size the kernel was built for.
    pub page_size: PageSize,
    /// Whether any 2 MiB-aligned base will do; otherwise it should be close to the start of RAM.
    pub anywhere: bool,
}

impl ImageHeader {
    /// Parses the first 64 bytes of a file.
    pub fn parse(head: &[u8]) -> Result<Self, ImageError> {
        let too_short = ImageError::HeaderTooShort { found: head.len() as u64 };
        let fields = (
            le_u32(head, MAGIC),
            le_u64(head, TEXT_OFFSET),
            le_u64(head, IMAGE_SIZE),
            le_u64(head, FLAGS),
        );
        let (Some(magic), Some(text_offset), Some(image_size), Some(flags)) = fields else {
            return Err(too_short);
        };
        if magic != IMAGE_MAGIC {
            return Err(ImageError::Magic { found: magic });
        }
        if flags & FLAG_BIG_ENDIAN != 0 {
            return Err(ImageError::BigEndian);
        }
        let image_size = (image_size != 0).then_some(image_size);
        // Before v3.17 the field has the kernel's endianness, and this value.
        let text_offset = image_size.map_or(DEFAULT_TEXT_OFFSET, |_| text_offset);
        if !text_offset.is_multiple_of(4) {
            return Err(ImageError::TextOffset { found: text_offset });
        }
        Ok(Self {
            text_offset,
            image_size,
            page_size: match flags >> FLAG_PAGE_SIZE_SHIFT & 0b11 {
                1 => PageSize::K4,
                2 => PageSize::K16,
                3 => PageSize::K64,
                _ => PageSize::Unspecified,
            },
            anywhere: flags & FLAG_ANYWHERE != 0,
        })
    }
}

/// A kernel that can be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// An arm64 Image: Linux, or another that has its header.
    Image(ImageHeader),
    /// Bare-metal code without a header, entered at its first byte.
    Flat,
}

/// Says what kernel a file of `file_len` bytes is that begins with `head`
/// (the first 4 KiB, or all of a shorter file).
///
/// An Image that was cut off is found out where it has a PE header (`CONFIG_EFI`), whose sections must lie in the
/// file. Without one, and in a flat binary, nothing tells.
pub fn identify(head: &[u8], file_len: u64) -> Result<Kernel, ImageError> {
    if head.is_empty() {
        return Err(ImageError::Empty);
    }
    if le_u32(head, MAGIC) == Some(IMAGE_MAGIC) {
        let header = ImageHeader::parse(head)?;
        let expected = pe::file_size(head).unwrap_or(HEADER_SIZE);
        if file_len < expected {
            return Err(ImageError::Truncated { found: file_len, expected });
        }
        return Ok(Kernel::Image(header));
    }
    if let Some(foreign) = Foreign::recognize(head, file_len) {
        return Err(ImageError::Foreign(foreign));
    }
    if file_len < 4 {
        return Err(ImageError::NoInstruction { found: file_len });
    }
    Ok(Kernel::Flat)
}

/// Why a file is no kernel for this machine. The user chose the file; nothing has been started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageError {
    /// It has no bytes.
    Empty,
    /// It ends within the header.
    HeaderTooShort {
        /// Bytes there are.
        found: u64,
    },
    /// It has no Image header.
    Magic {
        /// Word at offset 56.
        found: u32,
    },
    /// A kernel for a big-endian CPU.
    BigEndian,
    /// The entry would not be aligned to an instruction.
    TextOffset {
        /// Offset in the header.
        found: u64,
    },
    /// The file ends before the Image does.
    Truncated {
        /// Length of the file in bytes.
        found: u64,
        /// Length by its own headers in bytes.
        expected: u64,
    },
    /// Not even one instruction long.
    NoInstruction {
        /// Length of the file in bytes.
        found: u64,
    },
    /// A file of a known other kind.
    Foreign(Foreign),
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "the file is empty, expected an arm64 Image"),
            Self::HeaderTooShort { found } => write!(
                f,
                "{found:#x} bytes, expected at least the {HEADER_SIZE:#x} of an arm64 Image's header"
            ),
            Self::Magic { found } => {
                write!(f, "magic {found:#x}, expected {IMAGE_MAGIC:#x} of an arm64 Image")
            }
            Self::BigEndian => write!(
                f,
                "a big-endian arm64 Image, expected a little-endian one (CONFIG_CPU_LITTLE_ENDIAN)"
            ),
            Self::TextOffset { found } => {
                write!(f, "an arm64 Image with text_offset {found:#x}, expected a multiple of 0x4")
            }
            Self::Truncated { found, expected } => {
                write!(f, "a truncated arm64 Image: {found:#x} bytes, expected {expected:#x}")
            }
            Self::NoInstruction { found } => write!(
                f,
                "{found:#x} bytes, expected an arm64 Image or at least one instruction (0x4)"
            ),
            Self::Foreign(foreign) => write!(f, "{foreign}"),
        }
    }
}

impl Error for ImageError {}

#[cfg(test)]
mod tests;
