//! `vCont`, `c`, `s`, `vCtrlC` (RSP manual, Packets). The reply to a resume is the stop reply.

use crate::aarch64::Register;
use crate::command::ThreadAction;
use crate::reply::{Error, Reply};
use crate::session::Session;
use crate::stop::{self, StopReason};
use crate::target::{Action, Target, TargetError, Tid};
use crate::thread_id::{Part, ThreadId};
use crate::thread_list;

impl Session {
    pub(super) fn v_cont(
        &mut self,
        target: &mut dyn Target,
        actions: &[ThreadAction],
    ) -> Result<Reply, Error> {
        let actions = leftmost(thread_list::all(target), actions);
        if actions.is_empty() {
            return Err(Error::NoSuchThread);
        }
        target.resume(&actions)?;
        self.running = true;
        Ok(Reply::None)
    }

    /// The way of clients without `vCont`. A thread selected by `Hc` resumes alone; otherwise the
    /// selected one does as told and all others continue.
    pub(super) fn resume(
        &mut self,
        target: &mut dyn Target,
        action: Action,
        addr: Option<u64>,
    ) -> Result<Reply, Error> {
        let (tid, rest) = match self.resume.thread {
            Part::One(_) => (super::threads::find(target, self.resume)?, None),
            Part::All | Part::Any => (self.selected, Some(Action::Continue)),
        };
        if let Some(addr) = addr {
            target.write_register(tid, Register::Pc, addr.into())?;
        }
        let one = ThreadId { process: Part::Any, thread: Part::One(tid.number().into()) };
        let all = ThreadId { process: Part::Any, thread: Part::All };
        let first = ThreadAction { action, threads: one };
        let rest = rest.map(|action| ThreadAction { action, threads: all });
        let actions: Vec<_> = [first].into_iter().chain(rest).collect();
        self.v_cont(target, &actions)
    }

    /// The target stays where it is. The client is told why on its console, and then of a stop, as
    /// if it had resumed and interrupted the target at once: GDB (13 to 16, `process_stop_reply`)
    /// takes an error reply for a stop without a signal, and steps from a breakpoint for ever.
    pub(super) fn refuse_resume(
        &mut self,
        error: &TargetError,
        target: &mut dyn Target,
        out: &mut Vec<u8>,
    ) {
        self.send(Reply::Console(format!("{error}\n")), out);
        self.last_stop.reason = StopReason::Signal(stop::SIGINT);
        let reply = self.halt_reason(target);
        self.send(reply, out);
    }

    /// The packet has a reply of its own; the stop it asks for has another, later.
    pub(super) fn ctrl_c(&self, target: &mut dyn Target) -> Reply {
        if self.running {
            target.interrupt();
        }
        Reply::Ok
    }
}

/// "For each inferior thread, the leftmost action with a matching thread-id is applied. Threads
/// that don't match any action remain in their current state" (RSP manual, Packets, "vCont").
fn leftmost(threads: impl Iterator<Item = Tid>, actions: &[ThreadAction]) -> Vec<(Tid, Action)> {
    let action_of = |tid: Tid| actions.iter().find(|action| action.threads.covers(tid));
    threads.filter_map(|tid| Some((tid, action_of(tid)?.action))).collect()
}
