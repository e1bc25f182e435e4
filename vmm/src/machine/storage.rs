//! The disks and folders of a command line: opened before anything is started, and kept for each guest that is made.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex};

use devices::disk::Disk;
use devices::virtio::block;
use devices::virtio::fs::{Folder, Owner};
use nix::fcntl::OFlag;
use nix::unistd::{getegid, geteuid};

use super::lock;
use crate::cli::{self, Config};
use crate::exit::Outcome;

/// What guests find on their disks and in their shares, one guest after the other.
pub struct Storage {
    /// In the order of the command line.
    pub disks: Vec<Opened>,
    /// Tags, and what they stand for.
    pub shares: Vec<(String, Folder)>,
}

/// A disk that is open.
pub struct Opened {
    /// Its sectors. A request that the host does not finish keeps it locked.
    pub disk: block::Shared,
    /// What drivers see of it.
    pub face: block::Face,
    /// What the user called it.
    pub words: cli::Disk,
}

impl Storage {
    /// Opens and locks all of them.
    pub fn open(config: &Config) -> Result<Self, Outcome> {
        let disks = config.disks.iter().map(|words| {
            let disk = open(words).map_err(|why| {
                Outcome::Unusable(format!("--disk {}: {why}", words.path.display()))
            })?;
            let disk = Arc::new(Mutex::new(disk));
            Ok(Opened { face: block::Face::new(&disk), disk, words: words.clone() })
        });
        let shares = config.shares.iter().map(|words| {
            let folder = folder(words).map_err(|why| {
                Outcome::Unusable(format!("--share {}: {why}", words.path.display()))
            })?;
            Ok((words.tag.clone(), folder))
        });
        Ok(Self {
            disks: disks.collect::<Result<_, Outcome>>()?,
            shares: shares.collect::<Result<_, Outcome>>()?,
        })
    }
}

fn folder(words: &cli::Share) -> Result<Folder, String> {
    // Of a FIFO, too, it is found out at once that it is none.
    let flags = OFlag::O_DIRECTORY.bits();
    let file = File::options().read(true).custom_flags(flags).open(&words.path);
    let file = file.map_err(|error| match error.kind() {
        ErrorKind::NotADirectory => "expected a directory".to_owned(),
        _ => format!("cannot open: {error}"),
    })?;
    // Root acts as whoever the guest says; others can act as themselves alone.
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let owner = (uid != 0).then_some(Owner { uid, gid });
    Ok(Folder { file: Arc::new(file), is_read_only: words.is_read_only, owner })
}

fn open(words: &cli::Disk) -> Result<Disk, String> {
    check(&words.path)?;
    let file = File::options().read(true).write(!words.is_read_only).open(&words.path);
    let file = file.map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem if !words.is_read_only => {
            format!("cannot be opened for writing: {error} (with ,ro it need not)")
        }
        _ => format!("cannot open: {error}"),
    })?;
    lock::lock(&file, !words.is_read_only)?;
    Disk::new(file, words.is_read_only).map_err(|error| error.to_string())
}

/// Before it is opened, which of a FIFO would wait for its writer.
fn check(path: &Path) -> Result<(), String> {
    let kind = fs::metadata(path).map_err(|error| format!("cannot open: {error}"))?.file_type();
    if kind.is_dir() {
        return Err("is a directory, expected a file or a block device".to_owned());
    }
    if !kind.is_file() && !kind.is_block_device() {
        return Err("is neither a file nor a block device".to_owned());
    }
    Ok(())
}
