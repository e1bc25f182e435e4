//! Guest RAM as the host's kernel has it, past all that minivmm and its stub do.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use crate::minivmm::Minivmm;

/// A copy of the RAM of a guest that is stopped.
pub struct Physical {
    bytes: Vec<u8>,
}

impl Physical {
    /// IPA of the first byte (docs/machine.md).
    pub const BASE: u64 = 0x4000_0000;
    /// minivmm keeps host and guest addresses equal modulo this.
    const ALIGNMENT: u64 = 2 << 20;

    /// Copies the `size` bytes of RAM of a guest that is known to have `landmark` at an offset from [`Self::BASE`].
    pub fn of(minivmm: &Minivmm, size: u64, offset: u64, landmark: &[u8]) -> Self {
        let folder = format!("/proc/{}", minivmm.pid());
        let maps = fs::read_to_string(format!("{folder}/maps")).expect("minivmm's mappings");
        let memory = File::open(format!("{folder}/mem")).expect("minivmm's memory");
        let has_landmark = |start: &u64| {
            let mut found = vec![0; landmark.len()];
            memory.read_exact_at(&mut found, start + offset).is_ok() && found == landmark
        };
        let starts: Vec<_> = anonymous(&maps)
            .flat_map(|(start, end)| {
                let first = start.next_multiple_of(Self::ALIGNMENT);
                (first..=end.saturating_sub(size)).step_by(Self::ALIGNMENT as usize)
            })
            .filter(has_landmark)
            .collect();
        let [start] = starts[..] else { panic!("guest RAM is at {starts:x?} of\n{maps}") };
        let mut bytes = vec![0; usize::try_from(size).expect("RAM fits memory")];
        memory.read_exact_at(&mut bytes, start).expect("guest RAM");
        Self { bytes }
    }

    /// `len` bytes at an IPA, if they are RAM.
    pub fn read(&self, ipa: u64, len: usize) -> Option<&[u8]> {
        let offset = usize::try_from(ipa.checked_sub(Self::BASE)?).ok()?;
        self.bytes.get(offset..offset.checked_add(len)?)
    }

    /// The little-endian word at an IPA, if that is RAM.
    pub fn word(&self, ipa: u64) -> Option<u64> {
        Some(u64::from_le_bytes(self.read(ipa, 8)?.try_into().ok()?))
    }
}

/// Start and end of the mappings that are writable and of no file (proc(5), /proc/pid/maps).
fn anonymous(maps: &str) -> impl Iterator<Item = (u64, u64)> {
    let number = |digits| u64::from_str_radix(digits, 16).expect("an address");
    maps.lines().filter_map(move |line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [range, "rw-p", _, _, "0"] = fields[..] else { return None };
        let (start, end) = range.split_once('-')?;
        Some((number(start), number(end)))
    })
}
