//! Everything that the debugger has set, and the debug registers that hold it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gdbstub::{Agent, Kind, Stoppoint, TargetError};
use kvm_bindings::kvm_guest_debug_arch;

use super::breakpoints::{AddressSpace, Breakpoints, Resolution};
use super::catches::Catches;
use crate::arch::watchpoint::{self, Access, Watchpoint};
use crate::kvm::memory::Memory;
use crate::kvm::vcpu::Traps;
use crate::kvm::vm::DebugSupport;

/// Breakpoints and watchpoints.
pub struct Points {
    support: DebugSupport,
    /// Planted in memory, or with a debug register standing in.
    pub software: Breakpoints,
    /// In breakpoint registers, as asked for.
    hardware: Vec<u64>,
    /// In watchpoint registers.
    watchpoints: Vec<Watchpoint>,
    /// What is to be done at software breakpoints, where there is more to do than to report them.
    software_agents: Agents,
    /// The same at hardware breakpoints.
    hardware_agents: Agents,
    /// Which of the software ones the debugger knows of.
    known: BTreeSet<u64>,
    /// What else the user wants to hear of.
    pub catches: Catches,
    /// First instructions of vectors, with software breakpoints of our own for [`Self::catches`].
    vectors: BTreeSet<u64>,
    /// The kernel's panic, in a breakpoint register of our own.
    panic: Option<u64>,
}

/// What a breakpoint of our own is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Own {
    /// The kernel's panic.
    Panic,
    /// The exceptions that come by this vector.
    Vector,
}

/// By the breakpoints' addresses.
#[derive(Default)]
struct Agents {
    by_addr: BTreeMap<u64, Arc<Agent>>,
    /// Instructions of all of them.
    len: usize,
}

/// Most instructions that all of them have together. Clients' are a few dozen each.
const MOST_INSTRUCTIONS: usize = 1 << 20;

/// What a vCPU goes past without stopping.
#[derive(Clone, Default, Debug)]
pub struct Except {
    /// A breakpoint register's address.
    pub breakpoint: Option<u64>,
    /// Watchpoints that were reported at this PC.
    pub reported: Vec<Watchpoint>,
    /// Watchpoints whose access is under way.
    pub under_way: Vec<Watchpoint>,
    /// What was reported was the load-exclusive of a region; its store is yet to come.
    pub is_region: bool,
}

impl Except {
    /// What is left of a watchpoint.
    fn rest_of(&self, point: Watchpoint) -> Option<Watchpoint> {
        let is_load = self.is_region && point.access == Access::Any;
        match (self.under_way.contains(&point), self.reported.contains(&point)) {
            (false, false) => Some(point),
            (false, true) if is_load => Some(Watchpoint { access: Access::Write, ..point }),
            _ => None,
        }
    }
}

impl Agents {
    fn get(&self, addr: u64) -> Option<Arc<Agent>> {
        self.by_addr.get(&addr).cloned()
    }

    fn set(&mut self, addr: u64, agent: Agent) {
        self.remove(addr);
        if !agent.is_empty() {
            self.len += agent.len();
            self.by_addr.insert(addr, Arc::new(agent));
        }
    }

    fn remove(&mut self, addr: u64) {
        if let Some(agent) = self.by_addr.remove(&addr) {
            self.len -= agent.len();
        }
    }
}

impl Points {
    /// Nothing set.
    pub fn new(support: DebugSupport) -> Self {
        Self {
            support,
            software: Breakpoints::default(),
            hardware: Vec::new(),
            watchpoints: Vec::new(),
            software_agents: Agents::default(),
            hardware_agents: Agents::default(),
            known: BTreeSet::new(),
            catches: Catches::default(),
            vectors: BTreeSet::new(),
            panic: None,
        }
    }

    /// What KVM has to trap for all this.
    pub fn traps(&self, except: &Except) -> Traps {
        let mut arch = kvm_guest_debug_arch::default();
        let breakpoints = self.hardware.iter().chain(self.software.in_registers()).copied();
        let breakpoints = breakpoints.chain(self.extra_register());
        let wanted = breakpoints.filter(|addr| Some(*addr) != except.breakpoint);
        let pairs = arch.dbg_bvr.iter_mut().zip(&mut arch.dbg_bcr);
        for ((value, control), addr) in pairs.zip(wanted) {
            (*value, *control) = watchpoint::breakpoint_pair(addr);
        }
        let pairs = arch.dbg_wvr.iter_mut().zip(&mut arch.dbg_wcr);
        let wanted = self.watchpoints.iter().filter_map(|point| except.rest_of(*point));
        for ((value, control), pair) in pairs.zip(wanted.flat_map(Watchpoint::pairs)) {
            (*value, *control) = pair;
        }
        // As long as we have none, the registers are the guest's.
        let has_breakpoints = self.free_breakpoints() < self.support.breakpoints;
        let has_any = has_breakpoints || !self.watchpoints.is_empty();
        let brk = self.software.has_planted() || self.catches.has_brk();
        Traps { brk, registers: has_any.then_some(arch), step: false }
    }

