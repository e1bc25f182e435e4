//! A TAP interface of the host's: each read and each write is a frame (Linux, Documentation/networking/tuntap.rst).

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};

use super::Wire;

/// An open TAP interface.
pub struct Tap {
    file: File,
}

impl Tap {
    /// Takes one that is set up already, without packet information and not blocking.
    pub fn new(file: File) -> Self {
        Self { file }
    }
}

impl Wire for Tap {
    fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    fn receive(&mut self, frame: &mut [u8]) -> io::Result<usize> {
        again(|| self.file.read(frame))
    }

    fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        match again(|| self.file.write(frame)) {
            // The interface is down, or the frame is too short or too long for it: lost, as on any network.
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Ok(()),
            other => other.map(|_| ()),
        }
    }
}

fn again(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
