//! The thread that serves a device's queues.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::{Backend, Broken, Ram, Ring};

/// Events taken at once.
const BATCH: usize = 32;

/// Who waits: tokens of queues and of the end have this above those of backends.
const OURS: u64 = 1 << 32;
const STOP: u64 = OURS | u32::MAX as u64;

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
    thread: JoinHandle<Box<dyn Backend<M>>>,
    stop: EventFd,
    is_stopping: Arc<AtomicBool>,
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
    /// Starts it. If that fails, the backend is lost with it.
    pub(super) fn start(start: Start<M>, backend: Box<dyn Backend<M>>) -> io::Result<Self> {
        let waits = Waits { epoll: Epoll::new()? };
        for (token, kick) in (OURS..).zip(&start.kicks) {
            waits.control(ControlOperation::Add, kick.as_raw_fd(), EventSet::IN, token)?;
        }
        let stop = EventFd::new(EFD_NONBLOCK)?;
        waits.control(ControlOperation::Add, stop.as_raw_fd(), EventSet::IN, STOP)?;
        let is_stopping = start.is_stopping.clone();
        let thread =
            Builder::new().name(start.name.to_owned()).spawn(move || run(start, backend, waits))?;
        Ok(Self { thread, stop, is_stopping })
    }

    /// Stops it, and waits until nobody touches the rings any more. `None` if the backend has panicked.
    pub(super) fn stop(self) -> Option<Box<dyn Backend<M>>> {
        self.is_stopping.store(true, Ordering::Release);
        // The counter cannot overflow, and there is no other failure.
        let _ = self.stop.write(1);
        self.thread.join().ok()
    }
}

fn run<M: Ram>(
    start: Start<M>,
    mut backend: Box<dyn Backend<M>>,
    mut waits: Waits,
) -> Box<dyn Backend<M>> {
    let Start { features, mut rings, kicks, is_stopping, on_broken, .. } = start;
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
    if let Err(broken) = work() {
        on_broken(&broken);
    }
    backend.reset();
    backend
}
