//! What the event loop watches, and what it does about each descriptor.

use std::cell::RefCell;
use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;

use event_manager::{EventOps, EventSet, Events, MutEventSubscriber};

use super::{Guest, Loop};
use crate::debug::server::Server;
use crate::exit::Outcome;

/// Which descriptor an event is about.
#[derive(Clone, Copy)]
#[repr(u32)]
enum Source {
    Stops,
    News,
    Room,
    Resize,
    Stdin,
    Signals,
    Timeout,
    Grace,
    Parent,
    Listener,
    Client,
}

/// Connects [`Loop`] to the event manager and keeps the set of watched descriptors right.
pub(super) struct Subscriber {
    shared: Rc<RefCell<Loop>>,
    is_stdin_watched: bool,
    is_listener_watched: bool,
    client: Option<(RawFd, EventSet)>,
}

fn watch(fd: RawFd, source: Source, set: EventSet) -> Events {
    Events::with_data_raw(fd, source as u32, set)
}

impl Subscriber {
    /// For this loop.
    pub fn new(shared: Rc<RefCell<Loop>>) -> Self {
        Self { shared, is_stdin_watched: false, is_listener_watched: false, client: None }
    }

    /// Watches standard input only while there is a place for what is read.
    fn update_stdin(&mut self, state: &mut Loop, ops: &mut EventOps<'_>) {
        let stdin = watch(state.parts.console.stdin_fd(), Source::Stdin, EventSet::IN);
        match (self.is_stdin_watched, state.parts.console.wants_input()) {
            (false, true) => {
                match ops.add(stdin) {
                    Ok(()) => self.is_stdin_watched = true,
                    // epoll takes no files and no /dev/null: they never block, so they are read as
                    // fast as the guest takes them.
                    Err(event_manager::Error::Epoll(errno)) if errno.errno() == libc::EPERM => {
                        while state.parts.console.wants_input() && state.outcome.is_none() {
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

    /// Watches for debuggers as soon as they may come.
    fn update_listener(&mut self, state: &mut Loop, ops: &mut EventOps<'_>) {
        let listener = state.parts.guest.server().and_then(Server::listener);
        if let Some(listener) = listener.filter(|_| !self.is_listener_watched) {
            self.is_listener_watched = true;
            if let Err(error) = ops.add(watch(listener.as_raw_fd(), Source::Listener, EventSet::IN))
            {
                state.outcome = Some(Outcome::HostFailed(format!("epoll: {error:?}")));
            }
        }
    }

    /// Watches the client for what it can be served with: its requests, or room for replies.
    fn update_client(&mut self, state: &mut Loop, ops: &mut EventOps<'_>) {
        let Guest::Debugged(server) = &mut state.parts.guest else { return };
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
            (state.parts.stops.as_raw_fd(), Source::Stops),
            (state.parts.console.output().news_fd().as_raw_fd(), Source::News),
            (state.parts.console.room_fd().as_raw_fd(), Source::Room),
            (state.parts.signals.as_raw_fd(), Source::Signals),
            (state.grace.as_raw_fd(), Source::Grace),
        ];
        let timeout =
            state.parts.timeout.as_ref().map(|timeout| (timeout.as_raw_fd(), Source::Timeout));
        let parent = state.parts.parent.as_ref().map(|fd| (fd.as_raw_fd(), Source::Parent));
        let resizes = state.parts.console.resizes().map(|fd| (fd.as_raw_fd(), Source::Resize));
        for (fd, source) in fixed.into_iter().chain(timeout).chain(parent).chain(resizes) {
            if let Err(error) = ops.add(watch(fd, source, EventSet::IN)) {
                state.outcome = Some(Outcome::HostFailed(format!("epoll: {error:?}")));
            }
        }
        self.update_stdin(&mut state, ops);
        self.update_client(&mut state, ops);
        self.update_listener(&mut state, ops);
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
            state.parts.console.feed();
        } else if is(Source::Resize) {
            state.parts.console.resize();
        } else if is(Source::Stdin) {
            state.on_input();
        } else if is(Source::Signals) {
            state.on_signal();
        } else if is(Source::Timeout) {
            state.on_timeout();
        } else if is(Source::Parent) {
            state.outcome = Some(Outcome::Orphaned);
        } else if is(Source::Grace) {
            state.on_grace();
        } else if is(Source::Listener) {
            state.accept();
        } else {
            state.serve();
        }
        state.follow_debugger();
        self.update_stdin(&mut state, ops);
        self.update_client(&mut state, ops);
        self.update_listener(&mut state, ops);
    }
}
