//! The guest as the stub sees it. What reads or changes it runs only while all vCPUs are parked.

use std::sync::Arc;

use gdbstub::{
    Action, Kind, Register, RegisterValue, Registers, Stop, StopReason, Stoppoint, Target,
    TargetError, Tid, stop,
};

use super::engine::Engine;
use super::watchpoints::{Access, Watchpoint};
use super::{memory, registers};
use crate::kvm::control::{Control, Order, Trap, VcpuStop};
use crate::kvm::error::Error;
use crate::kvm::vcpu::Vcpu;

/// All vCPUs under debug.
pub struct Guest {
    control: Arc<Control>,
    engine: Arc<Engine>,
    /// What the vCPUs were last told to do.
    orders: Vec<Option<Order>>,
    /// A vCPU steps alone over a BRK that is not meant for it; after that, `orders` hold again.
    is_stepping_over: bool,
    is_interrupt_wanted: bool,
}

/// What the vCPUs' stops amount to.
pub enum Event {
    /// Nothing that a debugger needs to know.
    Nothing,
    /// The guest is stopped and a debugger should hear of it.
    Stopped(Stop),
    /// The guest has ended; never a trap.
    Ended(VcpuStop),
}

/// What to do about the vCPUs' stops.
enum Judgement {
    /// There are none.
    Nothing,
    /// Tell the server.
    Report(Event),
    /// Let this vCPU alone step over a BRK that is not meant for it.
    StepOver(usize),
    /// It has: let all go on as they were told.
    GoOn,
}

fn host(error: &Error) -> TargetError {
    TargetError::Host(error.to_string())
}

impl Guest {
    /// A guest whose vCPUs are parked.
    pub fn new(control: Arc<Control>, engine: Arc<Engine>) -> Self {
        let orders = vec![None; control.len()];
        Self { control, engine, orders, is_stepping_over: false, is_interrupt_wanted: false }
    }

    /// Stops the guest for a debugger that came: from now on debug exceptions are its business.
    pub fn attach(&mut self) {
        self.control.park();
        self.engine.points().is_attached = true;
    }

    /// Lets every vCPU run.
    pub fn run(&mut self) {
        self.orders.fill(Some(Order::Continue));
        self.control.resume(self.orders.iter().copied());
    }

    /// Whether [`Target::interrupt`] was called since this was last asked.
    pub fn take_interrupt(&mut self) -> bool {
        std::mem::take(&mut self.is_interrupt_wanted)
    }

    /// Parks the vCPUs; the stop to report, which may be one of theirs.
    pub fn interrupt_now(&mut self) -> Event {
        self.control.park();
        match self.judge() {
            Judgement::Report(event) => event,
            // What was to go on alone or together does not: all are parked, and stay so.
            Judgement::Nothing | Judgement::StepOver(_) | Judgement::GoOn => {
                let reason = StopReason::Signal(stop::SIGINT);
                Event::Stopped(Stop { tid: Tid::FIRST, reason })
            }
        }
    }

    /// Takes the stops of the vCPUs, if there are any, acts on those that nobody needs to hear of,
    /// and says what the others amount to.
    pub fn next_event(&mut self) -> Event {
        match self.judge() {
            Judgement::Nothing => Event::Nothing,
            Judgement::Report(event) => event,
            Judgement::StepOver(index) => {
                self.is_stepping_over = true;
                self.control.resume(alone(index, self.orders.len()));
                Event::Nothing
            }
            Judgement::GoOn => {
                self.control.resume(self.orders.iter().copied());
                Event::Nothing
            }
        }
    }

    /// Takes the stops of the vCPUs and decides. If there was one, all are parked now.
    fn judge(&mut self) -> Judgement {
        let stops = self.control.take_stops();
        if stops.is_empty() {
            return Judgement::Nothing;
        }
        let was_stepping_over = std::mem::take(&mut self.is_stepping_over);
        let mut foreign = None;
        let mut first = None;
        for (index, stop) in stops {
            match stop {
                // Where it cannot be stepped over, it is as good as any other.
                VcpuStop::Trap(Trap::ForeignBreakpoint) if self.engine.can_step() => {
                    foreign = foreign.or(Some(index));
                }
                // Where several stopped at once, the first is reported. One at a breakpoint or
                // watchpoint has executed nothing and will stop again.
                VcpuStop::Trap(trap) => first = first.or(Some((index, trap))),
                ended => return Judgement::Report(Event::Ended(ended)),
            }
        }
        match (first, foreign) {
            (Some((_, Trap::Step)), None) if was_stepping_over => Judgement::GoOn,
            (Some((index, trap)), _) => Judgement::Report(Event::Stopped(self.stop(index, trap))),
            (None, Some(index)) => Judgement::StepOver(index),
            (None, None) => Judgement::Nothing,
        }
    }

