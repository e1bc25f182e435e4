//! The guests' initramfs with more files in it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{guest, scratch};

/// Writes `initramfs.cpio` followed by an archive of these programs, each by its name under `/bin`, and
/// returns where. The kernel unpacks one archive after the other
/// (Documentation/driver-api/early-userspace/buffer-format.rst).
pub fn with_programs(programs: &[(&str, &Path)]) -> PathBuf {
    let mut archive = fs::read(guest("initramfs.cpio")).expect("the guests' initramfs");
    pad(&mut archive);
    for (name, program) in programs {
        let program = fs::read(program).expect("a program for the guest");
        entry(&mut archive, &format!("bin/{name}"), 0o100755, &program);
    }
    entry(&mut archive, "TRAILER!!!", 0, &[]);
    let path = scratch().join("initramfs.cpio");
    fs::write(&path, archive).expect("scratch folder");
    path
}

/// Appends one file in the format newc: thirteen numbers of eight hexadecimal digits, the name with a
/// NUL, the content. Links, owner, times and device numbers are 0: the kernel looks at links only
/// where there is more than one.
fn entry(archive: &mut Vec<u8>, name: &str, mode: u32, content: &[u8]) {
    let len = |bytes: usize| u32::try_from(bytes).expect("a small file");
    let mut header = [0; 13];
    header[1] = mode;
    header[6] = len(content.len());
    header[11] = len(name.len() + 1);
    archive.extend(b"070701");
    for number in header {
        archive.extend(format!("{number:08x}").bytes());
    }
    archive.extend(name.bytes());
    archive.push(0);
    pad(archive);
    archive.extend(content);
    pad(archive);
}

/// Names, contents and archives end at multiples of four bytes.
fn pad(archive: &mut Vec<u8>) {
    archive.resize(archive.len().next_multiple_of(4), 0);
}
