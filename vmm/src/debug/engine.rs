//! What a vCPU's thread does with an order while a debugger is, or may be, attached.

use std::sync::{Mutex, MutexGuard, PoisonError};

use gdbstub::{Kind, TargetError};

use super::breakpoints::Breakpoints;
use super::watchpoints::{self, Watchpoint};
use super::{inject, memory, step};
use crate::arch::esr::{Class, Esr};
use crate::kvm::control::{Order, Runner, Trap, VcpuStop};
use crate::kvm::error::Error;
use crate::kvm::memory::Memory;
use crate::kvm::vcpu::{DebugRegisters, Exit, Kick, Vcpu};
use crate::kvm::vm::DebugSupport;

/// State that the vCPU threads share with the server.
pub struct Engine {
    /// Guest RAM.
    pub memory: Memory,
    support: DebugSupport,
    points: Mutex<Points>,
}

/// Everything that the debugger has set.
#[derive(Default)]
pub struct Points {
    /// Whether debug exceptions come to us at all.
    pub is_attached: bool,
    /// Planted in memory.
    pub software: Breakpoints,
    /// In breakpoint registers: asked for as such, or standing in for a software breakpoint whose
    /// address did not translate.
    hardware: Vec<Hardware>,
    /// In watchpoint registers.
    watchpoints: Vec<Watchpoint>,
}

/// A breakpoint in a debug register.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Hardware {
    addr: u64,
    kind: Kind,
}

impl Points {
    /// The debug registers that hold all this, but no breakpoint at `except`.
    fn registers(&self, except: Option<u64>) -> DebugRegisters {
        let mut registers = DebugRegisters::default();
        let arch = &mut registers.arch;
        let wanted = self.hardware.iter().filter(|point| Some(point.addr) != except);
        let pairs = arch.dbg_bvr.iter_mut().zip(&mut arch.dbg_bcr);
        for ((value, control), point) in pairs.zip(wanted) {
            (*value, *control) = watchpoints::breakpoint_pair(point.addr);
        }
        let pairs = arch.dbg_wvr.iter_mut().zip(&mut arch.dbg_wcr);
        let wanted = self.watchpoints.iter().flat_map(Watchpoint::pairs);
        for ((value, control), pair) in pairs.zip(wanted) {
            (*value, *control) = pair;
        }
        registers
    }

    /// A watchpoint by its number in [`Trap::Watchpoint`].
    pub fn watchpoint(&self, number: usize) -> Option<&Watchpoint> {
        self.watchpoints.get(number)
    }

    /// What a debug register's breakpoint at `addr` was asked for as.
    pub fn hardware_kind(&self, addr: u64) -> Option<Kind> {
        self.hardware.iter().find(|point| point.addr == addr).map(|point| point.kind)
    }
}

/// The answer to a request for debug registers where there are none.
fn lacks(what: &str) -> TargetError {
    TargetError::Invalid(format!("this host's KVM has no {what}"))
}

impl Engine {
    /// An engine with nothing set and no debugger attached.
    pub fn new(memory: Memory, support: DebugSupport) -> Self {
        Self { memory, support, points: Mutex::default() }
    }

    /// What the debugger has set.
    pub fn points(&self) -> MutexGuard<'_, Points> {
        self.points.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether KVM has breakpoint registers.
    pub fn has_hardware_breakpoints(&self) -> bool {
        self.support.breakpoints > 0
    }

    /// Whether KVM can single-step.
    pub fn can_step(&self) -> bool {
        self.support.step
    }

    /// Puts a breakpoint of `kind` into a debug register.
    pub fn insert_hardware(&self, addr: u64, kind: Kind) -> Result<(), TargetError> {
        let mut points = self.points();
        let point = Hardware { addr, kind };
        if points.hardware.contains(&point) {
            return Ok(());
        }
        let have = self.support.breakpoints;
        if have == 0 {
            return Err(lacks("hardware breakpoints"));
        }
        if points.hardware.len() >= have {
            return Err(TargetError::NoRoom { what: "hardware breakpoints", have });
        }
        points.hardware.push(point);
        Ok(())
    }

    /// Takes a breakpoint of `kind` out of its debug register.
    pub fn remove_hardware(&self, addr: u64, kind: Kind) {
        self.points().hardware.retain(|point| *point != Hardware { addr, kind });
    }

