use super::*;
use crate::compressed::Format;

/// An Image's header; everything else is zero.
fn image(text_offset: u64, image_size: u64, flags: u64) -> Vec<u8> {
    let mut head = vec![0; 64];
    put(&mut head, 8, &text_offset.to_le_bytes());
    put(&mut head, 16, &image_size.to_le_bytes());
    put(&mut head, 24, &flags.to_le_bytes());
    put(&mut head, 56, b"ARM\x64");
    head
}

/// An Image that is a PE file too, as Linux with `CONFIG_EFI` is: PE header at 0x40, two sections.
fn efi_image(sections: [(u32, u32); 2]) -> Vec<u8> {
    let mut head = image(0, 0x200_0000, 0b1010);
    head.resize(4096, 0);
    put(&mut head, 0, b"MZ");
    put(&mut head, 60, &0x40_u32.to_le_bytes());
    put(&mut head, 0x40, b"PE\0\0");
    put(&mut head, 0x44, &0xaa64_u16.to_le_bytes());
    put(&mut head, 0x46, &2_u16.to_le_bytes());
    put(&mut head, 0x54, &0xa0_u16.to_le_bytes());
    for (n, (raw_data, size)) in sections.into_iter().enumerate() {
        let section = 0x40 + 24 + 0xa0 + 40 * n;
        put(&mut head, section + 16, &size.to_le_bytes());
        put(&mut head, section + 20, &raw_data.to_le_bytes());
    }
    head
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

/// A file of 8 KiB of zeros but for `bytes` at `at`.
fn file(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut head = vec![0; 4096];
    put(&mut head, at, bytes);
    head
}

fn foreign(head: &[u8]) -> Foreign {
    match identify(head, 8192) {
        Err(ImageError::Foreign(foreign)) => foreign,
        other => panic!("{other:?}"),
    }
}

#[test]
fn parses_the_header_of_a_linux_image() {
    // As a Linux with CONFIG_EFI and 4 KiB pages begins: "MZ", a branch, image_size 0x2110000, PE header at 0x40.
    let head = [
        0x4d, 0x5a, 0x40, 0xfa, 0xff, 0x3f, 0x5b, 0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x11, 0x02, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x41, 0x52, 0x4d, 0x64,
        0x40, 0x00, 0x00, 0x00,
    ];

    assert_eq!(
        ImageHeader::parse(&head),
        Ok(ImageHeader {
            text_offset: 0,
            image_size: Some(0x211_0000),
            page_size: PageSize::K4,
            anywhere: true,
        })
    );
}

#[test]
fn reads_every_page_size_and_placement() {
    for (flags, page_size, anywhere) in [
        (0b0000, PageSize::Unspecified, false),
        (0b0010, PageSize::K4, false),
        (0b0100, PageSize::K16, false),
        (0b0110, PageSize::K64, false),
        (0b1110, PageSize::K64, true),
        // Bits 4 to 63 are reserved: not ours to judge.
        (0xffff_ffff_ffff_fff0, PageSize::Unspecified, false),
    ] {
        let header = ImageHeader::parse(&image(0x8_0000, 0x100_0000, flags)).unwrap();

        assert_eq!((header.page_size, header.anywhere), (page_size, anywhere), "flags {flags:#b}");
    }
}

#[test]
fn without_image_size_the_offset_is_the_default_whatever_the_header_says() {
    // A big-endian kernel before v3.17 has the offset in its own endianness.
    let header = ImageHeader::parse(&image(0x8_0000_u64.swap_bytes(), 0, 0)).unwrap();

    assert_eq!(header.text_offset, 0x8_0000);
    assert_eq!(header.image_size, None);
}

#[test]
fn keeps_absurd_numbers_for_placement_to_judge() {
    let header = ImageHeader::parse(&image(u64::MAX - 3, u64::MAX, 0)).unwrap();

    assert_eq!(header.text_offset, u64::MAX - 3);
    assert_eq!(header.image_size, Some(u64::MAX));
}

#[test]
fn refuses_bad_headers() {
    let mut no_magic = image(0, 0x1000, 0);
    no_magic[56] = b'X';
    for (head, message) in [
        (
            image(0, 0x1000, 1),
            "a big-endian arm64 Image, expected a little-endian one (CONFIG_CPU_LITTLE_ENDIAN)",
        ),
        (
            image(0x8_0002, 0x1000, 0),
            "an arm64 Image with text_offset 0x80002, expected a multiple of 0x4",
        ),
        (no_magic, "magic 0x644d5258, expected 0x644d5241 of an arm64 Image"),
        (vec![0; 59], "0x3b bytes, expected at least the 0x40 of an arm64 Image's header"),
    ] {
        assert_eq!(ImageHeader::parse(&head).unwrap_err().to_string(), message);
    }
}

#[test]
fn an_image_without_pe_header_needs_no_more_than_its_own() {
    let head = image(0, u64::MAX, 0);

    assert!(matches!(identify(&head, 64), Ok(Kernel::Image(_))));
    assert_eq!(identify(&head[..60], 60), Err(ImageError::Truncated { found: 60, expected: 64 }));
}

#[test]
fn an_image_cut_off_within_a_section_is_truncated() {
    let head = efi_image([(0x1_0000, 0x100_0000), (0x101_0000, 0x80_0000)]);

    assert!(matches!(identify(&head, 0x181_0000), Ok(Kernel::Image(_))));
    assert!(matches!(identify(&head, 0x181_0001), Ok(Kernel::Image(_))));
    assert_eq!(
        identify(&head, 0x180_ffff),
        Err(ImageError::Truncated { found: 0x180_ffff, expected: 0x181_0000 })
    );
    assert_eq!(
        identify(&head, 0x180_ffff).unwrap_err().to_string(),
        "a truncated arm64 Image: 0x180ffff bytes, expected 0x1810000"
    );
}

#[test]
fn a_section_without_raw_data_may_point_anywhere() {
    let head = efi_image([(0x1_0000, 0x1000), (0xffff_ffff, 0)]);

    assert!(matches!(identify(&head, 0x1_1000), Ok(Kernel::Image(_))));
}

#[test]
fn hostile_pe_headers_end_in_an_answer() {
    for (what, at, value, expected) in [
        ("header at 4 GiB", 60, &[0xff; 4][..], 0x1_0000_0003),
        ("header half in the head", 60, &[0xfe, 0x0f, 0, 0], 0x1002),
        ("header at the head's last word", 60, &[0xfc, 0x0f, 0, 0], 0),
        ("65535 sections", 0x46, &[0xff; 2], 0x28_00d0),
        ("sections 64 KiB on", 0x54, &[0xff; 2], 0x1_00a7),
        ("4 GiB of data at 4 GiB", 0x108, &[0xff; 8], 0x1_ffff_fffe),
        ("no signature", 0x40, b"XX", 0),
    ] {
        let mut head = efi_image([(0x1000, 0x1000), (0x2000, 0x1000)]);
        put(&mut head, at, value);

        let truncated = ImageError::Truncated { found: 0x1001, expected };
        match identify(&head, 0x1001) {
            Ok(_) => assert_eq!(expected, 0, "{what}"),
            Err(error) => assert_eq!(error, truncated, "{what}"),
        }
    }
}

#[test]
fn every_cut_of_an_image_is_an_error() {
    let head = efi_image([(0x1000, 0x1000), (0x2000, 0x1000)]);

    for len in 0..head.len() {
        assert!(identify(&head[..len], len as u64).is_err(), "{len}");
    }
}

#[test]
fn an_empty_file_is_named() {
    assert_eq!(identify(&[], 0), Err(ImageError::Empty));
}

#[test]
fn code_without_a_header_is_flat() {
    for code in [
        &[0x7f, 0x20, 0x03, 0xd5, 0xff, 0xff, 0xff, 0x17][..], // wfi; b .-4
        &[0x00, 0x00, 0x00, 0x14],                             // b .
        &[0x5d, 0x00, 0x00, 0x14],                             // b .+0x174, not LZMA
        &[0xa0, 0x00, 0x38, 0xd5],                             // mrs x0, mpidr_el1
    ] {
        assert_eq!(identify(code, code.len() as u64), Ok(Kernel::Flat));
    }
    assert_eq!(identify(&file(0, &[0x14]), 8192), Ok(Kernel::Flat));
    assert_eq!(identify(&[0, 0, 0], 3), Err(ImageError::NoInstruction { found: 3 }));
}

#[test]
fn names_every_known_kind_by_its_magic() {
    for (at, bytes, kind) in [
        (0x202, &b"HdrS"[..], Foreign::BzImage),
        (56, b"RSC\x05", Foreign::RiscvImage),
        (0x24, &0x016f_2818_u32.to_le_bytes(), Foreign::ArmZImage),
        (0x24, &0x016f_2818_u32.to_be_bytes(), Foreign::ArmZImage),
        (0, b"\x1f\x8b\x08\x00", Foreign::Compressed(Format::Gzip)),
        (0, b"\x28\xb5\x2f\xfd", Foreign::Compressed(Format::Zstd)),
        (0, b"\xfd7zXZ\0", Foreign::Compressed(Format::Xz)),
        (0, b"\x02\x21\x4c\x18", Foreign::Compressed(Format::Lz4Legacy)),
        (0, b"\x04\x22\x4d\x18", Foreign::Compressed(Format::Lz4)),
        (0, b"\x89LZO\0\r\n\x1a\n", Foreign::Compressed(Format::Lzop)),
        (0, b"BZh91AY", Foreign::Compressed(Format::Bzip2)),
        (0, &0x2705_1956_u32.to_be_bytes(), Foreign::UImage),
        (0, &0xd00d_feed_u32.to_be_bytes(), Foreign::DeviceTree),
        (0, b"070701000002D1", Foreign::Cpio),
        (0, b"QFI\xfb\0\0\0\x03", Foreign::Qcow2),
        (0, b"ANDROID!", Foreign::AndroidBoot),
        (0, b"PK\x03\x04", Foreign::Archive("zip archive")),
        (257, b"ustar", Foreign::Archive("tar archive")),
        (0, b"!<arch>\ndebian-binary", Foreign::Archive("ar archive or Debian package")),
    ] {
        assert_eq!(foreign(&file(at, bytes)), kind);
    }
}

#[test]
fn a_bzimage_with_an_efi_stub_is_named_as_a_bzimage() {
    let mut head = file(0, b"MZ");
    put(&mut head, 0x202, b"HdrS");

    assert_eq!(
        foreign(&head).to_string(),
        "an x86 bzImage, expected arch/arm64/boot/Image or a flat binary"
    );
}

#[test]
fn an_efi_zboot_kernel_is_named_with_its_machine() {
    let mut riscv = efi_image([(0x1000, 0x1000), (0x2000, 0x1000)]);
    put(&mut riscv, 4, b"zimg");
    put(&mut riscv, 56, &[0; 4]);
    put(&mut riscv, 0x44, &[0x64, 0x50]);

    assert_eq!(
        foreign(&riscv).to_string(),
        "an EFI zboot kernel for RISC-V, expected arch/arm64/boot/Image or a flat binary"
    );
}

#[test]
fn an_elf_file_is_named_with_its_machine() {
    for (header, message) in [
        (
            &b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xb7\0"[..],
            "an ELF file for arm64 (vmlinux?), expected arch/arm64/boot/Image or a flat binary (objcopy -O binary makes one)",
        ),
        (
            b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0",
            "an ELF file for x86-64, expected arch/arm64/boot/Image or a flat binary",
        ),
        (
            b"\x7fELF\x02\x02\x01\0\0\0\0\0\0\0\0\0\0\x02\0\x16",
            "an ELF file for s390, expected arch/arm64/boot/Image or a flat binary",
        ),
        (
            b"\x7fELF",
            "an ELF file for machine 0x0, expected arch/arm64/boot/Image or a flat binary",
        ),
    ] {
        assert_eq!(foreign(header).to_string(), message);
    }
}

#[test]
fn a_pe_file_without_image_magic_is_an_efi_application() {
    let mut arm64 = efi_image([(0x1000, 0x1000), (0x2000, 0x1000)]);
    put(&mut arm64, 56, &[0; 4]);
    let mut x86 = arm64.clone();
    put(&mut x86, 0x44, &[0x64, 0x86]);

    assert_eq!(foreign(&arm64), Foreign::Pe(Some(0xaa64)));
    assert_eq!(
        foreign(&x86).to_string(),
        "an EFI application for x86-64, expected arch/arm64/boot/Image or a flat binary"
    );
    // Cut off before the PE header.
    assert_eq!(
        foreign(&x86[..32]).to_string(),
        "an EFI application or other PE file, expected arch/arm64/boot/Image or a flat binary"
    );
}

#[test]
fn text_is_text_even_where_the_head_ends_within_a_character() {
    let script = b"#!/bin/sh\n\techo hello\r\n";
    let mut long = "ä".repeat(2047).into_bytes();
    long.push(b'x');
    long.push(0xc3);

    assert_eq!(foreign(script), Foreign::Text);
    assert_eq!(foreign(&long), Foreign::Text);
    // The same bytes as the whole file are no UTF-8, nor is a NUL text.
    assert_eq!(identify(&long, 4096), Ok(Kernel::Flat));
    assert_eq!(identify(b"hello\0", 6), Ok(Kernel::Flat));
}
