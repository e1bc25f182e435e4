//! Guest memory whose content comes while the guest runs already: whoever touches what is missing waits until it is
//! there (Linux Documentation/admin-guide/mm/userfaultfd.rst).
#![expect(unsafe_code, reason = "system calls that take host addresses")]

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::fd::{AsFd, FromRawFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use vmm_sys_util::ioctl::ioctl_with_mut_ref;
use vmm_sys_util::{ioctl_ior_nr, ioctl_iowr_nr};

use super::memory::{HUGE_PAGE, Memory};

// linux/userfaultfd.h.
const UFFDIO: u32 = 0xaa;
ioctl_iowr_nr!(UFFDIO_API, UFFDIO, 0x3f, Api);
ioctl_iowr_nr!(UFFDIO_REGISTER, UFFDIO, 0x00, Register);
ioctl_ior_nr!(UFFDIO_WAKE, UFFDIO, 0x02, Wake);
/// `UFFD_API`.
const API: u64 = 0xaa;
/// `UFFDIO_REGISTER_MODE_MISSING`.
const MODE_MISSING: u64 = 1 << 0;
/// `UFFD_EVENT_PAGEFAULT`, the first byte of a `struct uffd_msg` of 32 bytes.
const EVENT_PAGEFAULT: u8 = 0x12;
/// Where the faulting host address is in it.
const FAULT_ADDRESS: Range<usize> = 16..24;

/// `struct uffdio_api`.
#[repr(C)]
struct Api {
    version: u64,
    features: u64,
    ioctls: u64,
}

/// `struct uffdio_register`.
#[repr(C)]
struct Register {
    start: u64,
    len: u64,
    mode: u64,
    ioctls: u64,
}

/// `struct uffdio_range`.
#[repr(C)]
struct Wake {
    start: u64,
    len: u64,
}

/// Guest memory that is not there yet.
///
/// What is still missing when this is dropped is zero from then on, and whoever waited for it goes on.
pub struct Demand {
    fd: File,
    memory: Memory,
}

impl Demand {
    /// Makes `ranges` of `memory` missing: IPAs, in whole pages that nobody has touched.
    ///
    /// An error where the host has no such thing, or not for us: vCPUs fault inside the kernel, and to handle that
    /// takes CAP_SYS_PTRACE or the sysctl vm.unprivileged_userfaultfd.
    pub fn new(memory: &Memory, ranges: &[Range<u64>]) -> io::Result<Self> {
        // MREMAP_DONTUNMAP came with Linux 5.7: better known before anything is missing.
        let half = HUGE_PAGE as u64 / 2;
        let scratch = Memory::new(0, 2 * half).map_err(io::Error::other)?;
        move_pages((&scratch, &(0..half)), (&scratch, &(half..2 * half)))?;

        let flags = libc::O_CLOEXEC | libc::O_NONBLOCK;
        // SAFETY: makes a descriptor and touches no memory.
        let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, flags) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was made above, and nobody else has it.
        let fd = unsafe { File::from_raw_fd(fd as i32) };
        let mut api = Api { version: API, features: 0, ioctls: 0 };
        // SAFETY: the structure that this request reads and writes.
        check(unsafe { ioctl_with_mut_ref(&fd, UFFDIO_API(), &mut api) })?;
        for range in ranges {
            let start = memory.host(range).ok_or(io::ErrorKind::InvalidInput)?;
            let len = range.end - range.start;
            // Else Linux clears a huge page for everyone who comes to wait, in vain.
            // SAFETY: advice, for guest RAM.
            unsafe { libc::madvise(pointer(start), len as usize, libc::MADV_NOHUGEPAGE) };
            let mut register = Register { start, len, mode: MODE_MISSING, ioctls: 0 };
            // SAFETY: as above; the range is guest RAM, whose content nobody assumes.
            check(unsafe { ioctl_with_mut_ref(&fd, UFFDIO_REGISTER(), &mut register) })?;
        }
        Ok(Self { fd, memory: memory.clone() })
    }

    /// Waits until there is something for [`Self::wanted`], at most as long as `limit`.
    pub fn wait(&self, limit: PollTimeout) {
        // Interrupted is as good as over.
        let _ = poll(&mut [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)], limit);
    }

    /// An IPA that somebody has touched while it was missing, if there is one that was not told yet.
    pub fn wanted(&self) -> Option<u64> {
        let mut message = [0; 32];
        // EAGAIN: nobody. One message at a time, each whole.
        (&self.fd).read_exact(&mut message).ok()?;
        let address = message.get(FAULT_ADDRESS)?.first_chunk()?;
        let is_fault = message.first() == Some(&EVENT_PAGEFAULT);
        is_fault.then(|| self.memory.ipa_of(u64::from_ne_bytes(*address)))?
    }

    /// Puts what was missing into its place: the pages that `staged` has at the same IPAs. Whoever waits for one of
    /// them goes on.
    pub fn provide(&self, staged: &Memory, range: &Range<u64>) -> io::Result<()> {
        move_pages((staged, range), (&self.memory, range))?;
        // What may be merged Linux looks through before it moves it, page by page, which takes 0.4 ms for 2 MiB: so only now.
        self.memory.let_merge(range);
        let start = self.memory.host(range).ok_or(io::ErrorKind::InvalidInput)?;
        let mut range = Wake { start, len: range.end - range.start };
        // SAFETY: the structure that this request reads.
        check(unsafe { ioctl_with_mut_ref(&self.fd, UFFDIO_WAKE(), &mut range) })
    }
}

/// Moves the pages of a range of one memory to a range of another, or of the same, that is as long and holds nothing.
fn move_pages(from: (&Memory, &Range<u64>), to: (&Memory, &Range<u64>)) -> io::Result<()> {
    let [from, to] = [from, to].map(|(memory, range)| Some((memory.host(range)?, range)));
    let (source, range) = from.ok_or(io::ErrorKind::InvalidInput)?;
    let (place, _) = to.ok_or(io::ErrorKind::InvalidInput)?;
    let size = (range.end - range.start) as usize;
    // What stays behind is mapped, without pages.
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED | libc::MREMAP_DONTUNMAP;
    // SAFETY: both ranges are RAM, and readable and writable before and after. The place held nothing, says the caller, and
    // what the source held was for this place.
    let moved = unsafe { libc::mremap(pointer(source), size, size, flags, pointer(place)) };
    if moved == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn pointer(host: u64) -> *mut libc::c_void {
    std::ptr::with_exposed_provenance_mut(host as usize)
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