    /// Puts a watchpoint into as many debug registers as it needs.
    pub fn insert_watchpoint(&self, point: Watchpoint) -> Result<(), TargetError> {
        let mut points = self.points();
        if points.watchpoints.contains(&point) {
            return Ok(());
        }
        let have = self.support.watchpoints;
        if have == 0 {
            return Err(lacks("hardware watchpoints"));
        }
        let used = points.watchpoints.iter().flat_map(Watchpoint::pairs).count();
        // A long odd range needs dozens: one past what is left is enough to know.
        let needed = point.pairs().take(have + 1).count();
        if used + needed > have {
            return Err(TargetError::NoRoom { what: "hardware watchpoints", have });
        }
        points.watchpoints.push(point);
        Ok(())
    }

    /// Takes a watchpoint out of its debug registers.
    pub fn remove_watchpoint(&self, removed: Watchpoint) {
        self.points().watchpoints.retain(|point| *point != removed);
    }

    /// Forgets everything that was set. The vCPUs must be parked.
    pub fn clear(&self) {
        let mut points = self.points();
        points.software.clear(&self.memory);
        points.hardware.clear();
        points.watchpoints.clear();
    }

    /// Tells KVM what to trap on this vCPU from now on.
    pub(super) fn arm(&self, vcpu: &mut Vcpu, step_from: Option<u64>) -> Result<(), Error> {
        let points = self.points();
        let registers = points.is_attached.then(|| points.registers(step_from));
        drop(points);
        vcpu.set_debug(registers.as_ref(), step_from.is_some())
    }

    fn continue_until_stop(&self, vcpu: &mut Vcpu, kick: &Kick) -> Result<Option<VcpuStop>, Error> {
        self.arm(vcpu, None)?;
        loop {
            match vcpu.run() {
                // Anything but a kick is a stray signal, such as a host debugger's.
                Exit::Interrupted if kick.is_raised() => return Ok(None),
                Exit::Interrupted => {}
                Exit::Debug { esr, far } => {
                    if let Some(trap) = self.trap(vcpu, esr, far)? {
                        return Ok(Some(VcpuStop::Trap(trap)));
                    }
                }
                exit => return Ok(Some(VcpuStop::unhandled(vcpu, exit))),
            }
        }
    }

    /// Decides whose a debug exception is. The guest's own is given to it, and is no trap.
    pub(super) fn trap(&self, vcpu: &Vcpu, esr: Esr, far: u64) -> Result<Option<Trap>, Error> {
        match esr.class() {
            Class::Brk if esr.brk_immediate() == 0 => {
                let pc = vcpu.pc()?;
                let ipa = memory::translate(vcpu, &self.memory, pc)?.map(|mapping| mapping.ipa);
                let points = self.points();
                let is_set = points.software.contains(pc);
                // The CPU got here, so a walk that fails now met a table that is being changed.
                let is_planted = match ipa {
                    Ok(ipa) => points.software.is_planted(ipa),
                    Err(_) => is_set,
                };
                if is_planted && is_set {
                    return Ok(Some(Trap::Breakpoint));
                }
                if is_planted {
                    return Ok(Some(Trap::ForeignBreakpoint));
                }
            }
            Class::HardwareBreakpoint => {
                if self.points().hardware_kind(vcpu.pc()?).is_some() {
                    return Ok(Some(Trap::HardwareBreakpoint));
                }
            }
            Class::Watchpoint => {
                let points = self.points();
                let number = watchpoints::find(&points.watchpoints, far, esr.is_write());
                if let Some((number, point)) =
                    number.and_then(|number| Some((number, points.watchpoint(number)?)))
                {
                    return Ok(Some(Trap::Watchpoint(number, point.nearest(far))));
                }
            }
            // Left over from a step that was broken off; its report ends it.
            Class::SoftwareStep => return Ok(None),
            Class::Brk | Class::Bkpt | Class::Other(_) => {}
        }
        inject::deliver(vcpu, esr, far)?;
        Ok(None)
    }
}

impl Runner for Engine {
    fn run(&self, vcpu: &mut Vcpu, kick: &Kick, order: Order) -> Option<VcpuStop> {
        let stop = match order {
            Order::Continue => self.continue_until_stop(vcpu, kick),
            Order::Step => step::step(self, vcpu, kick),
        };
        stop.unwrap_or_else(|error| {
            Some(VcpuStop::Failed(format!("vCPU {}: {error}\n{vcpu}", vcpu.index())))
        })
    }
}
