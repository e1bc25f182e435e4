//! What each request of a guest does to the folder.

use std::ffi::CStr;
use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fuse_backend_rs::abi::fuse_abi::{CreateIn, stat64, statvfs64};
use fuse_backend_rs::api::filesystem::{
    Context, DirEntry, Entry, FileSystem, FsOptions, OpenOptions, SetattrValid, ZeroCopyReader,
    ZeroCopyWriter,
};
use nix::errno::Errno;
use nix::libc::{ENOENT, O_ACCMODE, O_RDONLY, O_TRUNC};

use super::{Handle, Inode, Share, plain};

/// Extended attributes, locks, DAX and ioctls are left out: the guest is told that there are none, and keeps locks for itself.
impl FileSystem for Share {
    type Inode = Inode;
    type Handle = Handle;

    fn id_remap(&self, context: &mut Context) -> io::Result<()> {
        if self.owner.is_some() {
            // Root, to the crate, is who it does not become.
            (context.uid, context.gid) = (0, 0);
        }
        Ok(())
    }

    fn init(&self, capable: FsOptions) -> io::Result<FsOptions> {
        // 256 pages to a request and not one, several requests at once, and no cached data that has become old.
        let wanted = FsOptions::BIG_WRITES
            | FsOptions::MAX_PAGES
            | FsOptions::ASYNC_READ
            | FsOptions::ASYNC_DIO
            | FsOptions::PARALLEL_DIROPS
            | FsOptions::ATOMIC_O_TRUNC
            | FsOptions::AUTO_INVAL_DATA;
        self.is_first.store(true, Ordering::Relaxed);
        Ok((self.files.init(capable)? - FsOptions::PERFILE_DAX) | wanted)
    }

    fn destroy(&self) {
        self.files.destroy();
    }

    fn lookup(&self, context: &Context, parent: Inode, name: &CStr) -> io::Result<Entry> {
        Ok(self.entry(self.more()?.lookup(context, parent, plain(name)?)?))
    }

    fn forget(&self, context: &Context, inode: Inode, count: u64) {
        self.files.forget(context, inode, count);
    }

    fn getattr(
        &self,
        context: &Context,
        inode: Inode,
        handle: Option<Handle>,
    ) -> io::Result<(stat64, Duration)> {
        let (attributes, timeout) = self.files.getattr(context, inode, handle)?;
        Ok((self.shown(attributes), timeout))
    }

    fn setattr(
        &self,
        context: &Context,
        inode: Inode,
        mut attributes: stat64,
        handle: Option<Handle>,
        valid: SetattrValid,
    ) -> io::Result<(stat64, Duration)> {
        if let Some(owner) = self.owner {
            owner.to_host(&mut attributes);
        }
        let (attributes, timeout) =
            self.writable()?.setattr(context, inode, attributes, handle, valid)?;
        Ok((self.shown(attributes), timeout))
    }

    fn readlink(&self, context: &Context, inode: Inode) -> io::Result<Vec<u8>> {
        self.files.readlink(context, inode)
    }

    fn symlink(
        &self,
        context: &Context,
        target: &CStr,
        parent: Inode,
        name: &CStr,
    ) -> io::Result<Entry> {
        Ok(self.entry(self.more_writable()?.symlink(context, target, parent, plain(name)?)?))
    }

    fn mknod(
        &self,
        context: &Context,
        parent: Inode,
        name: &CStr,
        mode: u32,
        device: u32,
        umask: u32,
    ) -> io::Result<Entry> {
        let files = self.more_writable()?;
        Ok(self.entry(files.mknod(context, parent, plain(name)?, mode, device, umask)?))
    }

    fn mkdir(
        &self,
        context: &Context,
        parent: Inode,
        name: &CStr,
        mode: u32,
        umask: u32,
    ) -> io::Result<Entry> {
        Ok(self.entry(self.more_writable()?.mkdir(context, parent, plain(name)?, mode, umask)?))
    }

    fn unlink(&self, context: &Context, parent: Inode, name: &CStr) -> io::Result<()> {
        self.writable()?.unlink(context, parent, plain(name)?)
    }

    fn rmdir(&self, context: &Context, parent: Inode, name: &CStr) -> io::Result<()> {
        self.writable()?.rmdir(context, parent, plain(name)?)
    }

    fn rename(
        &self,
        context: &Context,
        from: Inode,
        name: &CStr,
        to: Inode,
        new_name: &CStr,
        flags: u32,
    ) -> io::Result<()> {
        self.writable()?.rename(context, from, plain(name)?, to, plain(new_name)?, flags)
    }

    fn link(
        &self,
        context: &Context,
        inode: Inode,
        parent: Inode,
        name: &CStr,
    ) -> io::Result<Entry> {
        let linked = self.more_writable()?.link(context, inode, parent, plain(name)?);
        Ok(self.entry(linked.map_err(|error| match error.raw_os_error() {
            // How hosts before Linux 6.10 refuse to link a descriptor for anybody but root (linkat(2), AT_EMPTY_PATH).
            Some(ENOENT) if self.owner.is_some() => Errno::EPERM.into(),
            _ => error,
        })?))
    }

