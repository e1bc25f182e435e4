//! The guests' initramfs with more files in it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{guest, scratch};

/// Writes `initramfs.cpio` followed by an archive of these programs, each by its name under `/bin`, and
/// returns where. The kernel unpacks one archive after the other
/// (Documentation/driver-api/early-userspace/buffer-format.rst).
pub fn with_programs(programs: &[(&str, &Path)]) -> PathBuf {
    write(|archive| {
        for (name, program) in programs {
            entry(archive, &format!("bin/{name}"), 0o100755, &content(program));
        }
    })
}

/// What the kernel command line says to have [`START`] run.
pub const RDINIT: &str = "rdinit=/start";

/// Loads the drivers. Then, where the command line says `newroot=` and `newtype=` (a device or a tag, and the type of file system), goes on
/// from there, with the programs in `/run`.
const START: &str = r#"#!/bin/sh
export PATH=/bin
mount -t devtmpfs dev /dev
for module in /modules/*; do insmod "$module"; done
umount /dev
if [ "$newroot" ]; then
    mkdir /new
    mount -t devtmpfs dev /dev
    mount -t "$newtype" "$newroot" /new || poweroff -f
    umount /dev
    mount -t tmpfs run /new/run
    cp /programs/* /new/run
    exec busybox switch_root /new /init "$@"
fi
exec /init "$@"
"#;

/// Writes `initramfs.cpio` with the modules of this kernel that minivmm's devices need, and these programs in `/programs`.
pub fn with_modules(version: &str, programs: &[(&str, &Path)]) -> PathBuf {
    let folder = guest(&format!("modules-{version}"));
    let modules =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut modules: Vec<PathBuf> = modules.map(|entry| entry.expect("a module").path()).collect();
    modules.sort();
    write(|archive| {
        entry(archive, "start", 0o100755, START.as_bytes());
        entry(archive, "modules", 0o040755, &[]);
        entry(archive, "programs", 0o040755, &[]);
        for module in &modules {
            let name = module.file_name().and_then(|name| name.to_str()).expect("a name");
            entry(archive, &format!("modules/{name}"), 0o100644, &content(module));
        }
        for (name, program) in programs {
            entry(archive, &format!("programs/{name}"), 0o100755, &content(program));
        }
    })
}

fn content(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn write(add: impl FnOnce(&mut Vec<u8>)) -> PathBuf {
    let mut archive = content(&guest("initramfs.cpio"));
    pad(&mut archive);
    add(&mut archive);
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
