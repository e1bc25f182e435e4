use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use fuse_backend_rs::abi::fuse_abi::{CreateIn, stat64};
use fuse_backend_rs::api::filesystem::{Context, FileSystem, FsOptions, SetattrValid};
use nix::libc::{
    EINVAL, ELOOP, ENFILE, ENOENT, EPERM, EROFS, O_RDONLY, O_RDWR, O_TMPFILE, O_TRUNC, O_WRONLY,
};
use vm_memory::{Bytes, FileOffset, GuestAddress, GuestMemoryMmap};

use super::share::Share;
use super::{Face, Folder, Fs, Owner};
use crate::bus::Device;
use crate::virtio::tests::driver::{Driver, MEMORY};

const ROOT: u64 = 1;

/// A folder with a file, a folder and a link that leads out of it, in a folder with a secret.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("minivmm-fs-{}-{number}", process::id()));
        fs::create_dir_all(path.join("share/folder")).unwrap();
        fs::write(path.join("secret"), "secret").unwrap();
        fs::write(path.join("share/file"), "content").unwrap();
        symlink("../secret", path.join("share/out")).unwrap();
        Self(path)
    }

    fn folder(&self, is_read_only: bool, owner: Option<Owner>) -> Folder {
        let file = File::open(self.0.join("share")).unwrap();
        Folder { file: Arc::new(file), is_read_only, owner }
    }

    fn share(&self, is_read_only: bool, owner: Option<Owner>) -> Share {
        let folder = self.folder(is_read_only, owner);
        share_of(&folder)
    }

    /// Who its files belong to.
    fn owner(&self) -> Owner {
        let metadata = fs::metadata(&self.0).unwrap();
        Owner { uid: metadata.uid(), gid: metadata.gid() }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn share_of(folder: &Folder) -> Share {
    let root = format!("/proc/self/fd/{}/.", folder.file.as_raw_fd());
    let share = Share::new(root, folder, &Arc::default()).unwrap();
    share.init(FsOptions::empty()).unwrap();
    share
}

fn errno<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

#[test]
fn nothing_leads_out_of_the_folder() {
    let place = Place::new();
    let share = place.share(false, None);
    let context = Context::default();
    let folder = share.lookup(&context, ROOT, c"folder").unwrap().inode;

    for parent in [ROOT, folder] {
        for name in [c"..", c".", c"", c"/etc", c"../secret", c"folder/../..", c"folder/x"] {
            assert_eq!(errno(share.lookup(&context, parent, name)), Some(EINVAL), "{name:?}");
            assert_eq!(errno(share.unlink(&context, parent, name)), Some(EINVAL), "{name:?}");
            assert_eq!(errno(share.rmdir(&context, parent, name)), Some(EINVAL), "{name:?}");
            assert_eq!(errno(share.mkdir(&context, parent, name, 0o755, 0)), Some(EINVAL));
            assert_eq!(errno(share.rename(&context, ROOT, c"file", parent, name, 0)), Some(EINVAL));
            let create = share.create(&context, parent, name, CreateIn::default());
            assert_eq!(errno(create), Some(EINVAL));
        }
    }
    // The link itself is found, for the guest to follow in its own files.
    let out = share.lookup(&context, ROOT, c"out").unwrap();
    assert_eq!(share.readlink(&context, out.inode).unwrap(), b"../secret");
    let opened = errno(share.open(&context, out.inode, O_RDONLY.cast_unsigned(), 0));
    assert!(opened.is_some(), "expected {ELOOP} or the like");
}

#[test]
fn a_read_only_folder_is_not_changed() {
    let place = Place::new();
    let share = place.share(true, None);
    let context = Context::default();
    let file = share.lookup(&context, ROOT, c"file").unwrap().inode;
    let attributes = share.getattr(&context, file, None).unwrap().0;

    for flags in [O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC] {
        assert_eq!(errno(share.open(&context, file, flags.cast_unsigned(), 0)), Some(EROFS));
    }
    let create = share.create(&context, ROOT, c"new", CreateIn::default());
    assert_eq!(errno(create), Some(EROFS));
    for result in [
        share.unlink(&context, ROOT, c"file"),
        share.rmdir(&context, ROOT, c"folder"),
        share.rename(&context, ROOT, c"file", ROOT, c"other", 0),
        share.mkdir(&context, ROOT, c"new", 0o755, 0).map(drop),
        share.mknod(&context, ROOT, c"new", 0o10_0644, 0, 0).map(drop),
        share.symlink(&context, c"file", ROOT, c"new").map(drop),
        share.link(&context, file, ROOT, c"new").map(drop),
        share.setattr(&context, file, attributes, None, SetattrValid::MODE).map(drop),
        share.fallocate(&context, file, 0, 0, 0, 4096),
    ] {
        assert_eq!(errno(result), Some(EROFS));
    }
    assert!(share.open(&context, file, O_RDONLY.cast_unsigned(), 0).is_ok());
    // That would be a file without a name.
    let flags = (O_TMPFILE | O_RDWR).cast_unsigned();
    let (opened, _) = share.opendir(&context, ROOT, flags).unwrap();
    assert!(share.readdir(&context, ROOT, opened.unwrap(), 4096, 0, &mut |_| Ok(1)).is_ok());
    assert_eq!(fs::read(place.0.join("share/file")).unwrap(), b"content");
}

#[test]
fn the_users_files_are_roots_in_the_guest() {
    let place = Place::new();
    let share = place.share(false, Some(place.owner()));
    let mut context = Context { uid: 12345, gid: 12345, ..Context::default() };
    share.id_remap(&mut context).unwrap();

    let made = share.mkdir(&context, ROOT, c"made", 0o750, 0).unwrap();
    let file = share.lookup(&context, ROOT, c"file").unwrap();
    let mut chown: stat64 = file.attr;
    (chown.st_uid, chown.st_gid) = (0, 0);
    let both = SetattrValid::UID | SetattrValid::GID;
    let given = share.setattr(&context, file.inode, chown, None, both).unwrap().0;

    for attributes in [made.attr, file.attr, given] {
        assert_eq!((attributes.st_uid, attributes.st_gid), (0, 0));
    }
    for name in ["made", "file"] {
        let metadata = fs::metadata(place.0.join("share").join(name)).unwrap();
        assert_eq!(Owner { uid: metadata.uid(), gid: metadata.gid() }, place.owner());
    }
}

#[test]
fn a_guest_leaves_descriptors_for_others() {
    let place = Place::new();
    let mut share = place.share(false, None);
    let context = Context::default();
    let file = share.lookup(&context, ROOT, c"file").unwrap().inode;
    let folder = share.opendir(&context, ROOT, 0).unwrap().0.unwrap();

    share.descriptors.end = 0;

    let create = CreateIn { flags: O_RDWR.cast_unsigned(), mode: 0o644, ..CreateIn::default() };
    for result in [
        share.lookup(&context, ROOT, c"folder").map(drop),
        share.open(&context, file, O_RDONLY.cast_unsigned(), 0).map(drop),
        share.opendir(&context, ROOT, 0).map(drop),
        share.create(&context, ROOT, c"new", create).map(drop),
        share.mkdir(&context, ROOT, c"new", 0o755, 0).map(drop),
        share.mknod(&context, ROOT, c"new", 0o10_0644, 0, 0).map(drop),
        share.symlink(&context, c"file", ROOT, c"new").map(drop),
        share.link(&context, file, ROOT, c"new").map(drop),
        share.readdirplus(&context, ROOT, folder, 4096, 0, &mut |_, _| Ok(1)),
    ] {
        assert_eq!(errno(result), Some(ENFILE));
    }
    assert!(!place.0.join("share/new").exists());
    assert!(share.readdir(&context, ROOT, folder, 4096, 0, &mut |_| Ok(1)).is_ok());
    assert!(share.getattr(&context, file, None).is_ok());
}

#[test]
fn files_of_several_file_systems_are_told_apart() {
    let folder =
        Folder { file: Arc::new(File::open("/").unwrap()), is_read_only: true, owner: None };
    let share = share_of(&folder);
    let context = Context::default();

    let [first, second] = [c"proc", c"sys"].map(|name| share.lookup(&context, ROOT, name).unwrap());

    assert_eq!((first.attr.st_ino, second.attr.st_ino), (1, 1));
    assert_ne!(first.inode, second.inode);
    // None is made up, which would be remembered for ever.
    assert_eq!((first.inode & 0xffff, second.inode & 0xffff), (1, 1));
    for entry in [first, second] {
        let found = share.getattr(&context, entry.inode, None).unwrap().0;
        assert_eq!(found.st_dev, entry.attr.st_dev);
    }
}

#[test]
fn a_host_that_links_for_root_alone_says_so() {
    let place = Place::new();
    let context = Context::default();
    let [users, roots] = [Some(place.owner()), None].map(|owner| {
        let share = place.share(false, owner);
        let file = share.lookup(&context, ROOT, c"file").unwrap().inode;
        (share, file)
    });

    // To the host that is the same as linking a descriptor without the right to: ENOENT.
    fs::remove_file(place.0.join("share/file")).unwrap();

    let link = |(share, file): &(Share, u64)| errno(share.link(&context, *file, ROOT, c"new"));
    assert_eq!((link(&users), link(&roots)), (Some(EPERM), Some(ENOENT)));
}

/// A driver of a folder, whose memory the file system has by its own crate.
fn driver(place: &Place) -> Driver {
    let path = place.0.join("memory");
    let file = File::options().read(true).write(true).create_new(true).open(path).unwrap();
    file.set_len(MEMORY as u64).unwrap();
    let same = vm_memory_fuse::FileOffset::new(file.try_clone().unwrap(), 0);
    let same = [(vm_memory_fuse::GuestAddress(0), MEMORY, Some(same))];
    let same = vm_memory_fuse::GuestMemoryMmap::<()>::from_ranges_with_files(same).unwrap();
    let memory = [(GuestAddress(0), MEMORY, Some(FileOffset::new(file, 0)))];
    let memory = GuestMemoryMmap::from_ranges_with_files(memory).unwrap();
    let mut driver =
        Driver::of(memory, Face::new("root"), Fs::new(place.folder(false, None), same));
    driver.begin(0, 2);
    driver
}

/// What FUSE requests begin with (`struct fuse_in_header`), of this length.
fn request(len: u32, opcode: u32, node: u64) -> Vec<u8> {
    let mut bytes = [len.to_le_bytes(), opcode.to_le_bytes()].concat();
    bytes.extend(7u64.to_le_bytes());
    bytes.extend(node.to_le_bytes());
    bytes.resize(40, 0);
    bytes
}

/// FUSE_INIT of version 7.38, with FUSE_BIG_WRITES and FUSE_MAX_PAGES.
fn init() -> Vec<u8> {
    let mut bytes = request(104, 26, 0);
    bytes.extend([7, 38, 0, 1 << 5 | 1 << 22].map(u32::to_le_bytes).concat());
    bytes.resize(104, 0);
    bytes
}

#[test]
fn a_driver_finds_its_tag_and_gets_answers() {
    const GETATTR: u32 = 3;
    let place = Place::new();
    let mut driver = driver(&place);
    let mut tag = [0; 40];
    driver.device.read(0x100, &mut tag).unwrap();
    assert_eq!(tag[..5], *b"root\0");
    assert_eq!(tag[36..], [1, 0, 0, 0]);

    let (written, answer) = driver.ask(1, &[&init()], &[80]);

    assert_eq!(written, 80);
    assert_eq!(answer[..16], *[&80u32.to_le_bytes()[..], &[0; 4], &7u64.to_le_bytes()].concat());
    assert_eq!(answer[36..40], (1u32 << 20).to_le_bytes(), "more would be refused");
    let getattr = [request(56, GETATTR, ROOT), vec![0; 16]].concat();
    // In pieces, as any driver may.
    let (written, answer) = driver.ask(1, &[&getattr[..33], &getattr[33..]], &[16, 200]);
    assert_eq!((written, &answer[4..8]), (120, &[0; 4][..]));
    let inode = fs::metadata(place.0.join("share")).unwrap().ino();
    assert_ne!(inode, 0);

    // After a reset another driver begins.
    driver.begin(0, 2);
    assert_eq!(driver.ask(1, &[&init()], &[80]).0, 80);
}

#[test]
fn requests_that_would_take_much_memory_are_not_served() {
    const IOCTL: u32 = 39;
    const SIZE: u32 = 2 << 20;
    let place = Place::new();
    let mut driver = driver(&place);
    driver.ask(1, &[&init()], &[80]);
    let mut ioctl = request(72, IOCTL, ROOT);
    ioctl.extend([0, 0, 0, 0, 0, 0, SIZE, 0].map(u32::to_le_bytes).concat());

    let refused = driver.ask(1, &[&ioctl, &vec![0; SIZE as usize]], &[4096]).0;
    ioctl[64..68].copy_from_slice(&8u32.to_le_bytes());
    let served = driver.ask(1, &[&ioctl, &[0; 8]], &[4096]).0;

    assert_eq!((refused, served), (0, 16));
}

#[test]
fn requests_that_make_no_sense_are_answered_with_nothing_or_an_error() {
    let place = Place::new();
    let mut driver = driver(&place);
    driver.ask(1, &[&init()], &[80]);

    for opcode in 0..60 {
        for len in [0, 39, 40, 41, 4096, u32::MAX] {
            for node in [0, ROOT, 2, u64::MAX] {
                if opcode == 26 {
                    continue;
                }
                let header = request(len, opcode, node);
                driver.ask(1, &[&header, &[0xff; 100]], &[4096]);
                driver.ask(0, &[&header], &[16]);
            }
        }
    }
    assert_eq!(driver.ask(1, &[&[0; 39]], &[100]).0, 0);
    assert_eq!(driver.ask(1, &[], &[100]).0, 0);

    driver.put(1, &[&init()], &[80]);
    // The address of its second descriptor.
    driver.memory.write_obj(u64::MAX - 100, GuestAddress(0x4000 + 16)).unwrap();
    driver.notify(1);
    assert_eq!(driver.interrupt() & 2, 2);
    assert_eq!(driver.read(0x070) & 64, 64);
    assert_eq!(fs::read(place.0.join("share/file")).unwrap(), b"content");
}
