//! Unix sockets of the host's.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect as connect_to, socket,
};

/// Connects, to a socket that does not block. Neither does this: whoever listens and accepts nobody must not hold up a device's thread.
/// `WouldBlock` if too many wait there already.
pub fn connect(path: &Path) -> io::Result<UnixStream> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let stream = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect_to(stream.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(stream.into())
}
