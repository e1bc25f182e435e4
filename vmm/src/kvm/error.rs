//! What can go wrong between minivmm and KVM, and who has to act on it.

use std::fmt;
use std::io;

use crate::arch::features::Feature;

/// A failure of the host: its kernel, its configuration or its resources.
#[derive(Debug)]
pub enum Error {
    /// `/dev/kvm` cannot be opened.
    Open(io::Error),
    /// `/dev/kvm` speaks another API than the stable one, 12.
    ApiVersion(i32),
    /// KVM lacks a capability that nothing works without; holds what it is.
    Missing(&'static str),
    /// An ioctl failed; holds what was being done.
    Ioctl(&'static str, io::Error),
    /// More vCPUs than this host's KVM can run: asked for, limit, and what sets the limit.
    TooManyVcpus(usize, usize, &'static str),
    /// A feature of the CPU was asked for that this host's KVM does not offer.
    NoFeature(Feature),
    /// Guest memory reaches beyond what KVM can address: last address, bits of an address.
    MemoryBeyondIpa(u64, u32),
    /// Guest memory is more than the host has: bytes, the host's.
    MemoryBeyondHost(u64, u64),
    /// Guest memory could not be mapped: bytes, cause.
    Memory(u64, io::Error),
    /// A vCPU's thread could not be started.
    Thread(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(cause) => match cause.kind() {
                io::ErrorKind::NotFound => write!(
                    f,
                    "/dev/kvm: not found: expected a host kernel with KVM and EL2 left to it"
                ),
                io::ErrorKind::PermissionDenied => write!(
                    f,
                    "/dev/kvm: permission denied: run as root or join the group that owns it"
                ),
                _ => write!(f, "/dev/kvm: {cause}"),
            },
            Self::ApiVersion(found) => {
                write!(f, "/dev/kvm: found API version {found}, expected 12")
            }
            Self::Missing(what) => write!(f, "/dev/kvm: this host's KVM lacks {what}"),
            Self::Ioctl(doing, cause) => write!(f, "kvm: {doing}: {cause}"),
            Self::TooManyVcpus(asked, limit, why) => {
                write!(f, "--cpus {asked}: expected at most {limit} ({why})")
            }
            Self::NoFeature(feature) => write!(
                f,
                "--cpu-features {}=on: this host's KVM offers its guests no {feature}",
                feature.name()
            ),
            Self::MemoryBeyondIpa(last, bits) => write!(
                f,
                "--memory: its last address {last:#x} does not fit into this host's {bits}-bit guest addresses"
            ),
            Self::MemoryBeyondHost(bytes, host) => write!(
                f,
                "--memory: {bytes:#x} bytes, expected at most the {host:#x} that this host has (RAM and swap)"
            ),
            Self::Memory(bytes, cause) => {
                write!(f, "--memory: {bytes:#x} bytes cannot be mapped: {cause}")
            }
            Self::Thread(cause) => write!(f, "vCPU thread: {cause}"),
        }
    }
}

impl std::error::Error for Error {}

/// Turns an errno of kvm-ioctls into an [`Error`] that says what was being done.
pub(super) fn doing(what: &'static str) -> impl FnOnce(kvm_ioctls::Error) -> Error {
    move |errno| Error::Ioctl(what, errno.into())
}
