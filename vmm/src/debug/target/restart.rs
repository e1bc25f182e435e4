//! The guest held, let go, and made anew in place of the one there is.

use std::sync::Arc;

use gdbstub::{Stoppoint, Target as _, TargetError, Tid};

use super::Guest;
use crate::debug::engine::Engine;
use crate::debug::kernel::Program;
use crate::kvm::control::Control;
use crate::kvm::gic::Gic;
use crate::kvm::memory::Memory;
use crate::kvm::vm::DebugSupport;
use crate::message::say;

/// The half of a machine that its debugger holds. Its vCPUs are parked at their start.
pub struct Machine {
    /// The vCPUs and their threads.
    pub control: Control,
    /// What they run by.
    pub engine: Arc<Engine>,
    /// What runs on them.
    pub program: Program,
    /// Their interrupt controller.
    pub gic: Arc<Gic>,
    /// What the guest is told of the machine.
    pub handover: Handover,
}

/// What the guest is told of the machine, for people who ask what it is.
#[derive(Default)]
pub struct Handover {
    /// The device tree, as it was handed over.
    pub dtb: Vec<u8>,
    /// Interrupts by INTID, and what they are of.
    pub interrupts: Vec<(u32, &'static str)>,
}

/// Opens and checks what the machine is made of. An error says what cannot be used; nothing has
/// changed then.
pub type Prepare = Box<dyn Fn() -> Result<Make, String>>;

/// Makes the machine. An error says what failed.
pub type Make = Box<dyn FnOnce() -> Result<Machine, String>>;

impl Guest {
    /// Parks every vCPU and waits until they are.
    pub fn park(&self) {
        self.control.park();
    }

    /// Lets the event loop look for stops.
    pub fn wake(&self) {
        self.control.wake();
    }

    /// Whether it runs on its own since the debugger detached.
    pub fn is_free(&self) -> bool {
        self.is_free
    }

    /// How the restart went, if there was one since this was last asked: there is a new guest, or
    /// none at all and the reason.
    pub fn take_restarted(&mut self) -> Option<Result<(), String>> {
        self.restarted.take()
    }

    pub(super) fn start_again(&mut self) -> Result<(), TargetError> {
        let make = (self.prepare)().map_err(|why| {
            // GDB 13 keeps the reason to itself.
            say(format_args!("gdb: cannot run the guest again: {why}"));
            TargetError::Invalid(why)
        })?;
        // The old machine's threads, memory and descriptors have gone before there are new ones.
        self.control = self.control.without_vcpus();
        let catches = std::mem::take(&mut self.engine.points().catches);
        self.gic = None;
        let registers = self.engine.registers.clone();
        let support = DebugSupport::default();
        self.engine = Arc::new(Engine::new(Memory::default(), registers, support, 0));
        self.heard_of = None;
        self.unreported.clear();
        self.is_interrupt_wanted = false;
        self.is_free = false;
        let result = make().map(|machine| {
            self.control = machine.control;
            self.engine = machine.engine;
            self.program = machine.program;
            self.gic = Some(machine.gic);
            self.handover = machine.handover;
            // They are the user's, who has not been asked.
            self.engine.points().catches = catches;
        });
        self.restarted = Some(result.clone());
        result.map_err(TargetError::Host)
    }

    /// As [`Self::start_again`], for a debugger that believes its breakpoints and watchpoints to be set still. Tells
    /// those that are not, and why.
    pub fn start_again_with_stoppoints(
        &mut self,
    ) -> Result<Vec<(Stoppoint, TargetError)>, TargetError> {
        let stoppoints = self.engine.points().stoppoints();
        self.start_again()?;
        let insert =
            |(point, agent)| self.insert(Tid::FIRST, point, agent).err().map(|why| (point, why));
        Ok(stoppoints.into_iter().filter_map(insert).collect())
    }
}
