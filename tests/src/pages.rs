//! Files that are copied, and whether they were.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::thread::{self, JoinHandle};

const MIB: usize = 1 << 20;
/// Bytes.
pub const COPIED: usize = 256 * MIB;

/// Random numbers that everybody can repeat: xorshift64 (Marsaglia 2003).
pub struct Xorshift(pub u64);

impl Xorshift {
    /// The next one.
    pub fn draw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Makes a file of [`COPIED`] bytes whose pages are all different.
pub fn fill(path: &str) {
    let mut random = Xorshift(1);
    let mut bytes: Vec<u8> = (0..MIB / 8).flat_map(|_| random.draw().to_le_bytes()).collect();
    let file = File::create(path).expect("a new file");
    for at in (0..COPIED).step_by(MIB) {
        for page in (0..MIB).step_by(4096) {
            bytes[page..page + 8].copy_from_slice(&((at + page) as u64).to_le_bytes());
        }
        file.write_all_at(&bytes, at as u64).expect("room");
    }
}

/// Where two such files differ first, in MiB.
pub fn difference(one: &str, other: &str) -> Option<usize> {
    let mut files = [one, other].map(|path| File::open(path).expect("a file"));
    let mut bytes = [vec![0; MIB], vec![0; MIB]];
    (0..COPIED / MIB).find(|_| {
        for (file, bytes) in files.iter_mut().zip(&mut bytes) {
            file.read_exact(bytes).expect("a file of this length");
        }
        bytes[0] != bytes[1]
    })
}

/// Sends the file at `path` to whom `accept` brings. Ends with how many bytes that were.
pub fn send<W: Write>(
    path: &str,
    accept: impl FnOnce() -> W + Send + 'static,
) -> JoinHandle<io::Result<u64>> {
    let path = path.to_owned();
    thread::spawn(move || io::copy(&mut File::open(path)?, &mut accept()))
}

/// Makes a file at `path` of all that is sent by whom `accept` brings.
pub fn receive<R: Read>(
    path: &str,
    accept: impl FnOnce() -> R + Send + 'static,
) -> JoinHandle<io::Result<u64>> {
    let path = path.to_owned();
    thread::spawn(move || io::copy(&mut accept(), &mut File::create(path)?))
}