    fn open(
        &self,
        context: &Context,
        inode: Inode,
        flags: u32,
        fuse_flags: u32,
    ) -> io::Result<(Option<Handle>, OpenOptions, Option<u32>)> {
        let mode = flags.cast_signed();
        if mode & O_ACCMODE != O_RDONLY || mode & O_TRUNC != 0 {
            self.writable()?;
        }
        self.more()?.open(context, inode, flags, fuse_flags)
    }

    fn create(
        &self,
        context: &Context,
        parent: Inode,
        name: &CStr,
        args: CreateIn,
    ) -> io::Result<(Entry, Option<Handle>, OpenOptions, Option<u32>)> {
        let (entry, handle, options, backing) =
            self.more_writable()?.create(context, parent, plain(name)?, args)?;
        Ok((self.entry(entry), handle, options, backing))
    }

    fn read(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        writer: &mut dyn ZeroCopyWriter,
        size: u32,
        offset: u64,
        lock_owner: Option<u64>,
        flags: u32,
    ) -> io::Result<usize> {
        self.files.read(context, inode, handle, writer, size, offset, lock_owner, flags)
    }

    fn write(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        reader: &mut dyn ZeroCopyReader,
        size: u32,
        offset: u64,
        lock_owner: Option<u64>,
        delayed: bool,
        flags: u32,
        fuse_flags: u32,
    ) -> io::Result<usize> {
        let files = self.writable()?;
        files.write(
            context, inode, handle, reader, size, offset, lock_owner, delayed, flags, fuse_flags,
        )
    }

    fn flush(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        lock_owner: u64,
    ) -> io::Result<()> {
        self.files.flush(context, inode, handle, lock_owner)
    }

    fn fsync(
        &self,
        context: &Context,
        inode: Inode,
        is_data_only: bool,
        handle: Handle,
    ) -> io::Result<()> {
        self.files.fsync(context, inode, is_data_only, handle)
    }

    fn fallocate(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        mode: u32,
        offset: u64,
        len: u64,
    ) -> io::Result<()> {
        self.writable()?.fallocate(context, inode, handle, mode, offset, len)
    }

    fn release(
        &self,
        context: &Context,
        inode: Inode,
        flags: u32,
        handle: Handle,
        flush: bool,
        flock_release: bool,
        lock_owner: Option<u64>,
    ) -> io::Result<()> {
        self.files.release(context, inode, flags, handle, flush, flock_release, lock_owner)
    }

    fn statfs(&self, context: &Context, inode: Inode) -> io::Result<statvfs64> {
        self.files.statfs(context, inode)
    }

    fn opendir(
        &self,
        context: &Context,
        inode: Inode,
        _: u32,
    ) -> io::Result<(Option<Handle>, OpenOptions)> {
        // The guest's flags are none of the host's business: O_TMPFILE would make a file.
        self.more()?.opendir(context, inode, O_RDONLY.cast_unsigned())
    }

    fn readdir(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        size: u32,
        offset: u64,
        add: &mut dyn FnMut(DirEntry) -> io::Result<usize>,
    ) -> io::Result<()> {
        self.files.readdir(context, inode, handle, size, offset, add)
    }

    fn readdirplus(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        size: u32,
        offset: u64,
        add: &mut dyn FnMut(DirEntry, Entry) -> io::Result<usize>,
    ) -> io::Result<()> {
        let (mut has_some, mut full) = (false, Ok(()));
        let mut add = |found: DirEntry, entry: Entry| match self.descriptors.check() {
            Ok(()) => add(found, self.entry(entry)).inspect(|added| has_some |= *added != 0),
            // As if there were no room for it: the crate forgets it again.
            Err(error) => {
                full = Err(error);
                Ok(0)
            }
        };
        self.files.readdirplus(context, inode, handle, size, offset, &mut add)?;
        // What there is of them is an answer, but nothing would be the folder's end.
        if has_some { Ok(()) } else { full }
    }

    fn fsyncdir(
        &self,
        context: &Context,
        inode: Inode,
        is_data_only: bool,
        handle: Handle,
    ) -> io::Result<()> {
        self.files.fsyncdir(context, inode, is_data_only, handle)
    }

    fn releasedir(
        &self,
        context: &Context,
        inode: Inode,
        flags: u32,
        handle: Handle,
    ) -> io::Result<()> {
        self.files.releasedir(context, inode, flags, handle)
    }

    fn access(&self, context: &Context, inode: Inode, mask: u32) -> io::Result<()> {
        self.files.access(context, inode, mask)
    }

    fn lseek(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        offset: u64,
        whence: u32,
    ) -> io::Result<u64> {
        self.files.lseek(context, inode, handle, offset, whence)
    }
}
