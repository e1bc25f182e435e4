//! A device's registers, open to the guest without an exit to the VMM for each access: reads come from a page that
//! the VMM keeps (a read-only memory slot, api.rst 4.35), and writes of one register are noted by the kernel in a
//! ring (coalesced MMIO, api.rst 4.116) until somebody asks for them.
//!
//! A closed window costs nothing and changes nothing. One that is open hides reads from the device, and writes
//! until [`Window::take`] is called.
#![expect(unsafe_code, reason = "the ring and the page are shared with the kernel and the guest")]

use std::io;
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use kvm_bindings::{
    KVM_COALESCED_MMIO_PAGE_OFFSET, KVM_MEM_READONLY, kvm_coalesced_mmio, kvm_coalesced_mmio_ring,
    kvm_userspace_memory_region,
};
use kvm_ioctls::{Cap, IoEventAddress, VcpuFd, VmFd};

use super::cache;
use super::error::{Error, doing};

/// Beside RAM's, 0.
const SLOT: u32 = 1;

/// Bytes of the register whose writes are noted, the first of the device.
const REGISTER_SIZE: u32 = 4;

/// How long to wait for a few bytes of kernel memory, without which a slot cannot be deleted.
const RETRY: Duration = Duration::from_millis(1);

/// The window over one page of device registers.
pub struct Window {
    vm: Arc<VmFd>,
    /// IPA of the page.
    base: u64,
    /// The kernel notes writes here (`struct kvm_coalesced_mmio_ring`).
    ring: Mapping,
    /// What the guest reads.
    page: Mapping,
}

/// A page of this process, mapped for itself.
struct Mapping {
    start: NonNull<libc::c_void>,
    size: usize,
}

// SAFETY: the mapping belongs to nobody else in this process, and no thread in particular.
unsafe impl Send for Mapping {}

impl Window {
    /// A closed window at `base`, a multiple of the host's page size; `None` if this host's KVM has no such thing.
    /// It must not be dropped before the last of the VM's vCPUs, of which `vcpu` is one.
    pub(super) fn new(vm: &Arc<VmFd>, vcpu: &VcpuFd, base: u64) -> Result<Option<Self>, Error> {
        // SAFETY: no memory is involved.
        let page_size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        let Ok(size) = usize::try_from(page_size) else { return Ok(None) };
        let has_both =
            vm.check_extension(Cap::ReadonlyMem) && vm.check_extension(Cap::CoalescedMmio);
        if !has_both || !base.is_multiple_of(size as u64) {
            return Ok(None);
        }
        let failed = |cause| Error::Ioctl("map the ring of coalesced writes", cause);
        // One ring for the VM, in every vCPU's mapping.
        let offset = page_size * libc::off_t::from(KVM_COALESCED_MMIO_PAGE_OFFSET);
        let ring =
            Mapping::new(size, libc::MAP_SHARED, vcpu.as_raw_fd(), offset).map_err(failed)?;
        let anonymous = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let page = Mapping::new(size, anonymous, -1, 0).map_err(failed)?;
        // Registers that are not there read as ones, as everywhere.
        // SAFETY: all of the mapping, which is writable; nobody else knows it yet.
        unsafe { ptr::write_bytes(page.start.cast::<u8>().as_ptr(), 0xff, size) };
        Ok(Some(Self { vm: vm.clone(), base, ring, page }))
    }

    /// Opens it: from now on reads come from what was [shown](Self::show), and writes of the first register wait.
    /// After an error it is closed.
    pub fn open(&mut self) -> Result<(), Error> {
        let (address, slot) = (IoEventAddress::Mmio(self.base), self.slot(self.page.size as u64));
        self.vm
            .register_coalesced_mmio(address, REGISTER_SIZE)
            .map_err(doing("note a device's writes"))?;
        // SAFETY: the slot's host range is `page`, which is unmapped only when no vCPU is left to reach it.
        let added = unsafe { self.vm.set_user_memory_region(slot) };
        added.map_err(doing("show a device's registers")).inspect_err(|_| self.close())
    }

