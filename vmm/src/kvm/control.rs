//! vCPU threads, and how they are stopped and started. Each thread owns KVM_RUN of its vCPU; while
//! it is parked, anybody may lock the vCPU and use its registers directly, with no hop to the thread.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use nix::sys::pthread::{Pthread, pthread_kill, pthread_self};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};
use vmm_sys_util::signal::register_signal_handler;

use super::error::Error;
use super::vcpu::{Exit, Kick, SystemEvent, Vcpu};

/// Gets a thread out of KVM_RUN. Its handler does nothing: being delivered is all it is for.
const KICK_SIGNAL: Signal = Signal::SIGUSR1;

/// What a vCPU's thread is told to do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Run until something stops it.
    Continue,
    /// Execute one instruction.
    Step,
}

/// Why a vCPU stopped by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum VcpuStop {
    /// One of the debugger's traps, or its step.
    Trap(Trap),
    /// The guest asked the machine for this.
    System(SystemEvent),
    /// Nobody can handle what happened; holds the report.
    Failed(String),
}

/// What the debug engine made of a debug exception.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trap {
    /// A planted BRK at PC, not executed.
    Breakpoint,
    /// A planted BRK at PC that belongs to another virtual address: to be stepped over unseen.
    ForeignBreakpoint,
    /// A debug register's breakpoint at PC, not executed.
    HardwareBreakpoint,
    /// A watchpoint, before its access. Holds the number of the watchpoint and an address that was
    /// accessed and that lies inside the watched range.
    Watchpoint(usize, u64),
    /// The ordered step is done.
    Step,
}

/// Carries out orders on a vCPU's own thread.
pub trait Runner: Send + Sync {
    /// Runs `vcpu` as ordered until it stops; `None` when it was kicked before that.
    fn run(&self, vcpu: &mut Vcpu, kick: &Kick, order: Order) -> Option<VcpuStop>;
}

/// Runs without a debugger.
pub struct Undebugged;

impl Runner for Undebugged {
    fn run(&self, vcpu: &mut Vcpu, kick: &Kick, _: Order) -> Option<VcpuStop> {
        loop {
            match vcpu.run() {
                // Anything but a kick is a stray signal, such as a host debugger's.
                Exit::Interrupted if kick.is_raised() => return None,
                Exit::Interrupted => {}
                exit => return Some(VcpuStop::unhandled(vcpu, exit)),
            }
        }
    }
}

impl VcpuStop {
    /// The stop for an exit that is not the debugger's business.
    pub fn unhandled(vcpu: &Vcpu, exit: Exit) -> Self {
        let what = match exit {
            Exit::System(event) => return Self::System(event),
            Exit::Unhandled(what) => what,
            Exit::Debug { esr, far } => format!("debug exception {esr:?}, far {far:#x}"),
            Exit::Interrupted => "interrupted".to_owned(),
        };
        Self::Failed(format!("vCPU {}: {what}\n{vcpu}", vcpu.index()))
    }
}

/// All vCPU threads.
pub struct Control {
    slots: Arc<[Slot]>,
    stops: Arc<EventFd>,
}

/// One vCPU and its thread.
struct Slot {
    kick: Kick,
    vcpu: Mutex<Vcpu>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// `None`: park.
    order: Option<Order>,
    stop: Option<VcpuStop>,
    is_running: bool,
    thread: Option<Pthread>,
}

/// A thread that panicked must not take the debugger down with it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

extern "C" fn on_kick(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}

