//! A folder in memory with all that is measured, so that no file system is.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where flat guests run, as scripts/build links them: RAM + 0x80000.
const GUEST_ADDRESS: u64 = 0x4008_0000;

/// What the command line names.
#[derive(Default)]
pub struct Sources {
    /// minivmm as it was built.
    pub minivmm: PathBuf,
    /// The same without symbols and line tables.
    pub stripped: PathBuf,
    /// QEMU: a program, or an archive of a tree with its own libraries (`scripts/setup bench`).
    pub qemu: Option<PathBuf>,
    /// Flat guests (`scripts/build --guests`).
    pub flat: PathBuf,
    /// Image-6.12 and initramfs.cpio.
    pub linux: PathBuf,
}

/// The folder. Removed when it is dropped.
pub struct Stage {
    folder: PathBuf,
    flat: PathBuf,
    /// QEMU, with what has to stand before its arguments.
    pub qemu: Option<Vec<OsString>>,
    /// Bytes of minivmm without symbols and line tables.
    pub stripped_len: u64,
}

impl Stage {
    /// Copies what is measured.
    pub fn new(sources: &Sources) -> Self {
        let folder = PathBuf::from(format!("/dev/shm/minivmm-bench-{}", std::process::id()));
        fs::create_dir(&folder).expect("a folder in /dev/shm");
        let stage = Self {
            qemu: sources.qemu.as_ref().map(|qemu| unpack(qemu, &folder)),
            stripped_len: fs::metadata(&sources.stripped).expect("the stripped program").len(),
            flat: sources.flat.clone(),
            folder,
        };
        copy(&sources.minivmm, &stage.file("minivmm"));
        for name in ["Image-6.12", "initramfs.cpio"] {
            copy(&sources.linux.join(name), &stage.file(name));
        }
        stage
    }

    /// A file of the stage.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Puts a flat guest on the stage, made as long as `len` with the bytes of Linux behind its own (a
    /// page without content would be cheaper than a kernel's), and some of its variables set.
    pub fn guest(&self, name: &str, len: usize, variables: &[(&str, u64)]) -> PathBuf {
        let mut bytes = fs::read(self.flat.join(format!("{name}.bin"))).expect("a flat guest");
        for (variable, value) in variables {
            let offset = (self.symbol(name, variable) - GUEST_ADDRESS) as usize;
            bytes[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
        }
        if bytes.len() < len {
            // From its text, over and over.
            let linux = fs::read(self.file("Image-6.12")).expect("the Linux kernel");
            let text = &linux[0x10000..0xa0_0000];
            let padding = text.iter().cycle().take(len - bytes.len());
            bytes.extend(padding);
        }
        let path = self.file(&format!("{name}-{len}.bin"));
        fs::write(&path, bytes).expect("room in memory");
        path
    }

    /// Address of a label in a flat guest.
    pub fn symbol(&self, guest: &str, label: &str) -> u64 {
        let map = self.flat.join(format!("{guest}.map"));
        let map = fs::read_to_string(map).expect("the guest's symbols");
        let is_it = |line: &&str| line.split_whitespace().nth(2) == Some(label);
        let line = map.lines().find(is_it).unwrap_or_else(|| panic!("no {label} in {guest}"));
        u64::from_str_radix(&line[..16], 16).expect("an address")
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What is left costs memory, not correctness.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
}

fn unpack(qemu: &Path, folder: &Path) -> Vec<OsString> {
    if qemu.extension().is_none_or(|extension| extension != "tar") {
        return vec![qemu.into()];
    }
    let status = Command::new("tar").arg("-xf").arg(qemu).arg("-C").arg(folder).status();
    assert!(status.expect("tar").success(), "{} cannot be unpacked", qemu.display());
    // As its launcher does, but without a shell.
    let usr = folder.join("qemu/usr");
    vec![
        usr.join("lib/ld-linux-aarch64.so.1").into(),
        "--library-path".into(),
        usr.join("lib/aarch64-linux-gnu").into(),
        usr.join("bin/qemu-system-aarch64").into(),
    ]
}
