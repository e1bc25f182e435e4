//! A disk has one writer, or any number of readers: of minivmm and of QEMU, whose locks these are.
//!
//! QEMU (block/file-posix.c) locks single bytes of the file with open file description locks: one from 100 on for each
//! thing that it does, one from 200 on for each that others must not. Whether somebody has one it finds out by asking, so it
//! never takes them exclusively. We do, for writing.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::process;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc::{F_RDLCK, F_UNLCK, F_WRLCK, SEEK_SET, c_short, flock};

/// Of what is done: all that anybody does.
const ALL: (i64, i64) = (100, 200);
const READS: (i64, i64) = (100, 1);
const WRITES: (i64, i64) = (101, 1);
const RESIZES: (i64, i64) = (103, 1);
/// Of what others must not do.
const NO_WRITES: (i64, i64) = (201, 1);
const NO_RESIZES: (i64, i64) = (203, 1);

/// Locks a disk's file for as long as it is open. The error says who else has it.
pub fn lock(file: &File, is_written: bool) -> Result<(), String> {
    let is_locked = if is_written {
        set(file, F_WRLCK, ALL)
    } else {
        [READS, NO_WRITES, NO_RESIZES]
            .into_iter()
            .try_for_each(|bytes| set(file, F_RDLCK, bytes))
            .and_then(|()| [WRITES, RESIZES].into_iter().try_for_each(|bytes| ask(file, bytes)))
    };
    match is_locked {
        Err(Errno::EAGAIN | Errno::EACCES) => Err(taken(file, is_written)),
        // Without locks the file is as it has always been: its users'.
        Ok(()) | Err(_) => Ok(()),
    }
}

fn set(file: &File, kind: i32, bytes: (i64, i64)) -> nix::Result<()> {
    fcntl(file, FcntlArg::F_OFD_SETLK(&request(kind, bytes))).map(drop)
}

/// Whether somebody has these bytes.
fn ask(file: &File, bytes: (i64, i64)) -> nix::Result<()> {
    let mut found = request(F_WRLCK, bytes);
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut found))?;
    if i32::from(found.l_type) == F_UNLCK { Ok(()) } else { Err(Errno::EAGAIN) }
}

fn request(kind: i32, (start, len): (i64, i64)) -> flock {
    let (l_type, l_whence) = (kind as c_short, SEEK_SET as c_short);
    flock { l_type, l_whence, l_start: start, l_len: len, l_pid: 0 }
}

fn taken(file: &File, is_written: bool) -> String {
    let who = match holder(file) {
        Some((pid, _)) if pid == process::id() => "this command line names it twice".to_owned(),
        Some((pid, name)) => format!("is in use by process {pid} ({name})"),
        None => "is in use by another process".to_owned(),
    };
    let how = if is_written { "to be written by one alone" } else { "not to be written" };
    format!("{who}, expected {how} (several may have it with ,ro)")
}

/// Process and its name. The lock itself does not tell; what the processes' descriptors hold (proc(5), fdinfo) does, of those
/// that we may look at.
fn holder(file: &File) -> Option<(u32, String)> {
    let own = file.metadata().ok()?;
    let holds = |pid: u32| {
        let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fdinfo")) else { return false };
        descriptors.flatten().any(|descriptor| {
            let text = fs::read_to_string(descriptor.path()).unwrap_or_default();
            let is_lock = |line: &str| line.starts_with("lock:") && line.contains(" OFDLCK ");
            // The lock's own device number is not always the file's (btrfs).
            text.lines().any(is_lock)
                && fs::metadata(format!("/proc/{pid}/fd/{}", descriptor.file_name().display()))
                    .is_ok_and(|other| (other.dev(), other.ino()) == (own.dev(), own.ino()))
        })
    };
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    // Our own descriptor of a reader may hold some already.
    let (own, others): (Vec<u32>, Vec<u32>) = pids.partition(|pid| *pid == process::id());
    let pid = others.into_iter().chain(own).find(|pid| holds(*pid))?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some((pid, name.trim_end().to_owned()))
}
