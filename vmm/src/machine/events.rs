//! The event loop: the main thread waits here for vCPU stops, debuggers, console input and
//! signals, and for nothing else.

use std::cell::RefCell;
use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use event_manager::{EventManager, EventOps, EventSet, Events, MutEventSubscriber, SubscriberOps};
use vmm_sys_util::eventfd::EventFd;

use super::console::{Ends, RunningConsole};
use super::loading::Loading;
use super::output::News;
use super::signals::Signals;
use super::terminal;
use crate::debug::server::{self, Server};
use crate::exit::Outcome;
use crate::kvm::control::{Control, VcpuStop};
use crate::kvm::vcpu::SystemEvent;
use crate::message::say;

/// How long a user who quits waits for a reader that does not read, or for a guest that cannot be stopped.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// The guest, and who decides about it.
pub enum Guest {
    /// Nobody. Some of it may still be loading.
    Alone(Control, Option<Loading>),
    /// A debugger, or whoever may yet come.
    Debugged(Box<Server>),
}

impl Guest {
    /// Stops it; false if it cannot be stopped.
    fn park(&self) -> bool {
        match self {
            Self::Alone(_, Some(loading)) if loading.failure().is_some() => return false,
            Self::Alone(control, _) => control.park(),
            Self::Debugged(server) => server.park(),
        }
        true
    }

    fn server(&self) -> Option<&Server> {
        match self {
            Self::Alone(..) => None,
            Self::Debugged(server) => Some(server),
        }
    }
}

/// Runs until the guest, the debugger or the user ends it. The terminal is restored then. `stops` becomes
/// readable when a vCPU has stopped by itself.
pub fn run(
    guest: Guest,
    stops: Arc<EventFd>,
    console: RunningConsole,
    signals: Signals,
) -> Result<Outcome, event_manager::Error> {
    let state = Loop { guest, stops, console, signals, end: None, outcome: None };
    let shared = Rc::new(RefCell::new(state));
    let mut manager = EventManager::new()?;
    manager.add_subscriber(Subscriber {
        shared: shared.clone(),
        is_stdin_watched: false,
        client: None,
    });
    let outcome = loop {
        if let Some(outcome) = shared.borrow_mut().outcome.take() {
            break outcome;
        }
        manager.run()?;
    };
    terminal::restore();
    let state = shared.borrow();
    // A guest that talks on would keep the queue from ever being empty.
    let is_parked = state.guest.park();
    if !is_parked || matches!(outcome, Outcome::Interrupted | Outcome::Terminated(_)) {
        state.console.output().flush(FLUSH_LIMIT);
    } else {
        // The guest's last words are worth waiting for, and a signal ends the wait.
        state.signals.unblock();
        state.console.output().flush(Duration::MAX);
    }
    if matches!(state.guest, Guest::Alone(..)) {
        // The process ends, and the kernel takes a whole machine down faster than we do it piece by piece.
        // A debugger's server has a socket to remove.
        std::mem::forget(shared.clone());
    }
    Ok(outcome)
}

/// Everything that events act on.
struct Loop {
    guest: Guest,
    stops: Arc<EventFd>,
    console: RunningConsole,
    signals: Signals,
    /// How the guest ended whose debugger may run it again.
    end: Option<Outcome>,
    /// Set once; ends the loop.
    outcome: Option<Outcome>,
}

impl Loop {
    fn on_stops(&mut self) {
        let outcome = match &mut self.guest {
            Guest::Debugged(server) => server.stops(),
            Guest::Alone(_, Some(loading)) if loading.failure().is_some() => {
                self.outcome = loading.failure().cloned();
                return;
            }
            Guest::Alone(control, _) => {
                let first = control.take_stops().into_iter().next();
                first.map_or(server::Outcome::Nothing, |(_, stop)| server::Outcome::Ended(stop))
            }
        };
        self.on_server(outcome);
    }

    fn on_server(&mut self, outcome: server::Outcome) {
        match outcome {
            server::Outcome::Nothing => {}
            server::Outcome::Killed => self.outcome = Some(Outcome::Killed),
            server::Outcome::Left => self.outcome = self.end.take(),
            server::Outcome::Failed(why) => self.outcome = Some(Outcome::HostFailed(why)),
            server::Outcome::Ended(stop) => {
                let outcome = self.end_of(stop);
                if let Guest::Debugged(server) = &mut self.guest
                    && server.end(outcome.status())
                {
                    say(format_args!("gdb: {outcome}: the debugger may run it again"));
                    self.end = Some(outcome);
                } else {
                    self.outcome = Some(outcome);
                }
            }
        }
    }

    /// Moves bytes between the debugger and its server.
    fn serve(&mut self) {
        if let Guest::Debugged(server) = &mut self.guest {
            let outcome = server.serve();
            self.on_server(outcome);
        }
    }

    fn accept(&mut self) {
        if let Guest::Debugged(server) = &mut self.guest {
            let outcome = server.accept();
            self.on_server(outcome);
        }
    }

    fn end_of(&self, stop: VcpuStop) -> Outcome {
        let has_panicked = self.console.output().has_panicked();
        match stop {
            VcpuStop::System(SystemEvent::Shutdown | SystemEvent::Reset) if has_panicked => {
                Outcome::Panicked
            }
            VcpuStop::System(SystemEvent::Shutdown) => Outcome::PoweredOff,
            VcpuStop::System(SystemEvent::Reset) => Outcome::Reset,
            VcpuStop::Failed(report) => Outcome::Crashed(report),
            VcpuStop::Trap(trap) => Outcome::Crashed(format!("{trap:?} without a debugger")),
        }
    }

