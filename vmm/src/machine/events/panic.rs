//! What becomes of a guest whose kernel panicked.

use std::time::Duration;

use super::{Guest, Loop};
use crate::cli::ending::OnPanic;
use crate::debug::transport::{LOOPBACK, Listener};
use crate::exit::Outcome;
use crate::message::say;

/// For how long a kernel that has told of its panic by pvpanic may go on telling on its console: Linux does so before its last lines
/// (kernel/panic.c).
const LAST_LINES: Duration = Duration::from_secs(1);

impl Loop {
    /// The guest's kernel panicked; `has_ended`, and has said all it has to say.
    pub(super) fn on_panicked(&mut self, has_ended: bool) {
        let server = self.parts.guest.server();
        let has_debugger = server.is_some_and(|server| server.client().is_some());
        match self.on_panic {
            OnPanic::Hold | OnPanic::Gdb => self.hold(),
            // Under a debugger a panic is something to look at, not the end.
            OnPanic::Exit if has_debugger => {}
            OnPanic::Exit if has_ended => self.outcome = Some(Outcome::Panicked),
            OnPanic::Exit => self.wait_for(LAST_LINES, Outcome::Panicked),
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
                say("guest kernel panicked: held; Ctrl-A x or a signal ends it");
            }
            Guest::Debugged(server) => {
                server.hold();
                if server.address().is_none() && server.client().is_none() {
                    match Listener::tcp(LOOPBACK, 0) {
                        Ok(listener) => server.listen(listener),
                        Err(error) => say(format_args!("gdb: {LOOPBACK}: {error}")),
                    }
                }
                let address = server.address().unwrap_or_default();
                if server.client().is_none() {
                    say(format_args!("guest kernel panicked: held: target remote {address}"));
                } else {
                    say("guest kernel panicked: held for the debugger");
                }
            }
        }
    }
}
