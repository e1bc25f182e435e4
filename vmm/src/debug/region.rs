//! A load-exclusive/store-exclusive region, run in one go by a vCPU that is alone and masked: stops
//! are planted at every way out of it, and where an exception within it would lead.

use std::sync::Once;

use super::engine::Engine;
use super::memory::View;
use super::step::{self, Before, DONE, Steps};
use crate::arch::esr::Class;
use crate::arch::exclusive::{self, Region};
use crate::arch::insn::Word;
use crate::arch::pstate::Isa;
use crate::kvm::control::{Peers, VcpuStop};
use crate::kvm::error::Error;
use crate::kvm::memory::Memory;
use crate::kvm::regs;
use crate::kvm::vcpu::{Exit, Traps, Vcpu};
use crate::message::say;

/// The region at PC, or `None` if it can only be stepped instruction by instruction.
pub fn find(engine: &Engine, vcpu: &Vcpu, before: &Before) -> Result<Option<Region>, Error> {
    static SAID: Once = Once::new();
    let view = engine.view(vcpu)?;
    let points = engine.points();
    let fetch = |at| view.instruction(&points.software, at).map(|(_, word)| word);
    let is_there = |region: &Region| region.redirects.is_empty() || fetch(region.landing).is_some();
    let region = exclusive::region(before.pc, before.pstate.isa(), fetch);
    let region = region.ok().filter(is_there);
    if region.is_none() {
        SAID.call_once(|| {
            say(format_args!(
                "the load-exclusive at {:#x} has no store-exclusive that a step could run to: \
                 it is stepped instruction by instruction",
                before.pc
            ));
        });
    }
    Ok(region)
}

/// Instructions written over the guest's for the length of a run. No other vCPU may run meanwhile.
struct Plants<'a> {
    memory: &'a Memory,
    /// Where, and what was there.
    replaced: Vec<(u64, Vec<u8>)>,
}

impl Plants<'_> {
    /// Writes an instruction, if `va` leads to memory.
    fn put(&mut self, view: &View, va: u64, word: Word, isa: Isa) {
        let Ok(mapping) = view.translate(va) else { return };
        let bytes = word.0.to_le_bytes();
        let len = word.len(isa) as usize;
        let mut old = vec![0; len];
        let Some(new) = bytes.get(..len) else { return };
        if self.memory.read(mapping.ipa, &mut old) && self.memory.write(mapping.ipa, new) {
            self.replaced.push((mapping.ipa, old));
        }
    }
}

impl Drop for Plants<'_> {
    fn drop(&mut self) {
        for (ipa, old) in self.replaced.iter().rev() {
            // RAM does not go away.
            let _ = self.memory.write(*ipa, old);
        }
    }
}

/// Runs until the vCPU has left the region.
pub fn run(
    engine: &Engine,
    vcpu: &mut Vcpu,
    peers: &Peers,
    before: &Before,
    region: &Region,
) -> Steps {
    let view = engine.view(vcpu)?;
    let vector = step::sync_vector(vcpu, before)?;
    let mut plants = Plants { memory: &engine.memory, replaced: Vec::new() };
    let isa = before.pstate.isa();
    for (branch, word) in &region.redirects {
        // Where a breakpoint is, that stops it.
        let found = view.translate(*branch);
        if !found.is_ok_and(|mapping| engine.points().software.is_planted(mapping.ipa)) {
            plants.put(&view, *branch, *word, isa);
        }
    }
    // Where there is no instruction, an exception is taken instead.
    let landing = Some(&region.landing).filter(|_| !region.redirects.is_empty());
    for stop in region.stops.iter().chain(landing) {
        plants.put(&view, *stop, Word::breakpoint(isa), isa);
    }
    plants.put(&view, vector, Word::breakpoint(Isa::A64), Isa::A64);

    vcpu.set_masks(before.masked());
    let except = engine.passed(vcpu, before.pc, true);
    let traps = engine.points().traps(&except);
    vcpu.set_traps(&Traps { brk: true, ..traps })?;
    loop {
        let exit = vcpu.run();
        let pc = vcpu.pc()?;
        if pc == region.landing && !region.redirects.is_empty() {
            vcpu.set(regs::PC, before.pc)?;
            step::unmask_current(vcpu, before)?;
            return Ok(DONE);
        }
        let is_out = region.stops.contains(&pc) || pc == vector;
        match exit {
            Exit::Debug { esr, .. }
                if is_out && matches!(esr.class(), Class::Brk | Class::Bkpt) =>
            {
                unmask(vcpu, before, pc == vector)?;
                return Ok(DONE);
            }
            Exit::Debug { esr, far } => {
                // A breakpoint or watchpoint of the debugger's.
                unmask(vcpu, before, pc == vector)?;
                drop(plants);
                return Ok(step::stopped(engine.owner(vcpu, esr, far, &except)?));
            }
            // Inside, the monitor is lost; the guest's own loop tries again.
            Exit::Interrupted if peers.is_kicked() => {
                unmask(vcpu, before, pc == vector)?;
                return Ok(if is_out { DONE } else { None });
            }
            Exit::Interrupted => {}
            exit => return Ok(Some(VcpuStop::unhandled(vcpu, exit))),
        }
    }
}

fn unmask(vcpu: &Vcpu, before: &Before, took_exception: bool) -> Result<(), Error> {
    if took_exception {
        step::unmask_saved(vcpu, before, before.pstate.0)
    } else {
        step::unmask_current(vcpu, before)
    }
}
