//! A TAP interface of the host's: each read and each write is a packet (Linux, Documentation/networking/tuntap.rst).

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};

use super::Wire;
use crate::virtio::unix;

/// The driver leaves checksums to the device, and takes packets whose checksums are left to it.
const F_CSUM: u64 = 1 << 0;
const F_GUEST_CSUM: u64 = 1 << 1;
/// The driver takes, and leaves to the device, TCP segments that are longer than a frame.
const F_GUEST_TSO4: u64 = 1 << 7;
const F_GUEST_TSO6: u64 = 1 << 8;
const F_HOST_TSO4: u64 = 1 << 11;
const F_HOST_TSO6: u64 = 1 << 12;

/// What the interface may leave to the guest (TUNSETOFFLOAD).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offload {
    /// Checksums.
    pub checksums: bool,
    /// Segments of TCP over IPv4, and over IPv6.
    pub segments: [bool; 2],
}

/// What tells the host's kernel of that.
type SetOffload = Box<dyn Fn(&File, Offload) -> io::Result<()> + Send>;

/// An open TAP interface.
pub struct Tap {
    file: File,
    set_offload: SetOffload,
}

impl Tap {
    /// Takes one that is set up already, not blocking, with headers as the guest's.
    pub fn new(file: File, set_offload: SetOffload) -> Self {
        Self { file, set_offload }
    }
}

impl Wire for Tap {
    fn features(&self) -> u64 {
        F_CSUM | F_GUEST_CSUM | F_GUEST_TSO4 | F_GUEST_TSO6 | F_HOST_TSO4 | F_HOST_TSO6
    }

    fn begin(&mut self, features: u64) -> io::Result<()> {
        let has = |feature| features & feature != 0;
        let segments = [F_GUEST_TSO4, F_GUEST_TSO6].map(|of| has(F_GUEST_CSUM) && has(of));
        (self.set_offload)(&self.file, Offload { checksums: has(F_GUEST_CSUM), segments })
    }

    fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    fn has_hung_up(&self) -> bool {
        unix::has_hung_up(&self.file)
    }

    fn receive(&mut self, packet: &mut [u8]) -> io::Result<usize> {
        again(|| self.file.read(packet))
    }

    fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        match again(|| self.file.write(packet)) {
            // The interface is down, or the packet is too short or too long for it, or its header a lie: lost, as on any network.
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
