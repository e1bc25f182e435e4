//! The guest as the stub sees it. What reads or changes it runs only while all vCPUs are parked.

mod catch;
mod kernel;
mod report;
mod restart;
mod stoppoints;

use std::sync::Arc;

use gdbstub::{
    Action, AddressBits, Agent, Description, Kind, MemoryRegion, Permissions, Register,
    RegisterValue, Relocation, Space, Stop, StopReason, Stoppoint, Target, TargetError, Tid, stop,
};

use super::engine::Engine;
use super::kernel::Program;
use super::memory::{self, View};
use super::monitor;
use crate::arch::region::{Access, Region};
use crate::arch::reverse::Patience;
use crate::kvm::control::{Control, Order, Trap, VcpuStop};
use crate::kvm::error::Error;
use crate::kvm::gic::Gic;
use crate::kvm::vcpu::Vcpu;

pub use restart::{Handover, Machine, Prepare};

/// All vCPUs under debug.
pub struct Guest {
    pub(super) control: Control,
    pub(super) engine: Arc<Engine>,
    pub(super) program: Program,
    /// `None`: there is no machine.
    pub(super) gic: Option<Arc<Gic>>,
    pub(super) handover: Handover,
    prepare: Prepare,
    /// For the search for the kernel by its tables.
    patience: Patience,
    /// How a restart went that nobody has asked about yet.
    restarted: Option<Result<(), String>>,
    /// The debugger let it go, and has not stopped it since.
    is_free: bool,
    /// The vCPU whose stop was reported last, if it was one's own.
    heard_of: Option<usize>,
    /// Stops that happened beside one that was reported, and that will not happen again.
    unreported: Vec<(usize, Trap)>,
    is_interrupt_wanted: bool,
    /// Its user has asked for its end.
    is_end_wanted: bool,
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

pub(super) fn host(error: &Error) -> TargetError {
    TargetError::Host(error.to_string())
}

impl Guest {
    /// A guest whose vCPUs are parked. `prepare` begins to make it anew.
    pub fn new(machine: Machine, prepare: Prepare) -> Self {
        Self {
            control: machine.control,
            engine: machine.engine,
            program: machine.program,
            gic: Some(machine.gic),
            handover: machine.handover,
            prepare,
            patience: Patience::default(),
            restarted: None,
            is_free: false,
            heard_of: None,
            unreported: Vec::new(),
            is_interrupt_wanted: false,
            is_end_wanted: false,
        }
    }

    /// Lets every vCPU run.
    pub fn run(&mut self) {
        self.patience.regain();
        self.control.resume(vec![Some(Order::Continue); self.control.len()]);
    }

    /// Whether [`Target::interrupt`] was called since this was last asked.
    pub fn take_interrupt(&mut self) -> bool {
        std::mem::take(&mut self.is_interrupt_wanted)
    }

    /// Ends the guest, as the debugger's kill does.
    pub(super) fn end(&mut self) {
        self.control.park();
        self.is_end_wanted = true;
    }

    /// Whether its user has asked for its end.
    pub fn is_end_wanted(&self) -> bool {
        self.is_end_wanted
    }

    /// What breakpoint commands have printed since this was last asked.
    pub fn take_words(&self) -> String {
        self.control.take_words()
    }

    /// Parks the vCPUs; the stop to report, which may be one of theirs.
    pub fn interrupt_now(&mut self) -> Event {
        self.control.park();
        self.is_free = false;
        match self.next_event() {
            Event::Nothing => {
                let reason = StopReason::Signal(stop::SIGINT);
                Event::Stopped(Stop { tid: Tid::FIRST, reason })
            }
            event => event,
        }
    }

