//! What a vCPU's thread does with an order while a debugger is, or may be, attached.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::hit::{Judged, Verdict};
use super::inject;
use super::link::LinkMap;
use super::memory::View;
use super::points::{Except, Points};
use super::registers::RegisterSet;
use super::step::{self, Steps};
use crate::arch::esr::{Class, Esr};
use crate::arch::flow::Flow;
use crate::arch::watchpoint::Watchpoint;
use crate::kvm::control::{Caught, Order, Peers, Runner, Trap, VcpuStop};
use crate::kvm::error::Error;
use crate::kvm::memory::Memory;
use crate::kvm::vcpu::{Exit, Vcpu};
use crate::kvm::vm::DebugSupport;

/// State that the vCPU threads share with the server.
pub struct Engine {
    /// Guest RAM.
    pub memory: Memory,
    /// The registers of its vCPUs.
    pub registers: Arc<RegisterSet>,
    pub(super) support: DebugSupport,
    points: Mutex<Points>,
    link: Mutex<LinkMap>,
    /// One for each vCPU.
    progress: Vec<Mutex<Progress>>,
}

/// What is remembered of a vCPU from one order to the next.
#[derive(Default)]
pub(super) struct Progress {
    /// PC, and the watchpoints that were reported there: the instruction has to get past them.
    reported: Option<(u64, Vec<Watchpoint>)>,
    /// Watchpoints whose access is under way, by more than one instruction.
    under_way: Vec<Watchpoint>,
    /// It has executed something since the debugger last heard of it.
    has_moved: bool,
    /// What was made of a hit that it has not got past yet.
    pub(super) judged: Option<Judged>,
    /// PC where something was caught and reported: the vCPU has to get past it.
    pub(super) caught: Option<u64>,
    /// PC where the debugger was told that it stopped.
    heard_at: Option<u64>,
}

/// Whose a debug exception was.
#[derive(Clone, Copy)]
pub enum Owner {
    /// The guest's. It has been given to it.
    Guest,
    /// Ours, at a BRK that is not meant for this virtual address: to be stepped over unseen.
    Alias,
    /// The debugger's.
    Debugger(Trap),
}

impl Engine {
    /// An engine for so many vCPUs, with nothing set.
    pub fn new(
        memory: Memory,
        registers: Arc<RegisterSet>,
        support: DebugSupport,
        vcpus: usize,
    ) -> Self {
        let progress = (0..vcpus).map(|_| Mutex::default()).collect();
        let points = Mutex::new(Points::new(support));
        Self { memory, registers, support, points, link: Mutex::default(), progress }
    }

    /// Where the kernel's Image is, as far as that is known.
    pub fn link(&self) -> LinkMap {
        *self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says where the kernel's Image is.
    pub fn set_link(&self, link: LinkMap) {
        *self.link.lock().unwrap_or_else(PoisonError::into_inner) = link;
    }

    /// Virtual memory as a vCPU sees it.
    pub fn view(&self, vcpu: &Vcpu) -> Result<View<'_>, Error> {
        View::of(vcpu, &self.memory, self.link())
    }

    /// What the debugger has set.
    pub fn points(&self) -> MutexGuard<'_, Points> {
        self.points.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many vCPUs there are.
    pub(super) fn vcpus(&self) -> usize {
        self.progress.len()
    }

    /// Whether KVM can single-step.
    pub fn can_step(&self) -> bool {
        self.support.step
    }

    /// How many watchpoint registers KVM has.
    pub fn watchpoints(&self) -> usize {
        self.support.watchpoints
    }

    /// The debugger resumes the vCPUs, having heard of a stop of this one: it knows of a breakpoint
    /// at its PC.
    pub fn begin(&self, heard_of: Option<usize>) {
        if let Some(index) = heard_of {
            self.with_progress(index, |progress| {
                progress.has_moved = false;
                progress.judged = None;
            });
        }
    }

    /// The debugger hears of a stop of this vCPU.
    pub fn hear(&self, vcpu: &Vcpu) -> Result<(), Error> {
        let pc = vcpu.pc()?;
        self.with_progress(vcpu.index(), |progress| progress.heard_at = Some(pc));
        Ok(())
    }

