//! `vcpus`: where each of them stands.

use gdbstub::{Target as _, TargetError, Tid};

use super::arguments;
use super::run::Call;
use crate::arch::insn::Insn;
use crate::arch::pstate::Level;
use crate::arch::stage1::SCTLR_M;
use crate::kvm::regs;

pub fn run(call: &mut Call<'_, '_>) -> Result<(), TargetError> {
    arguments::none("vcpus", call.words)?;
    for index in 0..call.guest.threads() {
        let tid = Tid::from_index(index);
        let star = if tid == call.tid { '*' } else { ' ' };
        let thread = call.guest.control.thread_id(index);
        let thread = thread.map_or_else(|| "?".to_owned(), |id| id.to_string());
        let mpidr = call.guest.with_vcpu(tid, |vcpu| vcpu.get(regs::MPIDR_EL1))?;
        let state = if call.guest.is_off(tid) { "off".to_owned() } else { state(call, tid)? };
        call.print(&format!("{star} vCPU {index}  MPIDR {mpidr:#x}  thread {thread}  {state}\n"));
    }
    Ok(())
}

/// Of a vCPU that is on.
fn state(call: &Call<'_, '_>, tid: Tid) -> Result<String, TargetError> {
    let (pc, pstate, sctlr) = call
        .guest
        .with_vcpu(tid, |vcpu| Ok((vcpu.pc()?, vcpu.pstate()?, vcpu.get(regs::SCTLR_EL1)?)))?;
    let level = match (pstate.level(), pstate.is_aarch32(), pstate.uses_sp_el1()) {
        (Level::El0, false, _) => "EL0",
        (Level::El0, true, _) => "EL0 (AArch32)",
        (Level::El1, _, true) => "EL1h",
        (Level::El1, _, false) => "EL1t",
    };
    let mmu = if sctlr & SCTLR_M == 0 { "off" } else { "on" };
    let view = call.guest.view(tid)?;
    let last = view.instruction(&call.guest.engine.points().software, pc.wrapping_sub(4));
    let is_idle = last.is_some_and(|(_, word)| Insn::decode(word, pstate) == Insn::Wfi);
    let idle = if is_idle { "  behind WFI" } else { "" };
    Ok(format!("on  pc {pc:#x}  {level}  MMU {mmu}{idle}"))
}
