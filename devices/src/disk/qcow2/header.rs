//! What a qcow2 file says of itself.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::disk::{SECTOR, Unusable};

/// How compressed clusters are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Compression {
    Zlib,
    Zstd,
}

/// What is needed to read.
#[derive(Debug)]
pub(super) struct Header {
    /// Bytes of the disk: whole sectors, at least one.
    pub(super) len: u64,
    /// Bytes of a cluster: a power of two from 512 to 2 MiB.
    pub(super) cluster: u64,
    pub(super) l1_offset: u64,
    /// Entries that the disk's length needs.
    pub(super) l1_len: u64,
    pub(super) compression: Compression,
    /// Bit 0 of an L2 entry means something.
    pub(super) has_zero_flag: bool,
}

/// Bytes of the header, as far as it is of interest.
const LEN: usize = 112;
/// Bytes of an L1 table, as QEMU has it.
const MOST_L1: u64 = 32 << 20;

/// Incompatible features.
const DIRTY: u64 = 1 << 0;
const CORRUPT: u64 = 1 << 1;
const EXTERNAL_DATA: u64 = 1 << 2;
const COMPRESSION_TYPE: u64 = 1 << 3;
const EXTENDED_L2: u64 = 1 << 4;

impl Header {
    pub(super) fn read(file: &File) -> Result<Self, Unusable> {
        let mut bytes = [0; LEN];
        let mut read = 0;
        while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, read as u64).map_err(Unusable::Host)? {
                0 => break,
                count => read += count,
            }
        }
        Self::parse(&bytes).map_err(Unusable::Qcow2)
    }

    /// Of a file that is shorter, zeroes follow. The error says what is the matter with the image.
    fn parse(bytes: &[u8; LEN]) -> Result<Self, String> {
        let version = u32_at(bytes, 4);
        if !matches!(version, 2 | 3) {
            return Err(format!("of version {version}, expected 2 or 3"));
        }
        if u64_at(bytes, 8) != 0 {
            return Err(
                "with a backing file, expected one that stands alone (qemu-img convert makes one)"
                    .to_owned(),
            );
        }
        if u32_at(bytes, 32) != 0 {
            return Err("that is encrypted, expected one that is not".to_owned());
        }
        let (incompatible, compression) =
            if version == 3 { (u64_at(bytes, 72), u64_at(bytes, 104) >> 56) } else { (0, 0) };
        for (bit, what) in [
            (CORRUPT, "that is marked as corrupt, expected one that qemu-img check has repaired"),
            (EXTERNAL_DATA, "with an external data file, expected one that has its data"),
            (EXTENDED_L2, "with extended L2 entries, expected one without"),
        ] {
            if incompatible & bit != 0 {
                return Err(what.to_owned());
            }
        }
        let unknown = incompatible & !(DIRTY | COMPRESSION_TYPE);
        if unknown != 0 {
            return Err(format!("with features {unknown:#x}, expected none that are not known"));
        }
        let compression = match (incompatible & COMPRESSION_TYPE != 0, compression) {
            (false, _) | (true, 0) => Compression::Zlib,
            (true, 1) => Compression::Zstd,
            (true, other) => {
                return Err(format!("of compression type {other}, expected 0 (zlib) or 1 (zstd)"));
            }
        };
        let bits = u32_at(bytes, 20);
        if !(9..=21).contains(&bits) {
            return Err(format!("with clusters of 2^{bits} bytes, expected 2^9 to 2^21"));
        }
        let cluster = 1 << bits;
        let len = u64_at(bytes, 24);
        if len == 0 || !len.is_multiple_of(SECTOR) {
            return Err(format!("of a disk of {len} bytes, expected a multiple of 512"));
        }
        let l1_len = len.div_ceil(cluster).div_ceil(cluster / 8);
        let l1_there = u64::from(u32_at(bytes, 36));
        if l1_there < l1_len || l1_len > MOST_L1 / 8 {
            return Err(format!(
                "with {l1_there} L1 entries, expected {l1_len} for {len:#x} bytes"
            ));
        }
        let l1_offset = u64_at(bytes, 40);
        let has_zero_flag = version == 3;
        Ok(Self { len, cluster, l1_offset, l1_len, compression, has_zero_flag })
    }
}

fn u32_at(bytes: &[u8; LEN], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u32::from_be_bytes(*word))
}

fn u64_at(bytes: &[u8; LEN], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u64::from_be_bytes(*word))
}