    fn stop(&self, index: usize, trap: Trap) -> Stop {
        let reason = match trap {
            Trap::Breakpoint | Trap::ForeignBreakpoint => StopReason::SwBreak,
            Trap::HardwareBreakpoint => self.hardware_reason(index),
            Trap::Watchpoint(number, addr) => {
                let points = self.engine.points();
                let access = points.watchpoint(number).map(|point| point.access);
                StopReason::Watch { kind: access.map_or(Kind::Access, kind_of), addr }
            }
            Trap::Step => StopReason::Step,
        };
        Stop { tid: Tid::from_index(index), reason }
    }

    /// A software breakpoint that sits in a debug register is reported as what it was set as.
    fn hardware_reason(&self, index: usize) -> StopReason {
        let pc = self.control.vcpu(index).and_then(|vcpu| vcpu.pc().ok());
        match pc.and_then(|pc| self.engine.points().hardware_kind(pc)) {
            Some(Kind::Software) => StopReason::SwBreak,
            _ => StopReason::HwBreak,
        }
    }

    fn with_vcpu<T>(
        &self,
        tid: Tid,
        act: impl FnOnce(&Vcpu) -> Result<T, Error>,
    ) -> Result<T, TargetError> {
        let vcpu = self.control.vcpu(tid.index());
        let vcpu = vcpu.ok_or_else(|| TargetError::Invalid("no such vCPU".to_owned()))?;
        act(&vcpu).map_err(|error| host(&error))
    }

    /// Plants a BRK, or takes a debug register where `addr` does not lead to memory (yet).
    fn insert_software(&self, tid: Tid, addr: u64) -> Result<(), TargetError> {
        let memory = &self.engine.memory;
        let mapping = self.with_vcpu(tid, |vcpu| memory::translate(vcpu, memory, addr))?;
        let is_planted = mapping
            .is_ok_and(|mapping| self.engine.points().software.insert(addr, mapping.ipa, memory));
        if is_planted {
            return Ok(());
        }
        check_canonical(addr)?;
        if !self.engine.has_hardware_breakpoints() {
            return Err(TargetError::Invalid(format!(
                "{addr:#x} is not mapped to memory, and this host's KVM has no hardware breakpoints \
                 to stand in"
            )));
        }
        self.engine.insert_hardware(addr, Kind::Software).map_err(|error| match error {
            TargetError::NoRoom { have, .. } => TargetError::Invalid(format!(
                "{addr:#x} is not mapped to memory and all {have} hardware breakpoints are in use"
            )),
            other => other,
        })
    }