    /// Takes the stops of the vCPUs, if there are any, and says what they amount to. If there was
    /// one, all are parked now.
    pub fn next_event(&mut self) -> Event {
        let mut traps = std::mem::take(&mut self.unreported);
        for (index, stop) in self.control.take_stops() {
            match stop {
                VcpuStop::Trap(trap) => traps.push((index, trap)),
                ended => return Event::Ended(ended),
            }
        }
        // Where several stopped at once, one is reported. Most of the others have executed nothing
        // and will stop again; those that will not come first, and wait for their turn.
        let is_past = |(_, trap): &(usize, Trap)| matches!(trap, Trap::Watched(..));
        let chosen = traps.iter().position(is_past).unwrap_or(0);
        if chosen >= traps.len() {
            return Event::Nothing;
        }
        let (index, trap) = traps.remove(chosen);
        traps.retain(is_past);
        self.unreported = traps;
        self.heard_of = Some(index);
        Event::Stopped(self.stop(index, trap))
    }

    pub(super) fn with_vcpu<T>(
        &self,
        tid: Tid,
        act: impl FnOnce(&Vcpu) -> Result<T, Error>,
    ) -> Result<T, TargetError> {
        let vcpu = self.control.vcpu(tid.index());
        let vcpu = vcpu.ok_or_else(|| TargetError::Invalid("no such vCPU".to_owned()))?;
        act(&vcpu).map_err(|error| host(&error))
    }

    /// A system register of one vCPU was written. Some are the whole machine's.
    fn reread_ids(&self) -> Result<(), TargetError> {
        for index in 0..self.control.len() {
            if let Some(mut vcpu) = self.control.vcpu(index) {
                vcpu.reread_ids().map_err(|error| host(&error))?;
            }
        }
        Ok(())
    }

    /// Virtual memory as a vCPU sees it.
    pub(super) fn view(&self, tid: Tid) -> Result<View<'_>, TargetError> {
        let mut view = self.with_vcpu(tid, |vcpu| self.engine.view(vcpu))?;
        let others = (0..self.control.len()).filter(|index| *index != tid.index());
        for index in others {
            self.with_vcpu(Tid::from_index(index), |vcpu| {
                if view.is_translated() {
                    view.add_kernel_tables(vcpu.kernel_tables());
                } else {
                    view.add_kernel_regimes(vcpu.regime()?, vcpu.kernel_tables());
                }
                Ok(())
            })?;
        }
        Ok(view)
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

    fn is_off(&self, tid: Tid) -> bool {
        self.with_vcpu(tid, Vcpu::is_off).unwrap_or(false)
    }

    fn exec_file(&self) -> Option<&str> {
        self.program.vmlinux.as_deref()
    }

    fn relocation(&mut self) -> Relocation {
        self.where_it_is()
    }

    /// While the guest has not said so, or runs, what Linux has unless it was built otherwise.
    fn address_bits(&self) -> AddressBits {
        const USUAL: u32 = 48;
        let vcpu = self.control.parked_vcpu(0);
        let regime = vcpu.and_then(|vcpu| vcpu.regime().ok());
        let bits = |va| regime.and_then(|regime| regime.address_bits(va)).unwrap_or(USUAL);
        AddressBits { lower: bits(0), upper: bits(u64::MAX) }
    }

    fn can_step(&self) -> bool {
        self.engine.can_step()
    }

    fn watchpoints(&self) -> usize {
        self.engine.watchpoints()
    }

    fn description(&self) -> Arc<Description> {
        self.engine.registers.description().clone()
    }

    fn write_registers(
        &mut self,
        tid: Tid,
        values: &[(Register, RegisterValue)],
    ) -> Result<(), TargetError> {
        self.with_vcpu(tid, |vcpu| Ok(self.engine.registers.write_all(vcpu, values)))?
    }

    fn read_register(&mut self, tid: Tid, reg: Register) -> Result<RegisterValue, TargetError> {
        let read = self.with_vcpu(tid, |vcpu| self.engine.registers.read(vcpu, reg));
        // KVM lists some that it then does not give.
        let is_optional = matches!(reg, Register::System(_));
        read.map_err(|error| if is_optional { TargetError::Unavailable } else { error })
    }

