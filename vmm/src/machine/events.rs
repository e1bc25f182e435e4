//! The event loop: the main thread waits here for vCPU stops, debuggers, console input and
//! signals, and for nothing else.

mod last_words;
mod panic;
mod power;
mod subscriber;

use std::cell::RefCell;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use devices::virtio::console::Bell;
use event_manager::{EventManager, SubscriberOps};
use vmm_sys_util::eventfd::EventFd;

use self::power::Grace;
use self::subscriber::Subscriber;
use super::button::Button;
use super::console::{Ends, RunningConsole};
use super::hang::whereabouts;
use super::kernel::Names;
use super::loading::Loading;
use super::output::News;
use super::report::{self, Facts};
use super::signals::Signals;
use super::terminal;
use super::timers::Countdown;
use crate::cli::Ending;
use crate::cli::ending::OnPanic;
use crate::debug::backtrace;
use crate::debug::kernel::Program;
use crate::debug::link::LinkMap;
use crate::debug::server::{self, Server};
use crate::exit::Outcome;
use crate::kvm::control::{Control, VcpuStop};
use crate::kvm::memory::Memory;
use crate::kvm::vcpu::SystemEvent;
use crate::message::say;

/// The guest, and who decides about it.
pub enum Guest {
    /// Nobody. Some of it may still be loading.
    Alone(Control, Option<Loading>, Insight),
    /// A debugger, or whoever may yet come.
    Debugged(Box<Server>),
}

/// What it takes to look into a guest that has no debugger.
pub struct Insight {
    /// Its RAM.
    pub memory: Memory,
    /// What is known of its kernel.
    pub program: Program,
}

impl Guest {
    /// Stops it; false if it cannot be stopped.
    fn park(&self) -> bool {
        match self {
            Self::Alone(_, Some(loading), _) if loading.failure().is_some() => return false,
            Self::Alone(control, ..) => control.park(),
            Self::Debugged(server) => server.park(),
        }
        true
    }

    /// Its vCPUs and memory, and where its kernel is.
    fn insight(&self) -> (&Control, &Memory, LinkMap) {
        match self {
            Self::Alone(control, _, Insight { memory, program }) => {
                (control, memory, program.link_map(memory))
            }
            Self::Debugged(server) => server.guest().insight(),
        }
    }

    fn server(&self) -> Option<&Server> {
        match self {
            Self::Alone(..) => None,
            Self::Debugged(server) => Some(server),
        }
    }
}

/// What the loop is made of.
pub struct Parts {
    /// The guest.
    pub guest: Guest,
    /// Becomes readable when a vCPU has stopped by itself.
    pub stops: Arc<EventFd>,
    /// The console.
    pub console: RunningConsole,
    /// Of the guest's channels.
    pub ports: Option<Arc<Bell>>,
    /// Signals.
    pub signals: Signals,
    /// The guest's power button.
    pub button: Button,
    /// `--timeout`.
    pub timeout: Option<Countdown>,
    /// Becomes readable when minivmm's parent has ended.
    pub parent: Option<OwnedFd>,
    /// The kernel's symbols.
    pub names: Names,
}

/// Runs until the guest, the debugger or the user ends it. The terminal is restored then.
pub fn run(parts: Parts, ending: &Ending) -> Result<(Outcome, Facts), event_manager::Error> {
    let failed = |error: io::Error| event_manager::Error::Epoll(error.into());
    let grace = Grace::new().map_err(failed)?;
    let written = Arc::new(io::pipe().map_err(failed)?);
    let began = parts.guest.server().is_none_or(|server| !server.is_stopped());
    let began = began.then(Instant::now);
    let state = Loop {
        parts,
        began,
        has_report: ending.report.is_some(),
        on_panic: ending.on_panic,
        grace,
        written,
        asked: None,
        end: None,
        outcome: None,
    };
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
    let is_parked = state.parts.guest.park();
    let outcome = state.last_words(outcome, is_parked);
    // Nothing can be told of vCPUs that cannot be stopped.
    let facts = if is_parked { state.facts(&outcome) } else { Facts::default() };
    if matches!(state.parts.guest, Guest::Alone(..)) {
        // The process ends, and the kernel takes a whole machine down faster than we do it piece by piece.
        // A debugger's server has a socket to remove.
        std::mem::forget(shared.clone());
    }
    Ok((outcome, facts))
}

/// Everything that events act on.
struct Loop {
    parts: Parts,
    on_panic: OnPanic,
    has_report: bool,
    /// When the guest was let go first.
    began: Option<Instant>,
    grace: Grace,
    /// Becomes readable when the last words are written; made while there are descriptors.
    written: Arc<(PipeReader, PipeWriter)>,
    /// Why the guest was asked to power off.
    asked: Option<Outcome>,
    /// How the guest ended whose debugger may run it again.
    end: Option<Outcome>,
    /// Set once; ends the loop.
    outcome: Option<Outcome>,
}

