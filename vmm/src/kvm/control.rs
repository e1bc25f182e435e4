//! vCPU threads, and how they are stopped and started. Each thread owns KVM_RUN of its vCPU; while
//! it is parked, anybody may lock the vCPU and use its registers directly, with no hop to the thread.

mod thread;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::{Builder, JoinHandle};

use nix::sys::pthread::{Pthread, pthread_kill};
use nix::sys::signal::Signal;
use vmm_sys_util::eventfd::EventFd;
use vmm_sys_util::signal::register_signal_handler;

use super::error::Error;
use super::vcpu::{Exit, Kick, SystemEvent, Vcpu};
use crate::arch::watchpoint::Watchpoint;
use crate::words::Words;

pub use thread::Peers;

/// Gets a thread out of KVM_RUN. Its handler does nothing: being delivered is all it is for. The devices' threads have the same
/// signal, for the same.
const KICK_SIGNAL: Signal = Signal::SIGUSR1;

/// What a vCPU's thread is told to do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Run until something stops it.
    Continue,
    /// Execute one instruction.
    Step,
    /// Execute one instruction after the other until PC is outside `start..end`, or something stops
    /// it. One is executed wherever PC is.
    StepRange {
        /// First address inside.
        start: u64,
        /// First address behind.
        end: u64,
    },
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
    /// A debug register's breakpoint at PC, not executed.
    HardwareBreakpoint,
    /// A watchpoint, before its access. Holds the watchpoint and an address that was accessed and
    /// that lies inside the watched range.
    Watchpoint(Watchpoint, u64),
    /// The same, but behind its access, which will not happen again.
    Watched(Watchpoint, u64),
    /// What the user wanted to hear of, which is not the debugger's.
    Caught(Caught),
    /// The ordered step is done.
    Step,
}

/// Something of the guest's own that was caught.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Caught {
    /// Its BRK with this immediate, not executed.
    Brk(u16),
    /// The kernel's panic, at its first instruction.
    Panic,
    /// An exception, at the first instruction of its vector.
    Exception,
}

/// Carries out orders on a vCPU's own thread.
pub trait Runner: Send + Sync {
    /// Runs `vcpu` as ordered until it stops; `None` when it was kicked before that.
    fn run(&self, vcpu: &mut Vcpu, peers: &Peers, order: Order) -> Option<VcpuStop>;
}

/// Runs without a debugger.
pub struct Undebugged;

