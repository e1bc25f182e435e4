//! One instruction, unseen by the guest.
//!
//! A pending interrupt would be taken before the instruction and the step would land in the vector
//! with nothing executed, so A, I and F are masked for the step. Everything below is about the
//! guest not noticing: instructions that read or write these bits, and exceptions that save them.

use super::engine::{Engine, Owner};
use super::points::Except;
use super::{inject, region};
use crate::arch::effect::Effect;
use crate::arch::esr::{Class, Esr};
use crate::arch::exception;
use crate::arch::flow::Flow;
use crate::arch::insn::{Insn, Word};
use crate::arch::pstate::{self, Level, Pstate};
use crate::kvm::control::{Caught, Peers, Trap, VcpuStop};
use crate::kvm::error::Error;
use crate::kvm::regs;
use crate::kvm::vcpu::{Exit, Traps, Vcpu};

/// What became of a vCPU; `None` if it was kicked before anything did.
pub type Steps = Result<Option<VcpuStop>, Error>;

/// A step that came to its end.
pub const DONE: Option<VcpuStop> = Some(VcpuStop::Trap(Trap::Step));

/// The vCPU before the step.
pub struct Before {
    /// Program counter.
    pub pc: u64,
    /// With the guest's own A, I and F.
    pub pstate: Pstate,
    insn: Insn,
    word: Option<Word>,
    /// Where PC leads, if one of our BRKs stands there.
    planted: Option<u64>,
}

impl Before {
    fn of(engine: &Engine, vcpu: &Vcpu) -> Result<Self, Error> {
        let (pc, pstate) = (vcpu.pc()?, vcpu.pstate()?);
        let view = engine.view(vcpu)?;
        let points = engine.points();
        let fetched = view.instruction(&points.software, pc);
        let word = fetched.map(|(_, word)| word);
        Ok(Self {
            pc,
            pstate,
            insn: word.map_or(Insn::Other, |word| Insn::decode(word, pstate)),
            word,
            planted: fetched.map(|(ipa, _)| ipa).filter(|ipa| points.software.is_planted(*ipa)),
        })
    }

    fn is_load_exclusive(&self) -> bool {
        let flow = self.word.map(|word| Flow::of(self.pc, word, self.pstate.isa()));
        flow == Some(Flow::LoadExclusive)
    }

    /// PSTATE for the step.
    pub fn masked(&self) -> u64 {
        self.pstate.0 | pstate::AIF
    }
}

/// Executes the instruction at PC, or the whole region if it is a load-exclusive, as if no
/// breakpoint were there.
pub fn step(engine: &Engine, vcpu: &mut Vcpu, peers: &Peers) -> Steps {
    if vcpu.is_off()? {
        return first_step(engine, vcpu, peers);
    }
    let before = Before::of(engine, vcpu)?;
    if let Insn::Brk(imm) = before.insn {
        if engine.is_brk_caught(vcpu, imm)? {
            return Ok(Some(VcpuStop::Trap(Trap::Caught(Caught::Brk(imm)))));
        }
        // The guest's own. KVM would hand it to us instead of executing it, time and again.
        inject::deliver(vcpu, Esr::brk(imm), 0)?;
        return Ok(DONE);
    }
    let is_region = before.is_load_exclusive();
    if before.planted.is_none() && !is_region {
        return masked_step(engine, vcpu, peers, &before);
    }

    // While a BRK is out of memory, or another one in it, no other vCPU may come by.
    let Some(_alone) = peers.alone() else { return Ok(None) };
    if before.insn == Insn::Wfi && !is_wfi_trapped(vcpu, &before)? {
        // What it waits for may be another vCPU. To wait for nothing is the CPU's freedom (D1.6).
        return skip(vcpu, &before);
    }
    let region = if is_region { region::find(engine, vcpu, &before)? } else { None };
    if let Some(ipa) = before.planted {
        // It is planted: Before looked.
        let _ = engine.points().software.lift(ipa, &engine.memory);
    }
    let stop = match region {
        Some(region) => region::run(engine, vcpu, peers, &before, &region),
        None => masked_step(engine, vcpu, peers, &before),
    };
    if let Some(ipa) = before.planted {
        engine.points().software.replant(ipa, &engine.memory);
    }
    stop
}

