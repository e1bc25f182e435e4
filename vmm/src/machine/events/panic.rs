//! What becomes of a guest whose kernel panicked.

use std::time::Duration;

use super::{Guest, Loop};
use crate::cli::ending::OnPanic;
use crate::debug::server::Server;
use crate::debug::transport::{LOOPBACK, Listener};
use crate::exit::Outcome;
use crate::message::say;

/// For how long a kernel that has told of its panic by pvpanic may go on telling on its console: Linux does so before its last lines
/// (kernel/panic.c).
const LAST_LINES: Duration = Duration::from_secs(1);

const HELD: &str = "guest kernel panicked: held; Ctrl-A x or a signal ends it";

impl Loop {
    /// The guest's kernel panicked; `has_ended`, and has said all it has to say.
    pub(super) fn on_panicked(&mut self, has_ended: bool) {
        let is_debugged = self.parts.guest.server().is_some_and(Server::is_debugged);
        match self.on_panic {
            OnPanic::Hold | OnPanic::Gdb => self.hold(),
            // Under a debugger a panic is something to look at, not the end.
            OnPanic::Exit if is_debugged => self.hold(),
            OnPanic::Exit if has_ended => self.outcome = Some(Outcome::Panicked),
            OnPanic::Exit => self.wait_for(LAST_LINES, Outcome::Panicked),
        }
    }

    /// Ends a panicked guest that was held only for a debugger, which has left it.
    pub(super) fn end_left_panic(&mut self) {
        let is_left = self.parts.guest.server().is_some_and(|server| !server.is_debugged());
        let is_held = self.parts.console.output().is_held();
        if self.on_panic == OnPanic::Exit && is_held && is_left && self.outcome.is_none() {
            self.end_by(Outcome::Panicked);
        }
    }

    /// Stops the guest, for whoever wants to look at it.
    pub(super) fn hold(&mut self) {
        if !self.parts.console.output().note_held() {
            return;
        }
        match &mut self.parts.guest {
            Guest::Alone(control, ..) => {
                control.park();
                // It may have been on its way to a power-off or a reset.
                control.take_stops();
                say(HELD);
            }
            Guest::Debugged(server) => {
                server.hold();
                let is_alone = server.address().is_none() && server.client().is_none();
                if is_alone && self.on_panic == OnPanic::Gdb {
                    match Listener::tcp(LOOPBACK, 0) {
                        Ok(listener) => server.listen(listener),
                        Err(error) => say(format_args!("gdb: {LOOPBACK}: {error}")),
                    }
                }
                match server.address() {
                    _ if server.client().is_some() => {
                        say("guest kernel panicked: held for the debugger");
                    }
                    Some(address) => {
                        say(format_args!("guest kernel panicked: held: target remote {address}"));
                    }
                    None => say(HELD),
                }
            }
        }
    }
}