    /// Closes it: every access exits again. What was written until then can still be taken.
    pub fn close(&mut self) {
        // The zone is there, and there is no other failure.
        let _ = self.vm.unregister_coalesced_mmio(IoEventAddress::Mmio(self.base), REGISTER_SIZE);
        let none = self.slot(0);
        // SAFETY: deletes a slot.
        while let Err(errno) = unsafe { self.vm.set_user_memory_region(none) } {
            // `open` did not get as far as the slot.
            if errno.errno() != libc::ENOMEM {
                break;
            }
            thread::sleep(RETRY);
        }
    }

    fn slot(&self, memory_size: u64) -> kvm_userspace_memory_region {
        kvm_userspace_memory_region {
            slot: SLOT,
            flags: KVM_MEM_READONLY,
            guest_phys_addr: self.base,
            memory_size,
            userspace_addr: self.page.start.as_ptr() as u64,
        }
    }

    /// Sets the word that the guest reads at `offset`, a multiple of 4 within the page.
    pub fn show(&mut self, offset: usize, word: u32) {
        if offset >= self.page.size || !offset.is_multiple_of(4) {
            return;
        }
        let place = self.page.start.cast::<u8>().as_ptr().wrapping_add(offset);
        // SAFETY: an aligned word of the page. The guest may read it at any time, so both are atomic.
        let shown = unsafe { AtomicU32::from_ptr(place.cast()) };
        if shown.load(Ordering::Relaxed) != word {
            shown.store(word, Ordering::Release);
            // SAFETY: the word's address, inside the mapping.
            unsafe { cache::clean_line(place) };
        }
    }

    /// Appends the low byte of each write of the register that the kernel has noted, in their order.
    pub fn take(&mut self, bytes: &mut Vec<u8>) {
        let ring = self.ring.start.cast::<kvm_coalesced_mmio_ring>().as_ptr();
        // SAFETY: inside the ring's page; this only computes an address.
        let first = unsafe { &raw mut (*ring).first };
        // SAFETY: as above.
        let last = unsafe { &raw mut (*ring).last };
        // SAFETY: an aligned word of the ring's page, which the kernel accesses atomically.
        let first = unsafe { AtomicU32::from_ptr(first) };
        // SAFETY: as above.
        let last = unsafe { AtomicU32::from_ptr(last) };
        let capacity = (self.ring.size - size_of::<kvm_coalesced_mmio_ring>())
            / size_of::<kvm_coalesced_mmio>();
        // SAFETY: the entries begin behind the head.
        let entries = unsafe { &raw const (*ring).coalesced_mmio }.cast::<kvm_coalesced_mmio>();
        // `first` is ours, `last` the kernel's, which writes it when the entry is complete.
        let mut next = first.load(Ordering::Relaxed) as usize;
        let end = last.load(Ordering::Acquire) as usize;
        while next != end && next < capacity {
            // SAFETY: an entry inside the page, which the kernel leaves alone until `first` has passed it.
            let entry = unsafe { entries.wrapping_add(next).read() };
            // A write inside the register, not of it, has no effect.
            if entry.phys_addr == self.base {
                let [low, ..] = entry.data;
                bytes.push(low);
            }
            next = (next + 1) % capacity;
        }
        first.store(next as u32, Ordering::Release);
    }
}

impl Mapping {
    fn new(
        size: usize,
        flags: libc::c_int,
        fd: libc::c_int,
        offset: libc::off_t,
    ) -> io::Result<Self> {
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping where the kernel likes; no existing memory is touched.
        let start = unsafe { libc::mmap(ptr::null_mut(), size, prot, flags, fd, offset) };
        match NonNull::new(start) {
            Some(start) if start.as_ptr() != libc::MAP_FAILED => Ok(Self { start, size }),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `new` made this range, and nothing that points into it outlives the `Window`.
        unsafe { libc::munmap(self.start.as_ptr(), self.size) };
    }
}
