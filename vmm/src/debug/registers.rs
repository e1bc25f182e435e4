//! GDB's registers on a parked vCPU.

use gdbstub::{Register, RegisterValue, Registers};

use crate::arch::pstate;
use crate::kvm::error::Error;
use crate::kvm::regs;
use crate::kvm::vcpu::Vcpu;

/// Reads one register.
pub fn read(vcpu: &Vcpu, register: Register) -> Result<RegisterValue, Error> {
    Ok(match register {
        Register::X(n) => RegisterValue::from(vcpu.get(regs::x(n.into()))?),
        Register::Sp => RegisterValue::from(vcpu.get(vcpu.sp_id()?)?),
        Register::Pc => RegisterValue::from(vcpu.pc()?),
        // GDB's cpsr has 32 bits; the upper half of PSTATE has no defined bit that KVM shows.
        Register::Cpsr => RegisterValue::from(vcpu.pstate()?.0 as u32),
        Register::V(n) => RegisterValue::from(vcpu.get_v(n)?),
        Register::Fpsr => RegisterValue::from(vcpu.get_u32(regs::FPSR)?),
        Register::Fpcr => RegisterValue::from(vcpu.get_u32(regs::FPCR)?),
    })
}

/// Writes one register.
pub fn write(vcpu: &Vcpu, register: Register, value: RegisterValue) -> Result<(), Error> {
    match register {
        Register::X(n) => vcpu.set(regs::x(n.into()), value.as_u64()),
        Register::Sp => vcpu.set(vcpu.sp_id()?, value.as_u64()),
        Register::Pc => write_pc(vcpu, value.as_u64()),
        Register::Cpsr => {
            let upper = vcpu.pstate()?.0 & !u64::from(u32::MAX);
            vcpu.set_pstate(upper | u64::from(value.as_u32()))
        }
        Register::V(n) => vcpu.set_v(n, value.as_u128()),
        Register::Fpsr => vcpu.set_u32(regs::FPSR, value.as_u32()),
        Register::Fpcr => vcpu.set_u32(regs::FPCR, value.as_u32()),
    }
}

/// Writes all of them; cpsr before sp, since SPSel says which stack pointer sp names.
pub fn write_all(vcpu: &Vcpu, registers: &Registers) -> Result<(), Error> {
    write(vcpu, Register::Cpsr, registers.get(Register::Cpsr))?;
    Register::all()
        .filter(|register| *register != Register::Cpsr)
        .try_for_each(|register| write(vcpu, register, registers.get(register)))
}

/// Moves PC. Where it moves to was not branched to, so no BTI there may fault: BTYPE is cleared.
fn write_pc(vcpu: &Vcpu, pc: u64) -> Result<(), Error> {
    if pc == vcpu.pc()? {
        return Ok(());
    }
    let state = vcpu.pstate()?;
    if !state.is_aarch32() && state.0 & pstate::BTYPE != 0 {
        vcpu.set_pstate(state.0 & !pstate::BTYPE)?;
    }
    vcpu.set(regs::PC, pc)
}
