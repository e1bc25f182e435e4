//! `g`, `G`, `p`, `P` (RSP manual, Packets).

use crate::aarch64::{Register, RegisterValue, Registers};
use crate::hex::HexBytes;
use crate::reply::{Error, Reply};
use crate::session::Session;
use crate::target::Target;

impl Session {
    pub(super) fn read_registers(&self, target: &mut dyn Target) -> Result<Reply, Error> {
        let mut registers = Registers::default();
        target.read_registers(self.selected, &mut registers)?;
        Ok(Reply::Hex(registers.to_bytes().collect()))
    }

    pub(super) fn write_registers(
        &self,
        target: &mut dyn Target,
        values: HexBytes<'_>,
    ) -> Result<Reply, Error> {
        let wrong_size = Error::RegisterSize { found: values.len(), expected: Registers::SIZE };
        let registers = Registers::from_bytes(&values.decode()).ok_or(wrong_size)?;
        target.write_registers(self.selected, &registers)?;
        Ok(Reply::Ok)
    }

    pub(super) fn read_register(
        &self,
        target: &mut dyn Target,
        number: u64,
    ) -> Result<Reply, Error> {
        let reg = Register::from_number(number).ok_or(Error::NoSuchRegister { number })?;
        let value = target.read_register(self.selected, reg)?;
        Ok(Reply::Hex(value.to_bytes(reg).collect()))
    }

    pub(super) fn write_register(
        &self,
        target: &mut dyn Target,
        number: u64,
        value: HexBytes<'_>,
    ) -> Result<Reply, Error> {
        let reg = Register::from_number(number).ok_or(Error::NoSuchRegister { number })?;
        let wrong_size = Error::RegisterSize { found: value.len(), expected: reg.size() };
        let value = RegisterValue::from_bytes(reg, &value.decode()).ok_or(wrong_size)?;
        target.write_register(self.selected, reg, value)?;
        Ok(Reply::Ok)
    }
}