    /// Breakpoint registers not in use.
    fn free_breakpoints(&self) -> usize {
        let used = self.hardware.len() + self.software.in_registers().len();
        let used = used + usize::from(self.extra_register().is_some());
        self.support.breakpoints.saturating_sub(used)
    }

    /// A breakpoint of our own that needs a register for itself.
    fn extra_register(&self) -> Option<u64> {
        self.panic.filter(|at| !self.hardware.contains(at) && !self.is_stand_in(*at))
    }

    /// Whether a debug register's breakpoint is at `pc`.
    pub fn has_hardware(&self, pc: u64) -> bool {
        self.hardware.contains(&pc) || self.is_stand_in(pc) || self.panic == Some(pc)
    }

    /// What a breakpoint of our own at `pc` is for.
    pub fn own_at(&self, pc: u64) -> Option<Own> {
        if self.panic == Some(pc) {
            return Some(Own::Panic);
        }
        self.vectors.contains(&pc).then_some(Own::Vector)
    }

    /// Puts our own breakpoint at the kernel's panic, or takes it away.
    pub fn set_panic(&mut self, at: Option<u64>) -> Result<(), TargetError> {
        let old = self.panic.take();
        let is_known = at.is_some_and(|at| self.hardware.contains(&at) || self.is_stand_in(at));
        if at.is_some() && !is_known && self.free_breakpoints() == 0 {
            self.panic = old;
            return Err(no_room("hardware breakpoints", self.support.breakpoints));
        }
        self.panic = at;
        Ok(())
    }

    /// Has our own breakpoints at these vectors, and no others. Of each: its address, the space, and where it leads.
    pub fn set_vectors(&mut self, vectors: &[(u64, AddressSpace, u64)], memory: &Memory) {
        let is_wanted = |va: &u64| vectors.iter().any(|(wanted, ..)| wanted == va);
        let gone: Vec<u64> = self.vectors.iter().copied().filter(|va| !is_wanted(va)).collect();
        for va in gone {
            self.vectors.remove(&va);
            if !self.known.contains(&va) {
                self.software.remove(va, memory);
            }
        }
        for (va, space, ipa) in vectors {
            // Memory alone: a register is the debugger's to use.
            if self.software.insert(*va, *space, Some(*ipa), 0, memory) {
                self.vectors.insert(*va);
            }
        }
    }

    /// Whether there are breakpoints of our own at any vector.
    pub fn has_vectors(&self) -> bool {
        !self.vectors.is_empty()
    }

    /// Whether a debug register stands in for a software breakpoint at `pc`.
    pub fn is_stand_in(&self, pc: u64) -> bool {
        self.software.in_registers().contains(&pc)
    }

    /// The watchpoint that an exception with this FAR belongs to.
    pub fn watchpoint(&self, far: u64, is_write: bool, except: &Except) -> Option<Watchpoint> {
        let armed =
            self.watchpoints.iter().filter_map(|point| Some((*point, except.rest_of(*point)?)));
        let (points, rests): (Vec<_>, Vec<_>) = armed.unzip();
        points.get(watchpoint::find(&rests, far, is_write)?).copied()
    }

    /// Whether the debugger has set a software breakpoint at this address.
    pub fn is_known(&self, va: u64) -> bool {
        self.known.contains(&va)
    }

    /// What is to be done at each of the breakpoints at `pc`, the software ones of which are known by
    /// these names; `None`: to report it.
    pub fn agents_at(&self, pc: u64, names: &[u64]) -> Vec<Option<Arc<Agent>>> {
        let software = names.iter().filter(|name| self.known.contains(name));
        let software = software.map(|name| self.software_agents.get(*name));
        let hardware = self.hardware.contains(&pc).then(|| self.hardware_agents.get(pc));
        software.chain(hardware).collect()
    }

    /// Whether there is room for one more agent.
    pub fn check_room(&self, agent: &Agent) -> Result<(), TargetError> {
        let have = self.software_agents.len + self.hardware_agents.len;
        if agent.is_empty() || have + agent.len() <= MOST_INSTRUCTIONS {
            return Ok(());
        }
        Err(TargetError::Invalid(format!(
            "conditions and commands of {have} instructions, expected at most {MOST_INSTRUCTIONS}"
        )))
    }

    /// Says what is to be done at the software breakpoint at `va`, instead of what it was before.
    pub fn set_software_agent(&mut self, va: u64, agent: Agent) {
        self.software_agents.set(va, agent);
    }

    /// Takes a software breakpoint away.
    pub fn remove_software(&mut self, va: u64, memory: &Memory) {
        self.known.remove(&va);
        self.software_agents.remove(va);
        // Where our own was in the same register, it needs none.
        if self.is_stand_in(va) {
            self.vectors.remove(&va);
        }
        if !self.vectors.contains(&va) {
            self.software.remove(va, memory);
        }
    }