/// Whether WFI is an exception here: at EL0, unless SCTLR_EL1.nTWI allows it.
fn is_wfi_trapped(vcpu: &Vcpu, before: &Before) -> Result<bool, Error> {
    const NTWI: u64 = 1 << 16;
    Ok(before.pstate.level() == Level::El0 && vcpu.get(regs::SCTLR_EL1)? & NTWI == 0)
}

/// Goes on with the next A64 instruction.
fn skip(vcpu: &Vcpu, before: &Before) -> Steps {
    vcpu.set_masks(before.pstate.0 & !pstate::BTYPE);
    vcpu.set(regs::PC, before.pc.wrapping_add(4))?;
    Ok(DONE)
}

/// The first instruction of a vCPU that PSCI has turned off, when another one turns it on. Until then it executes
/// nothing, for however long; then KVM resets it, to all masked, and what was in its registers before has no meaning.
fn first_step(engine: &Engine, vcpu: &mut Vcpu, peers: &Peers) -> Steps {
    let traps = engine.points().traps(&Except::default());
    vcpu.set_traps(&Traps { step: true, ..traps })?;
    let stop = loop {
        match vcpu.run() {
            Exit::Debug { esr, .. } if esr.class() == Class::SoftwareStep => return Ok(DONE),
            Exit::Debug { esr, far } => {
                break stopped(engine.owner(vcpu, esr, far, &Except::default())?);
            }
            Exit::Interrupted if peers.is_kicked() => break None,
            Exit::Interrupted => {}
            exit => break Some(VcpuStop::unhandled(vcpu, exit)),
        }
    };
    vcpu.forget_step()?;
    Ok(stop)
}

fn masked_step(engine: &Engine, vcpu: &mut Vcpu, peers: &Peers, before: &Before) -> Steps {
    let effect = before.word.and_then(|word| Effect::of(word, before.pstate));
    let known = vcpu.known_registers();
    vcpu.set_masks(before.masked());
    let except = engine.passed(vcpu, before.pc, false);
    let traps = engine.points().traps(&except);
    vcpu.set_traps(&Traps { step: true, ..traps })?;
    loop {
        let stop = match vcpu.run() {
            Exit::Debug { esr, .. } if esr.class() == Class::SoftwareStep => {
                // The syndrome says that the instruction ran to its end, and PC that it was this one:
                // another vCPU may have put a branch in its place meanwhile, or a branch's (B2.2.5).
                let is_next = vcpu.pc()? == before.pc.wrapping_add(4);
                let is_it = |effect: &Effect| esr.step_valid() && (is_next || effect.branches);
                if let Some(effect) = effect.filter(is_it) {
                    vcpu.recall(known, effect, before.masked());
                }
                unmask(vcpu, before, !esr.step_valid())?;
                return Ok(DONE);
            }
            // A trapped access was completed by the entry that was interrupted, or WFI ended:
            // the instruction is done and KVM will not report it.
            Exit::Interrupted if vcpu.pc()? != before.pc => {
                unmask(vcpu, before, true)?;
                DONE
            }
            Exit::Interrupted if peers.is_kicked() => {
                // At once: it may have turned itself off, and be turned on and reset before it runs again.
                vcpu.set_pstate(before.pstate.0)?;
                None
            }
            Exit::Interrupted => continue,
            Exit::Debug { esr, far } => {
                // Nothing was executed: a watchpoint before its access, or a BRK that was not
                // there when the instruction was read.
                vcpu.set_masks(before.pstate.0);
                stopped(engine.owner(vcpu, esr, far, &except)?)
            }
            // The machine ends here, or the vCPU was reset: there is nothing to restore.
            exit => Some(VcpuStop::unhandled(vcpu, exit)),
        };
        // KVM may hold on to a step that it did not report; turning debugging off forgets it.
        vcpu.forget_step()?;
        return Ok(stop);
    }
}

