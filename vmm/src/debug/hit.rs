//! Hits of breakpoints with conditions or commands, judged on the vCPU's own thread: one that
//! nobody wants to hear of parks no other vCPU for it and costs the debugger no packet.

use std::sync::Arc;

use gdbstub::{Agent, Machine, agent};

use super::engine::Engine;
use super::memory::View;
use super::points::Own;
use crate::arch::esr::Esr;
use crate::arch::insn::Insn;
use crate::kvm::control::{Caught, Peers, Trap};
use crate::kvm::error::Error;
use crate::kvm::regs;
use crate::kvm::vcpu::Vcpu;

/// What becomes of a hit.
#[derive(Clone, Copy)]
pub enum Verdict {
    /// The debugger hears of it.
    Report(Trap),
    /// The vCPU goes on, over the breakpoint.
    Pass,
}

/// A hit that was judged. As long as the vCPU stands there and the breakpoints are the same it
/// is not judged again: nothing is printed twice.
pub struct Judged {
    /// Where.
    pub pc: u64,
    agents: Agents,
    verdict: Verdict,
}

/// What is to be done at each of the breakpoints at one address.
type Agents = Vec<Option<Arc<Agent>>>;

/// What expressions look at, and what they print.
struct Scene<'a> {
    engine: &'a Engine,
    vcpu: &'a Vcpu,
    view: View<'a>,
    text: String,
}

impl Machine for Scene<'_> {
    fn register(&mut self, number: u16) -> Option<u64> {
        let registers = &self.engine.registers;
        let register = registers.description().register(number.into())?;
        Some(registers.read(self.vcpu, register).ok()?.as_u64())
    }

    fn read(&mut self, addr: u64, data: &mut [u8]) -> bool {
        self.view.read(&self.engine.points().software, addr, data) == data.len()
    }

    fn print(&mut self, text: &str) {
        self.text += text;
    }
}

impl Engine {
    /// The addresses of the software breakpoints that are hit at `pc`: this one; and, where the kernel runs by another
    /// of the Image's addresses than the one that it was set at, such as the physical one while the MMU is off, those.
    pub(super) fn names_hit(&self, vcpu: &Vcpu, pc: u64) -> Result<Vec<u64>, Error> {
        let link = self.link();
        let is_set = self.points().software.contains(pc);
        let is_known = |name| self.points().is_known(name);
        link.names_hit(pc, is_set, is_known, || {
            let found = self.view(vcpu)?.translate(pc);
            Ok(found.is_ok_and(|mapping| Some(mapping.ipa) == link.physical(pc)))
        })
    }

    /// Whether the debugger has a breakpoint at `pc` that it set at another address, and none at this one.
    pub(super) fn is_hit_by_another_name(&self, vcpu: &Vcpu, pc: u64) -> Result<bool, Error> {
        let is_another = self.names_hit(vcpu, pc)?.iter().any(|name| *name != pc);
        Ok(is_another && !self.points().is_known(pc))
    }

    /// What was made of the hit that the vCPU still stands at, if it does.
    pub(super) fn judged(&self, vcpu: &Vcpu) -> Result<Option<Verdict>, Error> {
        let pc = vcpu.pc()?;
        let names = self.names_hit(vcpu, pc)?;
        let agents = self.points().agents_at(pc, &names);
        Ok(self.with_progress(vcpu.index(), |progress| {
            let is_same = |judged: &Judged| judged.pc == pc && judged.agents == agents;
            progress.judged.take_if(|judged| !is_same(judged));
            progress.judged.as_ref().map(|judged| judged.verdict)
        }))
    }