    pub(super) fn with_progress<T: Default>(
        &self,
        index: usize,
        act: impl FnOnce(&mut Progress) -> T,
    ) -> T {
        let Some(progress) = self.progress.get(index) else { return T::default() };
        act(&mut progress.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the instruction at `pc` goes past: a breakpoint register at PC itself, and the
    /// watchpoints that were reported there.
    pub fn passed(&self, vcpu: &Vcpu, pc: u64, is_region: bool) -> Except {
        let reported = self.reported(vcpu, pc);
        let under_way = self.with_progress(vcpu.index(), |progress| progress.under_way.clone());
        Except { breakpoint: Some(pc), reported, under_way, is_region }
    }

    fn reported(&self, vcpu: &Vcpu, pc: u64) -> Vec<Watchpoint> {
        self.with_progress(vcpu.index(), |progress| match &progress.reported {
            Some((at, reported)) if *at == pc => reported.clone(),
            _ => Vec::new(),
        })
    }

    /// The debugger hears of this watchpoint at the vCPU's PC: resumed, it gets past it.
    pub fn report(&self, vcpu: &Vcpu, point: Watchpoint) -> Result<(), Error> {
        let pc = vcpu.pc()?;
        self.with_progress(vcpu.index(), |progress| match &mut progress.reported {
            Some((at, reported)) if *at == pc => reported.push(point),
            reported => *reported = Some((pc, vec![point])),
        });
        Ok(())
    }

    /// Acts on what a vCPU has come to, before anybody hears of it.
    fn settle(&self, vcpu: &mut Vcpu, peers: &Peers, stop: Option<VcpuStop>) -> Steps {
        let pc = vcpu.pc()?;
        self.with_progress(vcpu.index(), |progress| {
            progress.reported.take_if(|(at, _)| stop == step::DONE || stop.is_some() && *at != pc);
            progress.judged.take_if(|judged| stop == step::DONE || judged.pc != pc);
            progress.caught.take_if(|at| stop == step::DONE || *at != pc);
        });
        match &stop {
            Some(VcpuStop::Trap(Trap::Watchpoint(point, addr)))
                if self.support.step && self.is_at_store_exclusive(vcpu)? =>
            {
                return self.finish_store(vcpu, peers, *point, *addr);
            }
            Some(VcpuStop::Trap(trap @ (Trap::Breakpoint | Trap::HardwareBreakpoint))) => {
                match self.judge(vcpu, peers, *trap)? {
                    Some(Verdict::Report(trap)) => return Ok(Some(VcpuStop::Trap(trap))),
                    Some(Verdict::Pass) => return self.step(vcpu, peers),
                    None => return Ok(None),
                }
            }
            Some(VcpuStop::Trap(Trap::Step)) => {
                self.with_progress(vcpu.index(), |progress| progress.has_moved = true);
            }
            _ => {}
        }
        Ok(stop)
    }

    fn is_at_store_exclusive(&self, vcpu: &Vcpu) -> Result<bool, Error> {
        let (pc, isa) = (vcpu.pc()?, vcpu.pstate()?.isa());
        let view = self.view(vcpu)?;
        let fetched = view.instruction(&self.points().software, pc);
        Ok(fetched.is_some_and(|(_, word)| Flow::of(pc, word, isa) == Flow::StoreExclusive))
    }

    /// A watchpoint stopped a store-exclusive. It took the monitor with it, so the store will fail
    /// and be tried again, and would be stopped again, for ever. Nothing has been written: the guest
    /// is helped through its next try, and the stop comes behind the store, if there is one.
    fn finish_store(&self, vcpu: &mut Vcpu, peers: &Peers, point: Watchpoint, addr: u64) -> Steps {
        self.with_progress(vcpu.index(), |progress| progress.under_way = vec![point]);
        let stop = self.retry_store(vcpu, peers, point, addr);
        self.with_progress(vcpu.index(), |progress| {
            progress.under_way.clear();
            progress.has_moved = true;
        });
        stop
    }

    fn retry_store(&self, vcpu: &mut Vcpu, peers: &Peers, point: Watchpoint, addr: u64) -> Steps {
        /// Steps to the end of the next try.
        const LIMIT: usize = 32;
        /// Bytes behind the store that a loop uses to look whether it has failed.
        const LOOK: u64 = 8;
        let store = vcpu.pc()?;
        let mut behind = None;
        for _ in 0..LIMIT {
            let from = vcpu.pc()?;
            if from == store && behind.is_some() {
                // Not by way of a region that could be run in one go. Better often than never.
                return Ok(Some(VcpuStop::Trap(Trap::Watchpoint(point, addr))));
            }
            match step::step(self, vcpu, peers)? {
                Some(VcpuStop::Trap(Trap::Watchpoint(other, _))) if vcpu.pc()? == store => {
                    self.with_progress(vcpu.index(), |progress| progress.under_way.push(other));
                    // It has spoiled this try.
                    behind = None;
                    continue;
                }
                step::DONE => {}
                stop @ Some(VcpuStop::Trap(Trap::Breakpoint | Trap::HardwareBreakpoint)) => {
                    return self.settle(vcpu, peers, stop);
                }
                stop => return Ok(stop),
            }
            let to = vcpu.pc()?;
            match behind {
                // The store failed; or else it has faulted, and is the guest's business first.
                None if from == store && to.wrapping_sub(store) > 4 => break,
                None if from == store => behind = Some(to),
                // The region was run to its end.
                Some(behind) if to == behind && from != store => {
                    return Ok(Some(VcpuStop::Trap(Trap::Watched(point, addr))));
                }
                // It does not try again, or a breakpoint comes first.
                Some(behind) if to > behind.saturating_add(LOOK) => break,
                _ if self.breakpoint_at(vcpu, to)?.is_some() => break,
                _ => {}
            }
        }
        Ok(step::DONE)
    }

    /// What would stop a vCPU that comes to `pc`.
    fn breakpoint_at(&self, vcpu: &Vcpu, pc: u64) -> Result<Option<Trap>, Error> {
        if self.points().has_hardware(pc) {
            return Ok(Some(Trap::HardwareBreakpoint));
        }
        if self.names_hit(vcpu, pc)?.is_empty() {
            return Ok(None);
        }
        let found = self.view(vcpu)?.translate(pc);
        let points = self.points();
        let is_planted = found.is_ok_and(|mapping| points.software.is_planted(mapping.ipa));
        Ok(is_planted.then_some(Trap::Breakpoint))
    }

    /// One instruction.
    fn step(&self, vcpu: &mut Vcpu, peers: &Peers) -> Steps {
        let stop = step::step(self, vcpu, peers)?;
        self.settle(vcpu, peers, stop)
    }

    /// Instruction after instruction, as long as PC is inside `start..end` and nothing else stops it.
    fn step_range(&self, vcpu: &mut Vcpu, peers: &Peers, start: u64, end: u64) -> Steps {
        loop {
            let pc = vcpu.pc()?;
            let has_moved = self.with_progress(vcpu.index(), |progress| progress.has_moved);
            let stop = match self.breakpoint_at(vcpu, pc)? {
                Some(trap) if has_moved => self.settle(vcpu, peers, Some(VcpuStop::Trap(trap)))?,
                _ => self.step(vcpu, peers)?,
            };
            if stop != step::DONE || !(start..end).contains(&vcpu.pc()?) {
                return Ok(stop);
            }
            if peers.is_kicked() {
                return Ok(None);
            }
        }
    }

    fn run_on(&self, vcpu: &mut Vcpu, peers: &Peers) -> Steps {
        let pc = vcpu.pc()?;
        // Before the guest does anything: what it does first might not be this instruction.
        let has_passed = match self.judged(vcpu)? {
            Some(Verdict::Report(trap)) => return Ok(Some(VcpuStop::Trap(trap))),
            Some(Verdict::Pass) => true,
            None => self.is_past_catch(vcpu)?,
        };
        // So would a breakpoint that the debugger does not know to be here, and so does not step over.
        let is_heard = self.with_progress(vcpu.index(), |progress| progress.heard_at.take());
        let is_heard = is_heard == Some(pc) && self.is_hit_by_another_name(vcpu, pc)?;
        // The access that was reported would be reported again, for ever.
        let is_reported = is_heard || !self.reported(vcpu, pc).is_empty();
        if has_passed || self.support.step && is_reported {
            let stop = self.step(vcpu, peers)?;
            if stop != step::DONE {
                if stop.is_none() && is_heard {
                    self.hear(vcpu)?;
                }
                return Ok(stop);
            }
        }
        loop {
            vcpu.set_traps(&self.points().traps(&Except::default()))?;
            match vcpu.run() {
                // Anything but a kick is a stray signal, such as a host debugger's.
                Exit::Interrupted if peers.is_kicked() => return Ok(None),
                Exit::Interrupted => {}
                Exit::Debug { esr, far } => {
                    let stop = match self.owner(vcpu, esr, far, &Except::default())? {
                        Owner::Guest => continue,
                        Owner::Alias if self.support.step => self.step(vcpu, peers)?,
                        // Where it cannot be stepped over, it is as good as any other.
                        Owner::Alias => Some(VcpuStop::Trap(Trap::Breakpoint)),
                        Owner::Debugger(trap) => {
                            self.settle(vcpu, peers, Some(VcpuStop::Trap(trap)))?
                        }
                    };
                    if stop != step::DONE {
                        return Ok(stop);
                    }
                }
                exit => return Ok(Some(VcpuStop::unhandled(vcpu, exit))),
            }
        }
    }

    /// Decides whose a debug exception is. `except` did not make it.
    pub fn owner(&self, vcpu: &Vcpu, esr: Esr, far: u64, except: &Except) -> Result<Owner, Error> {
        match esr.class() {
            Class::Brk if esr.brk_immediate() == 0 => {
                let pc = vcpu.pc()?;
                let view = self.view(vcpu)?;
                let ipa = view.translate(pc).map(|mapping| mapping.ipa);
                let is_planted = ipa.is_ok_and(|ipa| self.points().software.is_planted(ipa));
                // Where it should be planted and is not, the guest has copied the page, BRK and all.
                let is_copied = !is_planted && self.points().software.belongs(pc, view.space(pc));
                if is_copied || is_planted && !self.names_hit(vcpu, pc)?.is_empty() {
                    return Ok(Owner::Debugger(Trap::Breakpoint));
                }
                if is_planted {
                    return Ok(Owner::Alias);
                }
            }
            Class::HardwareBreakpoint => {
                if self.points().has_hardware(vcpu.pc()?) {
                    return Ok(Owner::Debugger(Trap::HardwareBreakpoint));
                }
            }
            Class::Watchpoint => {
                if let Some(point) = self.points().watchpoint(far, esr.is_write(), except) {
                    let trap = Trap::Watchpoint(point, point.nearest(far));
                    return Ok(Owner::Debugger(trap));
                }
            }
            Class::SoftwareStep | Class::Brk | Class::Bkpt | Class::Other(_) => {}
        }
        if esr.class() == Class::Brk && self.is_brk_caught(vcpu, esr.brk_immediate())? {
            return Ok(Owner::Debugger(Trap::Caught(Caught::Brk(esr.brk_immediate()))));
        }
        inject::deliver(vcpu, esr, far)?;
        Ok(Owner::Guest)
    }
}

impl Runner for Engine {
    fn run(&self, vcpu: &mut Vcpu, peers: &Peers, order: Order) -> Option<VcpuStop> {
        let stop = match order {
            Order::Continue => self.run_on(vcpu, peers),
            Order::Step => self.step(vcpu, peers),
            Order::StepRange { start, end } => self.step_range(vcpu, peers, start, end),
        };
        let noted = stop.and_then(|stop| {
            vcpu.note_kernel_table()?;
            Ok(stop)
        });
        noted.unwrap_or_else(|error| {
            Some(VcpuStop::Failed(format!("vCPU {}: {error}\n{vcpu}", vcpu.index())))
        })
    }
}
