//! `vCont`, `c`, `s`, `vCtrlC` (RSP manual, Packets). The reply to a resume is the stop reply.

use std::iter;

use crate::aarch64::Register;
use crate::command::ThreadAction;
use crate::reply::{Error, Reply};
use crate::session::{Session, State};
use crate::stop::{self, Stop, StopReason};
use crate::target::{Action, Target, TargetError, Tid};
use crate::thread_id::{Part, ThreadId};
use crate::thread_list;

impl Session {
    pub(super) fn v_cont(
        &mut self,
        target: &mut dyn Target,
        actions: &[ThreadAction],
    ) -> Result<Reply, Error> {
        if !thread_list::all(target).any(|tid| action_of(tid, actions).is_some()) {
            return Err(Error::NoSuchThread);
        }
        let actions: Vec<(Tid, Action)> = thread_list::all(target)
            .filter_map(|tid| Some((tid, action_of(tid, actions)?.action?)))
            .collect();
        if actions.iter().all(|(tid, _)| target.is_off(*tid)) {
            return self.nothing_resumes();
        }
        target.resume(&actions)?;
        self.state = State::Running;
        Ok(Reply::None)
    }

    /// Nobody is left who could start the vCPUs that would run: they would be waited for for ever
    /// (RSP manual, Stop Reply Packets, "N").
    fn nothing_resumes(&self) -> Result<Reply, Error> {
        if self.client.no_resumed {
            return Ok(Reply::Text("N".to_owned()));
        }
        let text = "each vCPU that would run is off, and stays off while the others are parked";
        Err(TargetError::Invalid(text.to_owned()).into())
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
        let first = ThreadAction { action: Some(action), threads: one };
        let rest = rest.map(|action| ThreadAction { action: Some(action), threads: all });
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
        self.print(&format!("{error}\n"), out);
        self.last_stop.reason = StopReason::Signal(stop::SIGINT);
        let reply = self.stop_reply(target, self.last_stop);
        self.send(reply, out);
    }

    /// Registers the target will not give are left out; the client asks for them by itself.
    pub(super) fn stop_reply(&self, target: &mut dyn Target, stop: Stop) -> Reply {
        if matches!(stop.reason, StopReason::Exited(_)) {
            return Reply::Bytes(stop.reply(self.client, "", iter::empty()));
        }
        let more = self.lldb_fields(target, stop);
        let description = target.description();
        let expedited = description.expedited(self.lldb.is_here).iter();
        let registers = expedited.filter_map(|(number, entry)| {
            Some((*number, entry.size, target.read_register(stop.tid, entry.reg).ok()?))
        });
        Reply::Bytes(stop.reply(self.client, &more, registers))
    }

    /// The packet has a reply of its own; the stop it asks for has another, later.
    pub(super) fn ctrl_c(&self, target: &mut dyn Target) -> Reply {
        if self.state == State::Running {
            target.interrupt();
        }
        Reply::Ok
    }
}

/// "For each inferior thread, the leftmost action with a matching thread-id is applied. Threads
/// that don't match any action remain in their current state" (RSP manual, Packets, "vCont").
fn action_of(tid: Tid, actions: &[ThreadAction]) -> Option<&ThreadAction> {
    actions.iter().find(|action| action.threads.covers(tid))
}
