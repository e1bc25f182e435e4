//! Unix sockets of the host's, and what else has another end.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
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

/// Whether nobody is at the other end any more. What has come before may still be there to read.
pub fn has_hung_up(file: &impl AsFd) -> bool {
    // POLLHUP and POLLERR are told without being asked for.
    let mut fds = [PollFd::new(file.as_fd(), PollFlags::empty())];
    let found = poll(&mut fds, PollTimeout::ZERO).is_ok_and(|count| count > 0);
    found && fds.iter().any(|fd| fd.any() == Some(true))
}
