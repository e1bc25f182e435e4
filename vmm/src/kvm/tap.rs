//! A TAP interface of the host's, opened (Linux, Documentation/networking/tuntap.rst).
#![expect(unsafe_code, reason = "an ioctl that names the interface")]

use std::ffi::c_char;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;

use vmm_sys_util::ioctl::ioctl_with_mut_ref;
use vmm_sys_util::ioctl_iow_nr;

/// `struct ifreq`, of which the name and the flags are read.
#[repr(C)]
struct Request {
    name: [c_char; libc::IFNAMSIZ],
    flags: i16,
    rest: [u8; 22],
}

ioctl_iow_nr!(TUNSETIFF, 'T' as u32, 202, libc::c_int);

/// Opens the interface with this name, which is there already or which the user may make. What is read and written are frames
/// and nothing else; reads do not wait.
pub fn open(name: &str) -> io::Result<File> {
    let mut request = Request {
        name: [0; libc::IFNAMSIZ],
        flags: (libc::IFF_TAP | libc::IFF_NO_PI) as i16,
        rest: [0; 22],
    };
    if name.is_empty() || name.len() >= request.name.len() {
        let what =
            format!("found a name of {} bytes, expected 1 to {}", name.len(), libc::IFNAMSIZ - 1);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    for (to, from) in request.name.iter_mut().zip(name.bytes()) {
        *to = from as c_char;
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")?;
    // SAFETY: the kernel reads and writes one `struct ifreq`, which `Request` is as long as, with a zero behind the name.
    let done = unsafe { ioctl_with_mut_ref(&file, TUNSETIFF(), &mut request) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(file) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_as_long_as_the_kernels() {
        assert_eq!(size_of::<Request>(), size_of::<libc::ifreq>());
    }
}
