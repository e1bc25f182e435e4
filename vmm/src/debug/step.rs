//! One instruction, unseen by the guest.
//!
//! A pending interrupt would be taken before the instruction and the step would land in the vector
//! with nothing executed, so A, I and F are masked for the step. Everything below is about the
//! guest not noticing: instructions that read or write these bits, and exceptions that save them.

use super::engine::Engine;
use super::{inject, memory};
use crate::arch::esr::{Class, Esr};
use crate::arch::exception;
use crate::arch::insn::Insn;
use crate::arch::pstate::{self, Pstate};
use crate::kvm::control::{Trap, VcpuStop};
use crate::kvm::error::Error;
use crate::kvm::regs;
use crate::kvm::vcpu::{Exit, Kick, Vcpu};

/// The vCPU before the step.
struct Before {
    pc: u64,
    /// With the guest's own A, I and F.
    pstate: Pstate,
    insn: Insn,
}

/// Executes the instruction at PC, as if no breakpoint were there. `None` if it was kicked before
/// that happened.
///
/// If one of our BRKs stands at PC it is lifted for the step: every other vCPU must be parked.
pub fn step(engine: &Engine, vcpu: &mut Vcpu, kick: &Kick) -> Result<Option<VcpuStop>, Error> {
    let pc = vcpu.pc()?;
    let pstate = vcpu.pstate()?;
    let fetched = memory::instruction(vcpu, &engine.memory, &engine.points().software, pc)?;
    let insn = match fetched {
        Some((_, word)) if !pstate.is_aarch32() => Insn::decode(word),
        _ => Insn::Other,
    };
    if let Insn::Brk(imm) = insn {
        // The guest's own. KVM would hand it to us instead of executing it, time and again.
        inject::deliver(vcpu, Esr::brk(imm), 0)?;
        return Ok(Some(VcpuStop::Trap(Trap::Step)));
    }
    let before = Before { pc, pstate, insn };

    let lifted = fetched
        .map(|(ipa, _)| ipa)
        .filter(|ipa| engine.points().software.lift(*ipa, &engine.memory));
    let stop = masked_step(engine, vcpu, kick, &before);
    if let Some(ipa) = lifted {
        engine.points().software.replant(ipa, &engine.memory);
    }
    stop
}

fn masked_step(
    engine: &Engine,
    vcpu: &mut Vcpu,
    kick: &Kick,
    before: &Before,
) -> Result<Option<VcpuStop>, Error> {
    let masked = before.pstate.0 | pstate::AIF;
    if masked != before.pstate.0 {
        vcpu.set(regs::PSTATE, masked)?;
    }
    engine.arm(vcpu, Some(before.pc))?;
    loop {
        let stop = match vcpu.run() {
            Exit::Debug { esr, .. } if esr.class() == Class::SoftwareStep => {
                unmask(vcpu, before, !esr.step_valid())?;
                return Ok(Some(VcpuStop::Trap(Trap::Step)));
            }
            // A trapped access was completed by the entry that was interrupted, or WFI ended:
            // the instruction is done and KVM will not report it.
            Exit::Interrupted if vcpu.pc()? != before.pc => {
                unmask(vcpu, before, true)?;
                Some(VcpuStop::Trap(Trap::Step))
            }
            Exit::Interrupted if kick.is_raised() => {
                vcpu.set(regs::PSTATE, before.pstate.0)?;
                None
            }
            Exit::Interrupted => continue,
            Exit::Debug { esr, far } => {
                // Nothing was executed: a watchpoint before its access, or a BRK that was not
                // there when the instruction was read.
                vcpu.set(regs::PSTATE, before.pstate.0)?;
                let trap = engine.trap(vcpu, esr, far)?.unwrap_or(Trap::Step);
                Some(VcpuStop::Trap(trap))
            }
            // The machine ends here, or the vCPU was reset: there is nothing to restore.
            exit => Some(VcpuStop::unhandled(vcpu, exit)),
        };
        // KVM may hold on to a step that it did not report; turning debugging off forgets it.
        vcpu.set_debug_off()?;
        return Ok(stop);
    }
}

/// Puts A, I and F to what they would be had the instruction run with the guest's own.
/// `may_have_trapped`: the syndrome does not say that the instruction ran to its end.
fn unmask(vcpu: &Vcpu, before: &Before, may_have_trapped: bool) -> Result<(), Error> {
    let now = vcpu.pstate()?.0;
    let original = before.pstate.0 & pstate::AIF;
    if may_have_trapped && took_exception(vcpu, before)? {
        // The handler starts with all masked anyway; what it returns to must not stay masked, nor
        // single-stepped.
        let spsr = vcpu.get(regs::SPSR_EL1)?;
        let spsr = spsr & !pstate::AIF | original;
        let stepped = before.pstate.0 & pstate::SS;
        return vcpu.set(regs::SPSR_EL1, spsr & !pstate::SS | stepped);
    }
    if let Insn::MrsDaif(rt @ 0..=30) = before.insn {
        let id = regs::x(rt.into());
        vcpu.set(id, vcpu.get(id)? & !pstate::AIF | original)?;
    }
    match before.insn.aif_after(before.pstate.0, now) {
        Some(pstate) if pstate != now => vcpu.set(regs::PSTATE, pstate),
        _ => Ok(()),
    }
}

/// Whether the step ended at the first instruction of the synchronous vector, taken from here.
fn took_exception(vcpu: &Vcpu, before: &Before) -> Result<bool, Error> {
    let vector = vcpu.get(regs::VBAR_EL1)?.wrapping_add(exception::sync_vector(before.pstate));
    let elr = vcpu.get(regs::ELR_EL1)?;
    // The preferred return address is the instruction itself, or for SVC the one behind it, which
    // in T32 is two bytes long.
    let behind = elr.wrapping_sub(before.pc);
    let is_next = behind == 4 || before.pstate.is_aarch32() && behind == 2;
    Ok(vcpu.pc()? == vector && (behind == 0 || is_next))
}
