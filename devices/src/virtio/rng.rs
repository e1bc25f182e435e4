//! Entropy device (specification, 5.4): random bytes of the host's.

use std::fs::File;
use std::io::{self, Read, Write};

use super::{Backend, Broken, Front, Ram, Ring, Waits};

const ID: u32 = 4;
const QUEUES: [u16; 1] = [64];
/// Bytes for one request. Linux asks for 64; a driver that wants more asks again.
const MOST: u64 = 4096;

/// What a driver sees: there is no configuration.
pub struct Rng;

impl Front for Rng {
    fn id(&self) -> u32 {
        ID
    }

    fn queues(&self) -> &[u16] {
        &QUEUES
    }
}

/// The host's source of random bytes.
pub struct Source {
    file: File,
}

impl Source {
    /// Opens it.
    pub fn open() -> io::Result<Self> {
        Ok(Self { file: File::open("/dev/urandom")? })
    }
}

impl<M: Ram> Backend<M> for Source {
    fn serve(&mut self, queue: usize, rings: &mut [Ring<M>], _: &mut Waits) -> Result<(), Broken> {
        let Some(ring) = rings.get_mut(queue) else { return Ok(()) };
        ring.drain(|request| {
            let mut room = request.writer()?;
            let written = io::copy(
                &mut (&self.file).take(MOST.min(room.available_bytes() as u64)),
                &mut room,
            )?;
            room.flush()?;
            Ok(written as u32)
        })
    }
}