    fn write_register(
        &mut self,
        tid: Tid,
        reg: Register,
        value: RegisterValue,
    ) -> Result<(), TargetError> {
        self.with_vcpu(tid, |vcpu| Ok(self.engine.registers.write(vcpu, reg, &value)))??;
        if matches!(reg, Register::System(_)) {
            self.reread_ids()?;
        }
        Ok(())
    }

    fn read_memory(
        &mut self,
        space: Space,
        addr: u64,
        data: &mut [u8],
    ) -> Result<usize, TargetError> {
        let read = match space {
            Space::Virtual(tid) => self.read_virtual(tid, addr, data)?,
            Space::Physical => {
                let memory = &self.engine.memory;
                memory::read_physical(memory, &self.engine.points().software, addr, data)
            }
        };
        if read == 0 { Err(TargetError::Unmapped { addr }) } else { Ok(read) }
    }

    fn write_memory(&mut self, space: Space, addr: u64, data: &[u8]) -> Result<(), TargetError> {
        let written = match space {
            Space::Virtual(tid) => {
                self.learn_for(tid, addr)?;
                let view = self.view(tid)?;
                view.write(&mut self.engine.points().software, addr, data)
            }
            Space::Physical => {
                let memory = &self.engine.memory;
                memory::write_physical(memory, &mut self.engine.points().software, addr, data)
            }
        };
        written.map_err(|addr| TargetError::Unmapped { addr })
    }

    fn memory_region(&mut self, tid: Tid, addr: u64) -> Result<MemoryRegion, TargetError> {
        self.learn_for(tid, addr)?;
        let Region { first, last, access } = self.view(tid)?.region(addr);
        let permissions = |Access { write, execute }| Permissions { read: true, write, execute };
        Ok(MemoryRegion { first, last, access: access.map(permissions) })
    }

    fn insert(&mut self, tid: Tid, point: Stoppoint, agent: Agent) -> Result<(), TargetError> {
        if point.kind == Kind::Software {
            self.learn_for_breakpoint(tid, point.addr)?;
        }
        self.set(tid, point, agent)
    }

    fn remove(&mut self, _: Tid, point: Stoppoint) -> Result<(), TargetError> {
        self.unset(point)
    }

    fn resume(&mut self, actions: &[(Tid, Action)]) -> Result<(), TargetError> {
        let steps = |action: &Action| matches!(action, Action::Step | Action::StepRange { .. });
        if !self.engine.can_step() && actions.iter().any(|(_, action)| steps(action)) {
            return Err(TargetError::Invalid(
                "this host's KVM cannot single-step; to continue from a breakpoint, delete it first"
                    .to_owned(),
            ));
        }
        if !self.unreported.is_empty() {
            self.control.wake();
            return Ok(());
        }
        if let Err(why) = self.place_catches() {
            // Nobody could go on otherwise.
            self.control.say(&format!("catch: {why}\n"));
        }
        self.follow()?;
        self.engine.begin(self.heard_of.take());
        self.patience.regain();
        let mut orders = vec![None; self.control.len()];
        for (tid, action) in actions {
            if let Some(order) = orders.get_mut(tid.index()) {
                *order = Some(match *action {
                    Action::Continue => Order::Continue,
                    Action::Step => Order::Step,
                    Action::StepRange { start, end } => Order::StepRange { start, end },
                });
            }
        }
        self.control.resume(orders);
        Ok(())
    }

    fn interrupt(&mut self) {
        self.is_interrupt_wanted = true;
    }

    fn monitor(
        &mut self,
        tid: Tid,
        command: &str,
        print: &mut dyn FnMut(&str),
    ) -> Result<(), TargetError> {
        monitor::run(self, tid, command, print)
    }

    fn detach(&mut self) {
        self.control.park();
        self.engine.points().clear(&self.engine.memory);
        self.unreported.clear();
        self.is_free = true;
        self.run();
    }

    fn kill(&mut self) {
        self.control.park();
    }

    fn restart(&mut self) -> Result<(), TargetError> {
        self.start_again()
    }
}
