//! Where decompressed bytes go: a file in memory, which nobody can change once it is whole.

use std::fs::File;
use std::io::{self, Read, Write};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::libc;
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::Fault;
use super::input::End;
use crate::source::{Source, SourceError};

/// Bytes that a decoder is asked for at once.
const CHUNK: usize = 0x2_0000;

/// A file that grows up to a limit.
pub(super) struct Output {
    file: File,
    len: u64,
    limit: u64,
}

impl Output {
    pub(super) fn new(limit: u64) -> Result<Self, Fault> {
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        // A host may refuse any other (vm.memfd_noexec=2).
        let no_exec = MFdFlags::from_bits_retain(libc::MFD_NOEXEC_SEAL);
        let file = match memfd_create("kernel", flags | no_exec) {
            // Linux before 6.3 does not know of it.
            Err(Errno::EINVAL) => memfd_create("kernel", flags),
            file => file,
        };
        let file = file.map_err(|errno| Fault::Memory(errno.into()))?;
        Ok(Self { file: file.into(), len: 0, limit })
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let len = self.len.saturating_add(bytes.len() as u64);
        if len > self.limit {
            return Err(Fault::TooLarge { limit: self.limit });
        }
        self.file.write_all(bytes).map_err(Fault::Memory)?;
        self.len = len;
        Ok(())
    }

    /// Takes all that a decoder has, unless it passes the end of its input.
    pub(super) fn drain(&mut self, end: &End, decoder: &mut impl Read) -> Result<(), Fault> {
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = match decoder.read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(end.fault(error)),
                Ok(_) if end.was_passed() => return Err(Fault::Truncated),
                Ok(0) => return Ok(()),
                Ok(count) => count,
            };
            self.write(chunk.get(..count).unwrap_or_default())?;
        }
    }

    /// The file, whole.
    pub(super) fn finish(self) -> Result<Source, Fault> {
        let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE;
        let sealed = fcntl(&self.file, FcntlArg::F_ADD_SEALS(seals));
        sealed.map_err(|errno| Fault::Memory(errno.into()))?;
        Source::from_file(self.file).map_err(|error| match error {
            SourceError::Empty => Fault::Empty,
            error => Fault::File(error),
        })
    }
}
