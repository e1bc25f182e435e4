use std::io::Write;

use vmm_sys_util::tempfile::TempFile;

use super::*;

const LINK: u64 = 0xffff_8000_8000_0000;

/// An ELF file in the making: two segments with a page between them, notes in the second, and symbols.
struct Builder {
    bytes: Vec<u8>,
}

/// Where the parts are in the file.
const PROGRAM_HEADERS: usize = 0x40;
const SECTION_HEADERS: usize = 0x140;
const TEXT: usize = 0x1000;
const DATA: usize = 0x2000;
const NOTES: usize = DATA + 0x100;
const SYMBOLS: usize = 0x3000;
const STRINGS: usize = 0x3800;
const END: usize = 0x4000;

const NAMES: &[u8] = b"\0_text\0start_kernel\0start\0undefined\0";

impl Builder {
    fn new() -> Self {
        let mut elf = Self { bytes: vec![0; END] };
        elf.put(0, b"\x7fELF\x02\x01\x01");
        elf.put16(16, 3);
        elf.put16(18, 183);
        elf.put32(20, 1);
        elf.put64(32, PROGRAM_HEADERS as u64);
        elf.put64(40, SECTION_HEADERS as u64);
        elf.put16(52, 64);
        elf.put16(54, 56);
        elf.put16(56, 3);
        elf.put16(58, 64);
        elf.put16(60, 3);
        elf.segment(0, 1, DATA, LINK + 0x2000, 0x200, 0x3000);
        elf.segment(1, 1, TEXT, LINK, 0x1000, 0x1000);
        elf.segment(2, 4, NOTES, LINK + 0x2100, 0x18, 0x18);
        elf.put(TEXT, &[0x11; 0x1000]);
        elf.put(DATA, &[0x22; 0x200]);
        elf.note(*b"\xaa\xbb\xcc\xdd\xee\xff\x00\x11");
        elf.section(1, 2, SYMBOLS, 5 * 24, 2);
        elf.section(2, 3, STRINGS, NAMES.len(), 0);
        elf.put(STRINGS, NAMES);
        elf.symbol(1, 1, 1, LINK);
        elf.symbol(2, 7, 1, LINK + 0x234);
        elf.symbol(3, 20, 1, LINK + 0x567);
        // Defined nowhere.
        elf.symbol(4, 26, 0, 0x999);
        elf
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn put16(&mut self, at: usize, value: u16) {
        self.put(at, &value.to_le_bytes());
    }

    fn put32(&mut self, at: usize, value: u32) {
        self.put(at, &value.to_le_bytes());
    }

    fn put64(&mut self, at: usize, value: u64) {
        self.put(at, &value.to_le_bytes());
    }

    fn segment(&mut self, index: usize, kind: u32, at: usize, vaddr: u64, filesz: u64, memsz: u64) {
        let header = PROGRAM_HEADERS + index * 56;
        self.put32(header, kind);
        for (field, value) in [at as u64, vaddr, vaddr, filesz, memsz, 4].into_iter().enumerate() {
            self.put64(header + 8 + field * 8, value);
        }
    }

    /// GNU's, of type 3.
    fn note(&mut self, id: [u8; 8]) {
        self.put(NOTES, b"\x04\0\0\0\x08\0\0\0\x03\0\0\0GNU\0");
        self.put(NOTES + 16, &id);
    }

    fn section(&mut self, index: usize, kind: u32, at: usize, size: usize, link: u32) {
        let header = SECTION_HEADERS + index * 64;
        self.put32(header + 4, kind);
        self.put64(header + 24, at as u64);
        self.put64(header + 32, size as u64);
        self.put32(header + 40, link);
    }

    fn symbol(&mut self, index: usize, name: u32, section: u16, value: u64) {
        let at = SYMBOLS + index * 24;
        self.put32(at, name);
        self.put16(at + 6, section);
        self.put64(at + 8, value);
    }

    fn parse(&self) -> Result<Vmlinux, ElfError> {
        Vmlinux::parse(source(&self.bytes))
    }

    fn error(&self) -> String {
        self.parse().unwrap_err().to_string()
    }
}

fn source(bytes: &[u8]) -> Source {
    let mut file = TempFile::new().unwrap().into_file();
    file.write_all(bytes).unwrap();
    Source::from_file(file).unwrap()
}

/// The Image that belongs to [`Builder::new`].
fn image() -> Vec<u8> {
    let bytes = Builder::new().bytes;
    [&bytes[TEXT..TEXT + 0x1000], &[0; 0x1000], &bytes[DATA..DATA + 0x200]].concat()
}

fn content(source: &Source) -> Vec<u8> {
    let mut bytes = vec![0; source.len() as usize];
    source.read_at(&mut bytes, 0).unwrap();
    bytes
}

#[test]
fn segments_come_in_the_order_of_addresses() {
    let elf = Builder::new().parse().unwrap();

    assert_eq!(elf.base(), LINK);
    let sizes: Vec<u64> = elf.segments().iter().map(|segment| segment.memsz).collect();
    assert_eq!(sizes, [0x1000, 0x3000]);
}

#[test]
fn symbols_are_found_by_their_whole_name_where_they_are_defined() {
    let elf = Builder::new().parse().unwrap();

    let found = elf.symbols(["start", "start_kernel", "_text", "undefined", "kernel"]).unwrap();

    assert_eq!(found, [Some(LINK + 0x567), Some(LINK + 0x234), Some(LINK), None, None]);
}

#[test]
fn addresses_are_known_by_the_symbol_in_front_of_them() {
    let elf = Builder::new().parse().unwrap();

    let names = elf.names(&[LINK + 0x567, LINK + 0x300, LINK - 1, LINK]).unwrap();

    let name = |name: &str, offset| Some((name.to_owned(), offset));
    let expected = [name("start", 0), name("start_kernel", 0xcc), None, name("_text", 0)];
    assert_eq!(names, expected);
}

#[test]
fn a_file_without_symbols_has_none() {
    let mut elf = Builder::new();
    elf.section(1, 1, SYMBOLS, 5 * 24, 2);

    assert_eq!(elf.parse().unwrap().symbols(["_text"]).unwrap(), [None]);
}

#[test]
fn the_image_is_what_objcopy_makes_of_it() {
    let source = Builder::new().parse().unwrap().into_image().unwrap();

    assert_eq!(content(&source), image());
    assert_eq!(source.head().unwrap(), image()[..4096]);
    // Any part of it.
    let mut part = vec![0; 0x20];
    source.read_at(&mut part, 0x1ff0).unwrap();
    assert_eq!(part, [[0; 0x10], [0x22; 0x10]].concat());
}

#[test]
fn an_image_of_the_same_build_has_the_same_build_id() {
    let elf = Builder::new().parse().unwrap();
    let mut other = image();
    other[0x2110] ^= 1;

    assert!(elf.is_build_of(&source(&image())).unwrap());
    assert!(!elf.is_build_of(&source(&other)).unwrap());
    assert!(!elf.is_build_of(&source(&image()[..0x2110])).unwrap());
}

#[test]
fn without_a_build_id_the_header_must_be_the_same() {
    let mut elf = Builder::new();
    elf.put32(NOTES + 8, 1);
    let elf = elf.parse().unwrap();
    let mut other = image();
    other[63] ^= 1;

    assert!(elf.is_build_of(&source(&image()[..64])).unwrap());
    assert!(!elf.is_build_of(&source(&other)).unwrap());
}

#[test]
fn files_of_other_kinds_are_named() {
    for (at, bytes, message) in [
        (0, &b"MZ"[..], "no ELF file, expected an arm64 ELF file"),
        (4, b"\x01", "32-bit ELF file, expected an arm64 ELF file"),
        (5, b"\x02", "big-endian ELF file, expected an arm64 ELF file"),
        (4, b"\x09", "ELF file with a bad file header, expected an arm64 ELF file"),
        (18, b"\x3e\0", "ELF file of another machine, expected an arm64 ELF file"),
        (56, b"\0\0", "ELF file with nothing to load, expected an arm64 ELF file"),
    ] {
        let mut elf = Builder::new();
        elf.put(at, bytes);
        assert_eq!(elf.error(), message);
    }
    assert_eq!(
        Vmlinux::parse(source(b"\x7fELF")).unwrap_err().to_string(),
        "no ELF file, expected an arm64 ELF file"
    );
}

#[test]
fn a_truncated_file_is_refused() {
    for len in 0x40..END {
        let bytes = &Builder::new().bytes[..len];
        let parsed = Vmlinux::parse(source(bytes));
        if len < DATA + 0x200 {
            assert!(parsed.is_err(), "{len:#x}");
        } else if len < STRINGS + NAMES.len() {
            assert!(parsed.unwrap().symbols(["_text"]).is_err(), "{len:#x}");
        }
    }
}

#[test]
fn headers_that_lie_are_refused() {
    const BAD_SEGMENT: &str = "ELF file with a bad program header, expected an arm64 ELF file";
    let header = PROGRAM_HEADERS + 56;
    for (at, value, message) in [
        // p_vaddr, p_filesz, p_memsz, p_offset.
        (header + 16, u64::MAX - 1, BAD_SEGMENT),
        (header + 32, 0x2000, BAD_SEGMENT),
        (header + 40, u64::MAX, BAD_SEGMENT),
        (header + 8, u64::MAX, "truncated ELF file, expected an arm64 ELF file"),
        // e_phoff.
        (32, u64::MAX - 8, BAD_SEGMENT),
        (32, END as u64 - 8, BAD_SEGMENT),
    ] {
        let mut elf = Builder::new();
        elf.put64(at, value);
        assert_eq!(elf.error(), message, "{at:#x}: {value:#x}");
    }
    // e_phentsize and e_phnum.
    for (at, value) in [(54, 1), (56, 0xffff), (56, 65)] {
        let mut elf = Builder::new();
        elf.put16(at, value);
        assert_eq!(elf.error(), BAD_SEGMENT);
    }
}

#[test]
fn segments_that_overlap_or_are_far_apart_make_no_image() {
    for vaddr in [LINK + 0xfff, LINK + (1 << 30)] {
        let mut elf = Builder::new();
        elf.segment(0, 1, DATA, vaddr, 0x200, 0x3000);
        assert!(elf.parse().unwrap().into_image().is_err());
    }
}

#[test]
fn symbol_tables_that_lie_are_refused() {
    let symtab = SECTION_HEADERS + 64;
    for (at, value) in [
        // sh_offset, sh_size.
        (symtab + 24, u64::MAX),
        (symtab + 32, u64::MAX),
        (symtab + 32, 25),
        (symtab + 32, 1 << 29),
        (symtab + 64 + 32, u64::MAX),
        // e_shoff.
        (40, u64::MAX),
    ] {
        let mut elf = Builder::new();
        elf.put64(at, value);
        assert!(elf.parse().unwrap().symbols(["_text"]).is_err(), "{at:#x}: {value:#x}");
    }
    // sh_link, and names behind the end.
    let mut elf = Builder::new();
    elf.put32(symtab + 40, 99);
    assert!(elf.parse().unwrap().symbols(["_text"]).is_err());
    let mut elf = Builder::new();
    elf.symbol(1, u32::MAX, 1, LINK);
    assert_eq!(elf.parse().unwrap().symbols(["_text"]).unwrap(), [None]);
}

#[test]
fn no_single_wrong_byte_of_the_headers_does_harm() {
    for at in 0..SECTION_HEADERS + 3 * 64 {
        for byte in [0x01, 0xff] {
            let mut elf = Builder::new();
            elf.put(at, &[byte]);
            if let Ok(parsed) = elf.parse() {
                let _ = parsed.symbols(["_text", "start_kernel"]);
                let _ = parsed.names(&[LINK + 0x300]);
                let _ = parsed.is_build_of(&source(&image()));
                let _ = parsed.into_image().map(|image| image.head());
            }
        }
    }
}
