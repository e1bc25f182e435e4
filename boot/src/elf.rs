//! A vmlinux: the kernel as it was linked, with its symbols. Hundreds of megabytes, of which a few are read.
//!
//! Specification: System V ABI, chapters 4 and 5.

use std::error::Error;
use std::fmt;
use std::fs::File;

use object::LittleEndian;
use object::elf::{
    EM_AARCH64, FileHeader64, NT_GNU_BUILD_ID, PT_LOAD, PT_NOTE, ProgramHeader64, SHN_UNDEF,
    SHT_SYMTAB, STT_FUNC, STT_NOTYPE, SectionHeader64, Sym64,
};
use object::read::elf::{FileHeader, NoteIterator, ProgramHeader, SectionHeader, Sym};
use object::read::{ReadCache, ReadRef};

use crate::image::HEADER_SIZE;
use crate::source::{Piece, Source, SourceError};

type Header = FileHeader64<LittleEndian>;
type Cache<'a> = ReadCache<&'a File>;

const LE: LittleEndian = LittleEndian;

/// Most bytes of notes that are looked at. Linux has about a hundred.
const MOST_NOTES: u64 = 0x1_0000;

/// Most program headers. Linux has four.
const MOST_SEGMENTS: usize = 64;

/// Most sections. Linux has fifty, or with one for each function a hundred thousand.
const MOST_SECTIONS: u32 = 1 << 20;

/// Most bytes of symbols, and of their names. Linux has 5 MiB of either, with every driver built in 20.
const MOST_SYMBOLS: u64 = 1 << 28;

/// Bytes of a symbol's name that are told. Linux knows them to 511 (KSYM_NAME_LEN).
const MOST_NAME: usize = 511;

/// Bytes that an Image may have: all that a kernel maps is in one gigabyte.
const MOST_IMAGE: u64 = 1 << 30;

/// An arm64 ELF file that can be loaded.
#[derive(Debug)]
pub struct Vmlinux {
    source: Source,
    /// By address. Not empty.
    segments: Vec<Segment>,
    mark: Mark,
}

/// A PT_LOAD.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Virtual address that it was linked to.
    pub vaddr: u64,
    /// Bytes in memory, not 0. The end is an address too.
    pub memsz: u64,
    /// Where its first bytes are in the file.
    offset: u64,
    /// How many of them are in the file, at most `memsz`.
    filesz: u64,
}

/// Bytes by which one build is told from others: the notes with the build id, or else an Image's header.
#[derive(Debug)]
struct Mark {
    vaddr: u64,
    bytes: Vec<u8>,
}

impl Vmlinux {
    /// Reads headers and notes.
    pub fn parse(source: Source) -> Result<Self, ElfError> {
        let cache = Cache::new(source.file());
        check_ident(&source)?;
        let header = Header::parse(&cache).map_err(|_| ElfError::Malformed("file header"))?;
        if header.e_machine(LE) != EM_AARCH64 {
            return Err(ElfError::OtherMachine);
        }
        let headers = program_headers(header, &cache)?;
        let mut segments = headers
            .iter()
            .filter(|header| header.p_type(LE) == PT_LOAD && header.p_memsz(LE) > 0)
            .map(|header| Segment::of(header, source.len()))
            .collect::<Result<Vec<_>, _>>()?;
        if segments.is_empty() {
            return Err(ElfError::NothingToLoad);
        }
        segments.sort_by_key(|segment| segment.vaddr);
        let notes = headers.iter().find_map(|header| notes(header, &cache));
        let mark = notes.or_else(|| segments.first()?.head(&cache));
        let mark = mark.ok_or(ElfError::NothingToLoad)?;
        drop(cache);
        Ok(Self { source, segments, mark })
    }

    /// What is loaded, in the order of addresses; never empty.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The lowest address that it was linked to.
    pub fn base(&self) -> u64 {
        self.segments.first().map_or(0, |segment| segment.vaddr)
    }

    /// The addresses that these symbols were linked to. Reads the symbol table: some megabytes.
    pub fn symbols<const N: usize>(&self, names: [&str; N]) -> Result<[Option<u64>; N], ElfError> {
        let cache = Cache::new(self.source.file());
        let mut found = [None; N];
        let Some((symbols, strings)) = symbol_table(&cache)? else { return Ok(found) };
        for symbol in symbols.iter().filter(|symbol| symbol.st_shndx(LE) != SHN_UNDEF) {
            let Some(name) = strings.get(symbol.st_name(LE) as usize..) else { continue };
            let is_named = |wanted: &&str| {
                let rest = name.strip_prefix(wanted.as_bytes());
                rest.is_some_and(|rest| rest.first() == Some(&0))
            };
            let index = names.iter().position(is_named);
            if let Some(found) = index.and_then(|index| found.get_mut(index)) {
                *found = Some(symbol.st_value(LE));
            }
        }
        Ok(found)
    }

