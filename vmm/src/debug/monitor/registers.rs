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
    let general = (0..31).map(|n| (format!("x{n}"), Register::X(n)));
    let general: Vec<_> = general.chain([("sp".to_owned(), Register::Sp)]).collect();
    let mut lines: Vec<String> = general
        .chunks(4)
        .map(|row| {
            let column =
                |(name, register): &(String, Register)| format!("{name:<3} {}", digits(*register));
            row.iter().map(column).collect::<Vec<_>>().join("  ")
        })
        .collect();
    let low = |register| value(register).map_or(0, |value| value.as_u32());
    let cpsr = low(Register::Cpsr);
    let words = sysreg::words("SPSR_EL1", cpsr.into());
    lines.push(format!("pc  {}  cpsr {cpsr:08x} {words}", digits(Register::Pc)));
    lines.push(format!("fpsr {:08x}  fpcr {:08x}", low(Register::Fpsr), low(Register::Fpcr)));

    for (n, system) in (0..).zip(set.system()) {
        if !is_all && system.class != Class::Control {
            continue;
        }
        let name = &system.name;
        let text = match value(Register::System(n)) {
            Some(value) => format!("{} {}", hex(&value), sysreg::words(name, value.as_u64())),
            None => "unreadable".to_owned(),
        };
        lines.push(format!("{name:<16} {}", text.trim_end()));
    }
    lines.join("\n") + "\n"
}

fn hex(value: &RegisterValue) -> String {
    format!("{:016x}", value.as_u64())
}