/// What a debug exception within a step amounts to.
pub fn stopped(owner: Owner) -> Option<VcpuStop> {
    match owner {
        // It is in its vector now; at a BRK that has just appeared it will be looked at again.
        Owner::Guest | Owner::Alias => DONE,
        Owner::Debugger(trap) => Some(VcpuStop::Trap(trap)),
    }
}

/// Puts A, I and F to what they would be had the instruction run with the guest's own.
/// `may_have_trapped`: the syndrome does not say that the instruction ran to its end.
fn unmask(vcpu: &Vcpu, before: &Before, may_have_trapped: bool) -> Result<(), Error> {
    if may_have_trapped && took_exception(vcpu, before)? {
        return unmask_saved(vcpu, before, before.pstate.0);
    }
    if took_interrupt(vcpu, before)? {
        let spsr = vcpu.get(regs::SPSR_EL1)?;
        let unmasked = before.insn.aif_after(before.pstate.0, spsr).unwrap_or(spsr);
        return unmask_saved(vcpu, before, unmasked);
    }
    if before.insn == Insn::Hvc && (vcpu.is_off()? || vcpu.pc()? != before.pc.wrapping_add(4)) {
        // It was PSCI's CPU_OFF. What is in the registers is for CPU_ON to say, or from it already.
        return Ok(());
    }
    if let Insn::ReadsMasks(rt @ 0..=30) = before.insn {
        let id = regs::x(rt.into());
        let original = before.pstate.0 & pstate::AIF;
        vcpu.set(id, vcpu.get(id)? & !pstate::AIF | original)?;
    }
    unmask_current(vcpu, before)
}

/// In PSTATE: what the instruction has made of them, or else the original bits.
pub fn unmask_current(vcpu: &Vcpu, before: &Before) -> Result<(), Error> {
    let now = vcpu.pstate()?.0;
    if let Some(pstate) = before.insn.aif_after(before.pstate.0, now) {
        vcpu.set_masks(pstate);
    }
    Ok(())
}

/// In SPSR_EL1, after an exception was taken in a state with these A, I and F. The handler starts
/// with all masked anyway; what it returns to must not stay masked, nor single-stepped.
pub fn unmask_saved(vcpu: &Vcpu, before: &Before, aif: u64) -> Result<(), Error> {
    let spsr = vcpu.get(regs::SPSR_EL1)? & !(pstate::AIF | pstate::SS);
    let stepped = before.pstate.0 & pstate::SS;
    vcpu.set(regs::SPSR_EL1, spsr | aif & pstate::AIF | stepped)
}

/// Address of the vector that a synchronous exception leads to from here.
pub fn sync_vector(vcpu: &Vcpu, before: &Before) -> Result<u64, Error> {
    Ok(vcpu.get(regs::VBAR_EL1)?.wrapping_add(exception::sync_vector(before.pstate)))
}

/// Whether an instruction that unmasks has let an interrupt in before the step was reported: the
/// architecture does not say which of the two comes first. Not tested on hardware.
fn took_interrupt(vcpu: &Vcpu, before: &Before) -> Result<bool, Error> {
    if !matches!(before.insn, Insn::DaifClr(_) | Insn::MsrDaif) {
        return Ok(false);
    }
    // IRQ, FIQ and SError are next to the synchronous vector, 0x80 apart.
    let offset = vcpu.pc()?.wrapping_sub(sync_vector(vcpu, before)?);
    Ok(matches!(offset, 0x80 | 0x100 | 0x180)
        && vcpu.get(regs::ELR_EL1)? == before.pc.wrapping_add(4))
}

/// Whether the step ended at the first instruction of the synchronous vector, taken from here.
fn took_exception(vcpu: &Vcpu, before: &Before) -> Result<bool, Error> {
    let elr = vcpu.get(regs::ELR_EL1)?;
    // The preferred return address is the instruction itself, or for SVC the one behind it, which
    // in T32 is two bytes long.
    let behind = elr.wrapping_sub(before.pc);
    let is_next = behind == 4 || before.pstate.is_aarch32() && behind == 2;
    Ok(vcpu.pc()? == sync_vector(vcpu, before)? && (behind == 0 || is_next))
}
