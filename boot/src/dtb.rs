//! A device tree blob that the user supplies.
//!
//! It takes the place of ours completely: unlike QEMU, minivmm does not patch `/chosen` or `/memory` in it. Command
//! line, initrd, RAM, CPUs and interrupt controller are what the blob says, right or wrong. `--dump-dtb` gives one to
//! start from.
//!
//! Only the header is checked (Devicetree Specification v0.4, 5.2): what lies in the blocks is between user and guest.

use std::error::Error;
use std::fmt;

use crate::placement::DTB_SIZE;
use crate::source::{Source, SourceError};

const MAGIC: u32 = 0xd00d_feed;

/// Version written by dtc and libfdt, and the oldest whose layout is the same.
const VERSION: u32 = 17;
const COMPATIBLE_VERSION: u32 = 16;

/// Header of version 16; 17 adds one word, `size_dt_struct`.
const HEADER_SIZE: usize = 9 * 4;

/// Reads and checks a blob. What follows it in the file is left out.
pub fn read(source: &Source) -> Result<Vec<u8>, DtbError> {
    let mut blob = source.read(DTB_SIZE as usize).map_err(DtbError::File)?;
    let size = check(&blob, source.len())?;
    blob.truncate(size);
    Ok(blob)
}

/// Checks the header of a blob that begins with `head` in a file of `file_len` bytes, and returns the blob's length.
pub fn check(head: &[u8], file_len: u64) -> Result<usize, DtbError> {
    if head.trim_ascii_start().starts_with(b"/dts-v1/") {
        return Err(DtbError::Text);
    }
    let Some(header) = header(head) else {
        return Err(DtbError::TooShort { found: head.len() as u64 });
    };
    let [magic, total_size, structure, strings, reservations, version, compatible, ..] = header;
    if magic != MAGIC {
        return Err(DtbError::Magic { found: magic });
    }
    if version < COMPATIBLE_VERSION || compatible > VERSION {
        return Err(DtbError::Version { found: version, compatible });
    }
    let size = u64::from(total_size);
    if size > DTB_SIZE {
        return Err(DtbError::TooLong { found: size });
    }
    if size > file_len {
        return Err(DtbError::Truncated { found: file_len, expected: size });
    }
    for (block, offset) in
        [("structure", structure), ("strings", strings), ("memory reservations", reservations)]
    {
        // The strings may be empty and lie at the end; nothing lies in the header.
        if (offset as usize) < HEADER_SIZE || offset > total_size {
            return Err(DtbError::Block { block, found: offset, size: total_size });
        }
    }
    Ok(total_size as usize)
}

/// The header's nine words.
fn header(head: &[u8]) -> Option<[u32; HEADER_SIZE / 4]> {
    let (words, _) = head.first_chunk::<HEADER_SIZE>()?.as_chunks::<4>();
    let words: &[_; HEADER_SIZE / 4] = words.try_into().ok()?;
    Some(words.map(u32::from_be_bytes))
}

/// Why a file is no device tree blob. The user chose the file; nothing has been started.
#[derive(Debug)]
pub enum DtbError {
    /// The file cannot be read.
    File(SourceError),
    /// It is source, not compiled.
    Text,
    /// It ends within the header.
    TooShort {
        /// Bytes there are.
        found: u64,
    },
    /// It is something else.
    Magic {
        /// First word.
        found: u32,
    },
    /// It has a layout that today's readers do not know.
    Version {
        /// The blob's version.
        found: u32,
        /// The oldest version whose readers can read it.
        compatible: u32,
    },
    /// The file ends before the blob does.
    Truncated {
        /// Length of the file in bytes.
        found: u64,
        /// Length of the blob in bytes.
        expected: u64,
    },
    /// It is longer than the boot protocol allows (Linux Documentation/arch/arm64/booting.rst, section 2).
    TooLong {
        /// Length of the blob in bytes.
        found: u64,
    },
    /// One of its blocks lies in its header or outside of it.
    Block {
        /// Name of the block.
        block: &'static str,
        /// Where it starts, in bytes.
        found: u32,
        /// Length of the blob in bytes.
        size: u32,
    },
}

