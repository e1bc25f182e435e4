//! How many files a guest may know of: each is a descriptor.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};

/// As many are kept from guests: the rest of minivmm needs some.
const RESERVED: u64 = 64;

/// The process's descriptors, as far as guests may use them up.
pub(super) struct Descriptors {
    /// Any, to find out which one would be the next.
    any: Arc<File>,
    /// From this one on they are not for guests.
    pub(super) end: RawFd,
}

impl Descriptors {
    pub(super) fn new(any: Arc<File>) -> io::Result<Self> {
        let (limit, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
        let end = limit - RESERVED.min(limit / 2);
        Ok(Self { any, end: RawFd::try_from(end).unwrap_or(RawFd::MAX) })
    }

    /// ENFILE if there is none for one more file.
    pub(super) fn check(&self) -> io::Result<()> {
        // The lowest one that is free.
        let next = self.any.try_clone()?;
        if next.as_raw_fd() < self.end { Ok(()) } else { Err(Errno::ENFILE.into()) }
    }
}
