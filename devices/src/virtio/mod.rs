//! Devices by virtio 1.2 on its MMIO transport ("the specification" below).
//!
//! A device has two halves. Its [`Front`] is what configuration accesses see; vCPU threads use it. Its [`Backend`] has
//! the queues, and a thread of its own from the moment that the driver is ready until it resets the device: nothing
//! that a queue waits for holds up a vCPU.

pub mod block;
mod buffers;
pub mod console;
pub mod fs;
mod interrupt;
pub mod mmio;
pub mod net;
mod ring;
pub mod rng;
#[cfg(test)]
mod tests;
mod unix;
pub mod vsock;
mod worker;

use std::fmt;
use std::io;

use vm_memory::GuestMemoryBackend;

pub use buffers::{Buffers, Halves};
use interrupt::Interrupt;
pub use ring::{Request, Ring};
pub use worker::Waits;

/// Guest memory that stays mapped as long as any clone of it lives.
pub trait Ram: GuestMemoryBackend + Clone + Send + Sync + 'static {}

impl<M: GuestMemoryBackend + Clone + Send + Sync + 'static> Ram for M {}

/// What a driver sees of a device beside its queues.
pub trait Front: Send {
    /// Device ID (specification, 5).
    fn id(&self) -> u32;

    /// Feature bits of this type of device, of those below 24 and from 50 on. The transport offers its own.
    fn features(&self) -> u64 {
        0
    }

    /// The most descriptors of each of its queues: powers of two.
    fn queues(&self) -> &[u16];

    /// Fills `data` from its configuration space, which reads as zeroes past its end.
    fn read(&self, offset: u64, data: &mut [u8]) {
        let _ = offset;
        data.fill(0);
    }

    /// Takes what the driver writes into its configuration space.
    fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), crate::bus::Refused> {
        let _ = (offset, data);
        Err(crate::bus::Refused("this configuration space is read-only"))
    }

    /// How often its configuration space has changed, so that a driver which reads it in pieces can tell (2.5).
    fn generation(&self) -> u32 {
        0
    }
}

/// What serves a device's queues.
pub trait Backend<M: Ram>: Send {
    /// The driver is ready, with these features. From here on [`Self::serve`] is called.
    fn start(
        &mut self,
        features: u64,
        rings: &mut [Ring<M>],
        waits: &mut Waits,
    ) -> Result<(), Broken> {
        let _ = (features, rings, waits);
        Ok(())
    }

    /// The driver has put something into a queue, or said that it has.
    fn serve(
        &mut self,
        queue: usize,
        rings: &mut [Ring<M>],
        waits: &mut Waits,
    ) -> Result<(), Broken>;

    /// A descriptor that it waits for is ready; `token` is what it was added with.
    fn ready(
        &mut self,
        token: u32,
        rings: &mut [Ring<M>],
        waits: &mut Waits,
    ) -> Result<(), Broken> {
        let _ = (token, rings, waits);
        Ok(())
    }

    /// The driver has reset the device, or the guest is gone: back to how it was made.
    fn reset(&mut self) {}
}

/// A device stops serving its queues, because of what the driver put there or of what the host did.
#[derive(Debug)]
pub struct Broken(pub String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<virtio_queue::Error> for Broken {
    fn from(error: virtio_queue::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

/// Copies from a configuration space that has these bytes. Past its end there are zeroes.
pub fn read_config(space: &[u8], offset: u64, data: &mut [u8]) {
    let rest =
        usize::try_from(offset).ok().and_then(|offset| space.get(offset..)).unwrap_or_default();
    for (index, byte) in data.iter_mut().enumerate() {
        *byte = rest.get(index).copied().unwrap_or(0);
    }
}
