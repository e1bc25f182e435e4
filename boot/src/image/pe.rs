//! The PE/COFF header that an Image with an EFI stub has too.
//!
//! Specification: Microsoft PE Format; Linux arch/arm64/kernel/efi-header.S.

use crate::bytes::{le_u16, le_u32};

/// `e_lfanew` of the MZ header: where the PE header is. An Image's header calls it `res5`.
const PE_OFFSET: usize = 60;

const SIGNATURE: u32 = u32::from_le_bytes(*b"PE\0\0");
const MACHINE: usize = 4;
const NUMBER_OF_SECTIONS: usize = 6;
const SIZE_OF_OPTIONAL_HEADER: usize = 20;
const OPTIONAL_HEADER: usize = 24;

const SECTION_SIZE: usize = 40;
const SIZE_OF_RAW_DATA: usize = 16;
const POINTER_TO_RAW_DATA: usize = 20;

/// Whether it begins as every PE file does.
pub(crate) fn is_mz(head: &[u8]) -> bool {
    head.starts_with(b"MZ")
}

/// `IMAGE_FILE_MACHINE_*`, where the PE header lies within `head`.
pub(crate) fn machine(head: &[u8]) -> Option<u16> {
    le_u16(header(head)?, MACHINE)
}

/// Bytes that the file must have to hold its headers and its sections.
///
/// `None` without a PE header. Of sections described behind `head` only the description counts.
pub(crate) fn file_size(head: &[u8]) -> Option<u64> {
    if !is_mz(head) {
        return None;
    }
    let at = u64::from(le_u32(head, PE_OFFSET)?);
    let Some(header) = header(head) else {
        let signature = at + 4;
        return (signature > head.len() as u64).then_some(signature);
    };
    let fields = (le_u16(header, NUMBER_OF_SECTIONS), le_u16(header, SIZE_OF_OPTIONAL_HEADER));
    let (Some(sections), Some(optional)) = fields else {
        return Some(at + OPTIONAL_HEADER as u64);
    };
    let sections = usize::from(sections);
    let table = OPTIONAL_HEADER + usize::from(optional);
    let end_of_table = at + (table + sections * SECTION_SIZE) as u64;
    let end_of_data = header
        .get(table..)
        .unwrap_or_default()
        .chunks_exact(SECTION_SIZE)
        .take(sections)
        .filter_map(end_of_raw_data)
        .max();
    Some(end_of_table.max(end_of_data.unwrap_or(0)))
}

fn end_of_raw_data(section: &[u8]) -> Option<u64> {
    let size = u64::from(le_u32(section, SIZE_OF_RAW_DATA)?);
    let start = u64::from(le_u32(section, POINTER_TO_RAW_DATA)?);
    // A section without data in the file may point anywhere.
    (size != 0).then_some(start + size)
}

/// The PE header and what follows, if `head` reaches it.
fn header(head: &[u8]) -> Option<&[u8]> {
    let at = usize::try_from(le_u32(head, PE_OFFSET)?).ok()?;
    let header = head.get(at..)?;
    (le_u32(header, 0)? == SIGNATURE).then_some(header)
}