    fn on_news(&mut self) {
        let has_debugger = self.guest.server().is_some_and(|server| server.client().is_some());
        for news in self.console.output().take_news() {
            match news {
                // Under a debugger a panic is something to look at, not the end.
                News::PanicEnded if has_debugger => {}
                News::PanicEnded => self.outcome = Some(Outcome::Panicked),
                // Where the debugger has standard output, it decides about the end.
                News::Closed(_) if self.console.ends() == Ends::Error => {}
                News::Closed(kind) => {
                    self.outcome = Some(Outcome::HostFailed(format!("standard output: {kind}")));
                }
            }
        }
    }

    fn on_input(&mut self) {
        if self.console.read() {
            self.outcome = Some(Outcome::Interrupted);
        }
    }
}

/// Which descriptor an event is about.
#[derive(Clone, Copy)]
#[repr(u32)]
enum Source {
    Stops,
    News,
    Room,
    Stdin,
    Signals,
    Listener,
    Client,
}

/// Connects [`Loop`] to the event manager and keeps the set of watched descriptors right.
struct Subscriber {
    shared: Rc<RefCell<Loop>>,
    is_stdin_watched: bool,
    client: Option<(RawFd, EventSet)>,
}

fn watch(fd: RawFd, source: Source, set: EventSet) -> Events {
    Events::with_data_raw(fd, source as u32, set)
}

impl Subscriber {
    /// Watches standard input only while there is a place for what is read.
    fn update_stdin(&mut self, state: &mut Loop, ops: &mut EventOps<'_>) {
        let stdin = watch(state.console.stdin_fd(), Source::Stdin, EventSet::IN);
        match (self.is_stdin_watched, state.console.wants_input()) {
            (false, true) => {
                match ops.add(stdin) {
                    Ok(()) => self.is_stdin_watched = true,
                    // epoll takes no files and no /dev/null: they never block, so they are read as
                    // fast as the guest takes them.
                    Err(event_manager::Error::Epoll(errno)) if errno.errno() == libc::EPERM => {
                        while state.console.wants_input() && state.outcome.is_none() {
                            state.on_input();
                        }
                    }
                    Err(error) => {
                        let what = format!("standard input: {error}");
                        state.outcome = Some(Outcome::HostFailed(what));
                    }
                }
            }
            (true, false) => {
                // Failing would mean that it is not watched, which is what is wanted.
                let _ = ops.remove(stdin);
                self.is_stdin_watched = false;
            }
            _ => {}
        }
    }

    /// Watches the client for what it can be served with: its requests, or room for replies.
    fn update_client(&mut self, state: &mut Loop, ops: &mut EventOps<'_>) {
        let Guest::Debugged(server) = &mut state.guest else { return };
        let set = if server.has_unsent() { EventSet::OUT } else { EventSet::IN };
        let wanted = server.client().map(|client| (client.as_raw_fd(), set));
        if self.client.is_none() {
            server.drop_closed();
        }
        if self.client == wanted {
            return;
        }
        if let Some((fd, set)) = self.client.take() {
            // The descriptor is open, see below, so this cannot fail.
            let _ = ops.remove(watch(fd, Source::Client, set));
        }
        // Not before: the event manager keeps what was closed before it was removed.
        server.drop_closed();
        let Some((fd, set)) = wanted else { return };
        match ops.add(watch(fd, Source::Client, set)) {
            Ok(()) => self.client = wanted,
            // A file, see above: serve it now, and again after whatever else there is to do.
            Err(event_manager::Error::Epoll(errno)) if errno.errno() == libc::EPERM => {
                server.wake();
                state.serve();
            }
            Err(error) => {
                let what = format!("the debugger's connection: {error}");
                state.outcome = Some(Outcome::HostFailed(what));
            }
        }
    }
}

impl MutEventSubscriber for Subscriber {
    fn init(&mut self, ops: &mut EventOps<'_>) {
        let shared = self.shared.clone();
        let mut state = shared.borrow_mut();
        let fixed = [
            (state.stops.as_raw_fd(), Source::Stops),
            (state.console.output().news_fd().as_raw_fd(), Source::News),
            (state.console.room_fd().as_raw_fd(), Source::Room),
            (state.signals.as_raw_fd(), Source::Signals),
        ];
        let listener = state.guest.server().and_then(Server::listener);
        let listener = listener.map(|listener| (listener.as_raw_fd(), Source::Listener));
        for (fd, source) in fixed.into_iter().chain(listener) {
            if let Err(error) = ops.add(watch(fd, source, EventSet::IN)) {
                state.outcome = Some(Outcome::HostFailed(format!("epoll: {error:?}")));
            }
        }
        self.update_stdin(&mut state, ops);
        self.update_client(&mut state, ops);
    }

    fn process(&mut self, events: Events, ops: &mut EventOps<'_>) {
        let shared = self.shared.clone();
        let mut state = shared.borrow_mut();
        // The rest of a batch of events comes too late: the end is decided.
        if state.outcome.is_some() {
            return;
        }
        let is = |source: Source| events.data() == source as u32;
        if is(Source::Stops) {
            state.on_stops();
        } else if is(Source::News) {
            state.on_news();
        } else if is(Source::Room) {
            state.console.feed();
        } else if is(Source::Stdin) {
            state.on_input();
        } else if is(Source::Signals) {
            state.outcome = state.signals.take();
        } else if is(Source::Listener) {
            state.accept();
        } else {
            state.serve();
        }
        self.update_stdin(&mut state, ops);
        self.update_client(&mut state, ops);
    }
}