impl Control {
    /// Starts a thread for each vCPU. All of them are parked.
    pub fn start(vcpus: Vec<Vcpu>, runner: &Arc<dyn Runner>) -> Result<Self, Error> {
        register_signal_handler(KICK_SIGNAL as i32, on_kick)
            .map_err(|errno| Error::Thread(errno.into()))?;
        let slots: Arc<[Slot]> = vcpus
            .into_iter()
            .map(|mut vcpu| Slot {
                kick: vcpu.kick(),
                vcpu: Mutex::new(vcpu),
                state: Mutex::default(),
                changed: Condvar::new(),
            })
            .collect();
        let stops = Arc::new(EventFd::new(EFD_NONBLOCK).map_err(Error::Thread)?);
        for index in 0..slots.len() {
            let (slots, stops, runner) = (slots.clone(), stops.clone(), runner.clone());
            thread::Builder::new()
                .name(format!("vcpu{index}"))
                .spawn(move || serve(&slots, index, &stops, runner.as_ref()))
                .map_err(Error::Thread)?;
        }
        Ok(Self { slots, stops })
    }

    /// How many vCPUs there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Becomes readable when a vCPU stopped by itself; see [`Self::take_stops`].
    pub fn stops_fd(&self) -> &EventFd {
        &self.stops
    }

    /// A parked vCPU. On one that runs, this waits until it parks.
    pub fn vcpu(&self, index: usize) -> Option<MutexGuard<'_, Vcpu>> {
        self.slots.get(index).map(|slot| lock(&slot.vcpu))
    }

    /// Gives each vCPU its order; `None` leaves it parked. All must be parked.
    pub fn resume(&self, orders: impl IntoIterator<Item = Option<Order>>) {
        for (slot, order) in self.slots.iter().zip(orders) {
            let mut state = lock(&slot.state);
            if order.is_some() {
                state.order = order;
                state.is_running = true;
                slot.changed.notify_all();
            }
        }
    }

    /// Parks every vCPU and waits until they are. The wait is short: a kicked KVM_RUN returns.
    pub fn park(&self) {
        order_parking(&self.slots);
        for slot in self.slots.iter() {
            let state = lock(&slot.state);
            drop(slot.changed.wait_while(state, |state| state.is_running));
        }
    }

    /// Parks every vCPU if one has stopped by itself, and tells which and why, in vCPU order.
    /// Empty if none has.
    pub fn take_stops(&self) -> Vec<(usize, VcpuStop)> {
        // EAGAIN only says that somebody took these stops before.
        let _ = self.stops.read();
        if self.slots.iter().all(|slot| lock(&slot.state).stop.is_none()) {
            return Vec::new();
        }
        self.park();
        let taken = self.slots.iter().map(|slot| lock(&slot.state).stop.take());
        (0..).zip(taken).filter_map(|(index, stop)| Some((index, stop?))).collect()
    }
}

/// Tells every vCPU to park, without waiting for it.
fn order_parking(slots: &[Slot]) {
    for slot in slots {
        let mut state = lock(&slot.state);
        state.order = None;
        // Raised under the lock, so that the thread cannot clear it and still see an old order.
        slot.kick.raise();
        if let Some(thread) = state.thread.filter(|_| state.is_running) {
            // The thread lives as long as the process.
            let _ = pthread_kill(thread, KICK_SIGNAL);
        }
    }
}

/// Body of a vCPU's thread.
fn serve(slots: &[Slot], index: usize, stops: &EventFd, runner: &dyn Runner) {
    let Some(slot) = slots.get(index) else { return };
    // Every other signal is for the main thread.
    let mut others = SigSet::all();
    others.remove(KICK_SIGNAL);
    let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&others), None);
    lock(&slot.state).thread = Some(pthread_self());
    loop {
        let mut state = lock(&slot.state);
        let order = loop {
            if let Some(order) = state.order {
                break order;
            }
            state.is_running = false;
            slot.changed.notify_all();
            state = slot.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        slot.kick.clear();
        drop(state);

        let stop = runner.run(&mut lock(&slot.vcpu), &slot.kick, order);

        if let Some(stop) = stop {
            lock(&slot.state).stop = Some(stop);
            order_parking(slots);
            // Never full: one count per stop, each read by the main thread.
            let _ = stops.write(1);
        }
    }
}
