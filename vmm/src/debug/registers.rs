//! The registers of the vCPUs, as a debugger knows them.

use std::sync::Arc;

use gdbstub::description::{Contents, Description, Field, SystemKind, SystemRegister};
use gdbstub::{Register, RegisterValue, TargetError};

use crate::arch::pauth::{self, Pointers};
use crate::arch::pstate;
use crate::arch::sysreg::{self, Class, Fields, Kind};
use crate::kvm::error::Error;
use crate::kvm::regs;
use crate::kvm::vcpu::Vcpu;
use crate::kvm::vm::Vm;

/// Which registers there are; the same for all vCPUs.
#[derive(Debug)]
pub struct RegisterSet {
    description: Arc<Description>,
    system: Vec<System>,
    /// Bytes of an SVE vector.
    vector_length: usize,
}

/// A system register.
#[derive(Debug)]
pub struct System {
    /// Its name in the architecture.
    pub name: String,
    /// KVM's id.
    pub id: u64,
    /// What it is for.
    pub class: Class,
}

impl RegisterSet {
    /// What KVM says that there is.
    pub fn of(vm: &Vm) -> Result<Self, Error> {
        let ids = vm.register_ids()?;
        let vector_length = vm.vector_length()?;
        let system = system_registers(&ids);
        let contents = Contents {
            vector_length,
            has_pauth: vm.has_pauth(),
            has_tpidr2: ids.contains(&regs::TPIDR2_EL0),
            system: system
                .iter()
                .map(|System { name, .. }| SystemRegister { name: name.clone(), kind: kind(name) })
                .collect(),
        };
        let description = Arc::new(Description::new(contents));
        Ok(Self { description, system, vector_length: vector_length.unwrap_or_default() })
    }

    /// What a client is told of them.
    pub fn description(&self) -> &Arc<Description> {
        &self.description
    }

    /// The system registers, in the order of their numbers.
    pub fn system(&self) -> &[System] {
        &self.system
    }

    /// Reads one register of a parked vCPU.
    pub fn read(&self, vcpu: &Vcpu, register: Register) -> Result<RegisterValue, Error> {
        let wide =
            |id, size| vcpu.get_wide(id, size).map(|bytes| RegisterValue::from_bytes(&bytes));
        Ok(match register {
            Register::X(n) => vcpu.get(regs::x(n.into()))?.into(),
            Register::Sp => vcpu.get(vcpu.sp_id()?)?.into(),
            Register::Pc => vcpu.pc()?.into(),
            // GDB's cpsr has 32 bits; the upper half of PSTATE has no defined bit that KVM shows.
            Register::Cpsr => (vcpu.pstate()?.0 as u32).into(),
            Register::V(n) => vcpu.get_v(n)?.into(),
            Register::Fpsr => vcpu.get_u32(regs::FPSR)?.into(),
            Register::Fpcr => vcpu.get_u32(regs::FPCR)?.into(),
            Register::Z(n) => wide(regs::z(n.into()), self.vector_length)?,
            Register::P(n) => wide(regs::p(n.into()), self.vector_length / 8)?,
            Register::Ffr => wide(regs::FFR, self.vector_length / 8)?,
            Register::Vg => (self.vector_length as u64 / 8).into(),
            Register::PacMask(mask) => {
                let pointers = Pointers { is_code: mask.is_code, is_upper: mask.is_upper };
                pauth::mask(vcpu.get(regs::TCR_EL1)?, pointers).into()
            }
            Register::Tpidr => vcpu.get(regs::TPIDR_EL0)?.into(),
            Register::Tpidr2 => vcpu.get(regs::TPIDR2_EL0)?.into(),
            Register::System(n) => match self.system.get(usize::from(n)) {
                Some(system) => vcpu.get(system.id)?.into(),
                None => RegisterValue::default(),
            },
        })
    }

    /// Writes one register of a parked vCPU. After an error it is as it was.
    pub fn write(
        &self,
        vcpu: &Vcpu,
        register: Register,
        value: &RegisterValue,
    ) -> Result<(), TargetError> {
        let wide = |id, size| vcpu.set_wide(id, &value.to_bytes(size));
        let written = match register {
            Register::X(n) => vcpu.set(regs::x(n.into()), value.as_u64()),
            Register::Sp => vcpu.sp_id().and_then(|id| vcpu.set(id, value.as_u64())),
            Register::Pc => write_pc(vcpu, value.as_u64()),
            Register::Cpsr => {
                check_mode(value.as_u32())?;
                write_cpsr(vcpu, value.as_u32())
            }
            Register::V(n) => vcpu.set_v(n, value.as_u128()),
            Register::Fpsr => vcpu.set_u32(regs::FPSR, value.as_u32()),
            Register::Fpcr => vcpu.set_u32(regs::FPCR, value.as_u32()),
            Register::Z(n) => wide(regs::z(n.into()), self.vector_length),
            Register::P(n) => wide(regs::p(n.into()), self.vector_length / 8),
            Register::Ffr => wide(regs::FFR, self.vector_length / 8),
            Register::Tpidr => vcpu.set(regs::TPIDR_EL0, value.as_u64()),
            Register::Tpidr2 => vcpu.set(regs::TPIDR2_EL0, value.as_u64()),
            Register::Vg | Register::PacMask(_) => return self.check_same(vcpu, register, value),
            Register::System(n) => match self.system.get(usize::from(n)) {
                Some(system) => return write_system(vcpu, system, value.as_u64()),
                None => Ok(()),
            },
        };
        written.map_err(|error| TargetError::Host(error.to_string()))
    }

