//! `info registers`: what the selected vCPU has in them.

use gdbstub::{Register, RegisterValue, TargetError};

use super::arguments;
use super::run::Call;
use crate::arch::sysreg::{self, Class};
use crate::debug::registers::RegisterSet;
use crate::kvm::vcpu::Vcpu;

pub fn run(call: &mut Call<'_, '_>) -> Result<(), TargetError> {
    let is_all = match call.words {
        [] => false,
        ["all"] => true,
        [word, ..] => return Err(arguments::unexpected("info registers", word, "all or nothing")),
    };
    let set = call.guest.engine.registers.clone();
    let text = call.guest.with_vcpu(call.tid, |vcpu| Ok(describe(&set, vcpu, is_all)))?;
    call.print(&format!("vCPU {}\n{text}", call.tid.index()));
    Ok(())
}

fn describe(set: &RegisterSet, vcpu: &Vcpu, is_all: bool) -> String {
    let value = |register| set.read(vcpu, register).ok();
    let digits = |register| value(register).map_or("unreadable".to_owned(), |value| hex(&value));
    let mut text = String::new();
    for n in 0..31 {
        let end = if n % 4 == 3 { '\n' } else { ' ' };
        text += &format!("{:<4} {}{end}", format!("x{n}"), digits(Register::X(n)));
    }
    text += &format!("sp   {}\npc   {}", digits(Register::Sp), digits(Register::Pc));
    let cpsr = value(Register::Cpsr).map_or(0, |value| value.as_u64());
    text += &format!(" cpsr {cpsr:08x} {}\n", sysreg::words("SPSR_EL1", cpsr));
    let (fpsr, fpcr) = (value(Register::Fpsr), value(Register::Fpcr));
    let low = |value: Option<RegisterValue>| value.map_or(0, |value| value.as_u32());
    text += &format!("fpsr {:08x} fpcr {:08x}\n", low(fpsr), low(fpcr));

    for (n, system) in (0..).zip(set.system()) {
        if !is_all && system.class != Class::Control {
            continue;
        }
        let name = &system.name;
        let line = match value(Register::System(n)) {
            Some(value) => format!("{} {}", hex(&value), sysreg::words(name, value.as_u64())),
            None => "unreadable".to_owned(),
        };
        text += &format!("{name:<16} {}\n", line.trim_end());
    }
    text
}

fn hex(value: &RegisterValue) -> String {
    format!("{:016x}", value.as_u64())
}