    /// Judges the hit of the breakpoints at the vCPU's PC, which is `trap`. `None`: the vCPU is to
    /// park before that is done, and will hit them again. Where KVM cannot step over them, all are
    /// reported.
    pub(super) fn judge(
        &self,
        vcpu: &Vcpu,
        peers: &Peers,
        trap: Trap,
    ) -> Result<Option<Verdict>, Error> {
        if let Some(verdict) = self.judged(vcpu)? {
            return Ok(Some(verdict));
        }
        let pc = vcpu.pc()?;
        let names = self.names_hit(vcpu, pc)?;
        let (agents, own) = {
            let points = self.points();
            (points.agents_at(pc, &names), points.own_at(pc))
        };
        let caught = if own.is_some() { self.caught_at(vcpu)? } else { None };
        let caught = caught.map(|caught| Verdict::Report(Trap::Caught(caught)));
        let is_only_ours = own.is_some() && agents.is_empty();
        if !self.support.step || !is_only_ours && agents.iter().all(Option::is_none) {
            return Ok(Some(Verdict::Report(trap)));
        }
        let view = self.view(vcpu)?;
        let mut scene = Scene { engine: self, vcpu, view, text: String::new() };
        let mut verdict = caught.unwrap_or(Verdict::Pass);
        for agent in &agents {
            match agent.as_ref().map_or(agent::Verdict::Stop, |agent| agent.on_hit(&mut scene)) {
                agent::Verdict::Pass => {}
                agent::Verdict::Stop => verdict = Verdict::Report(trap),
                agent::Verdict::Failed(failure) => {
                    scene.print(&format!("breakpoint at {pc:#x}: {failure}\n"));
                    verdict = Verdict::Report(trap);
                }
            }
        }
        if !scene.text.is_empty() && !peers.say(&scene.text) {
            return Ok(None);
        }
        self.with_progress(vcpu.index(), |progress| {
            progress.judged = Some(Judged { pc, agents, verdict });
        });
        Ok(Some(verdict))
    }

    /// What the user wants to hear of where the vCPU stands: a BRK of the guest's, or what a breakpoint of our own is
    /// for.
    pub fn caught_at(&self, vcpu: &Vcpu) -> Result<Option<Caught>, Error> {
        let pc = vcpu.pc()?;
        let (own, has_brk) = {
            let points = self.points();
            (points.own_at(pc), points.catches.has_brk())
        };
        match own {
            Some(Own::Panic) => return Ok(Some(Caught::Panic)),
            Some(Own::Vector) => {
                let class = Esr(vcpu.get(regs::ESR_EL1)?).ec();
                if self.points().catches.is_class_caught(class) {
                    return Ok(Some(Caught::Exception));
                }
            }
            None => {}
        }
        if !has_brk {
            return Ok(None);
        }
        let pstate = vcpu.pstate()?;
        let points = self.points();
        let found = self.view(vcpu)?.instruction(&points.software, pc);
        Ok(match found.map(|(_, word)| Insn::decode(word, pstate)) {
            Some(Insn::Brk(immediate)) if points.catches.is_brk_caught(immediate) => {
                Some(Caught::Brk(immediate))
            }
            _ => None,
        })
    }

    /// The debugger hears of what was caught at the vCPU's PC: resumed, it gets past it.
    pub fn report_caught(&self, vcpu: &Vcpu) -> Result<(), Error> {
        let pc = vcpu.pc()?;
        self.with_progress(vcpu.index(), |progress| progress.caught = Some(pc));
        Ok(())
    }

    /// Whether the vCPU is to go past what was caught and reported at its PC.
    pub(super) fn is_past_catch(&self, vcpu: &Vcpu) -> Result<bool, Error> {
        let pc = vcpu.pc()?;
        Ok(self.with_progress(vcpu.index(), |progress| {
            progress.caught.take_if(|at| *at != pc);
            progress.caught.is_some()
        }))
    }

    /// Whether a BRK of the guest's at PC is to be reported before the guest gets it.
    pub(super) fn is_brk_caught(&self, vcpu: &Vcpu, immediate: u16) -> Result<bool, Error> {
        let is_caught = self.points().catches.is_brk_caught(immediate);
        Ok(is_caught && !self.is_past_catch(vcpu)?)
    }

    /// What is caught has changed: hits that vCPUs stand at are judged again.
    pub fn judge_again(&self) {
        for index in 0..self.vcpus() {
            self.with_progress(index, |progress| progress.judged = None);
        }
    }
}