    /// The vCPU that is to step and that one of our BRKs stands in front of.
    fn steps_from_breakpoint(&self) -> Result<Option<usize>, TargetError> {
        for (index, order) in self.orders.iter().enumerate() {
            if *order != Some(Order::Step) {
                continue;
            }
            let memory = &self.engine.memory;
            let at = self.with_vcpu(Tid::from_index(index), |vcpu| {
                memory::translate(vcpu, memory, vcpu.pc()?)
            })?;
            if at.is_ok_and(|at| self.engine.points().software.is_planted(at.ipa)) {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }
}

/// Orders for one vCPU to step while the others stay parked.
fn alone(index: usize, count: usize) -> impl Iterator<Item = Option<Order>> {
    (0..count).map(move |n| (n == index).then_some(Order::Step))
}

fn kind_of(access: Access) -> Kind {
    match access {
        Access::Read => Kind::Read,
        Access::Write => Kind::Write,
        Access::Any => Kind::Access,
    }
}

/// A watchpoint packet's access and range.
fn watchpoint(point: Stoppoint, access: Access) -> Result<Watchpoint, TargetError> {
    Watchpoint::new(point.addr, point.len, access).ok_or_else(|| {
        TargetError::Invalid(format!(
            "watchpoint at {:#x}: length {:#x} is empty or passes the end of the address space",
            point.addr, point.len
        ))
    })
}

/// The modes that a guest without EL2 can be in: EL0t, EL1t, EL1h and User.
fn check_mode(cpsr: u32) -> Result<(), TargetError> {
    match cpsr & 0x1f {
        0x00 | 0x04 | 0x05 | 0x10 => Ok(()),
        mode => Err(TargetError::Invalid(format!(
            "cpsr {cpsr:#x}: mode {mode:#x}, expected 0x0, 0x4, 0x5 or 0x10"
        ))),
    }
}

/// Debug registers compare no more than the bits of a virtual address: bits 63:52 of any other
/// value would be ignored.
fn check_canonical(addr: u64) -> Result<(), TargetError> {
    if matches!(addr >> 52, 0 | 0xfff) {
        Ok(())
    } else {
        Err(TargetError::Invalid(format!("breakpoint at {addr:#x}: not a canonical address")))
    }
}

/// A64 instructions are four aligned bytes.
fn check_alignment(addr: u64) -> Result<(), TargetError> {
    if addr.is_multiple_of(4) {
        Ok(())
    } else {
        Err(TargetError::Invalid(format!("breakpoint at {addr:#x}: expected a multiple of 4")))
    }
}

impl Target for Guest {
    fn threads(&self) -> usize {
        self.control.len()
    }

    fn thread_label(&self, tid: Tid) -> String {
        let state = match self.with_vcpu(tid, Vcpu::is_off) {
            Ok(true) => "off",
            Ok(false) => "on",
            Err(_) => "unknown",
        };
        format!("vCPU {} [{state}]", tid.index())
    }

    fn read_registers(&mut self, tid: Tid, out: &mut Registers) -> Result<(), TargetError> {
        self.with_vcpu(tid, |vcpu| registers::read_all(vcpu, out))
    }

    fn write_registers(&mut self, tid: Tid, regs: &Registers) -> Result<(), TargetError> {
        check_mode(regs.cpsr)?;
        self.with_vcpu(tid, |vcpu| registers::write_all(vcpu, regs))
    }

    fn read_register(&mut self, tid: Tid, reg: Register) -> Result<RegisterValue, TargetError> {
        self.with_vcpu(tid, |vcpu| registers::read(vcpu, reg))
    }

    fn write_register(
        &mut self,
        tid: Tid,
        reg: Register,
        value: RegisterValue,
    ) -> Result<(), TargetError> {
        if reg == Register::Cpsr {
            check_mode(value.as_u32())?;
        }
        self.with_vcpu(tid, |vcpu| registers::write(vcpu, reg, value))
    }

    fn read_memory(&mut self, tid: Tid, addr: u64, data: &mut [u8]) -> Result<usize, TargetError> {
        let memory = &self.engine.memory;
        let read = self.with_vcpu(tid, |vcpu| {
            memory::read(vcpu, memory, &self.engine.points().software, addr, data)
        })?;
        if read == 0 { Err(TargetError::Unmapped { addr }) } else { Ok(read) }
    }

    fn write_memory(&mut self, tid: Tid, addr: u64, data: &[u8]) -> Result<(), TargetError> {
        let memory = &self.engine.memory;
        self.with_vcpu(tid, |vcpu| {
            memory::write(vcpu, memory, &mut self.engine.points().software, addr, data)
        })?
        .map_err(|addr| TargetError::Unmapped { addr })
    }

    fn insert(&mut self, tid: Tid, point: Stoppoint) -> Result<(), TargetError> {
        let access = match point.kind {
            Kind::Software => {
                check_alignment(point.addr)?;
                return self.insert_software(tid, point.addr);
            }
            Kind::Hardware => {
                check_alignment(point.addr)?;
                check_canonical(point.addr)?;
                return self.engine.insert_hardware(point.addr, Kind::Hardware);
            }
            Kind::Write => Access::Write,
            Kind::Read => Access::Read,
            Kind::Access => Access::Any,
        };
        self.engine.insert_watchpoint(watchpoint(point, access)?)
    }

    fn remove(&mut self, _: Tid, point: Stoppoint) -> Result<(), TargetError> {
        let access = match point.kind {
            Kind::Software => {
                self.engine.points().software.remove(point.addr, &self.engine.memory);
                self.engine.remove_hardware(point.addr, Kind::Software);
                return Ok(());
            }
            Kind::Hardware => {
                self.engine.remove_hardware(point.addr, Kind::Hardware);
                return Ok(());
            }
            Kind::Write => Access::Write,
            Kind::Read => Access::Read,
            Kind::Access => Access::Any,
        };
        self.engine.remove_watchpoint(watchpoint(point, access)?);
        Ok(())
    }

    fn resume(&mut self, actions: &[(Tid, Action)]) -> Result<(), TargetError> {
        let is_step = |action: &Action| matches!(action, Action::Step);
        if !self.engine.can_step() && actions.iter().any(|(_, action)| is_step(action)) {
            return Err(TargetError::Invalid(
                "this host's KVM cannot single-step; to continue from a breakpoint, delete it first"
                    .to_owned(),
            ));
        }
        self.is_stepping_over = false;
        self.orders.fill(None);
        for (tid, action) in actions {
            if let Some(order) = self.orders.get_mut(tid.index()) {
                *order = Some(if is_step(action) { Order::Step } else { Order::Continue });
            }
        }
        // The BRK is out of memory for that step, so nobody else may run meanwhile. To stop after
        // it, before the others got to run, is the stub's freedom (RSP manual, vCont).
        match self.steps_from_breakpoint()? {
            Some(index) => self.control.resume(alone(index, self.orders.len())),
            None => self.control.resume(self.orders.iter().copied()),
        }
        Ok(())
    }

    fn interrupt(&mut self) {
        self.is_interrupt_wanted = true;
    }

    fn detach(&mut self) {
        self.control.park();
        self.engine.clear();
        self.engine.points().is_attached = false;
        self.run();
    }

    fn kill(&mut self) {
        self.control.park();
    }
}
