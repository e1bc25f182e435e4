//! Guest RAM: one anonymous mapping, one KVM slot.
#![expect(unsafe_code, reason = "mmap, and the slice that cache maintenance walks")]

use std::fs;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use vm_memory::mmap::MmapRegionBuilder;
use vm_memory::{
    Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap, GuestMemoryRegion, GuestRegionMmap,
};

use super::cache;
use super::error::Error;

/// Stage-2 blocks and transparent huge pages: host and guest address must agree modulo this.
pub const HUGE_PAGE: usize = 2 << 20;

/// Guest RAM as the VMM sees it. All addresses are IPAs. The default is none at all.
///
/// It is unmapped when the last clone is dropped, and nothing that comes out of here outlives that:
/// `ram` itself, which could be cloned too, does not.
#[derive(Clone, Default, Debug)]
pub struct Memory {
    ram: GuestMemoryMmap,
    mapping: Option<Arc<Mapping>>,
}

/// The host's address range that guest RAM lies in.
#[derive(Debug)]
struct Mapping {
    /// Address.
    start: usize,
    /// Bytes.
    size: usize,
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let start = std::ptr::with_exposed_provenance_mut(self.start);
        // SAFETY: `map` made this range, nobody else unmaps it, and whoever uses it holds the
        // `Memory` that holds this.
        unsafe { libc::munmap(start, self.size) };
    }
}

impl Memory {
    /// Maps `size` bytes of zeroes at `base`. Pages are taken from the host when first touched.
    pub fn new(base: u64, size: u64) -> Result<Self, Error> {
        let failed = |cause| Error::Memory(size, cause);
        let bytes = usize::try_from(size).map_err(|e| failed(io::Error::other(e)))?;
        let (mapping, host) = map(bytes).map_err(|cause| refusal(size, cause))?;
        // SAFETY: `host` is a fresh private mapping of `bytes` bytes, unmapped together with the
        // region by `Memory`.
        let region = unsafe { MmapRegionBuilder::new(bytes).with_raw_mmap_pointer(host) };
        let region = region
            .with_mmap_prot(libc::PROT_READ | libc::PROT_WRITE)
            .with_mmap_flags(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS)
            .build()
            .map_err(|e| failed(io::Error::other(e)))?;
        let region = GuestRegionMmap::new(region, GuestAddress(base))
            .ok_or_else(|| failed(io::Error::other("address overflow")))?;
        let ram =
            GuestMemoryMmap::from_regions(vec![region]).map_err(|e| failed(io::Error::other(e)))?;
        Ok(Self { ram, mapping: Some(Arc::new(mapping)) })
    }

    /// The same memory for fuse-backend-rs, which has a vm-memory of its own.
    pub fn for_shares(&self) -> Result<SharesMemory, Error> {
        use vm_memory_fuse::mmap::MmapRegionBuilder;
        use vm_memory_fuse::{GuestAddress, GuestMemoryMmap, GuestRegionMmap};
        let failed =
            |cause| Error::Memory(self.ram.iter().map(GuestMemoryRegion::len).sum(), cause);
        let regions = self.ram.iter().map(|region| {
            let len = region.len() as usize;
            // SAFETY: the region is a live mapping of `len` bytes, which `SharesMemory` keeps, and the new one does not unmap.
            let same =
                unsafe { MmapRegionBuilder::new(len).with_raw_mmap_pointer(region.as_ptr()) };
            let same = same
                .with_mmap_prot(libc::PROT_READ | libc::PROT_WRITE)
                .with_mmap_flags(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS)
                .build()
                .map_err(|e| failed(io::Error::other(e)))?;
            GuestRegionMmap::new(same, GuestAddress(region.start_addr().0))
                .ok_or_else(|| failed(io::Error::other("address overflow")))
        });
        let ram = GuestMemoryMmap::from_regions(regions.collect::<Result<_, _>>()?)
            .map_err(|e| failed(io::Error::other(e)))?;
        Ok(SharesMemory { ram, mapping: self.mapping.clone() })
    }

    /// Host address of the first byte, for the KVM slot.
    pub(super) fn host_start(&self) -> *const u8 {
        let start = self.ram.iter().next().map(|region| region.as_ptr());
        start.map_or(std::ptr::null(), <*mut u8>::cast_const)
    }

    /// All IPAs that are RAM.
    pub(super) fn range(&self) -> Range<u64> {
        let region = self.ram.iter().next();
        region.map_or(0..0, |region| region.start_addr().0..region.start_addr().0 + region.len())
    }

    /// Host address of the first byte of `ipas`, if all of them are RAM.
    pub(super) fn host(&self, ipas: &Range<u64>) -> Option<u64> {
        let ram = self.range();
        let is_ram = ram.start <= ipas.start && ipas.start <= ipas.end && ipas.end <= ram.end;
        is_ram.then(|| self.host_start() as u64 + (ipas.start - ram.start))
    }

    /// The IPA of a host address, if that lies in RAM.
    pub(super) fn ipa_of(&self, host: u64) -> Option<u64> {
        let ram = self.range();
        let ipa = host.checked_sub(self.host_start() as u64)?.checked_add(ram.start)?;
        ram.contains(&ipa).then_some(ipa)
    }