    /// Sets a software breakpoint at `va`, which leads to `ipa` if anywhere.
    pub fn insert_software(
        &mut self,
        va: u64,
        space: AddressSpace,
        ipa: Option<u64>,
        memory: &Memory,
    ) -> Result<(), TargetError> {
        let free = self.free_breakpoints();
        if self.software.insert(va, space, ipa, free, memory) {
            self.known.insert(va);
            return Ok(());
        }
        let have = self.support.breakpoints;
        Err(TargetError::Invalid(match have {
            0 => format!(
                "{va:#x} is not mapped to memory, and this host's KVM has no hardware breakpoints \
                 to stand in"
            ),
            have => format!(
                "{va:#x} is not mapped to memory and all {have} hardware breakpoints are in use"
            ),
        }))
    }

    /// Puts a breakpoint into a debug register.
    pub fn insert_hardware(&mut self, addr: u64) -> Result<(), TargetError> {
        if self.hardware.contains(&addr) {
            return Ok(());
        }
        let have = self.support.breakpoints;
        if self.free_breakpoints() == 0 {
            return Err(no_room("hardware breakpoints", have));
        }
        self.hardware.push(addr);
        Ok(())
    }

    /// Says what is to be done at the hardware breakpoint at `addr`, instead of what it was before.
    pub fn set_hardware_agent(&mut self, addr: u64, agent: Agent) {
        self.hardware_agents.set(addr, agent);
    }

    /// Takes a breakpoint out of its debug register.
    pub fn remove_hardware(&mut self, addr: u64) {
        self.hardware_agents.remove(addr);
        self.hardware.retain(|point| *point != addr);
    }

    /// Puts a watchpoint into as many debug registers as it needs.
    pub fn insert_watchpoint(&mut self, point: Watchpoint) -> Result<(), TargetError> {
        if self.watchpoints.contains(&point) {
            return Ok(());
        }
        let have = self.support.watchpoints;
        let used = self.watchpoints.iter().copied().flat_map(Watchpoint::pairs).count();
        // A long odd range needs dozens: one past what is left is enough to know.
        let needed = point.pairs().take(have + 1).count();
        if used + needed > have {
            return Err(no_room("hardware watchpoints", have));
        }
        self.watchpoints.push(point);
        Ok(())
    }

    /// Takes a watchpoint out of its debug registers.
    pub fn remove_watchpoint(&mut self, removed: Watchpoint) {
        self.watchpoints.retain(|point| *point != removed);
    }

    /// Moves software breakpoints to where their addresses lead now: see [`Breakpoints::follow`].
    pub fn follow(
        &mut self,
        resolve: impl FnMut(u64, AddressSpace) -> Resolution,
        memory: &Memory,
    ) {
        let free = self.free_breakpoints();
        // What is at vectors for ourselves is put where they are then, the next time.
        let Self { known, vectors, software, .. } = self;
        let is_known = |va| known.contains(&va);
        software.follow(free, is_known, resolve, memory);
        vectors.retain(|va| software.contains(*va));
    }

    /// All that the debugger has set, with what is to be done at each.
    pub fn stoppoints(&self) -> Vec<(Stoppoint, Agent)> {
        let agent = |agents: &Agents, addr| {
            agents.get(addr).map_or_else(Agent::default, |agent| (*agent).clone())
        };
        let breakpoint = |kind, addr| Stoppoint { kind, addr, len: 4 };
        let software = self
            .known
            .iter()
            .map(|addr| (breakpoint(Kind::Software, *addr), agent(&self.software_agents, *addr)));
        let hardware = self
            .hardware
            .iter()
            .map(|addr| (breakpoint(Kind::Hardware, *addr), agent(&self.hardware_agents, *addr)));
        let watchpoints =
            self.watchpoints.iter().map(|point| (stoppoint(*point), Agent::default()));
        software.chain(hardware).chain(watchpoints).collect()
    }

    /// Forgets everything that was set. The vCPUs must be parked.
    pub fn clear(&mut self, memory: &Memory) {
        self.software.clear(memory);
        self.hardware.clear();
        self.watchpoints.clear();
        self.software_agents = Agents::default();
        self.hardware_agents = Agents::default();
        self.known.clear();
        self.catches = Catches::default();
        self.vectors.clear();
        self.panic = None;
    }
}

/// The packet's side of a watchpoint.
fn stoppoint(point: Watchpoint) -> Stoppoint {
    let kind = match point.access {
        Access::Read => Kind::Read,
        Access::Write => Kind::Write,
        Access::Any => Kind::Access,
    };
    Stoppoint { kind, addr: point.addr, len: point.len }
}

fn no_room(what: &'static str, have: usize) -> TargetError {
    match have {
        0 => TargetError::Invalid(format!("this host's KVM has no {what}")),
        have => TargetError::NoRoom { what, have },
    }
}