impl Loop {
    fn on_stops(&mut self) {
        let outcome = match &mut self.parts.guest {
            Guest::Debugged(server) => server.stops(),
            Guest::Alone(_, Some(loading), _) if loading.failure().is_some() => {
                self.outcome = loading.failure().cloned();
                return;
            }
            Guest::Alone(control, ..) => {
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
                let is_kept =
                    self.on_panic != OnPanic::Exit && !self.parts.console.output().is_held();
                if outcome == Outcome::Panicked && is_kept {
                    self.hold();
                    return;
                }
                if let Guest::Debugged(server) = &mut self.parts.guest
                    && server.end(outcome.status())
                    && self.asked.is_none()
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
        if let Guest::Debugged(server) = &mut self.parts.guest {
            let outcome = server.serve();
            self.on_server(outcome);
        }
    }

    fn accept(&mut self) {
        if let Guest::Debugged(server) = &mut self.parts.guest {
            let outcome = server.accept();
            self.on_server(outcome);
        }
    }

    fn end_of(&self, stop: VcpuStop) -> Outcome {
        let has_panicked = self.parts.console.output().has_panicked();
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
        for news in self.parts.console.output().take_news() {
            if self.outcome.is_some() {
                return;
            }
            match news {
                News::Panicked => self.on_panicked(false),
                News::PanicEnded => self.on_panicked(true),
                News::Judged => {
                    if let Some(outcome) = self.parts.console.output().verdict(false) {
                        self.end_by(outcome);
                    }
                }
                // Where the debugger has standard output, it decides about the end.
                News::Closed(_) if self.parts.console.ends() == Ends::Error => {}
                News::Closed(kind) => {
                    // It may have closed because it has seen what ends the run.
                    let verdict = self.parts.console.output().verdict(false);
                    let failed = || Outcome::HostFailed(format!("standard output: {kind}"));
                    self.end_by(verdict.unwrap_or_else(failed));
                }
            }
        }
    }

    /// Ends the run, whatever a debugger has in mind; it is told.
    fn end_by(&mut self, outcome: Outcome) {
        if let Guest::Debugged(server) = &mut self.parts.guest {
            server.park();
            server.end(outcome.status());
        }
        self.outcome = Some(outcome);
    }

    fn on_timeout(&mut self) {
        let Some(timeout) = &mut self.parts.timeout else { return };
        match timeout.is_over() {
            Ok(false) => {}
            Ok(true) => {
                let limit = timeout.limit();
                // It hung in the middle of its panic, or was held for someone who has not come.
                let outcome = if self.parts.console.output().has_panicked() {
                    Outcome::Panicked
                } else {
                    Outcome::TimedOut(limit)
                };
                self.end_by(outcome);
            }
            Err(error) => self.outcome = Some(Outcome::HostFailed(format!("timer: {error}"))),
        }
    }

    /// After each event: what follows from what the debugger did.
    fn follow_debugger(&mut self) {
        if let Guest::Debugged(server) = &mut self.parts.guest
            && server.take_new()
        {
            self.began = None;
            self.end = None;
            self.grace.forget_panic();
        }
        self.end_left_panic();
        self.update_timeout();
    }

    /// While a debugger has stopped the guest, nobody waits for that.
    fn update_timeout(&mut self) {
        if self.began.is_none() && self.parts.guest.server().is_some_and(|it| !it.is_stopped()) {
            self.began = Some(Instant::now());
        }
        let is_held = self.parts.guest.server().is_some_and(Server::holds);
        if let Some(timeout) = &mut self.parts.timeout
            && let Err(error) = timeout.hold(is_held)
        {
            self.outcome = Some(Outcome::HostFailed(format!("timer: {error}")));
        }
    }

    /// What there is to tell of a guest that has ended so and is parked.
    fn facts(&self, outcome: &Outcome) -> Facts {
        let facts = Facts { began: self.began, ..Facts::default() };
        if !outcome.is_hang() && !self.has_report {
            return facts;
        }
        let (control, memory, link) = self.parts.guest.insight();
        let whereabouts = if outcome.is_hang() {
            let places = backtrace::places(control, memory, link);
            whereabouts(places, self.parts.names.borrow().as_ref(), link)
        } else {
            Vec::new()
        };
        let mut facts = Facts { whereabouts, ..facts };
        if self.has_report {
            (facts.spoke, facts.memoir) = self.parts.console.output().story();
            // On a busy host a guest may have spoken before we noted that it began.
            facts.began = facts.began.map(|began| facts.spoke.map_or(began, |it| began.min(it)));
            if facts.memoir.version.is_none() {
                let image = link.image..link.image.saturating_add(link.size);
                facts.version = report::banner(memory, &image);
            }
            facts.exits = report::exits(control);
            facts.guest = memory.resident();
        }
        facts
    }

    fn on_input(&mut self) {
        if self.parts.console.read() {
            self.outcome = Some(Outcome::Interrupted);
        }
    }
}
