//! The event loop: the main thread waits here for vCPU stops, debuggers, console input and
//! signals, and for nothing else.

mod subscriber;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use event_manager::{EventManager, SubscriberOps};
use vmm_sys_util::eventfd::EventFd;

use self::subscriber::Subscriber;
use super::console::{Ends, RunningConsole};
use super::loading::Loading;
use super::output::News;
use super::signals::Signals;
use super::terminal;
use super::timers::Countdown;
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
    timeout: Option<Countdown>,
) -> Result<Outcome, event_manager::Error> {
    let state = Loop { guest, stops, console, signals, timeout, end: None, outcome: None };
    let shared = Rc::new(RefCell::new(state));
    let mut manager = EventManager::new()?;
    manager.add_subscriber(Subscriber::new(shared.clone()));
    let outcome = loop {
        if let Some(outcome) = shared.borrow_mut().outcome.take() {
            break outcome;
        }
        manager.run()?;
    };
    terminal::restore();
    let state = shared.borrow();
    let outcome = state.last_words(outcome);
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
    timeout: Option<Countdown>,
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
                News::Judged => {
                    if let Some(outcome) = self.console.output().verdict(false) {
                        self.end_by(outcome);
                    }
                }
                // Where the debugger has standard output, it decides about the end.
                News::Closed(_) if self.console.ends() == Ends::Error => {}
                News::Closed(kind) => {
                    self.outcome = Some(Outcome::HostFailed(format!("standard output: {kind}")));
                }
            }
        }
    }

    /// Ends the run, whatever a debugger has in mind; it is told.
    fn end_by(&mut self, outcome: Outcome) {
        if let Guest::Debugged(server) = &mut self.guest {
            server.park();
            server.end(outcome.status());
        }
        self.outcome = Some(outcome);
    }

    fn on_timeout(&mut self) {
        let Some(timeout) = &mut self.timeout else { return };
        match timeout.is_over() {
            Ok(false) => {}
            Ok(true) => {
                let limit = timeout.limit();
                self.end_by(Outcome::TimedOut(limit));
            }
            Err(error) => self.outcome = Some(Outcome::HostFailed(format!("timer: {error}"))),
        }
    }

    /// While a debugger has stopped the guest, nobody waits for that.
    fn update_timeout(&mut self) {
        let is_held = self.guest.server().is_some_and(Server::holds);
        if let Some(timeout) = &mut self.timeout
            && let Err(error) = timeout.hold(is_held)
        {
            self.outcome = Some(Outcome::HostFailed(format!("timer: {error}")));
        }
    }

    /// Stops the guest and waits until what it has said is written. Its last line may decide what the end is.
    fn last_words(&self, outcome: Outcome) -> Outcome {
        let output = self.console.output();
        // A guest that talks on would keep the queue from ever being empty.
        let is_parked = self.guest.park();
        let limit = if is_parked && (outcome.is_of_guest() || outcome == Outcome::Killed) {
            // Worth waiting for, and a signal ends the wait.
            self.signals.unblock();
            self.timeout.as_ref().map_or(Duration::MAX, |timeout| timeout.left().max(FLUSH_LIMIT))
        } else {
            FLUSH_LIMIT
        };
        output.flush(limit);
        let is_open = outcome.is_of_guest() || matches!(outcome, Outcome::TimedOut(_));
        let verdict = if is_open { output.verdict(true) } else { None };
        verdict.unwrap_or(outcome)
    }

    fn on_input(&mut self) {
        if self.console.read() {
            self.outcome = Some(Outcome::Interrupted);
        }
    }
}
