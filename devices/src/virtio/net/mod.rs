//! Network device (specification, 5.1): Ethernet frames to and from a [`Wire`].

mod carrier;
mod stream;
mod tap;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

pub use carrier::Carrier;
pub use stream::Stream;
pub use tap::{Offload, Tap};

use super::{Front, read_config};

const ID: u32 = 1;
/// As many as Linux's own devices have: at 1500 bytes a frame, 384 KiB under way.
const QUEUES: [u16; 2] = [256, 256];
const RECEIVE: usize = 0;
const TRANSMIT: usize = 1;

/// The configuration space has the largest packet inside of a frame.
const F_MTU: u64 = 1 << 3;
/// It begins with the address.
const F_MAC: u64 = 1 << 5;
/// A frame may be spread over several receive buffers.
const F_MRG_RXBUF: u64 = 1 << 15;
/// The configuration space has the link's state.
const F_STATUS: u64 = 1 << 16;
const LINK_UP: u16 = 1;

/// `struct virtio_net_hdr_v1` (5.1.6): what is left to do of checksums and segments, and the number of buffers at the end.
const HEADER: usize = 12;
const NUM_BUFFERS: usize = 10;

/// The longest frame: what IPv4 and passt allow, with an Ethernet header and a VLAN tag.
pub const LONGEST: usize = 65535 + 18;

/// Where packets go and come from: frames behind a header. Nothing here blocks.
pub trait Wire: Send {
    /// Features of the device that are the wire's to have: of checksums and segments.
    fn features(&self) -> u64 {
        0
    }

    /// The largest packet inside of a frame that it carries, if that is known.
    fn mtu(&self) -> Option<u16> {
        None
    }

    /// A driver is ready, with these features, or a wire that was torn is to be mended. An error if it cannot be.
    fn begin(&mut self, features: u64) -> io::Result<()>;

    /// What is waited for.
    fn fd(&self) -> RawFd;

    /// Whether nobody is at its other end any more.
    fn has_hung_up(&self) -> bool;

    /// Takes a packet, and returns how many bytes of `packet` it fills. `WouldBlock` if there is none; with another error it is
    /// torn.
    fn receive(&mut self, packet: &mut [u8]) -> io::Result<usize>;

    /// Takes what has come, for later: the guest has no room. False if there is no room for that here, either, so that it is no use to
    /// wait for more.
    fn hold(&mut self) -> io::Result<bool> {
        Ok(false)
    }

    /// Sends a packet. `WouldBlock` if there is no room for it: then it is asked again once there is.
    fn send(&mut self, packet: &[u8]) -> io::Result<()>;

    /// Goes on with a packet that was sent and has not left yet. True if there is still such a one.
    fn is_behind(&mut self) -> io::Result<bool> {
        Ok(false)
    }
}

/// A wire that outlives the guests that are on it.
pub type Shared = Arc<Mutex<dyn Wire>>;

/// Whether the wire is there, at first that it is. The front and the carrier of a device have the same.
pub type Link = Arc<AtomicBool>;

/// What a driver sees beside its queues.
pub struct Net {
    mac: [u8; 6],
    features: u64,
    mtu: Option<u16>,
    link: Link,
}

impl Net {
    /// A device with this address on this wire.
    pub fn new(mac: [u8; 6], wire: &dyn Wire, link: Link) -> Self {
        Self { mac, features: wire.features(), mtu: wire.mtu(), link }
    }
}

impl Front for Net {
    fn id(&self) -> u32 {
        ID
    }

    fn features(&self) -> u64 {
        let mtu = if self.mtu.is_some() { F_MTU } else { 0 };
        F_MAC | F_MRG_RXBUF | F_STATUS | mtu | self.features
    }

    fn queues(&self) -> &[u16] {
        &QUEUES
    }

    fn read(&self, offset: u64, data: &mut [u8]) {
        let status = if self.link.load(Ordering::Acquire) { LINK_UP } else { 0 };
        // Behind the status is the number of queue pairs, which only drivers of several read.
        let words = [status, 0, self.mtu.unwrap_or(0)].map(u16::to_le_bytes);
        let space = [&self.mac[..], words.as_flattened()].concat();
        read_config(&space, offset, data);
    }
}
