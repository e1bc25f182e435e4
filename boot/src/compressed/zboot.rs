//! EFI zboot (`CONFIG_EFI_ZBOOT`, vmlinuz.efi): an EFI application that decompresses the Image within it.
//!
//! Specification: Linux drivers/firmware/efi/libstub/zboot-header.S, Makefile.zboot.

use super::{Compressed, CompressedError, Fault, Format};
use crate::bytes::le_u32;
use crate::image::pe;

const MAGIC: &[u8] = b"zimg";
const MAGIC_AT: usize = 4;
const PAYLOAD_OFFSET: usize = 8;
const PAYLOAD_SIZE: usize = 12;
const COMPRESSION: usize = 24;
/// Behind the name of the compression: `LINUX_PE_MAGIC`.
const COMPRESSION_END: usize = 56;

/// `IMAGE_FILE_MACHINE_ARM64`.
const ARM64: u16 = 0xaa64;

/// Its header.
pub(super) struct Zboot<'a> {
    offset: u64,
    size: u64,
    compression: &'a [u8],
}

/// Whether a file begins as one, for whatever machine.
pub(crate) fn is_zboot(head: &[u8]) -> bool {
    pe::is_mz(head) && head.get(MAGIC_AT..).is_some_and(|rest| rest.starts_with(MAGIC))
}

impl<'a> Zboot<'a> {
    /// One for this machine.
    pub(super) fn parse(head: &'a [u8]) -> Option<Self> {
        if !is_zboot(head) || pe::machine(head).is_some_and(|machine| machine != ARM64) {
            return None;
        }
        let name = head.get(COMPRESSION..COMPRESSION_END)?;
        Some(Self {
            offset: le_u32(head, PAYLOAD_OFFSET)?.into(),
            size: le_u32(head, PAYLOAD_SIZE)?.into(),
            compression: name.split(|byte| *byte == 0).next()?,
        })
    }

    pub(super) fn compressed(&self, file_len: u64) -> Result<Compressed, CompressedError> {
        let end = self.offset + self.size;
        let bad = |fault| CompressedError { name: "EFI zboot kernel".to_owned(), fault };
        if end > file_len {
            return Err(bad(Fault::Truncated));
        }
        let name = || String::from_utf8_lossy(self.compression).into_owned();
        let format = Format::named(self.compression).ok_or_else(|| bad(Fault::Unknown(name())))?;
        Ok(Compressed { format, payload: self.offset..end, is_zboot: true })
    }
}
