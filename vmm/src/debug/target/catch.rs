//! What `monitor catch` has set: where it takes breakpoints of our own, and what the user is told at a stop.

use gdbstub::{Target as _, TargetError, Tid};

use super::Guest;
use super::stoppoints::check_code;
use crate::arch::classes;
use crate::arch::esr::Esr;
use crate::arch::insn::is_branch;
use crate::arch::linux;
use crate::arch::pstate::Level;
use crate::debug::breakpoints::AddressSpace;
use crate::debug::catches::Panic;
use crate::kvm::control::{Caught, Trap};
use crate::kvm::regs;

/// A vector's first instruction: its address, the space that it belongs to, and where it leads.
type Place = (u64, AddressSpace, u64);

/// Bytes of a message that are shown.
const LONGEST: usize = 256;

impl Guest {
    /// Puts our own breakpoints where what is caught comes by now.
    pub(in crate::debug) fn place_catches(&self) -> Result<(), TargetError> {
        let (panic, has_classes, has_vectors) = {
            let points = self.engine.points();
            (points.catches.panic, points.catches.has_classes(), points.has_vectors())
        };
        let panic = match panic {
            Panic::Off => None,
            Panic::BySymbols => self.panic_address(),
            Panic::At(address) => Some(address),
        };
        if let Some(panic) = panic {
            check_code("panic", panic)?;
        }
        self.engine.points().set_panic(panic)?;
        if !has_classes && !has_vectors {
            return Ok(());
        }
        let mut places = self.vectors(Level::El1)?;
        if places.is_empty() && !has_vectors {
            // Where the kernel is unmapped at EL0 (KPTI) these may be a trampoline's.
            places = self.vectors(Level::El0)?;
        }
        // With nobody at EL1 the vectors are where they were.
        if !places.is_empty() || !has_classes {
            self.engine.points().set_vectors(&places, &self.engine.memory);
        }
        Ok(())
    }

    /// The vectors of the vCPUs at this level that what is caught comes by.
    fn vectors(&self, level: Level) -> Result<Vec<Place>, TargetError> {
        let offsets = self.engine.points().catches.vectors();
        let mut places: Vec<Place> = Vec::new();
        for tid in (0..self.control.len()).map(Tid::from_index) {
            let (at, vbar) = self
                .with_vcpu(tid, |vcpu| Ok((vcpu.pstate()?.level(), vcpu.get(regs::VBAR_EL1)?)))?;
            if self.is_off(tid) || at != level {
                continue;
            }
            let view = self.view(tid)?;
            for offset in &offsets {
                let vector = vbar.wrapping_add(*offset);
                let found = view.instruction(&self.engine.points().software, vector);
                let word = found.map(|(_, word)| word);
                // Behind a branch is where a trampoline's vector comes in (Linux, tramp_ventry): nobody else does.
                let second = word.is_some_and(is_branch).then(|| vector.wrapping_add(4));
                for va in [vector].into_iter().chain(second) {
                    if let Ok((mapping, space)) = view.locate(va)
                        && places.iter().all(|(known, ..)| *known != va)
                    {
                        places.push((va, space, mapping.ipa));
                    }
                }
            }
        }
        Ok(places)
    }

    /// Where the kernel's panic begins, if the symbols tell.
    pub(in crate::debug) fn panic_address(&self) -> Option<u64> {
        self.program.panic_address(&self.engine.memory)
    }

    /// Says what was caught, if that is what the vCPU has stopped for, or stands at.
    pub(super) fn tell_caught(&self, tid: Tid, trap: Trap) {
        let caught = match trap {
            Trap::Caught(caught) => Some(caught),
            // The debugger's own breakpoint may be at the same place: it is one stop.
            Trap::Breakpoint | Trap::HardwareBreakpoint => {
                self.with_vcpu(tid, |vcpu| self.engine.caught_at(vcpu)).ok().flatten()
            }
            Trap::Watchpoint(..) | Trap::Watched(..) | Trap::Step => None,
        };
        let Some(caught) = caught else { return };
        // A vCPU whose registers cannot be read will say so elsewhere.
        let _ = self.with_vcpu(tid, |vcpu| self.engine.report_caught(vcpu));
        if let Ok(text) = self.describe(tid, caught) {
            self.control.say(&format!("catch: vCPU {}: {text}\n", tid.index()));
        }
    }

    fn describe(&self, tid: Tid, caught: Caught) -> Result<String, TargetError> {
        let get = |id| self.with_vcpu(tid, |vcpu| vcpu.get(id));
        let pc = get(regs::PC)?;
        Ok(match caught {
            Caught::Brk(immediate) => {
                let meaning = linux::brk_meaning(immediate);
                let meaning =
                    meaning.map_or_else(String::new, |text| format!(" ({text} in Linux)"));
                format!("BRK {immediate:#x} at {pc:#x}{meaning}")
            }
            Caught::Panic => {
                // panic(fmt, ...), vpanic(fmt, args)
                let format = self.text(tid, get(regs::x(0))?);
                format!("panic at {pc:#x}: {format:?}")
            }
            Caught::Exception => {
                let [esr, far, elr] =
                    [get(regs::ESR_EL1)?, get(regs::FAR_EL1)?, get(regs::ELR_EL1)?];
                let syndrome = classes::describe(Esr(esr));
                format!("exception {syndrome}; ESR {esr:#x}, FAR {far:#x}, ELR {elr:#x}")
            }
        })
    }

    /// The C string at an address, as much as there is of it.
    fn text(&self, tid: Tid, addr: u64) -> String {
        let mut bytes = [0; LONGEST];
        let read = self
            .view(tid)
            .map_or(0, |view| view.read(&self.engine.points().software, addr, &mut bytes));
        let bytes = bytes.get(..read).unwrap_or_default();
        let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(text).trim_end().to_owned()
    }
}
