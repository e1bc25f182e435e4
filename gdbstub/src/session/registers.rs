//! `g`, `G`, `p`, `P` (RSP manual, Packets).

use crate::aarch64::RegisterValue;
use crate::description::{Description, Entry};
use crate::hex::HexBytes;
use crate::reply::{Error, Reply};
use crate::session::{Session, threads};
use crate::target::{Target, TargetError, Tid};
use crate::thread_id::ThreadId;

impl Session {
    /// The thread that a register packet means.
    fn thread(&self, target: &dyn Target, named: Option<ThreadId>) -> Result<Tid, Error> {
        named.map_or(Ok(self.selected), |id| threads::find(target, id))
    }

    pub(super) fn read_registers(
        &self,
        target: &mut dyn Target,
        thread: Option<ThreadId>,
    ) -> Result<Reply, Error> {
        let tid = self.thread(target, thread)?;
        let description = target.description();
        let mut digits = Vec::with_capacity(2 * description.g_size());
        description.in_g().iter().try_for_each(|entry| read(target, tid, *entry, &mut digits))?;
        Ok(Reply::Bytes(digits))
    }

    pub(super) fn write_registers(
        &self,
        target: &mut dyn Target,
        values: HexBytes<'_>,
        thread: Option<ThreadId>,
    ) -> Result<Reply, Error> {
        let tid = self.thread(target, thread)?;
        let description = target.description();
        let expected = description.g_size();
        let wrong_size = Error::RegisterSize { found: values.len(), expected };
        if values.len() != expected {
            return Err(wrong_size);
        }
        let bytes = values.decode();
        let value = |entry: &Entry| {
            let bytes = bytes.get(entry.offset..)?.get(..entry.size)?;
            Some((entry.reg, RegisterValue::from_bytes(bytes)))
        };
        let values: Option<Vec<_>> = description.in_g().iter().map(value).collect();
        target.write_registers(tid, &values.ok_or(wrong_size)?)?;
        Ok(Reply::Ok)
    }

    pub(super) fn read_register(
        &self,
        target: &mut dyn Target,
        number: u64,
        thread: Option<ThreadId>,
    ) -> Result<Reply, Error> {
        let tid = self.thread(target, thread)?;
        let entry = entry(&target.description(), number)?;
        let mut digits = Vec::new();
        read(target, tid, entry, &mut digits)?;
        Ok(Reply::Bytes(digits))
    }

    pub(super) fn write_register(
        &self,
        target: &mut dyn Target,
        number: u64,
        value: HexBytes<'_>,
        thread: Option<ThreadId>,
    ) -> Result<Reply, Error> {
        let tid = self.thread(target, thread)?;
        let Entry { reg, size, .. } = entry(&target.description(), number)?;
        if value.len() != size {
            return Err(Error::RegisterSize { found: value.len(), expected: size });
        }
        target.write_register(tid, reg, RegisterValue::from_bytes(&value.decode()))?;
        Ok(Reply::Ok)
    }
}

fn entry(description: &Description, number: u64) -> Result<Entry, Error> {
    description.entry(number).ok_or(Error::NoSuchRegister { number })
}

/// Appends the digits of one register. Those of one that the thread does not have now are `x` (RSP
/// manual, Packets, "g").
fn read(
    target: &mut dyn Target,
    tid: Tid,
    entry: Entry,
    digits: &mut Vec<u8>,
) -> Result<(), TargetError> {
    match target.read_register(tid, entry.reg) {
        Ok(value) => value.push_hex(entry.size, digits),
        Err(TargetError::Unavailable) => digits.resize(digits.len() + 2 * entry.size, b'x'),
        Err(error) => return Err(error),
    }
    Ok(())
}
