//! A folder in memory: for disks and shares, which the emulated host's own files would be too slow for, and where holes can be punched.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;

/// Gone with all that is in it when it is dropped.
pub struct Shm(PathBuf);

impl Shm {
    /// An empty one.
    pub fn new() -> Self {
        let path = PathBuf::from(format!("/dev/shm/minivmm-test-{}", process::id()));
        fs::create_dir(&path).expect("a folder in /dev/shm");
        Self(path)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Of something in it.
    pub fn join(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("UTF-8").to_owned()
    }
}

impl Default for Shm {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Shm {
    fn drop(&mut self) {
        // Nothing is lost but room.
        let _ = fs::remove_dir_all(&self.0);
    }
}