    /// For each of these linked addresses the symbol of code that it lies in, and its distance from that. Reads the symbol table.
    pub fn names(&self, addresses: &[u64]) -> Result<Vec<Option<(String, u64)>>, ElfError> {
        let cache = Cache::new(self.source.file());
        let mut found: Vec<Option<(u64, &[u8])>> = vec![None; addresses.len()];
        let Some((symbols, strings)) = symbol_table(&cache)? else {
            return Ok(vec![None; addresses.len()]);
        };
        for symbol in
            symbols.iter().filter(|symbol| matches!(symbol.st_type(), STT_NOTYPE | STT_FUNC))
        {
            let (value, size) = (symbol.st_value(LE), symbol.st_size(LE));
            let name = strings.get(symbol.st_name(LE) as usize..).unwrap_or_default();
            // Mapping symbols ($x, $d) are nobody's name (AAELF64, 5.4).
            if symbol.st_shndx(LE) == SHN_UNDEF || matches!(name, [] | [0 | b'$', ..]) {
                continue;
            }
            for (address, best) in addresses.iter().zip(&mut found) {
                let is_in = address.checked_sub(value).is_some_and(|at| size == 0 || at < size);
                // Of two at the same place one with a size is the function's.
                if is_in && best.is_none_or(|(best, _)| best < value || best == value && size > 0) {
                    *best = Some((value, name));
                }
            }
        }
        let text = |name: &[u8]| {
            let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
            String::from_utf8_lossy(name.get(..MOST_NAME).unwrap_or(name)).into_owned()
        };
        let named = addresses.iter().zip(found);
        Ok(named.map(|(at, found)| found.map(|(value, name)| (text(name), at - value))).collect())
    }

    /// Whether `image` is the Image made of this very file: the notes are in both, and with them the build id.
    /// Where it has none, the Image's header must do.
    pub fn is_build_of(&self, image: &Source) -> Result<bool, SourceError> {
        let at = self.mark.vaddr.wrapping_sub(self.base());
        let end = at.checked_add(self.mark.bytes.len() as u64);
        if end.is_none_or(|end| end > image.len()) {
            return Ok(false);
        }
        let mut bytes = vec![0; self.mark.bytes.len()];
        image.read_at(&mut bytes, at)?;
        Ok(bytes == self.mark.bytes)
    }

    /// The file that `objcopy -O binary` makes of it: what is loaded, at its distance from the lowest address.
    pub fn into_image(self) -> Result<Source, ElfError> {
        let base = self.base();
        let mut pieces: Vec<Piece> = Vec::new();
        for segment in self.segments.iter().filter(|segment| segment.filesz > 0) {
            let at = segment.vaddr - base;
            let end = at.checked_add(segment.filesz).filter(|end| *end <= MOST_IMAGE);
            if end.is_none() || pieces.last().is_some_and(|last| last.end() > at) {
                return Err(ElfError::Malformed("program header"));
            }
            pieces.push(Piece { at, len: segment.filesz, offset: segment.offset });
        }
        self.source.of_pieces(pieces).ok_or(ElfError::NothingToLoad)
    }
}

impl Segment {
    fn of(header: &ProgramHeader64<LittleEndian>, file_len: u64) -> Result<Self, ElfError> {
        let segment = Self {
            vaddr: header.p_vaddr(LE),
            memsz: header.p_memsz(LE),
            offset: header.p_offset(LE),
            filesz: header.p_filesz(LE),
        };
        let has_ends = segment.vaddr.checked_add(segment.memsz).is_some();
        let in_file = segment.offset.checked_add(segment.filesz).is_some_and(|end| end <= file_len);
        match (has_ends && segment.filesz <= segment.memsz, in_file) {
            (true, true) => Ok(segment),
            (true, false) => Err(ElfError::Truncated),
            (false, _) => Err(ElfError::Malformed("program header")),
        }
    }

    /// An Image's header, if this is where it begins.
    fn head(&self, cache: &Cache<'_>) -> Option<Mark> {
        let bytes = cache.read_bytes_at(self.offset, self.filesz.min(HEADER_SIZE)).ok()?;
        Some(Mark { vaddr: self.vaddr, bytes: bytes.to_vec() })
    }
}

