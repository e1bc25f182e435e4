//! What a debugger is told of a stop.

use gdbstub::{Kind, Stop, StopReason, Tid, stop};

use super::Guest;
use crate::arch::watchpoint;
use crate::kvm::control::Trap;

impl Guest {
    /// The stop to report for a vCPU's trap.
    pub(super) fn stop(&self, index: usize, trap: Trap) -> Stop {
        let tid = Tid::from_index(index);
        if let Trap::Watchpoint(point, _) = trap {
            // Without this it would only be reported again.
            let _ = self.with_vcpu(tid, |vcpu| self.engine.report(vcpu, point));
        }
        let _ = self.with_vcpu(tid, |vcpu| self.engine.hear(vcpu));
        let reason = match trap {
            Trap::Breakpoint => self.software_reason(index),
            Trap::HardwareBreakpoint => self.hardware_reason(index),
            Trap::Watchpoint(point, addr) | Trap::Watched(point, addr) => {
                StopReason::Watch { kind: kind_of(point.access), addr }
            }
            // Not a breakpoint: GDB goes on from those where it has none.
            Trap::Caught(_) => StopReason::Signal(stop::SIGTRAP),
            Trap::Step => StopReason::Step,
        };
        self.tell_caught(tid, trap);
        Stop { tid, reason }
    }

    /// GDB does not stop at a breakpoint that it has not set: one that was set at another address of the
    /// same code it is told of by the signal alone.
    fn software_reason(&self, index: usize) -> StopReason {
        let pc = self.control.vcpu(index).and_then(|vcpu| vcpu.pc().ok());
        if pc.is_some_and(|pc| self.engine.points().is_known(pc)) {
            StopReason::SwBreak
        } else {
            StopReason::Signal(stop::SIGTRAP)
        }
    }

    /// A software breakpoint that sits in a debug register is reported as what it was set as.
    fn hardware_reason(&self, index: usize) -> StopReason {
        let pc = self.control.vcpu(index).and_then(|vcpu| vcpu.pc().ok());
        if pc.is_some_and(|pc| self.engine.points().is_stand_in(pc)) {
            StopReason::SwBreak
        } else {
            StopReason::HwBreak
        }
    }
}

fn kind_of(access: watchpoint::Access) -> Kind {
    match access {
        watchpoint::Access::Read => Kind::Read,
        watchpoint::Access::Write => Kind::Write,
        watchpoint::Access::Any => Kind::Access,
    }
}
