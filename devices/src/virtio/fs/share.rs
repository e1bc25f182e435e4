//! What guests may do with the files of a folder: what the user may, or read alone.

mod requests;

use std::ffi::CStr;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use fuse_backend_rs::abi::fuse_abi::stat64;
use fuse_backend_rs::api::filesystem::{Entry, FileSystem};
use fuse_backend_rs::passthrough::{Config, PassthroughFs};
use nix::errno::Errno;

use super::descriptors::Descriptors;
use super::{Folder, Owner};

type Files = PassthroughFs<()>;
type Inode = <Files as FileSystem>::Inode;
type Handle = <Files as FileSystem>::Handle;

/// The folder. Paths have one component at a time and symbolic links are followed by the guest, so that nothing leads out of it.
pub(super) struct Share {
    files: Files,
    is_read_only: bool,
    owner: Option<Owner>,
    pub(super) descriptors: Descriptors,
    /// Set when a driver begins.
    is_first: Arc<AtomicBool>,
}

/// How long the guest may believe what it was told of a file that somebody else changes.
const BELIEVED: Duration = Duration::from_secs(1);

impl Share {
    pub(super) fn new(
        root: String,
        folder: &Folder,
        is_first: &Arc<AtomicBool>,
    ) -> io::Result<Self> {
        let config = Config {
            root_dir: root,
            // Files keep their numbers, with the file system's among the upper bits. Of numbers of its own the crate would
            // remember each that it ever gave.
            use_host_ino: true,
            entry_timeout: BELIEVED,
            attr_timeout: BELIEVED,
            ..Config::default()
        };
        let files = Files::new(config)?;
        Ok(Self {
            files,
            is_read_only: folder.is_read_only,
            owner: folder.owner,
            descriptors: Descriptors::new(folder.file.clone())?,
            is_first: is_first.clone(),
        })
    }

    /// The files, if there is a descriptor for one more.
    fn more(&self) -> io::Result<&Files> {
        self.descriptors.check()?;
        Ok(&self.files)
    }

    /// The same, if guests may change them.
    fn more_writable(&self) -> io::Result<&Files> {
        self.writable()?;
        self.more()
    }

    fn writable(&self) -> io::Result<&Files> {
        if self.is_read_only { Err(Errno::EROFS.into()) } else { Ok(&self.files) }
    }

    /// The attributes as the guest is to see them.
    fn shown(&self, mut attributes: stat64) -> stat64 {
        if let Some(owner) = self.owner {
            owner.to_guest(&mut attributes);
        }
        attributes
    }

    fn entry(&self, entry: Entry) -> Entry {
        Entry { attr: self.shown(entry.attr), ..entry }
    }
}

/// A name in a folder, and nothing that leads elsewhere.
fn plain(name: &CStr) -> io::Result<&CStr> {
    let bytes = name.to_bytes();
    let is_plain = !matches!(bytes, b"" | b"." | b"..") && !bytes.contains(&b'/');
    if is_plain { Ok(name) } else { Err(Errno::EINVAL.into()) }
}
