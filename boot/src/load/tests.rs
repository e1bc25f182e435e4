use std::io::Write;

use vm_memory::GuestMemoryMmap;
use vmm_sys_util::tempfile::TempFile;

use super::*;
use crate::source::Piece;

const RAM: u64 = 0x4000_0000;

/// 64 KiB of guest memory full of 0xaa, in two slots that meet at RAM + 0x3000.
fn used_memory() -> GuestMemoryMmap {
    let memory = GuestMemoryMmap::from_ranges(&[
        (GuestAddress(RAM), 0x3000),
        (GuestAddress(RAM + 0x3000), 0xd000),
    ])
    .unwrap();
    memory.write_slice(&vec![0xaa; 0x1_0000], GuestAddress(RAM)).unwrap();
    memory
}

fn source(bytes: &[u8]) -> Source {
    let file = TempFile::new().unwrap();
    file.as_file().write_all(bytes).unwrap();
    Source::open(file.as_path()).unwrap()
}

/// Bytes 0, 1, 2, ... 250, 0, 1, ...: no two pages alike.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n % 251) as u8).collect()
}

fn read(memory: &GuestMemoryMmap, at: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    memory.read_slice(&mut bytes, GuestAddress(at)).unwrap();
    bytes
}

fn region(start: u64, size: u64) -> Region {
    Region::new(start, size).unwrap()
}

fn placement(initrd_size: Option<u64>) -> Placement {
    Placement {
        kernel: region(RAM, 0x2000),
        initrd: initrd_size.map(|size| region(RAM + 0x8000, size)),
        dtb: region(RAM + 0xa000, 0x1000),
    }
}

#[test]
fn loads_every_part_to_its_place_and_starts_at_the_kernel() {
    let memory = used_memory();
    let kernel = source(&pattern(0x1800));
    let initrd = source(b"070701 initrd...");

    let state =
        load(&memory, &placement(Some(0x10)), &kernel, Some(&initrd), b"\xd0\x0d\xfe\xed").unwrap();

    assert_eq!(state, BootState { entry: RAM, dtb: RAM + 0xa000 });
    assert_eq!(read(&memory, RAM, 0x1800), pattern(0x1800));
    assert_eq!(read(&memory, RAM + 0x8000, 17), b"070701 initrd...\xaa");
    assert_eq!(read(&memory, RAM + 0xa000, 5), b"\xd0\x0d\xfe\xed\xaa");
}

#[test]
fn clears_bss_and_nothing_beside_it() {
    let memory = used_memory();

    load(&memory, &placement(None), &source(&pattern(0x1800)), None, b"").unwrap();

    assert_eq!(read(&memory, RAM + 0x17ff, 1), pattern(0x1800)[0x17ff..]);
    assert_eq!(read(&memory, RAM + 0x1800, 0x800), [0; 0x800]);
    assert_eq!(read(&memory, RAM + 0x2000, 0x6000), vec![0xaa; 0x6000]);
}

#[test]
fn clears_bss_longer_than_one_chunk_to_its_last_byte() {
    let size = 0x2_8001;
    let memory: GuestMemoryMmap =
        GuestMemoryMmap::from_ranges(&[(GuestAddress(RAM), 0x3_0000)]).unwrap();
    memory.write_slice(&vec![0xaa; 0x3_0000], GuestAddress(RAM)).unwrap();

    clear_bss(&memory, &source(b"k"), region(RAM, size)).unwrap();

    assert_eq!(read(&memory, RAM, 1), [0xaa]);
    assert_eq!(read(&memory, RAM + 1, 0x2_8000), vec![0; 0x2_8000]);
    assert_eq!(read(&memory, RAM + size, 1), [0xaa]);
}

#[test]
fn a_file_crosses_from_one_slot_into_the_next() {
    let memory = used_memory();

    load_file(&memory, &source(&pattern(0x5000)), region(RAM, 0x5000), EVERYWHERE).unwrap();

    assert_eq!(read(&memory, RAM, 0x5000), pattern(0x5000));
}

#[test]
fn a_window_gets_its_part_of_every_file_and_nothing_beside_it() {
    let memory = used_memory();
    let kernel = source(&pattern(0x1800));
    let initrd = source(&pattern(0x1000));
    let placement = placement(Some(0x1000));
    let load = |start, size| {
        load_files(&memory, &placement, &kernel, Some(&initrd), region(start, size)).unwrap();
    };

    load(RAM + 0x801, 0x800);
    load(RAM + 0x1700, 0x6a00);

    assert_eq!(read(&memory, RAM, 0x801), [0xaa; 0x801]);
    assert_eq!(read(&memory, RAM + 0x801, 0x800), pattern(0x1800)[0x801..0x1001]);
    assert_eq!(read(&memory, RAM + 0x1001, 0x6ff), [0xaa; 0x6ff]);
    assert_eq!(read(&memory, RAM + 0x1700, 0x100), pattern(0x1800)[0x1700..]);
    assert_eq!(read(&memory, RAM + 0x1800, 0x6800), vec![0xaa; 0x6800]);
    assert_eq!(read(&memory, RAM + 0x8000, 0x100), pattern(0x100));
    assert_eq!(read(&memory, RAM + 0x8100, 0x1000), [0xaa; 0x1000]);
}

