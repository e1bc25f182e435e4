//! Files that people take for an arm64 Image, by name.

use std::fmt;

use super::pe;
use crate::bytes::{be_u16, le_u16};
use crate::compressed::{Format, is_zboot};

/// A file of a known kind that cannot be started here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// ELF for the `e_machine` in it.
    Elf(u16),
    /// x86 kernel (`vmlinuz`).
    BzImage,
    /// 32-bit Arm kernel.
    ArmZImage,
    /// RISC-V kernel.
    RiscvImage,
    /// Self-extracting EFI kernel (`CONFIG_EFI_ZBOOT`), for the `IMAGE_FILE_MACHINE_*` in it where it can be read.
    EfiZboot(Option<u16>),
    /// EFI application or another PE file, for the `IMAGE_FILE_MACHINE_*` in it where it can be read.
    Pe(Option<u16>),
    /// Compressed, within what is compressed already.
    Compressed(Format),
    /// U-Boot's legacy image.
    UImage,
    /// Device tree blob or FIT image, which is one.
    DeviceTree,
    /// cpio archive: an initrd.
    Cpio,
    /// qcow2 disk image.
    Qcow2,
    /// Archive of the kind named here.
    Archive(&'static str),
    /// Android boot image.
    AndroidBoot,
    /// Text: a script, a configuration, a Git LFS pointer.
    Text,
}

/// (offset, bytes there, what it is), the more telling before the less.
///
/// None is a likely start of A64 code, which often is a branch over a table: `xx xx 00 14`.
const MAGICS: &[(usize, &[u8], Foreign)] = &[
    // Documentation/arch/x86/boot.rst: the setup header.
    (0x202, b"HdrS", Foreign::BzImage),
    // Documentation/arch/riscv/boot-image-header.rst: magic2.
    (56, b"RSC\x05", Foreign::RiscvImage),
    // arch/arm/boot/compressed/head.S, in either endianness.
    (0x24, b"\x18\x28\x6f\x01", Foreign::ArmZImage),
    (0x24, b"\x01\x6f\x28\x18", Foreign::ArmZImage),
    (0, b"\x27\x05\x19\x56", Foreign::UImage),
    (0, b"\xd0\x0d\xfe\xed", Foreign::DeviceTree),
    (0, b"07070", Foreign::Cpio),
    (0, b"QFI\xfb", Foreign::Qcow2),
    (0, b"ANDROID!", Foreign::AndroidBoot),
    (0, b"!<arch>\n", Foreign::Archive("ar archive or Debian package")),
    (0, b"PK\x03\x04", Foreign::Archive("zip archive")),
    (257, b"ustar", Foreign::Archive("tar archive")),
];

impl Foreign {
    /// What a file that is no arm64 Image is, if it is anything known.
    pub(super) fn recognize(head: &[u8], file_len: u64) -> Option<Self> {
        if head.starts_with(b"\x7fELF") {
            return Some(Self::Elf(elf_machine(head)));
        }
        if is_zboot(head) {
            return Some(Self::EfiZboot(pe::machine(head)));
        }
        if let Some(format) = Format::recognize(head) {
            return Some(Self::Compressed(format));
        }
        let magic = MAGICS
            .iter()
            .find(|(at, magic, _)| head.get(*at..).is_some_and(|rest| rest.starts_with(magic)));
        if let Some((_, _, foreign)) = magic {
            return Some(*foreign);
        }
        if pe::is_mz(head) {
            return Some(Self::Pe(pe::machine(head)));
        }
        is_text(head, file_len).then_some(Self::Text)
    }
}

/// `e_machine`, in the file's own endianness; 0 (`EM_NONE`) if the file ends before it.
fn elf_machine(head: &[u8]) -> u16 {
    const EI_DATA: usize = 5;
    const ELFDATA2MSB: u8 = 2;
    const E_MACHINE: usize = 18;
    let machine = match head.get(EI_DATA) {
        Some(&ELFDATA2MSB) => be_u16(head, E_MACHINE),
        _ => le_u16(head, E_MACHINE),
    };
    machine.unwrap_or(0)
}

/// Printable UTF-8 and white space throughout. A64 code hardly does without NULs and other control characters.
fn is_text(head: &[u8], file_len: u64) -> bool {
    let text = match str::from_utf8(head) {
        Ok(text) => text,
        // The end of `head` may cut a character in two, the end of the file may not.
        Err(error) if error.error_len().is_none() && (head.len() as u64) < file_len => {
            let valid = head.get(..error.valid_up_to()).unwrap_or_default();
            str::from_utf8(valid).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.is_empty() && text.chars().all(|c| !c.is_control() || "\t\n\r\x0c".contains(c))
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const EXPECTED: &str = "expected arch/arm64/boot/Image or a flat binary";
        match *self {
            // The one mistake that has a remedy at hand.
            Self::Elf(183) => write!(
                f,
                "an ELF file for arm64 (vmlinux?), {EXPECTED} (objcopy -O binary makes one)"
            ),
            Self::Elf(machine) => match elf_machine_name(machine) {
                Some(name) => write!(f, "an ELF file for {name}, {EXPECTED}"),
                None => write!(f, "an ELF file for machine {machine:#x}, {EXPECTED}"),
            },
            Self::BzImage => write!(f, "an x86 bzImage, {EXPECTED}"),
            Self::ArmZImage => write!(f, "a 32-bit Arm zImage, {EXPECTED}"),
            Self::RiscvImage => write!(f, "a RISC-V Image, {EXPECTED}"),
            Self::EfiZboot(machine) => match machine.and_then(pe_machine_name) {
                Some(name) => write!(f, "an EFI zboot kernel for {name}, {EXPECTED}"),
                None => write!(f, "an EFI zboot kernel (vmlinuz.efi), {EXPECTED}"),
            },
            Self::Pe(machine) => match machine.and_then(pe_machine_name) {
                Some(name) => write!(f, "an EFI application for {name}, {EXPECTED}"),
                None => write!(f, "an EFI application or other PE file, {EXPECTED}"),
            },
            Self::Compressed(by) => {
                write!(f, "a file compressed by {by}, {EXPECTED} (decompress it first)")
            }
            Self::UImage => write!(f, "a U-Boot uImage, {EXPECTED}"),
            Self::DeviceTree => write!(f, "a device tree blob or FIT image, {EXPECTED}"),
            Self::Cpio => write!(f, "a cpio archive (an initrd?), {EXPECTED}"),
            Self::Qcow2 => write!(f, "a qcow2 disk image, {EXPECTED}"),
            Self::Archive(kind) => write!(f, "a file of type {kind}, {EXPECTED}"),
            Self::AndroidBoot => write!(f, "an Android boot image, {EXPECTED}"),
            Self::Text => write!(f, "a text file, {EXPECTED}"),
        }
    }
}

/// `EM_*` of the ELF specification.
fn elf_machine_name(machine: u16) -> Option<&'static str> {
    Some(match machine {
        3 => "32-bit x86",
        21 => "64-bit PowerPC",
        22 => "s390",
        40 => "32-bit Arm",
        62 => "x86-64",
        243 => "RISC-V",
        258 => "LoongArch",
        _ => return None,
    })
}

/// `IMAGE_FILE_MACHINE_*` of the PE format.
fn pe_machine_name(machine: u16) -> Option<&'static str> {
    Some(match machine {
        0x14c => "32-bit x86",
        0x1c2 | 0x1c4 => "32-bit Arm",
        0x5064 => "RISC-V",
        0x6264 => "LoongArch",
        0x8664 => "x86-64",
        0xaa64 => "arm64",
        _ => return None,
    })
}
