//! A disk in a qcow2 file, versions 2 and 3, to be read (QEMU docs/interop/qcow2.rst).
//!
//! Every offset in it is an allegation: what leads out of the file or is not aligned is an error of the request that
//! met it. A guest can have written the file, as a raw disk of its own, so it must not lead to other files: there are no
//! backing files and no external data files.

mod header;
mod inflate;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use vm_memory::bitmap::BitmapSlice;
use vm_memory::{ReadVolatile, VolatileSlice};

use super::raw::of_host;
use super::{SECTOR, Unusable};
use header::{Compression, Header};

/// L2 tables that are kept, of 2 MiB at most.
const TABLES: usize = 8;

/// The file, and what of its tables is in memory.
pub struct Qcow2 {
    file: File,
    file_len: u64,
    header: Header,
    l1: Vec<u64>,
    /// Where each L2 table is, and its entries; the one used last comes first.
    tables: Vec<(u64, Vec<u64>)>,
    /// The compressed cluster that was read last, by its L2 entry.
    inflated: Option<(u64, Vec<u8>)>,
}

/// Where a cluster's bytes are.
enum Place {
    Zeroes,
    /// From this offset on.
    At(u64),
    /// With this L2 entry.
    Compressed(u64),
}

/// Of L2 entries, and of L1 entries but for the flags.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
const COMPRESSED: u64 = 1 << 62;
const ZERO: u64 = 1 << 0;

impl Qcow2 {
    /// Whether a file is meant to be one.
    pub(super) fn is_magic(head: &[u8]) -> bool {
        head.starts_with(b"QFI\xfb")
    }

    pub(super) fn new(mut file: File) -> Result<Self, Unusable> {
        let file_len = file.seek(SeekFrom::End(0)).map_err(Unusable::Host)?;
        let header = Header::read(&file)?;
        let l1 = read_table(&file, file_len, header.l1_offset, header.l1_len)
            .map_err(|error| Unusable::Qcow2(format!("whose L1 table cannot be read: {error}")))?;
        Ok(Self { file, file_len, header, l1, tables: Vec::new(), inflated: None })
    }

    pub(super) fn sectors(&self) -> u64 {
        self.header.len / SECTOR
    }

    pub(super) fn read<B: BitmapSlice>(
        &mut self,
        offset: u64,
        slices: &[VolatileSlice<B>],
    ) -> io::Result<()> {
        let mut offset = offset;
        for slice in slices {
            let mut rest = slice.clone();
            while !rest.is_empty() {
                let inside = offset % self.header.cluster;
                let count = (self.header.cluster - inside).min(rest.len() as u64);
                let (piece, others) = rest.split_at(count as usize).map_err(of_host)?;
                self.read_piece(offset, &piece)?;
                offset += count;
                rest = others;
            }
        }
        Ok(())
    }

    /// What lies in one cluster.
    fn read_piece<B: BitmapSlice>(
        &mut self,
        offset: u64,
        piece: &VolatileSlice<B>,
    ) -> io::Result<()> {
        let inside = offset % self.header.cluster;
        match self.place(offset)? {
            Place::Zeroes => zero(piece),
            Place::At(start) => {
                let start = start + inside;
                // A file may end within its last cluster.
                let there = self.file_len.saturating_sub(start).min(piece.len() as u64);
                let (mut there, missing) = piece.split_at(there as usize).map_err(of_host)?;
                self.file.seek(SeekFrom::Start(start))?;
                self.file.read_exact_volatile(&mut there).map_err(of_host)?;
                zero(&missing);
            }
            Place::Compressed(entry) => {
                let inside = inside as usize;
                let bytes = self.inflate(entry)?.get(inside..inside + piece.len());
                piece.copy_from(bytes.ok_or_else(|| corrupt("a compressed cluster is too short"))?);
            }
        }
        Ok(())
    }

    fn place(&mut self, offset: u64) -> io::Result<Place> {
        let index = offset / self.header.cluster;
        let entries = self.header.cluster / 8;
        let l1 = usize::try_from(index / entries).ok().and_then(|at| self.l1.get(at).copied());
        let table = l1.ok_or_else(|| corrupt("the L1 table is too short"))? & OFFSET;
        if table == 0 {
            return Ok(Place::Zeroes);
        }
        let entry = self.entry(table, (index % entries) as usize)?;
        if entry & COMPRESSED != 0 {
            return Ok(Place::Compressed(entry));
        }
        let start = entry & OFFSET;
        if start == 0 || self.header.has_zero_flag && entry & ZERO != 0 {
            return Ok(Place::Zeroes);
        }
        if !start.is_multiple_of(self.header.cluster) {
            return Err(corrupt("a cluster is not aligned"));
        }
        Ok(Place::At(start))
    }

    /// An entry of the L2 table at this offset.
    fn entry(&mut self, table: u64, index: usize) -> io::Result<u64> {
        let known = self.tables.iter().position(|(offset, _)| *offset == table);
        let entries = match known {
            Some(at) => self.tables.remove(at).1,
            None => {
                if !table.is_multiple_of(self.header.cluster) {
                    return Err(corrupt("an L2 table is not aligned"));
                }
                self.tables.truncate(TABLES - 1);
                read_table(&self.file, self.file_len, table, self.header.cluster / 8)?
            }
        };
        let entry = entries.get(index).copied().ok_or_else(|| corrupt("an L2 table is too short"));
        self.tables.insert(0, (table, entries));
        entry
    }

    fn inflate(&mut self, entry: u64) -> io::Result<&[u8]> {
        if self.inflated.as_ref().is_none_or(|(known, _)| *known != entry) {
            // Offset in the low bits, and in those above how many sectors follow the one that it is in.
            let width = 70 - self.header.cluster.trailing_zeros();
            let start = entry & ((1 << width) - 1);
            let sectors = (entry & (COMPRESSED - 1)) >> width;
            let len = (sectors + 1) * SECTOR - start % SECTOR;
            let len = len.min(self.file_len.saturating_sub(start));
            let mut bytes = vec![0; len as usize];
            self.file.read_exact_at(&mut bytes, start)?;
            let cluster = self.header.cluster as usize;
            let cluster = match self.header.compression {
                Compression::Zlib => inflate::zlib(&bytes, cluster)?,
                Compression::Zstd => inflate::zstd(&bytes, cluster)?,
            };
            self.inflated = Some((entry, cluster));
        }
        Ok(self.inflated.as_ref().map(|(_, bytes)| bytes.as_slice()).unwrap_or_default())
    }
}

fn zero<B: BitmapSlice>(piece: &VolatileSlice<B>) {
    const ZEROES: [u8; 4096] = [0; 4096];
    let mut rest = piece.clone();
    while !rest.is_empty() {
        rest.copy_from(&ZEROES);
        match rest.offset(ZEROES.len().min(rest.len())) {
            Ok(others) => rest = others,
            Err(_) => return,
        }
    }
}

/// Big-endian entries, all of them in the file.
fn read_table(file: &File, file_len: u64, offset: u64, entries: u64) -> io::Result<Vec<u64>> {
    let end = entries.checked_mul(8).and_then(|len| len.checked_add(offset));
    if end.is_none_or(|end| end > file_len) {
        return Err(corrupt("a table leads out of the file"));
    }
    let mut bytes = vec![0; entries as usize * 8];
    file.read_exact_at(&mut bytes, offset)?;
    let (entries, _) = bytes.as_chunks();
    Ok(entries.iter().map(|entry| u64::from_be_bytes(*entry)).collect())
}

fn corrupt(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("corrupt qcow2 image: {what}"))
}
