//! `g`, `G`, `p`, `P` (RSP manual, Packets).

use crate::aarch64::{Register, RegisterValue, Registers};
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
        let mut digits = Vec::with_capacity(2 * Registers::SIZE);
        Register::all().try_for_each(|reg| read(target, tid, reg, &mut digits))?;
        Ok(Reply::Bytes(digits))
    }

    pub(super) fn write_registers(
        &self,
        target: &mut dyn Target,
        values: HexBytes<'_>,
        thread: Option<ThreadId>,
    ) -> Result<Reply, Error> {
        let tid = self.thread(target, thread)?;
        let wrong_size = Error::RegisterSize { found: values.len(), expected: Registers::SIZE };
        let registers = Registers::from_bytes(&values.decode()).ok_or(wrong_size)?;
        target.write_registers(tid, &registers)?;
        Ok(Reply::Ok)
    }

    pub(super) fn read_register(
        &self,
        target: &mut dyn Target,
        number: u64,
        thread: Option<ThreadId>,
    ) -> Result<Reply, Error> {
        let tid = self.thread(target, thread)?;
        let reg = Register::from_number(number).ok_or(Error::NoSuchRegister { number })?;
        let mut digits = Vec::new();
        read(target, tid, reg, &mut digits)?;
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
        let reg = Register::from_number(number).ok_or(Error::NoSuchRegister { number })?;
        let wrong_size = Error::RegisterSize { found: value.len(), expected: reg.size() };
        let value = RegisterValue::from_bytes(reg, &value.decode()).ok_or(wrong_size)?;
        target.write_register(tid, reg, value)?;
        Ok(Reply::Ok)
    }
}

/// Appends the digits of one register. Those of one that the thread does not have now are `x` (RSP
/// manual, Packets, "g").
fn read(
    target: &mut dyn Target,
    tid: Tid,
    reg: Register,
    digits: &mut Vec<u8>,
) -> Result<(), TargetError> {
    match target.read_register(tid, reg) {
        Ok(value) => value.push_hex(reg, digits),
        Err(TargetError::Unavailable) => digits.resize(digits.len() + 2 * reg.size(), b'x'),
        Err(error) => return Err(error),
    }
    Ok(())
}
