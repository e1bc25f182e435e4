//! The thread that serves a device's queues.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::{SigSet, Signal};
use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};
use vmm_sys_util::signal::{Killable, register_signal_handler};

use super::{Backend, Broken, Ram, Ring};

/// Events taken at once.
const BATCH: usize = 32;

/// Who waits: tokens of queues and of the end have this above those of backends.
const OURS: u64 = 1 << 32;
const STOP: u64 = OURS | u32::MAX as u64;

/// Gets a thread out of a system call that waits. Its handler does nothing: being delivered is all it is for.
const KICK: Signal = Signal::SIGUSR1;
/// How long the vCPU that resets a device waits for a system call to end, and how often it kicks it meanwhile.
const LIMIT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(10);

/// What a backend's thread waits for beside its queues.
pub struct Waits {
    epoll: Epoll,
}

impl Waits {
    /// Has [`Backend::ready`] called with `token` when `fd` is what `events` say.
    pub fn add(&mut self, fd: &impl AsRawFd, events: EventSet, token: u32) -> io::Result<()> {
        self.control(ControlOperation::Add, fd.as_raw_fd(), events, token.into())
    }

    /// Waits for something else, or for nothing, at a descriptor that was added.
    pub fn change(&mut self, fd: &impl AsRawFd, events: EventSet, token: u32) -> io::Result<()> {
        self.control(ControlOperation::Modify, fd.as_raw_fd(), events, token.into())
    }

    /// Waits for it no more. Must come before it is closed, if there are other descriptors of the same file.
    pub fn remove(&mut self, fd: &impl AsRawFd) -> io::Result<()> {
        self.control(ControlOperation::Delete, fd.as_raw_fd(), EventSet::empty(), 0)
    }

    fn control(
        &self,
        operation: ControlOperation,
        fd: RawFd,
        events: EventSet,
        data: u64,
    ) -> io::Result<()> {
        self.epoll.ctl(operation, fd, EpollEvent::new(events, data))
    }
}

/// A thread that runs, and how it is stopped.
pub(super) struct Worker<M: Ram> {
    thread: JoinHandle<()>,
    /// Gives the backend back when the thread has done with the rings, and nothing if it has panicked.
    back: Receiver<Box<dyn Backend<M>>>,
    stop: EventFd,
    is_stopping: Arc<AtomicBool>,
    /// It could not be stopped.
    pub(super) is_given_up: bool,
}

/// How a thread was stopped.
pub(super) enum Stopped<M: Ram> {
    /// It is gone; `None` if the backend has panicked.
    Ended(Option<Box<dyn Backend<M>>>),
    /// It is in a system call of the host's that does not end. It leaves the rings alone if that ever does.
    Stuck,
}

/// What the thread begins with.
pub(super) struct Start<M: Ram> {
    pub(super) name: &'static str,
    pub(super) features: u64,
    pub(super) rings: Vec<Ring<M>>,
    /// For each ring, what the driver's notifications come by.
    pub(super) kicks: Vec<Arc<EventFd>>,
    pub(super) is_stopping: Arc<AtomicBool>,
    /// Told if the device cannot go on.
    pub(super) on_broken: Box<dyn FnOnce(&Broken) + Send>,
}

impl<M: Ram> Worker<M> {
    /// Starts it, and takes the backend if that succeeds.
    pub(super) fn start(
        start: Start<M>,
        backend: &mut Option<Box<dyn Backend<M>>>,
    ) -> io::Result<Self> {
        register_signal_handler(KICK as i32, on_kick)
            .map_err(|error| io::Error::from_raw_os_error(error.errno()))?;
        let waits = Waits { epoll: Epoll::new()? };
        for (token, kick) in (OURS..).zip(&start.kicks) {
            waits.control(ControlOperation::Add, kick.as_raw_fd(), EventSet::IN, token)?;
        }
        let stop = EventFd::new(EFD_NONBLOCK)?;
        waits.control(ControlOperation::Add, stop.as_raw_fd(), EventSet::IN, STOP)?;
        let is_stopping = start.is_stopping.clone();
        let (give, taken) = channel();
        let (give_back, back) = channel();
        let thread = Builder::new().name(start.name.to_owned()).spawn(move || {
            let Ok(backend) = taken.recv() else { return };
            // Nobody takes it from a thread that was given up.
            let _ = give_back.send(run(start, backend, waits));
        })?;
        if let Some(backend) = backend.take() {
            // The thread waits for it.
            let _ = give.send(backend);
        }
        Ok(Self { thread, back, stop, is_stopping, is_given_up: false })
    }

    /// Stops it, and waits until nobody touches the rings any more; not for ever, and only once.
    pub(super) fn stop(&mut self) -> Stopped<M> {
        self.is_stopping.store(true, Ordering::Release);
        // The counter cannot overflow, and there is no other failure.
        let _ = self.stop.write(1);
        let limit = if self.is_given_up { Duration::ZERO } else { LIMIT };
        let start = Instant::now();
        loop {
            match self.back.recv_timeout(PAUSE.min(limit)) {
                Ok(backend) => return Stopped::Ended(Some(backend)),
                Err(RecvTimeoutError::Disconnected) => return Stopped::Ended(None),
                Err(RecvTimeoutError::Timeout) if start.elapsed() >= limit => break,
                // Again and again: one may come just before the thread begins to wait. One that has ended does not mind.
                Err(RecvTimeoutError::Timeout) => drop(self.thread.kill(KICK as i32)),
            }
        }
        self.is_given_up = true;
        Stopped::Stuck
    }
}

extern "C" fn on_kick(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}

fn run<M: Ram>(
    start: Start<M>,
    mut backend: Box<dyn Backend<M>>,
    mut waits: Waits,
) -> Box<dyn Backend<M>> {
    let Start { features, mut rings, kicks, is_stopping, on_broken, .. } = start;
    // The set is valid, and there is no other failure.
    let _ = SigSet::from(KICK).thread_unblock();
    let mut work = || -> Result<(), Broken> {
        backend.start(features, &mut rings, &mut waits)?;
        // The driver may have filled queues before it said that it was ready.
        for queue in 0..rings.len() {
            backend.serve(queue, &mut rings, &mut waits)?;
        }
        let mut events = [EpollEvent::default(); BATCH];
        loop {
            let count = match waits.epoll.wait(-1, &mut events) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                count => count?,
            };
            for event in events.iter().take(count) {
                if is_stopping.load(Ordering::Acquire) {
                    return Ok(());
                }
                let token = event.data();
                match usize::try_from(token ^ OURS)
                    .ok()
                    .and_then(|queue| Some((queue, kicks.get(queue)?)))
                {
                    Some((queue, kick)) => {
                        // Several may have come; one look at the queue serves them all.
                        let _ = kick.read();
                        backend.serve(queue, &mut rings, &mut waits)?;
                    }
                    None => backend.ready(token as u32, &mut rings, &mut waits)?,
                }
            }
        }
    };
    if let Err(broken) = work()
        && !is_stopping.load(Ordering::Acquire)
    {
        on_broken(&broken);
    }
    backend.reset();
    backend
}