    /// What follows from other registers can be written with what it has: after a call, GDB restores
    /// all it can.
    fn check_same(
        &self,
        vcpu: &Vcpu,
        register: Register,
        value: &RegisterValue,
    ) -> Result<(), TargetError> {
        let has =
            self.read(vcpu, register).map_err(|error| TargetError::Host(error.to_string()))?;
        let (has, value) = (has.as_u64(), value.as_u64());
        let (name, from) = match register {
            Register::Vg => ("vg", "the length of the vCPU's vectors"),
            _ => ("a pauth mask", "TCR_EL1"),
        };
        if has == value {
            return Ok(());
        }
        Err(TargetError::Invalid(format!(
            "{name}: {value:#x}, expected {has:#x}: it follows from {from}"
        )))
    }

    /// Writes several; cpsr before sp, since SPSel says which stack pointer sp names.
    pub fn write_all(
        &self,
        vcpu: &Vcpu,
        values: &[(Register, RegisterValue)],
    ) -> Result<(), TargetError> {
        let (first, then): (Vec<_>, Vec<_>) =
            values.iter().partition(|(register, _)| *register == Register::Cpsr);
        first
            .into_iter()
            .chain(then)
            .try_for_each(|(register, value)| self.write(vcpu, *register, value))
    }
}

/// Core ones first, as people look for them.
fn system_registers(ids: &[u64]) -> Vec<System> {
    let core = regs::CORE_SYSTEM
        .iter()
        .filter(|(id, _)| ids.contains(id))
        .map(|(id, name)| System { name: (*name).to_owned(), id: *id, class: Class::Control });
    let mut others: Vec<_> =
        ids.iter().filter_map(|id| Some((regs::encoding(*id)?, *id))).collect();
    others.sort_by_key(|(encoding, _)| (encoding.class(), *encoding));
    let others = others.into_iter().map(|(encoding, id)| System {
        name: encoding.to_string(),
        id,
        class: encoding.class(),
    });
    core.chain(others).collect()
}

fn kind(name: &str) -> SystemKind {
    match sysreg::kind(name) {
        Kind::Number => SystemKind::Number,
        Kind::Code => SystemKind::Code,
        Kind::Data => SystemKind::Data,
        Kind::Fields(Fields { id, fields }) => {
            let fields = fields.iter().map(|field| Field {
                name: field.name,
                first: field.first,
                last: field.last,
                values: field.values,
            });
            SystemKind::Flags { id, fields: fields.collect() }
        }
    }
}

/// The modes that a guest without EL2 can be in: EL0t, EL1t, EL1h and User.
fn check_mode(cpsr: u32) -> Result<(), TargetError> {
    match cpsr & 0x1f {
        0x00 | 0x04 | 0x05 | 0x10 => Ok(()),
        mode => Err(TargetError::Invalid(format!(
            "cpsr {cpsr:#x}: mode {mode:#x}, expected 0x0, 0x4, 0x5 or 0x10"
        ))),
    }
}

fn write_cpsr(vcpu: &Vcpu, cpsr: u32) -> Result<(), Error> {
    let upper = vcpu.pstate()?.0 & !u64::from(u32::MAX);
    vcpu.set_pstate(upper | u64::from(cpsr))
}

/// Writes a system register. What KVM takes without a word and does not keep is taken back.
fn write_system(vcpu: &Vcpu, system: &System, value: u64) -> Result<(), TargetError> {
    let System { name, id, .. } = system;
    let host = |error: Error| TargetError::Host(error.to_string());
    let before = vcpu.get(*id).map_err(host)?;
    match vcpu.set(*id, value) {
        Ok(()) => {}
        Err(Error::Ioctl(_, cause)) => {
            return Err(TargetError::Invalid(format!(
                "{name}: KVM refuses {value:#x} ({cause}), it stays {before:#x}"
            )));
        }
        Err(error) => return Err(host(error)),
    }
    let kept = vcpu.get(*id).map_err(host)?;
    if is_kept(*id, value, kept) {
        return Ok(());
    }
    vcpu.set(*id, before).map_err(host)?;
    Err(TargetError::Invalid(format!(
        "{name}: of {value:#x} the vCPU keeps {kept:#x}, so it stays {before:#x}"
    )))
}

/// Whether a register that was written with `value`, and now has `kept`, took it.
fn is_kept(id: u64, value: u64, kept: u64) -> bool {
    /// CNTx_CTL.ISTATUS: whether the timer's condition is met; it cannot be written.
    const ISTATUS: u64 = 1 << 2;
    match id {
        regs::CNTV_CTL_EL0 | regs::CNTP_CTL_EL0 => (kept ^ value) & !ISTATUS == 0,
        // They go on by themselves.
        regs::CNTVCT_EL0 | regs::CNTPCT_EL0 => kept >= value,
        _ => kept == value,
    }
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