impl Runner for Undebugged {
    fn run(&self, vcpu: &mut Vcpu, peers: &Peers, _: Order) -> Option<VcpuStop> {
        loop {
            match vcpu.run() {
                // Anything but a kick is a stray signal, such as a host debugger's.
                Exit::Interrupted if peers.is_kicked() => return None,
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

/// All vCPU threads. They end, and the vCPUs with them, when this is dropped.
pub struct Control {
    shared: Arc<Shared>,
    stops: Arc<EventFd>,
    threads: Vec<JoinHandle<()>>,
}

/// What the vCPU threads know of each other.
struct Shared {
    slots: Box<[Slot]>,
    /// Held while the orders of several vCPUs change together. Taken before any slot's state.
    turn: Mutex<()>,
    words: Words,
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
    /// What was ordered before another vCPU went on alone, and will be again when it is through.
    postponed: Option<Order>,
    stop: Option<VcpuStop>,
    is_running: bool,
    /// Somebody waits until it is parked.
    is_awaited: bool,
    /// The thread is to end as soon as it is parked.
    is_over: bool,
    thread: Option<Pthread>,
    /// The same thread as the host's tools call it.
    thread_id: Option<i32>,
}

/// A thread that panicked must not take the debugger down with it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

extern "C" fn on_kick(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}

impl Control {
    /// Starts a thread for each vCPU. All of them are parked. `stops` becomes readable when one has
    /// stopped by itself; see [`Self::take_stops`].
    pub fn start(
        vcpus: Vec<Vcpu>,
        runner: &Arc<dyn Runner>,
        stops: &Arc<EventFd>,
    ) -> Result<Self, Error> {
        register_signal_handler(KICK_SIGNAL as i32, on_kick)
            .map_err(|errno| Error::Thread(errno.into()))?;
        let slots = vcpus
            .into_iter()
            .map(|mut vcpu| Slot {
                kick: vcpu.kick(),
                vcpu: Mutex::new(vcpu),
                state: Mutex::default(),
                changed: Condvar::new(),
            })
            .collect();
        let mut control = Self::of(slots, stops);
        for index in 0..control.len() {
            let (shared, stops, runner) = (control.shared.clone(), stops.clone(), runner.clone());
            let thread = Builder::new()
                .name(format!("vcpu{index}"))
                .spawn(move || thread::serve(&shared, index, &stops, runner.as_ref()))
                .map_err(Error::Thread)?;
            control.threads.push(thread);
        }
        Ok(control)
    }

    /// No vCPUs: what there is between this machine and the next.
    pub fn without_vcpus(&self) -> Self {
        Self::of(Box::default(), &self.stops)
    }

    fn of(slots: Box<[Slot]>, stops: &Arc<EventFd>) -> Self {
        let shared = Arc::new(Shared { slots, turn: Mutex::default(), words: Words::default() });
        Self { shared, stops: stops.clone(), threads: Vec::new() }
    }

    /// How many vCPUs there are.
    pub fn len(&self) -> usize {
        self.shared.slots.len()
    }

    /// A parked vCPU. On one that runs, this waits until it parks.
    pub fn vcpu(&self, index: usize) -> Option<MutexGuard<'_, Vcpu>> {
        self.shared.slots.get(index).map(|slot| lock(&slot.vcpu))
    }

    /// A vCPU, unless it runs.
    pub fn parked_vcpu(&self, index: usize) -> Option<MutexGuard<'_, Vcpu>> {
        match self.shared.slots.get(index)?.vcpu.try_lock() {
            Ok(vcpu) => Some(vcpu),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The host's number of a vCPU's thread, once that has begun.
    pub fn thread_id(&self, index: usize) -> Option<i32> {
        lock(&self.shared.slots.get(index)?.state).thread_id
    }

    /// Gives each vCPU its order; `None` leaves it parked. All must be parked.
    pub fn resume(&self, orders: impl IntoIterator<Item = Option<Order>>) {
        // One that goes on alone must not do so before all have their orders.
        let _turn = lock(&self.shared.turn);
        let orders: Vec<_> = orders.into_iter().collect();
        let is_one = orders.iter().flatten().count() == 1;
        for (slot, order) in self.shared.slots.iter().zip(orders) {
            // Whoever runs may turn another one on.
            if !is_one || order.is_none() {
                lock(&slot.vcpu).forget_registers();
            }
            if let Some(order) = order {
                lock(&slot.state).give(order, &slot.changed);
            }
        }
    }

    /// Parks every vCPU and waits until they are. The wait is short: a kicked KVM_RUN
    /// returns, and a device that the guest resets is waited for a few seconds at most.
    pub fn park(&self) {
        order_parking(&self.shared, self.shared.slots.iter());
        self.shared.slots.iter().for_each(Slot::wait_until_parked);
    }

    /// Makes `stops` readable, as if a vCPU had stopped.
    pub fn wake(&self) {
        // Never full: see `serve`.
        let _ = self.stops.write(1);
    }

    /// Says something to the debugger, as a vCPU's thread does; in a hurry, so that it is lost where there is no room.
    pub fn say(&self, text: &str) {
        let _ = self.shared.words.push(text, || true);
    }

    /// What the vCPU threads have said since this was last asked; [`Self::stops_fd`] becomes readable
    /// when they do.
    pub fn take_words(&self) -> String {
        self.shared.words.take()
    }

    /// Parks every vCPU if one has stopped by itself, and tells which and why, in vCPU order.
    /// Empty if none has.
    pub fn take_stops(&self) -> Vec<(usize, VcpuStop)> {
        // EAGAIN only says that somebody took these stops before.
        let _ = self.stops.read();
        if self.shared.slots.iter().all(|slot| lock(&slot.state).stop.is_none()) {
            return Vec::new();
        }
        self.park();
        let taken = self.shared.slots.iter().map(|slot| lock(&slot.state).stop.take());
        (0..).zip(taken).filter_map(|(index, stop)| Some((index, stop?))).collect()
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.park();
        for slot in &self.shared.slots {
            lock(&slot.state).is_over = true;
            slot.changed.notify_all();
        }
        for thread in self.threads.drain(..) {
            // A panic has been reported where it happened.
            let _ = thread.join();
        }
    }
}

impl Slot {
    /// Gets the vCPU out of the guest. With its state locked, so that its thread cannot clear the
    /// kick and still see an old order.
    fn kick(&self, state: &State) {
        self.kick.raise();
        if let Some(thread) = state.thread.filter(|_| state.is_running) {
            // A thread that runs has not ended.
            let _ = pthread_kill(thread, KICK_SIGNAL);
        }
    }

    fn wait_until_parked(&self) {
        let is_running = |state: &mut State| {
            state.is_awaited = state.is_running;
            state.is_running
        };
        drop(self.changed.wait_while(lock(&self.state), is_running));
    }
}

impl State {
    fn give(&mut self, order: Order, changed: &Condvar) {
        self.order = Some(order);
        self.is_running = true;
        changed.notify_all();
    }

    /// The vCPU may be used by others from here on, until it is given an order.
    fn park(&mut self, changed: &Condvar) {
        self.is_running = false;
        // A notification is a system call.
        if self.is_awaited {
            changed.notify_all();
        }
    }
}

/// Tells vCPUs to park, without waiting for it.
fn order_parking<'a>(shared: &Shared, slots: impl Iterator<Item = &'a Slot>) {
    for slot in slots {
        let mut state = lock(&slot.state);
        state.order = None;
        state.postponed = None;
        slot.kick(&state);
    }
    shared.words.wake();
}
