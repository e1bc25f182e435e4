//! What is read before a decoder is made.

use super::*;

/// A PE file of this machine with this header of EFI zboot, and a page of it in front of its payload.
fn zboot(machine: u16, compression: &str, size: usize, payload: &[u8]) -> Vec<u8> {
    let mut head = vec![0; 4096];
    let mut put = |at: usize, bytes: &[u8]| head[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(4, b"zimg");
    put(8, &4096_u32.to_le_bytes());
    put(12, &(size as u32).to_le_bytes());
    put(24, compression.as_bytes());
    put(56, &0x8182_23cd_u32.to_le_bytes());
    put(60, &64_u32.to_le_bytes());
    put(64, b"PE\0\0");
    put(68, &machine.to_le_bytes());
    [&head, payload].concat()
}

#[test]
fn efi_zboot_is_unpacked_whatever_it_is_compressed_by() {
    for (name, format) in [
        ("gzip", Format::Gzip),
        ("lz4", Format::Lz4Legacy),
        ("lzma", Format::Lzma),
        ("lzo", Format::Lzop),
        ("xz", Format::Xz),
        ("xzkern", Format::Xz),
        ("zstd", Format::Zstd),
        ("zstd22", Format::Zstd),
    ] {
        let payload = compress(format, &content());
        let size = payload.len();
        // The length of the content, and other parts of the application.
        let payload = [payload, vec![0, 0, 1, 0], vec![0x55; 100]].concat();

        let bytes = zboot(0xaa64, name, size, &payload);

        assert_eq!(decompress(&bytes).unwrap(), content(), "{name}");
    }
}

#[test]
fn efi_zboot_is_named_in_its_errors() {
    let payload = compress(Format::Gzip, &content());
    let message = |name, size| message(&zboot(0xaa64, name, size, &payload));

    assert_eq!(message("gzip", payload.len() + 1), "EFI zboot kernel: truncated, expected more");
    assert_eq!(
        message("gzip", payload.len() - 1),
        "EFI zboot kernel (gzip): truncated, expected more"
    );
    assert_eq!(
        message("brotli", payload.len()),
        "EFI zboot kernel: compressed by \"brotli\", expected gzip, lz4, lzma, lzo, xz, xzkern, zstd or zstd22"
    );
}

#[test]
fn efi_zboot_for_another_machine_is_not_unpacked() {
    let payload = compress(Format::Gzip, &content());
    let bytes = zboot(0x5064, "gzip", payload.len(), &payload);

    assert_eq!(Compressed::recognize(&bytes, bytes.len() as u64).unwrap(), None);
}

#[test]
fn every_cut_of_an_efi_zboot_header_ends_in_an_answer() {
    let bytes = zboot(0xaa64, "gzip", 100, &[0x55; 100]);

    for len in 0..bytes.len() {
        let found = Compressed::recognize(&bytes[..len], len as u64);

        assert!(matches!(found, Ok(None) | Err(_)), "{len}: {found:?}");
    }
}

#[test]
fn lzma_is_told_from_code_and_noise() {
    let lzma = compress(Format::Lzma, &content());
    assert_eq!(Format::recognize(&lzma), Some(Format::Lzma));
    for (at, damage) in [(0, 1), (1, 0xff), (3, 0x10), (12, 0x7f), (13, 1)] {
        let mut bytes = lzma.clone();
        bytes[at] ^= damage;

        assert_eq!(Format::recognize(&bytes), None, "{damage:#x} at {at}");
    }
    assert_eq!(Format::recognize(&lzma[..13]), None);
    // b .+0x174, and what might be its table.
    let code = [0x5d, 0, 0, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(Format::recognize(&code), None);
}

#[test]
fn windows_are_read_as_their_formats_have_them() {
    // Descriptor, window: 8 MiB and an eighth of it.
    assert_eq!(window::of_zstd(&[0, 0, 0, 0, 0x00, 0x69]), Some(0x90_0000));
    // One segment with its size in one, two, four and eight bytes, the last two behind a dictionary's number.
    assert_eq!(window::of_zstd(&[0, 0, 0, 0, 0x20, 7]), Some(7));
    assert_eq!(window::of_zstd(&[0, 0, 0, 0, 0x60, 7, 1]), Some(0x207));
    assert_eq!(window::of_zstd(&[0, 0, 0, 0, 0xa1, 9, 1, 2, 3, 4]), Some(0x0403_0201));
    assert_eq!(
        window::of_zstd(&[0, 0, 0, 0, 0xe3, 9, 9, 9, 9, 1, 0, 0, 0, 2, 0, 0, 0]),
        Some(0x2_0000_0001)
    );
    assert_eq!(window::of_zstd(&[0, 0, 0, 0, 0xe0, 1, 2, 3]), None);
}

/// An xz stream's block: header size, flags, sizes of the block, a filter with four bytes of properties, LZMA2 with its one, padding and checksum;
/// a chunk that is not compressed, and the end of chunks, which are a multiple of four bytes; a check of four bytes.
fn block(bits: u8) -> Vec<u8> {
    let header =
        [5, 0xc1, 0x80, 1, 3, 0x0a, 4, 0, 0, 0, 0, 0x21, 1, bits, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    [&header[..], &[1, 0, 3, 1, 2, 3, 4, 0], &[0; 4]].concat()
}

#[test]
fn windows_of_each_block_of_xz_are_read() {
    let start = b"\xfd7zXZ\0\0\x01\0\0\0\0";
    let stream = |blocks: &[u8]| {
        let blocks = blocks.iter().flat_map(|bits| block(*bits));
        start.iter().copied().chain(blocks).chain([0]).collect::<Vec<u8>>()
    };
    let window = |blocks| match window::check_xz(&stream(blocks)) {
        Err(Fault::Window(window)) => window,
        Err(other) => panic!("{other:?}"),
        Ok(()) => 0,
    };

    assert_eq!(window(&[0]), 0);
    assert_eq!(window(&[30, 30, 1]), 0);
    assert_eq!(window(&[31]), 192 << 20);
    assert_eq!(window(&[0, 255]), 4 << 30);
    assert_eq!(window(&[0, 1, 33]), 384 << 20);
    let whole = stream(&[0, 1]);
    for len in 0..whole.len() {
        assert!(matches!(window::check_xz(&whole[..len]), Err(Fault::Truncated)), "{len}");
    }
}

#[test]
fn xz_of_several_blocks_is_put_together() {
    let mut options = XzOptions::with_preset(0);
    options.lzma_options.dict_size = 0x1000;
    options.set_block_size(Some(0x4000.try_into().unwrap()));
    let mut encoder = XzWriter::new(Vec::new(), options).unwrap();
    encoder.write_all(&content()).unwrap();
    let bytes = encoder.finish().unwrap();

    assert_eq!(decompress(&bytes).unwrap(), content());
}

#[test]
fn a_window_that_is_too_large_is_refused_by_its_size() {
    let mut xz = compress(Format::Xz, &content());
    let at = 12 + 2 + xz[14..].windows(2).position(|pair| pair == [0x21, 1]).unwrap() + 2;
    xz[at] = 40;
    let mut lzma = compress(Format::Lzma, &content());
    lzma[1..5].copy_from_slice(&(256_u32 << 20).to_le_bytes());
    let zstd = [&b"\x28\xb5\x2f\xfd\x00\x91"[..], &[0; 100]].concat();

    for (bytes, expected) in [
        (xz, "xz-compressed file: a window of 0x100000000 bytes, expected at most 0x8000000"),
        (lzma, "lzma-compressed file: a window of 0x10000000 bytes, expected at most 0x8000000"),
        (zstd, "zstd-compressed file: a window of 0x12000000 bytes, expected at most 0x8000000"),
    ] {
        assert_eq!(message(&bytes), expected);
    }
}