/// EI_MAG, EI_CLASS and EI_DATA.
fn check_ident(source: &Source) -> Result<(), ElfError> {
    match source.head().map_err(ElfError::File)?.get(..6) {
        Some(b"\x7fELF\x02\x01") => Ok(()),
        Some([0x7f, b'E', b'L', b'F', 2, 2]) => Err(ElfError::BigEndian),
        Some([0x7f, b'E', b'L', b'F', 1, _]) => Err(ElfError::Class32),
        Some([0x7f, b'E', b'L', b'F', ..]) => Err(ElfError::Malformed("file header")),
        _ => Err(ElfError::NotElf),
    }
}

fn program_headers<'a>(
    header: &Header,
    cache: &'a Cache<'_>,
) -> Result<&'a [ProgramHeader64<LittleEndian>], ElfError> {
    let malformed = ElfError::Malformed("program header");
    // Their number is in the file header, unless it is past 65534.
    if usize::from(header.e_phnum(LE)) > MOST_SEGMENTS {
        return Err(malformed);
    }
    header.program_headers(LE, cache).map_err(|_| malformed)
}

/// A PT_NOTE, if the build id is in it.
fn notes(header: &ProgramHeader64<LittleEndian>, cache: &Cache<'_>) -> Option<Mark> {
    if header.p_type(LE) != PT_NOTE || header.p_filesz(LE) > MOST_NOTES {
        return None;
    }
    let bytes = cache.read_bytes_at(header.p_offset(LE), header.p_filesz(LE)).ok()?;
    let mut notes = NoteIterator::<Header>::new(LE, header.p_align(LE), bytes).ok()?;
    while let Ok(Some(note)) = notes.next() {
        if note.name() == b"GNU" && note.n_type(LE) == NT_GNU_BUILD_ID {
            return Some(Mark { vaddr: header.p_vaddr(LE), bytes: bytes.to_vec() });
        }
    }
    None
}

/// Symbols, and the names that they have the places of.
type Symbols<'a> = (&'a [Sym64<LittleEndian>], &'a [u8]);

/// The symbol table, if there is one.
fn symbol_table<'a>(cache: &'a Cache<'_>) -> Result<Option<Symbols<'a>>, ElfError> {
    let malformed = ElfError::Malformed("section header");
    let Ok(header) = Header::parse(cache) else { return Err(malformed) };
    if !header.shnum(LE, cache).is_ok_and(|count| count <= MOST_SECTIONS) {
        return Err(malformed);
    }
    let Ok(sections) = header.section_headers(LE, cache) else { return Err(malformed) };
    let Some(symtab) = sections.iter().find(|section| section.sh_type(LE) == SHT_SYMTAB) else {
        return Ok(None);
    };
    let Some(strtab) = sections.get(symtab.sh_link(LE) as usize) else { return Err(malformed) };
    let malformed = ElfError::Malformed("symbol table");
    let is_small = |section: &SectionHeader64<LittleEndian>| section.sh_size(LE) <= MOST_SYMBOLS;
    if !is_small(symtab) || !is_small(strtab) {
        return Err(malformed);
    }
    match (symtab.data_as_array(LE, cache), strtab.data(LE, cache)) {
        (Ok(symbols), Ok(strings)) => Ok(Some((symbols, strings))),
        _ => Err(malformed),
    }
}

/// Why a file cannot serve as a vmlinux. The user chose the file; nothing has been started.
#[derive(Debug)]
pub enum ElfError {
    /// The file cannot be read.
    File(SourceError),
    /// It is something else.
    NotElf,
    /// For a 32-bit CPU.
    Class32,
    /// For a big-endian CPU.
    BigEndian,
    /// For a CPU that is not arm64.
    OtherMachine,
    /// It ends before what is to be loaded does.
    Truncated,
    /// No program header says what to load: an object file, a module.
    NothingToLoad,
    /// What is named here makes no sense.
    Malformed(&'static str),
}

impl fmt::Display for ElfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => return write!(f, "{error}"),
            Self::NotElf => write!(f, "no ELF file"),
            Self::Class32 => write!(f, "32-bit ELF file"),
            Self::BigEndian => write!(f, "big-endian ELF file"),
            Self::OtherMachine => write!(f, "ELF file of another machine"),
            Self::Truncated => write!(f, "truncated ELF file"),
            Self::NothingToLoad => write!(f, "ELF file with nothing to load"),
            Self::Malformed(what) => write!(f, "ELF file with a bad {what}"),
        }?;
        write!(f, ", expected an arm64 ELF file")
    }
}

impl Error for ElfError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::File(error) => error.source(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