impl fmt::Display for DtbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => write!(f, "{error}"),
            Self::Text => {
                write!(f, "device tree source, expected a device tree blob (dtc -O dtb makes one)")
            }
            Self::TooShort { found } => write!(
                f,
                "{found:#x} bytes, expected at least the {HEADER_SIZE:#x} of a device tree blob's header"
            ),
            Self::Magic { found } => {
                write!(f, "magic {found:#x}, expected {MAGIC:#x} of a device tree blob")
            }
            Self::Version { found, compatible } => write!(
                f,
                "device tree blob of version {found} (readable as {compatible}), expected {VERSION}"
            ),
            Self::Truncated { found, expected } => {
                write!(f, "a truncated device tree blob: {found:#x} bytes, expected {expected:#x}")
            }
            Self::TooLong { found } => {
                write!(f, "device tree blob of {found:#x} bytes, expected at most {DTB_SIZE:#x}")
            }
            Self::Block { block, found, size } => write!(
                f,
                "device tree blob with {block} at {found:#x}, expected {HEADER_SIZE:#x} to {size:#x}"
            ),
        }
    }
}

impl Error for DtbError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::File(error) => error.source(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use vmm_sys_util::tempfile::TempFile;

    use super::*;

    /// The smallest blob there is: an empty root node.
    const BLOB: [u32; 18] = [
        0xd00d_feed, // magic
        0x48,        // totalsize
        0x38,        // off_dt_struct
        0x48,        // off_dt_strings
        0x28,        // off_mem_rsvmap
        17,          // version
        16,          // last_comp_version
        0,           // boot_cpuid_phys
        0,           // size_dt_strings
        0x10,        // size_dt_struct
        0,
        0,
        0,
        0, // no reservations
        1,
        0, // begin node, ""
        2, // end node
        9, // end
    ];

    fn blob(word: usize, value: u32) -> Vec<u8> {
        let mut words = BLOB;
        words[word] = value;
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    fn file(bytes: &[u8]) -> Source {
        let file = TempFile::new().unwrap();
        file.as_file().write_all(bytes).unwrap();
        Source::open(file.as_path()).unwrap()
    }

    #[test]
    fn takes_a_blob_and_leaves_what_follows_it() {
        let good = blob(0, 0xd00d_feed);
        let mut padded = good.clone();
        padded.extend([0xff; 100]);

        assert_eq!(read(&file(&good)).unwrap(), good);
        assert_eq!(read(&file(&padded)).unwrap(), good);
    }

    #[test]
    fn takes_our_own() {
        let ours = crate::fdt::build(&crate::fdt::Machine {
            mpidrs: &[0],
            ram_size: 0x800_0000,
            gic: crate::fdt::Gic::V3,
            virtio: 0,
            pmu: true,
            uart: true,
            cmdline: "",
            initrd: None,
            rng_seed: &[],
            kaslr_seed: None,
        })
        .unwrap();

        assert_eq!(check(&ours, ours.len() as u64).unwrap(), ours.len());
    }

    #[test]
    fn refuses_a_bad_header_field_by_field() {
        for (bytes, message) in [
            (blob(0, 0xedfe_0dd0), "magic 0xedfe0dd0, expected 0xd00dfeed of a device tree blob"),
            (blob(1, 0x49), "a truncated device tree blob: 0x48 bytes, expected 0x49"),
            (blob(1, 0x20_0001), "device tree blob of 0x200001 bytes, expected at most 0x200000"),
            (blob(1, u32::MAX), "device tree blob of 0xffffffff bytes, expected at most 0x200000"),
            (blob(2, 0x49), "device tree blob with structure at 0x49, expected 0x24 to 0x48"),
            (
                blob(3, u32::MAX),
                "device tree blob with strings at 0xffffffff, expected 0x24 to 0x48",
            ),
            (blob(4, 0), "device tree blob with memory reservations at 0x0, expected 0x24 to 0x48"),
            (blob(5, 3), "device tree blob of version 3 (readable as 16), expected 17"),
            (blob(6, 18), "device tree blob of version 17 (readable as 18), expected 17"),
            (
                b"/dts-v1/;\n/ { };\n".to_vec(),
                "device tree source, expected a device tree blob (dtc -O dtb makes one)",
            ),
            (
                vec![0xd0, 0x0d, 0xfe, 0xed],
                "0x4 bytes, expected at least the 0x24 of a device tree blob's header",
            ),
        ] {
            assert_eq!(read(&file(&bytes)).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn no_cut_of_a_blob_passes() {
        let good = blob(0, 0xd00d_feed);

        for len in 0..good.len() {
            assert!(check(&good[..len], len as u64).is_err(), "{len}");
        }
    }
}
