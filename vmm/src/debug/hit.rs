//! Hits of breakpoints with conditions or commands, judged on the vCPU's own thread: one that
//! nobody wants to hear of parks no other vCPU for it and costs the debugger no packet.

use gdbstub::{Machine, Register, Verdict};

use super::engine::Engine;
use super::memory::View;
use super::registers;
use crate::kvm::control::Peers;
use crate::kvm::error::Error;
use crate::kvm::vcpu::Vcpu;

/// What becomes of a hit.
pub enum Hit {
    /// The debugger hears of it.
    Report,
    /// The vCPU goes on, over the breakpoint.
    Pass,
    /// Not known yet: the vCPU is to park, and will hit it again.
    Kicked,
}

/// What expressions look at, and what they print.
struct Scene<'a> {
    engine: &'a Engine,
    vcpu: &'a Vcpu,
    view: View<'a>,
    text: String,
}

impl Machine for Scene<'_> {
    fn register(&mut self, number: u16) -> Option<u64> {
        let register = Register::from_number(number.into())?;
        Some(registers::read(self.vcpu, register).ok()?.as_u64())
    }

    fn read(&mut self, addr: u64, data: &mut [u8]) -> bool {
        self.view.read(&self.engine.points().software, addr, data) == data.len()
    }

    fn print(&mut self, text: &str) {
        self.text += text;
    }
}

impl Engine {
    /// Judges the hit of the breakpoints at the vCPU's PC. Where KVM cannot step over them, all are
    /// reported. What is printed is printed once, however often the vCPU is parked before it has
    /// got over the breakpoint.
    pub(super) fn judge(&self, vcpu: &Vcpu, peers: &Peers) -> Result<Hit, Error> {
        let pc = vcpu.pc()?;
        if self.with_progress(vcpu.index(), |progress| progress.passed == Some(pc)) {
            return Ok(Hit::Pass);
        }
        let agents = self.points().agents_at(pc);
        if !self.support.step || agents.iter().all(Option::is_none) {
            return Ok(Hit::Report);
        }
        let view = View::of(vcpu, &self.memory)?;
        let mut scene = Scene { engine: self, vcpu, view, text: String::new() };
        let mut is_wanted = false;
        for agent in agents {
            match agent.map_or(Verdict::Stop, |agent| agent.on_hit(&mut scene)) {
                Verdict::Pass => {}
                Verdict::Stop => is_wanted = true,
                Verdict::Failed(failure) => {
                    scene.text += &format!("breakpoint at {pc:#x}: {failure}\n");
                    is_wanted = true;
                }
            }
        }
        if !scene.text.is_empty() && !peers.say(&scene.text) {
            return Ok(Hit::Kicked);
        }
        if is_wanted {
            return Ok(Hit::Report);
        }
        self.with_progress(vcpu.index(), |progress| progress.passed = Some(pc));
        Ok(Hit::Pass)
    }
}