#[test]
fn a_file_in_pieces_has_zeroes_between_them() {
    let pieces = vec![
        Piece { at: 0, len: 0x10, offset: 0x100 },
        Piece { at: 0x1800, len: 0x20, offset: 0x20 },
    ];
    let whole = pattern(0x200);
    let kernel = source(&whole).of_pieces(pieces).unwrap();
    let expected = [&whole[0x100..0x110], &[0; 0x17f0], &whole[0x20..0x40]].concat();

    let memory = used_memory();
    load(&memory, &placement(None), &kernel, None, b"").unwrap();
    assert_eq!(kernel.len(), 0x1820);
    assert_eq!(read(&memory, RAM, 0x1820), expected);

    // Through a window that begins and ends in the gap, and one that cuts a piece.
    let memory = used_memory();
    load_files(&memory, &placement(None), &kernel, None, region(RAM + 0x800, 0x800)).unwrap();
    load_files(&memory, &placement(None), &kernel, None, region(RAM + 0x1808, 8)).unwrap();
    assert_eq!(read(&memory, RAM, 0x800), [0xaa; 0x800]);
    assert_eq!(read(&memory, RAM + 0x800, 0x800), [0; 0x800]);
    assert_eq!(read(&memory, RAM + 0x1000, 0x808), [0xaa; 0x808]);
    assert_eq!(read(&memory, RAM + 0x1808, 8), whole[0x28..0x30]);
    assert_eq!(read(&memory, RAM + 0x1810, 8), [0xaa; 8]);
}

#[test]
fn loading_twice_reads_from_the_start_twice() {
    let memory = used_memory();
    let file = source(b"kernel");

    for at in [RAM, RAM + 0x100] {
        load_file(&memory, &file, region(at, 0x100), EVERYWHERE).unwrap();

        assert_eq!(read(&memory, at, 6), b"kernel");
    }
}

#[test]
fn a_file_that_grew_is_loaded_as_long_as_it_was() {
    let memory = used_memory();
    let file = TempFile::new().unwrap();
    file.as_file().write_all(b"1234").unwrap();
    let source = Source::open(file.as_path()).unwrap();

    file.as_file().write_all(b"5678").unwrap();
    load_file(&memory, &source, region(RAM, 0x100), EVERYWHERE).unwrap();

    assert_eq!(read(&memory, RAM, 5), b"1234\xaa");
}

#[test]
fn a_file_that_shrank_is_an_error() {
    let file = TempFile::new().unwrap();
    file.as_file().write_all(&pattern(0x1000)).unwrap();
    let source = Source::open(file.as_path()).unwrap();

    file.as_file().set_len(0x800).unwrap();
    let error = load_file(&used_memory(), &source, region(RAM, 0x1000), EVERYWHERE).unwrap_err();

    assert_eq!(
        error.to_string(),
        "the file was shortened while it was read, expected 0x1000 bytes"
    );
}

#[test]
fn nothing_is_written_past_the_room_it_was_given() {
    let memory = used_memory();
    let room = region(RAM, 4);

    let file = load_file(&memory, &source(b"12345"), room, EVERYWHERE).unwrap_err();
    let bytes = load_bytes(&memory, b"12345", room).unwrap_err();
    let bss = clear_bss(&memory, &source(b"12345"), room).unwrap_err();

    for error in [file, bytes, bss] {
        assert_eq!(
            error.to_string(),
            "0x5 bytes, expected at most the 0x4 set apart at 0x40000000..0x40000004"
        );
    }
    assert_eq!(read(&memory, RAM, 8), [0xaa; 8]);
}

#[test]
fn a_place_outside_guest_memory_is_an_error() {
    let file = source(&pattern(0x2000));
    for start in [0, RAM + 0x1_0000, RAM + 0xf000, u64::MAX - 0x2000] {
        let room = region(start, 0x2000);

        let error = load_file(&used_memory(), &file, room, EVERYWHERE).unwrap_err();

        assert!(matches!(error, CopyError::Memory(_)), "{room}: {error:?}");
    }
}

#[test]
fn an_error_names_the_part() {
    let error = load(
        &used_memory(),
        &placement(Some(0x10)),
        &source(b"kernel"),
        Some(&source(&[0; 0x11])),
        b"",
    )
    .unwrap_err();

    assert_eq!(error.part, Part::Initrd);
    assert_eq!(
        error.to_string(),
        "initrd: 0x11 bytes, expected at most the 0x10 set apart at 0x40008000..0x40008010"
    );
}

#[test]
fn an_initrd_and_its_place_come_together() {
    let initrd = source(b"070701");
    for (initrd, placement) in [(Some(&initrd), placement(None)), (None, placement(Some(6)))] {
        let error = load(&used_memory(), &placement, &source(b"kernel"), initrd, b"").unwrap_err();

        assert_eq!(error.part, Part::Initrd);
        assert!(matches!(error.cause, CopyError::NotPlaced), "{error}");
    }
}