    /// Bytes of it that are in the host's memory (proc(5), smaps: Rss).
    pub fn resident(&self) -> Option<u64> {
        let ram = self.host(&self.range())?;
        let ram = ram..ram + (self.range().end - self.range().start);
        let maps = fs::read_to_string("/proc/self/smaps").ok()?;
        let mut is_ram = false;
        let mut kib = 0;
        for line in maps.lines() {
            if let Some(size) = line.strip_prefix("Rss:").filter(|_| is_ram) {
                kib += size.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?;
            } else if let Some((start, _)) = line.split_once('-')
                && let Ok(start) = u64::from_str_radix(start, 16)
            {
                // It may be in several parts, each of which begins in it.
                is_ram = ram.contains(&start);
            }
        }
        Some(kib << 10)
    }

    /// Lets a host that looks for pages with the same content have guests share them (Linux Documentation/admin-guide/mm/ksm.rst).
    /// Others ignore that, or have not heard of it.
    pub(super) fn let_merge(&self, ipas: &Range<u64>) {
        let Some(start) = self.host(ipas) else { return };
        let start = std::ptr::with_exposed_provenance_mut(start as usize);
        let len = (ipas.end - ipas.start) as usize;
        // SAFETY: advice, for guest RAM: `host` has checked that.
        unsafe { libc::madvise(start, len, libc::MADV_MERGEABLE) };
    }

    /// Whether all of `ipa..ipa + len` is RAM.
    pub fn contains(&self, ipa: u64, len: usize) -> bool {
        self.ram.get_slice(GuestAddress(ipa), len).is_ok()
    }

    /// How many bytes from `ipa` on are RAM.
    pub fn rest(&self, ipa: u64) -> usize {
        let ram = self.range();
        if ram.contains(&ipa) { (ram.end - ipa) as usize } else { 0 }
    }

    /// Reads all of `data` at `ipa`; false if any byte lies outside RAM.
    #[must_use]
    pub fn read(&self, ipa: u64, data: &mut [u8]) -> bool {
        self.ram.read_slice(data, GuestAddress(ipa)).is_ok()
    }

    /// Writes all of `data` at `ipa` and keeps instruction fetches in step; false, with nothing
    /// written, if any byte lies outside RAM.
    #[must_use]
    pub fn write(&self, ipa: u64, data: &[u8]) -> bool {
        let Ok(slice) = self.ram.get_slice(GuestAddress(ipa), data.len()) else { return false };
        slice.copy_from(data);
        let guard = slice.ptr_guard();
        // SAFETY: `get_slice` checked that the range is inside a live mapping.
        unsafe { cache::sync_instruction_cache(guard.as_ptr(), data.len()) };
        true
    }

    /// The little-endian 64-bit word at `ipa`, for table walks.
    pub fn read_u64(&self, ipa: u64) -> Option<u64> {
        let mut word = [0; 8];
        self.read(ipa, &mut word).then(|| u64::from_le_bytes(word))
    }
}

/// Guest RAM, as [`Memory`] is, by the traits of fuse-backend-rs.
pub struct SharesMemory {
    ram: vm_memory_fuse::GuestMemoryMmap,
    #[expect(dead_code, reason = "held, not used")]
    mapping: Option<Arc<Mapping>>,
}

/// What it gives out is borrowed from `self`, and so does not outlive the mapping.
impl vm_memory_fuse::GuestMemory for SharesMemory {
    type R = vm_memory_fuse::GuestRegionMmap;

    fn iter(&self) -> impl Iterator<Item = &Self::R> {
        self.ram.iter()
    }
}

/// For loaders and devices, which speak vm-memory. What it gives out is borrowed from `self`, and so does not outlive the
/// mapping.
impl GuestMemoryBackend for Memory {
    type R = GuestRegionMmap;

    fn iter(&self) -> impl Iterator<Item = &Self::R> {
        self.ram.iter()
    }
}

/// Why so much was not mapped: Linux refuses what is more than all of its memory and swap together, unless it is told to refuse
/// nothing (Linux Documentation/mm/overcommit-accounting.rst).
fn refusal(size: u64, cause: io::Error) -> Error {
    let host = match fs::read_to_string("/proc/meminfo") {
        Ok(text) if cause.kind() == io::ErrorKind::OutOfMemory => host_memory(&text),
        _ => None,
    };
    match host {
        Some(host) if size > host => Error::MemoryBeyondHost(size, host),
        _ => Error::Memory(size, cause),
    }
}

/// Bytes of memory and swap that a host has, in what its `/proc/meminfo` says.
fn host_memory(meminfo: &str) -> Option<u64> {
    let bytes = |name| {
        let rest = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        Some(rest.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? << 10)
    };
    Some(bytes("MemTotal:")? + bytes("SwapTotal:").unwrap_or(0))
}

/// Maps `size` bytes of anonymous memory at a host address that is a multiple of [`HUGE_PAGE`], which is
/// the second half of the result.
fn map(size: usize) -> io::Result<(Mapping, *mut u8)> {
    let reserved = size.checked_add(HUGE_PAGE).ok_or(io::ErrorKind::OutOfMemory)?;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping where the kernel likes; no existing memory is touched.
    let start =
        unsafe { libc::mmap(std::ptr::null_mut(), reserved, libc::PROT_NONE, flags, -1, 0) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let mapping = Mapping { start: start.expose_provenance(), size: reserved };
    let skip = start.align_offset(HUGE_PAGE);
    let aligned = start.wrapping_byte_add(skip);
    // The spare ends stay reserved: they cost address space only.
    // SAFETY: `aligned..aligned + size` lies inside the mapping made above.
    if unsafe { libc::mprotect(aligned, size, libc::PROT_READ | libc::PROT_WRITE) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: as above. Advice only.
    unsafe { libc::madvise(aligned, size, libc::MADV_HUGEPAGE) };
    Ok((mapping, aligned.cast()))
}
