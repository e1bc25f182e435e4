//! Socket device (specification, 5.10): connections between the guest and Unix sockets of the host's, as Firecracker makes them.
//!
//! - The guest connects to port P of the host (context 2): a connection is made to the Unix socket `PATH_P`.
//! - Somebody connects to the Unix socket `PATH` and writes `CONNECT P\n`: a connection is made to port P of the guest. Once that is
//!   there, `OK N\n` is read, with the port that the guest sees, and then what the guest sends.

mod connection;
mod entrance;
mod packet;
mod switch;
#[cfg(test)]
mod tests;

use super::{Front, read_config};

pub use switch::Switch;

const ID: u32 = 19;
const QUEUES: [u16; 3] = [128, 128, 8];
const RECEIVE: usize = 0;
const TRANSMIT: usize = 1;

/// The host's context.
const HOST: u64 = 2;

/// What a driver sees beside its queues: the guest's context.
pub struct Vsock {
    cid: u32,
}

impl Vsock {
    /// A device for the guest of this context, which is 3 or more.
    pub fn new(cid: u32) -> Self {
        Self { cid }
    }
}

impl Front for Vsock {
    fn id(&self) -> u32 {
        ID
    }

    fn queues(&self) -> &[u16] {
        &QUEUES
    }

    fn read(&self, offset: u64, data: &mut [u8]) {
        read_config(&u64::from(self.cid).to_le_bytes(), offset, data);
    }
}
