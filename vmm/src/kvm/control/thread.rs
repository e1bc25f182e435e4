//! The thread of one vCPU, and what it knows of the others.

use std::sync::PoisonError;

use nix::sys::pthread::pthread_self;
use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
use nix::unistd::gettid;
use vmm_sys_util::eventfd::EventFd;

use super::{KICK_SIGNAL, Runner, Shared, Slot, lock, order_parking};

/// The other vCPUs, as seen from the thread of one.
pub struct Peers<'a> {
    shared: &'a Shared,
    own: &'a Slot,
    stops: &'a EventFd,
}

/// While this lives, one vCPU runs and all others are parked.
pub struct Alone<'a>(&'a Peers<'a>);

impl Peers<'_> {
    /// Whether this vCPU has been asked to leave the guest.
    pub fn is_kicked(&self) -> bool {
        self.own.kick.is_raised()
    }

    /// Says something to the debugger. False if this vCPU was asked to park before there was room:
    /// nothing has been said.
    pub fn say(&self, text: &str) -> bool {
        let is_said = self.shared.words.push(text, || self.is_kicked());
        // Never full: see `serve`.
        let _ = self.stops.write(1);
        is_said
    }

    fn others(&self) -> impl Iterator<Item = &Slot> {
        self.shared.slots.iter().filter(|slot| !std::ptr::eq(*slot, self.own))
    }

    /// Parks the others and waits until they are. They go on with what they were ordered when the
    /// result is dropped. `None` if this vCPU itself is to park: the caller returns as kicked, and
    /// comes back with the same order if that was for another vCPU's sake.
    pub fn alone(&self) -> Option<Alone<'_>> {
        let turn = lock(&self.shared.turn);
        // Another one that goes on alone has kicked this one, under the same lock.
        if self.is_kicked() {
            return None;
        }
        for other in self.others() {
            let mut state = lock(&other.state);
            state.postponed = state.order.take();
            other.kick(&state);
        }
        drop(turn);
        self.shared.words.wake();
        self.others().for_each(Slot::wait_until_parked);
        Some(Alone(self))
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        // The first that goes on must not be alone before all have their orders again.
        let _turn = lock(&self.0.shared.turn);
        for other in self.0.others() {
            lock(&other.vcpu).forget_registers();
            let mut state = lock(&other.state);
            if let Some(order) = state.postponed.take() {
                state.give(order, &other.changed);
            }
        }
    }
}

/// Body of a vCPU's thread.
pub(super) fn serve(shared: &Shared, index: usize, stops: &EventFd, runner: &dyn Runner) {
    let Some(slot) = shared.slots.get(index) else { return };
    let peers = Peers { shared, own: slot, stops };
    // Every other signal is for the main thread.
    let mut others = SigSet::all();
    others.remove(KICK_SIGNAL);
    let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&others), None);
    let mut state = lock(&slot.state);
    state.thread = Some(pthread_self());
    state.thread_id = Some(gettid().as_raw());
    drop(state);
    loop {
        let mut state = lock(&slot.state);
        let order = loop {
            if let Some(order) = state.order {
                break order;
            }
            state.park(&slot.changed);
            if state.is_over {
                return;
            }
            state = slot.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        slot.kick.clear();
        drop(state);

        let mut vcpu = lock(&slot.vcpu);
        let stop = runner.run(&mut vcpu, &peers, order);
        // Whoever hears of the stop, or waits for it, finds the guest's output complete.
        vcpu.catch_up();
        vcpu.pause();
        drop(vcpu);

        if let Some(stop) = stop {
            order_parking(shared, peers.others());
            // Parked before anybody hears of it, and waits for it.
            let mut state = lock(&slot.state);
            state.order = None;
            state.postponed = None;
            state.stop = Some(stop);
            state.park(&slot.changed);
            drop(state);
            // Never full: one count per stop, each read by the main thread.
            let _ = stops.write(1);
        }
    }
}
