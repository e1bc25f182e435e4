//! `m`, `M`, `X` (RSP manual, Packets).

use crate::command::Data;
use crate::packet::PACKET_SIZE;
use crate::reply::{Error, Reply};
use crate::session::Session;
use crate::target::{Target, TargetError};

/// Bytes whose hex digits fill a packet.
const MOST: u64 = PACKET_SIZE as u64 / 2;

impl Session {
    /// A reply with fewer bytes than asked for is allowed, and is what comes at the end of a
    /// mapping, at the end of the address space and past [`MOST`].
    pub(super) fn read_memory(
        &self,
        target: &mut dyn Target,
        addr: u64,
        length: u64,
    ) -> Result<Reply, Error> {
        if length == 0 {
            return Err(Error::BadRange { addr, length });
        }
        let to_end = (u64::MAX - addr).saturating_add(1);
        let mut data = vec![0; length.min(to_end).min(MOST) as usize];
        let read = target.read_memory(self.selected, addr, &mut data)?;
        if read == 0 {
            return Err(TargetError::Unmapped { addr }.into());
        }
        data.truncate(read);
        Ok(Reply::Hex(data))
    }

    /// Writing nothing succeeds anywhere: so clients find out whether there is an `X`.
    pub(super) fn write_memory(
        &self,
        target: &mut dyn Target,
        addr: u64,
        data: Data<'_>,
    ) -> Result<Reply, Error> {
        let length = data.len() as u64;
        if length == 0 {
            return Ok(Reply::Ok);
        }
        if addr.checked_add(length - 1).is_none() {
            return Err(Error::BadRange { addr, length });
        }
        target.write_memory(self.selected, addr, &data.decode())?;
        Ok(Reply::Ok)
    }
}
