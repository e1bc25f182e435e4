//! Hits of breakpoints with conditions or commands, judged on the vCPU's own thread: one that
//! nobody wants to hear of parks no other vCPU for it and costs the debugger no packet.

use std::sync::Arc;

use gdbstub::{Agent, Machine, agent};

use super::engine::Engine;
use super::memory::View;
use crate::kvm::control::{Peers, Trap};
use crate::kvm::error::Error;
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
    /// What was made of the hit that the vCPU still stands at, if it does.
    pub(super) fn judged(&self, vcpu: &Vcpu) -> Result<Option<Verdict>, Error> {
        let pc = vcpu.pc()?;
        let agents = self.points().agents_at(pc);
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
        let agents = self.points().agents_at(pc);
        if !self.support.step || agents.iter().all(Option::is_none) {
            return Ok(Some(Verdict::Report(trap)));
        }
        let view = View::of(vcpu, &self.memory)?;
        let mut scene = Scene { engine: self, vcpu, view, text: String::new() };
        let mut verdict = Verdict::Pass;
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
}
