//! A TAP interface of the host's, opened (Linux, Documentation/networking/tuntap.rst).
#![expect(unsafe_code, reason = "ioctls that set the interface up")]

use std::ffi::c_char;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;

use devices::virtio::net::Offload;
use nix::net::if_::if_nametoindex;
use vmm_sys_util::ioctl::{ioctl_with_mut_ref, ioctl_with_ref, ioctl_with_val};
use vmm_sys_util::ioctl_iow_nr;

/// `struct ifreq`, of which the name and the flags are read.
#[repr(C)]
struct Request {
    name: [c_char; libc::IFNAMSIZ],
    flags: i16,
    rest: [u8; 22],
}

ioctl_iow_nr!(TUNSETIFF, 'T' as u32, 202, libc::c_int);
ioctl_iow_nr!(TUNSETOFFLOAD, 'T' as u32, 208, libc::c_uint);
ioctl_iow_nr!(TUNSETVNETHDRSZ, 'T' as u32, 216, libc::c_int);

/// What TAP interfaces are opened by.
const TUN: &str = "/dev/net/tun";

/// `struct virtio_net_hdr_v1`, in front of every frame.
const HEADER: libc::c_int = 12;

/// Opens the interface with this name, which is there already and the user's. What is read and written are packets with a header as virtio
/// has it; reads do not wait.
pub fn open(name: &str) -> io::Result<File> {
    // The kernel would make it for those who may.
    if_nametoindex(name)?;
    let mut request = Request {
        name: [0; libc::IFNAMSIZ],
        flags: (libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR) as i16,
        rest: [0; 22],
    };
    for (to, from) in request.name.iter_mut().zip(name.bytes().take(libc::IFNAMSIZ - 1)) {
        *to = from as c_char;
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(TUN)
        .map_err(|error| io::Error::new(error.kind(), format!("{TUN}: {error}")))?;
    // SAFETY: the kernel reads and writes one `struct ifreq`, which `Request` is as long as, with a zero behind the name.
    check(unsafe { ioctl_with_mut_ref(&file, TUNSETIFF(), &mut request) })?;
    // SAFETY: the kernel reads one int.
    check(unsafe { ioctl_with_ref(&file, TUNSETVNETHDRSZ(), &HEADER) })?;
    Ok(file)
}

/// Tells the host's kernel what it may leave to the guest.
pub fn set_offload(file: &File, offload: Offload) -> io::Result<()> {
    let Offload { checksums, segments: [ipv4, ipv6] } = offload;
    let bits = [(checksums, libc::TUN_F_CSUM), (ipv4, libc::TUN_F_TSO4), (ipv6, libc::TUN_F_TSO6)];
    let bits = bits.iter().filter(|(is_set, _)| *is_set).fold(0, |bits, (_, bit)| bits | bit);
    // SAFETY: the kernel takes the bits themselves, no address.
    check(unsafe { ioctl_with_val(file, TUNSETOFFLOAD(), bits.into()) })
}

fn check(done: libc::c_int) -> io::Result<()> {
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_as_long_as_the_kernels() {
        assert_eq!(size_of::<Request>(), size_of::<libc::ifreq>());
    }
}
