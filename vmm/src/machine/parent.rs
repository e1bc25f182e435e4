//! Whoever started minivmm: when they are gone, nobody waits for the guest any more.

use std::os::fd::OwnedFd;

use nix::sys::signal::Signal;
use nix::unistd::{getpid, getsid};
use rustix::process::{PidfdFlags, getppid, pidfd_open};

use super::signals;

/// Becomes readable when the parent process has ended (pidfd_open(2)). None for who is to outlive it: with SIGHUP ignored, as nohup does,
/// and as the leader of a session, as setsid makes it; and where the parent is the first process.
/// To be asked at once: who has gone cannot be told any more from who adopts orphans.
pub fn watch() -> Option<OwnedFd> {
    let leads_session = getsid(None).is_ok_and(|session| session == getpid());
    if signals::is_ignored(Signal::SIGHUP) || leads_session {
        return None;
    }
    let parent = getppid().filter(|parent| !parent.is_init())?;
    // Linux before 5.3 has none: the guest outlives its parent there.
    pidfd_open(parent, PidfdFlags::empty()).ok()
}
